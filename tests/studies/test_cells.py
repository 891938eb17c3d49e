"""What a study is: names, keys, and results that belong to what is asked for now."""

import json

import pytest

from liax_jax.studies import Study
from liax_jax.studies.cells import Probe
from liax_jax.studies.command import load_study


def no_report(study, results, root, docs):
    raise AssertionError("not asked for")


def test_keys_follow_what_changes_a_result(tiny_cell):
    base = tiny_cell()
    assert tiny_cell().key == base.key and len(base.key) == 12
    for fields in ({"steps": 4}, {"seed": 1}, {"loss__sparsity": 0.1}, {"batch_size": 4}):
        assert tiny_cell(**fields).training_key != base.training_key
    for fields in ({"log_every": 7}, {"checkpoint_every": 3}, {"wandb__project": "x"}):
        assert tiny_cell(**fields).training_key == base.training_key
    # What is measured doesn't train again.
    for fields in ({"probe": Probe()}, {"rotations": ("l1",)}, {"eval__max_frames": 4}):
        other = tiny_cell(**fields)
        assert other.training_key == base.training_key and other.key != base.key


def test_a_result_of_another_request_is_none(tiny_cell, tmp_path):
    cell = tiny_cell()
    folder = cell.folder(tmp_path)
    folder.mkdir()
    assert cell.result(tmp_path) is None
    (folder / "result.json").write_text(json.dumps({"key": cell.key, "psnr": 1}))
    assert cell.result(tmp_path) == {"key": cell.key, "psnr": 1}
    assert tiny_cell(rotations=("l1",)).result(tmp_path) is None
    (folder / "result.json").write_text('{"key": ')
    assert cell.result(tmp_path) is None


def test_names_are_unique_and_can_be_chosen_by_a_word(tiny_cell):
    cells = [tiny_cell(f"{kind}-{seed}", seed) for kind in ("dense", "sparse") for seed in (0, 1)]
    study = Study("try", cells, no_report)
    assert [cell.name for cell in study.chosen(["sparse", "dense-1"])] == [
        "dense-1",
        "sparse-0",
        "sparse-1",
    ]
    assert study.chosen([]) == cells
    with pytest.raises(ValueError, match="no cell's name holds 'spares'; the cells are dense-0"):
        study.chosen(["spares"])
    with pytest.raises(ValueError, match="several cells are called dense-0"):
        Study("try", [*cells, tiny_cell("dense-0")], no_report)


@pytest.mark.parametrize("name", ["interpretability", "ablations"])
def test_studies_in_the_repository_can_be_trained(name, request):
    from liax_jax.training.loop import check_config

    study = load_study(request.config.rootpath / "configs" / "studies" / f"{name}.py")
    assert study.name == name
    for cell in study.cells:
        check_config(cell.config)
        assert cell.config.seed == cell.config.data.seed == cell.seed
    assert len({cell.training_key for cell in study.cells}) == len(study.cells)
    rows = {cell.row for cell in study.cells}
    assert all(any(c.row == row and c.seed == 0 for c in study.cells) for row in rows)
