"""What follows from a compiled step: whether it fits, remedies, time; and the cache."""

import dataclasses
import json
import sys

import pytest

from liax_jax.planning import compilation, plan
from liax_jax.planning.compilation import PlanError, compile_for
from liax_jax.planning.report import report
from liax_jax.planning.targets import GIB, parse_target
from tests.training import tiny

_V5E = parse_target("v5e:2x2")


def _result(hbm_bytes, **more):
    return {
        "fits_compiler": True,
        "hbm_bytes": hbm_bytes,
        "flops": 10e12,
        "flops_without_r1": 8e12,
        "memory": {"temporary": hbm_bytes // 2, "code": 1},
        "memory_traffic_bytes": 100 * 10**9,
        "collective_bytes": {"all-gather": 4 * 10**9, "all-reduce": 2 * 10**9},
        "minimum_collective_bytes": {"all-gather": 4 * 10**9},
        "state_bytes": dict.fromkeys(("parameters", "optimizer", "ema", "frozen", "batch"), 1),
        "mesh": {"data": 4, "fsdp": 1},
    } | more


def _plan(result, target=_V5E, **more):
    return plan.Plan(tiny.get_config(), parse_target(target) if more else target, result, 0.5)


def test_what_the_compiler_or_the_memory_refuses_does_not_fit():
    capacity = _V5E.chip.hbm_bytes
    assert _plan(_result(capacity)).fits
    assert not _plan(_result(capacity + 1)).fits
    refused = {"fits_compiler": False, "compiler_capacity_bytes": 15 * GIB}
    assert not _plan(_result(20 * GIB) | refused).fits
    assert _plan(_result(20 * GIB) | refused).capacity == 15 * GIB


def test_the_roofline_is_the_slowest_of_three():
    config = tiny.get_config()
    assert config.discriminator.r1_interval == 2
    time = _plan(_result(1)).step_time
    assert time.arithmetic == pytest.approx((8e12 + 2e12 / 2) / (197e12 * 0.5))
    assert time.memory == pytest.approx(100e9 / 819e9)
    assert time.network == pytest.approx(6e9 / 200e9)
    assert time.bound_by == "memory" and time.seconds == time.memory


def test_between_slices_gradients_cross_the_slower_network():
    slices = plan.Plan(tiny.get_config(), parse_target("v5e:2x2*2"), _result(1), 0.5)
    assert slices.step_time.network == pytest.approx(2e9 / 3.125e9 + 4e9 / 200e9)


def test_images_and_days():
    made = _plan(_result(1))
    content = made.to_json(images=1_000_000)
    assert content["images_per_day"] == pytest.approx(8 * 86400 / made.step_time.seconds)
    assert content["days"] == pytest.approx(1_000_000 / content["images_per_day"])
    for name in ("fits", "hbm_bytes", "hbm_capacity_bytes", "flops", "collective_bytes"):
        assert content[name] is not None, name
    json.dumps(content)


def _compile_as(needs):
    """Stands in for the compiler: `needs(config)` bytes; notes what was compiled."""
    asked = []

    def compile_for(config, target, cache, **_):
        asked.append((config.model.remat, config.mesh.fsdp, config.accumulation_steps))
        return _result(needs(config))

    return asked, compile_for


@pytest.mark.parametrize(
    "needs, attempts, fitting",
    [
        (lambda config: 1, 0, []),
        (lambda c: 10 * GIB if c.model.remat == "levels" else 20 * GIB, 3, ["model.remat=levels"]),
        (
            lambda c: 20 * GIB // (c.accumulation_steps * c.mesh.fsdp),
            3,
            ["mesh.data=1 mesh.fsdp=4", "accumulation_steps=2"],
        ),
        # Only all of it together.
        (
            lambda c: (40 - 10 * (c.mesh.fsdp == 4) - 20 * (c.model.remat == "levels")) * GIB,
            4,
            ["model.remat=levels mesh.data=1 mesh.fsdp=4 accumulation_steps=2"],
        ),
        (lambda config: 99 * GIB, 4, []),
    ],
)
def test_remedies_are_compiled_and_only_where_it_does_not_fit(
    monkeypatch, needs, attempts, fitting
):
    asked, compile_for = _compile_as(needs)
    monkeypatch.setattr(plan, "compile_for", compile_for)
    made = plan.make_plan(tiny.get_config(), _V5E, None)
    assert len(asked) == 1 + attempts == 1 + len(made.remedies)
    assert [name for name, attempt in made.remedies.items() if attempt.fits] == fitting
    text = "\n".join(report(made))
    assert ("DOES NOT FIT" in text) == (attempts > 0)
    assert ("none of it is enough" in text) == (attempts > 0 and not fitting)


def test_without_remedies_one_compilation(monkeypatch):
    asked, compile_for = _compile_as(lambda config: 99 * GIB)
    monkeypatch.setattr(plan, "compile_for", compile_for)
    assert not plan.make_plan(tiny.get_config(), _V5E, None, remedies=False).fits
    assert len(asked) == 1


@pytest.mark.parametrize(
    "field, value, says",
    [
        ("model.remta", "blocks", "model.remta = 'blocks'"),
        ("batch_size", "many", "batch_size = 'many'"),
    ],
)
def test_a_field_that_cannot_be_set_is_named(field, value, says):
    with pytest.raises(ValueError, match=says):
        plan.changed(tiny.get_config(), {field: value})


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_utilisation_is_a_share(share):
    with pytest.raises(ValueError, match="must lie above 0 and up to 1"):
        plan.make_plan(tiny.get_config(), _V5E, None, utilisation=share)


@pytest.mark.parametrize("target, extra", [("v5e:2x2", "plan-tpu"), ("a100-80gb:1x8", "plan-gpu")])
def test_a_missing_toolchain_names_its_extra(monkeypatch, target, extra):
    monkeypatch.setattr(compilation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PlanError, match=f"pip install 'liax-jax\\[{extra}\\]'"):
        compile_for(tiny.get_config(), parse_target(target), None)


def test_a_toolchain_of_another_version_says_which_one(monkeypatch):
    monkeypatch.setattr(compilation.importlib.util, "find_spec", lambda name: name)
    others = {"jax-cuda12-plugin": "0.9.1", "jax-cuda12-pjrt": "0.9.1"}
    version = compilation.importlib.metadata.version
    monkeypatch.setattr(
        compilation.importlib.metadata, "version", lambda name: others.get(name) or version(name)
    )
    with pytest.raises(PlanError, match="jax-cuda12-plugin 0.9.1 doesn't go with jaxlib"):
        compile_for(tiny.get_config(), parse_target("h100:1x8"), None)


def _stand_in(monkeypatch, tmp_path, source):
    """A program in the compiler's place: `python SCRIPT -m module request result`."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport json, sys, time\n{source}\n")
    script.chmod(0o755)
    monkeypatch.setattr(compilation.sys, "executable", str(script))


def test_a_toolchain_that_crashes_is_one_error(monkeypatch, tmp_path):
    crash = "import os, signal\nprint('no such chip', flush=True)\nos.kill(os.getpid(), 6)"
    _stand_in(monkeypatch, tmp_path, crash)
    with pytest.raises(PlanError, match="ended with status -6.*no such chip"):
        compile_for(tiny.get_config(), parse_target("cpu:2"), None)


def test_a_toolchain_that_hangs_is_stopped(monkeypatch, tmp_path):
    _stand_in(monkeypatch, tmp_path, "time.sleep(600)")
    with pytest.raises(PlanError, match="stopped after 0.02 minutes"):
        compile_for(tiny.get_config(), parse_target("cpu:2"), None, timeout_minutes=0.02)


_ANSWER = "json.dump({'program': 'abc', 'hbm_bytes': 7}, open(sys.argv[4], 'w'))"


def test_results_are_kept_by_config_target_and_versions(monkeypatch, tmp_path):
    _stand_in(monkeypatch, tmp_path, _ANSWER)
    cache, target = tmp_path / "cache", parse_target("cpu:2")

    def cached(config=None, target=target, folder=cache):
        return compile_for(config or tiny.get_config(), target, folder)["cached"]

    assert [cached(), cached()] == [False, True]
    assert (cache / "programs" / "abc.json").exists()
    assert cached(folder=None) is False
    assert cached(target=parse_target("cpu:4")) is False
    assert cached(plan.changed(tiny.get_config(), {"batch_size": 16})) is False
    # What the step doesn't see.
    assert cached(plan.changed(tiny.get_config(), {"log_every": 7})) is True
    newer = dict(compilation.find_toolchain(target), jax="99")
    monkeypatch.setattr(compilation, "find_toolchain", lambda target: newer)
    assert cached() is False


def test_the_environment_of_this_process_is_not_touched(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8 --xla_cpu_x=1")
    before = dict(compilation.os.environ)
    theirs = compilation._environment(parse_target("cpu:3"), {})
    assert theirs["XLA_FLAGS"].split() == [
        "--xla_cpu_x=1",
        "--xla_force_host_platform_device_count=3",
    ]
    assert theirs["JAX_PLATFORMS"] == "cpu" and theirs["TPU_SKIP_MDS_QUERY"] == "1"
    assert dict(compilation.os.environ) == before


def test_the_report_names_what_it_assumes():
    text = "\n".join(report(dataclasses.replace(_plan(_result(GIB))), images=10**6))
    assert "assuming 50% of 197 TFLOP/s" in text and "TPU v5e" in text
    assert "1.50 × the least for this sharding" in text
    assert "days for 1,000,000 images" in text
