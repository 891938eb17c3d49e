import pytest

from configs.studies import heads
from liax_jax.studies import Cell
from liax_jax.studies.cells import Probe


@pytest.fixture
def tiny_cell(tmp_path):
    """Makes cells that train for seconds: (name, seed, steps, **fields) → Cell."""

    def make(name="tiny-0", seed=0, steps=3, row="tiny", rotations=(), probe=None, **fields):
        config = heads.get_config()
        config.model.update(width=1 / 16, groups=4, num_vectors=3)
        config.data.procedural.update(
            num_clips=4, num_eval_clips=2, frames_per_clip=6, moving=("yaw", "shift_x")
        )
        config.data.procedural.keep_in = str(tmp_path / "frames")
        config.batch_size = 2
        config.update(train_steps=steps, seed=seed, log_every=1, panel_every=0, checkpoint_every=2)
        config.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
        return Cell(name, row, config, 0.01, rotations, probe)

    return make


@pytest.fixture
def small_probe():
    return Probe(
        clips=8,
        rotation_clips=4,
        frames_per_clip=6,
        regressors=("ridge",),
        rotations=2,
        bootstrap=2,
    )
