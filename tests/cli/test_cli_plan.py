"""`liax plan` as a command, on CPU devices: through the same code as for TPUs and GPUs."""

import json

import pytest

from liax_jax import cli
from tests.training import tiny

_CONFIG = tiny.__file__
# No discriminator: a third of the time to compile.
_SMALL = ["--set", "loss.adversarial=0.0", "--set", "mesh.fsdp=2"]


def _plan(*arguments):
    return cli.main(["plan", "--config", _CONFIG, *arguments])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("plans")


def test_a_real_step_is_compiled_read_and_kept(cache, capsys):
    asked = ["--target", "cpu:4", *_SMALL, "--cache", str(cache)]
    assert _plan(*asked, "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert first["fits"] is True and first["mesh"] == {"data": 2, "fsdp": 2}
    assert first["hbm_bytes"] > sum(first["state_bytes"].values()) > 0
    # Adam keeps two moments: as many bytes as two copies of the parameters, and a few counters.
    parameters = first["state_bytes"]["parameters"]
    assert 0 <= first["state_bytes"]["optimizer"] - 2 * parameters < 100
    assert first["state_bytes"]["ema"] == parameters
    assert first["state_bytes"]["batch"] == 2 * (8 // 4) * 32 * 32 * 3
    # Every loop of this step is unrolled: the compiler's count has every operation, and those that
    # are neither convolution nor product besides.
    assert first["flops"] < first["compiler_flops"] < 2 * first["flops"]
    moved, least = first["collective_bytes"], first["minimum_collective_bytes"]
    assert min(least.values()) > 0
    for kind, size in least.items():
        assert size <= moved[kind] <= 1.1 * size + 2000, kind  # the metrics are averaged too
    assert sum(moved.values()) == sum(moved[kind] for kind in least)

    assert _plan(*asked) == 0
    assert "peak memory" in capsys.readouterr().out
    assert len(list((cache / "requests").iterdir())) == 1


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--target", "abacus:9"], "unknown target 'abacus:9'"),
        (["--target", "v5e:3x5"], "there is no such topology"),
        (["--target", "cpu:4", "--set", "model.remat"], "write FIELD=VALUE"),
        (["--target", "cpu:4", "--set", "model.colour=red"], "model.colour"),
        (["--target", "cpu:4", "--set", "model.remat=rows"], "choose one of none, blocks, levels"),
        (["--target", "cpu:4", "--images", "0"], "--images 0: must be 1 or more"),
        (["--target", "cpu:4", "--set", "mesh.fsdp=3"], "fsdp = 3"),
        (["--target", "cpu:4", "--set", "batch_size=6"], "batch_size = 6 must be a multiple"),
    ],
)
def test_bad_input_is_one_error(arguments, says, capsys):
    assert _plan(*arguments, "--no-cache") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("liax plan: error: ") and says in error


def test_a_config_that_is_not_there(capsys):
    assert cli.main(["plan", "--config", "configs/none.py", "--target", "cpu:4"]) == 2
    assert "there is no config file configs/none.py" in capsys.readouterr().err
