"""Models as files: every kind is read, every kind is written, and nothing is lost between them."""

import dataclasses
import itertools
import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from liax_jax import model_files
from liax_jax.checkpoint import Checkpoints, claim_workdir
from liax_jax.convert import checked_parameters, parameter_shapes, to_torch_state_dict
from liax_jax.directions import RELEASED_LIA_X, Direction, DirectionCard
from liax_jax.model_files import (
    ModelFileError,
    ModelRecord,
    check_output,
    fingerprint,
    load_model,
    num_parameters,
    read_model,
    save_model,
)
from liax_jax.models import ModelConfig
from liax_jax.training.state import NetworkState, TrainState
from liax_jax.weights import WeightsFile, read_weights, write_weights

# Orbax reads and writes arrays concurrently, and forgets the others when one has failed.
others_forgotten = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# What can be told from names and shapes alone, though the published code has no such small model.
CONFIG = ModelConfig(resolution=32, width=1 / 16, num_blocks=0, num_vectors=4)
CARD = DirectionCard(4, (Direction(2, "nod", "pose", -1, -0.3, 0.6, "down to up"),))


@pytest.fixture(scope="module")
def config():
    return CONFIG


@pytest.fixture(scope="module")
def params(make_params, config):
    return make_params(config)


@pytest.fixture(scope="module")
def record(config, params):
    return ModelRecord(config, CARD, 12345, "a test", "", fingerprint(config, params))


@pytest.fixture(scope="module")
def published(config, make_params):
    """A state as if it were published: other buffers than ours, and no signs of ours."""
    state = to_torch_state_dict(config, make_params(config, seed=1))
    rng = np.random.default_rng(2)
    return {
        key: rng.standard_normal(value.shape, dtype=np.float32)
        if key.endswith(".kernel") or key == "dec.direction.weight"
        else np.ascontiguousarray(value)
        for key, value in state.items()
    }


@pytest.fixture
def warnings():
    """The program's own messages; whoever shows them, and whether anybody does."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("liax_jax")
    logger.addHandler(handler)
    yield said
    logger.removeHandler(handler)


def assert_same_params(config, ours, theirs):
    ours, theirs = checked_parameters(config, ours), checked_parameters(config, theirs)
    for path, value in theirs.items():
        assert ours[path].tobytes() == value.tobytes(), path


def assert_same_tensors(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype and ours[key].shape == value.shape, key
        assert ours[key].tobytes() == value.tobytes(), key


KINDS = [("a.pt", False), ("a.safetensors", False), ("b.safetensors", True), ("a_directory", False)]


@pytest.mark.parametrize(("name", "published_names"), KINDS)
def test_a_model_comes_back_with_all_that_is_known_of_it(
    tmp_path, record, params, name, published_names
):
    path = tmp_path / name
    save_model(path, record, params, published_names=published_names)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    back, read = load_model(path)
    assert back == record and hash(back) == hash(record)
    assert_same_params(record.config, read, params)
    assert num_parameters(read) == sum(a.size for a in jax.tree.leaves(params))
    assert not any(leaf.flags.writeable for leaf in jax.tree.leaves(read) if leaf.ndim == 4)
    with pytest.raises(FileExistsError, match="--overwrite"):
        save_model(path, record, params, published_names=published_names)
    other = dataclasses.replace(record, step=5)
    save_model(path, other, params, published_names=published_names, overwrite=True)
    assert load_model(path)[0].step == 5
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(KINDS, 2)))
def test_published_files_come_back_bit_for_bit(tmp_path, published, first, second):
    write_weights(tmp_path / "lia-x.pt", published)
    model = original = read_model(tmp_path / "lia-x.pt")
    for i, (name, published_names) in enumerate((first, second)):
        path = tmp_path / f"{i}_{name}"
        save_model(path, model.record, model.params, model.extras, published_names=published_names)
        model = read_model(path)
        assert model.record == original.record
        assert_same_params(model.record.config, model.params, original.params)
        assert_same_tensors(model.extras, original.extras)
    save_model(tmp_path / "back.pt", model.record, model.params, model.extras)
    assert_same_tensors(read_weights(tmp_path / "back.pt").tensors, published)


def test_lia_is_written_as_it_is_published(tmp_path, make_params):
    config = ModelConfig(family="lia", resolution=32, width=1 / 16, num_blocks=0, num_vectors=4)
    params = make_params(config)
    card = DirectionCard(4)
    record = ModelRecord(config, card, None, "a test", "", fingerprint(config, params))
    save_model(tmp_path / "vox.pt", record, params)
    assert all(key.startswith("gen.") for key in read_weights(tmp_path / "vox.pt").tensors)
    assert_same_params(config, load_model(tmp_path / "vox.pt")[1], params)


def test_a_published_file_says_its_license_and_keeps_it(tmp_path, published, config):
    beside = {f"gen.{k}": v for k, v in published.items()} | {"dis.weight": np.ones(3, np.float32)}
    write_weights(tmp_path / "lia-x.pt", beside)
    record, _ = load_model(tmp_path / "lia-x.pt")
    assert record.config == config and record.card == DirectionCard(4) and record.step is None
    assert record.origin == "lia-x.pt, published LIA-X names"
    assert record.license.startswith("CC BY-NC 4.0")


def test_half_precision_is_said(tmp_path, published, warnings):
    halves = {key: value.astype(np.float16) for key, value in published.items()}
    write_weights(tmp_path / "half.pt", halves)
    _, params = load_model(tmp_path / "half.pt")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    assert "tensors are not float32" in warnings[0]


@pytest.mark.parametrize("num_blocks, known", [(4, True), (3, False)])
def test_only_the_size_of_the_released_model_gets_its_names(
    tmp_path, monkeypatch, num_blocks, known
):
    config = ModelConfig(resolution=512, width=2.0, num_blocks=num_blocks, num_vectors=40)
    flat = {
        path: np.broadcast_to(np.float32(0), shape)
        for path, shape in parameter_shapes(config).items()
    }
    params: dict = {}
    for path, value in flat.items():
        *parents, leaf = path.split("/")
        node = params
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    state = to_torch_state_dict(config, params)
    monkeypatch.setattr(model_files, "read_weights", lambda path: WeightsFile(state, None))
    (tmp_path / "lia-x.pt").touch()
    record, params = load_model(tmp_path / "lia-x.pt")
    assert record.config == config
    assert record.card == (RELEASED_LIA_X if known else DirectionCard(40))
    assert not known or num_parameters(params) == 910_571_751


def test_the_fingerprint_is_of_dictionary_and_configuration(config, params, record):
    changed = jax.tree.map(np.array, params)
    changed["encoder"]["motion"]["bias"] += 1
    assert fingerprint(config, changed) == record.fingerprint
    for arithmetic in ({"dtype": "bfloat16"}, {"flow_init": "identity"}):
        assert fingerprint(dataclasses.replace(config, **arithmetic), params) == record.fingerprint
    assert fingerprint(dataclasses.replace(config, use_mask=False), params) != record.fingerprint
    changed["dictionary"]["weight"][3, 1] += 1e-3
    assert fingerprint(config, changed) != record.fingerprint
    assert (
        fingerprint(dataclasses.replace(config, num_blocks=2, groups=4), params)
        != record.fingerprint
    )
    assert len(record.fingerprint) == 16


def test_models_from_before_masks_could_be_left_out(tmp_path, record, params):
    save_model(tmp_path / "m", record, params)
    path = tmp_path / "m" / "model.json"
    content = json.loads(path.read_text())
    assert content["config"].pop("use_mask") is True
    path.write_text(json.dumps(content))
    assert load_model(tmp_path / "m")[0] == record


def test_a_card_of_another_model_is_refused(config):
    with pytest.raises(ModelFileError, match="with 40 directions; this one has 4"):
        ModelRecord(config, RELEASED_LIA_X, None, "", "", "")


def test_a_card_in_the_directory_can_be_edited(tmp_path, record, params):
    save_model(tmp_path / "m", record, params)
    card = DirectionCard(4, (Direction(0, "wink"),))
    (tmp_path / "m" / "directions.json").write_text(card.to_json())
    assert load_model(tmp_path / "m")[0].card == card
    (tmp_path / "m" / "directions.json").unlink()
    assert load_model(tmp_path / "m")[0].card == DirectionCard(4)


def network(params, ema):
    return NetworkState(params, {"count": jnp.int32(3)}, ema)


def train_state(step, params, ema):
    zero = jnp.zeros((), jnp.int32)
    return TrainState(jnp.int32(step), network(params, ema), None, zero, zero)


@pytest.fixture
def make_workdir(tmp_path, tiny_config, tiny_params):
    def make(*steps, averaged=True):
        workdir = tmp_path / "run"
        run = default.get_config()
        run.model.update(dataclasses.asdict(tiny_config))
        run.ema_decay = 0.99 if averaged else 0.0
        claim_workdir(run, workdir)
        checkpoints = Checkpoints(workdir, keep=3)
        for step in steps:
            params = jax.tree.map(lambda a, factor=step: a * np.float32(factor), tiny_params)
            average = jax.tree.map(lambda a: a * np.float32(0.5), params) if averaged else None
            checkpoints.save(train_state(step, params, average))
        checkpoints.close()
        return workdir

    return make


@pytest.mark.parametrize("averaged", [True, False])
def test_a_workdir_gives_its_newest_model(make_workdir, tiny_config, tiny_params, averaged):
    workdir = make_workdir(2, 4, averaged=averaged)
    (workdir / "directions.json").write_text(CARD.to_json())
    record, params = load_model(workdir)
    factor = np.float32(2 if averaged else 4)
    assert_same_params(tiny_config, params, jax.tree.map(lambda a: a * factor, tiny_params))
    assert record.config == tiny_config and record.step == 4 and record.card == CARD
    assert record.origin == "trained in run" + (", averaged parameters" if averaged else "")
    assert record.license == "" and record.fingerprint == fingerprint(tiny_config, params)


@others_forgotten
def test_a_broken_checkpoint_is_passed_over_and_left(make_workdir, warnings):
    workdir = make_workdir(2, 4)
    for path in (workdir / "checkpoints" / "4").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert load_model(workdir)[0].step == 2
    assert "checkpoint of step 4 can't be read" in warnings[0]
    assert (workdir / "checkpoints" / "4").is_dir()
    for path in (workdir / "checkpoints" / "2").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="none of the checkpoints in .* could be read"):
        load_model(workdir)


def test_a_workdir_without_checkpoints(make_workdir):
    workdir = make_workdir()
    with pytest.raises(FileNotFoundError, match="no finished checkpoint in .*run yet; train first"):
        load_model(workdir)
    (workdir / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="config.json is not a run's config"):
        load_model(workdir)


def test_what_is_no_model_is_refused(tmp_path, make_workdir, record, params):
    with pytest.raises(FileNotFoundError, match="there is no file or directory .*none"):
        load_model(tmp_path / "none")
    with pytest.raises(ModelFileError, match="neither a model directory .* nor a workdir"):
        load_model(tmp_path)
    workdir = make_workdir(1)
    with pytest.raises(ModelFileError, match=f"perhaps you mean {workdir}$"):
        load_model(workdir / "checkpoints" / "1")
    write_weights(tmp_path / "vgg.pt", {"features.0.weight": np.zeros(3, np.float32)})
    with pytest.raises(ModelFileError, match="vgg.pt: neither a LIA-X nor a LIA generator"):
        load_model(tmp_path / "vgg.pt")
    for write in (lambda path: save_model(path, record, params), check_output):
        with pytest.raises(ModelFileError, match="does not end in .npz"):
            write(tmp_path / "a.npz")
    with pytest.raises(ModelFileError, match="published names are for .safetensors and .pt"):
        save_model(tmp_path / "a", record, params, published_names=True)


def rewrite(path, change_text=lambda text: text, change=lambda tensors: None):
    tensors, text = read_weights(path)
    change(tensors)
    write_weights(path, tensors, change_text(text), overwrite=True)


def remove_field(text):
    content = json.loads(text)
    del content["origin"]
    return json.dumps(content)


def renamed(tensors):
    tensors["encoder/motion/offset"] = tensors.pop("encoder/motion/bias")
    tensors["dictionary/weight"] = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"change_text": lambda text: None}, "its header doesn't say of which model"),
        ({"change_text": lambda text: "words"}, "doesn't say what model it is"),
        ({"change_text": lambda text: "[1]"}, "doesn't say what model it is"),
        ({"change_text": remove_field}, "'origin'"),
        (
            {"change_text": lambda text: text.replace('"version": 1', '"version": 2')},
            "of version 2 .* reads up to version 1 .* Update it",
        ),
        (
            {"change_text": lambda text: text.replace('"resolution": 32', '"resolution": 64')},
            "missing: encoder/block_64/conv1/bias",
        ),
        (
            {
                "change": lambda tensors: tensors.update(
                    {"dictionary/weight": np.eye(32, 4, dtype="f")}
                )
            },
            "its fingerprint is not [0-9a-f]{16}",
        ),
        (
            {"change": renamed},
            "missing: encoder/motion/bias\n.*unexpected: encoder/motion/offset\n"
            r".*misshapen: dictionary/weight \(3, 4\) should be \(32, 4\)",
        ),
        (
            {"change": lambda tensors: tensors.update({"dictionary": np.zeros(2, np.float32)})},
            "unexpected: dictionary$",
        ),
    ],
)
def test_damaged_models_are_refused(tmp_path, record, params, fields, message):
    path = tmp_path / "a.safetensors"
    save_model(path, record, params)
    rewrite(path, **fields)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_parts_of_a_directory_that_are_missing_are_named(tmp_path, record, params):
    save_model(tmp_path / "m", record, params)
    (tmp_path / "m" / "params.safetensors").unlink()
    with pytest.raises(ModelFileError, match="lacks params.safetensors"):
        load_model(tmp_path / "m")


def test_overwriting_takes_model_directories_only(tmp_path, record, params):
    other = tmp_path / "photographs"
    other.mkdir()
    save_model(other, record, params)  # empty: taken
    assert load_model(other)[0] == record
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="is no model directory; choose another name"):
        save_model(home, record, params, overwrite=True)
    with pytest.raises(FileExistsError, match="is no model directory; choose another name"):
        check_output(home, overwrite=True)
    assert (home / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_directory_as_it_was(
    tmp_path, record, params, monkeypatch, error
):
    save_model(tmp_path / "m", record, params)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(model_files, "write_weights", fail)
    expected, message = (
        (OSError, "m can't be written: No space left on device. Free space there")
        if isinstance(error, OSError)
        else (KeyboardInterrupt, None)
    )
    with pytest.raises(expected, match=message):
        save_model(tmp_path / "m", dataclasses.replace(record, step=1), params, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert load_model(tmp_path / "m")[0] == record


def test_directions_that_turn_round_and_sizes_beyond_the_published_code_are_said(
    tmp_path, tiny_config, tiny_params, warnings
):
    identity = fingerprint(tiny_config, tiny_params)
    record = ModelRecord(tiny_config, CARD, None, "a test", "", identity)
    save_model(tmp_path / "a.pt", record, tiny_params)
    groups, turned = warnings
    assert "groups = 32 built in, and this model has 4" in groups
    assert "point the other way" in turned
    assert load_model(tmp_path / "a.pt")[0] == record
