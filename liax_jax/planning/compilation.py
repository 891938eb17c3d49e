"""Compiling for hardware that isn't there, in a process of its own; results kept on disk.

Two records are kept of a compilation: by what was asked (config, target, versions), which is found
at once, and by the program that it came to, which is found after tracing, where only the source
text or fields that the step doesn't see have changed since.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

import liax_jax
from liax_jax.planning.targets import Target

# Fields that the training step doesn't see.
_UNSEEN = (
    "eval", "log_every", "panel_every", "video_every", "checkpoint_every", "keep_checkpoints",
    "max_minutes", "max_nonfinite_steps", "seed",
)  # fmt: skip
# What to install for a platform, and the module that shows that it is.
_TOOLCHAINS = {
    "tpu": ("plan-tpu", "libtpu", ("libtpu",)),
    "cuda": ("plan-gpu", "jax_plugins.xla_cuda12", ("jax-cuda12-plugin", "jax-cuda12-pjrt")),
    "cpu": ("", "jax", ()),
}
# The TPU compiler's lowest level: a third of the time, the same arithmetic and communication, and
# nearly the same memory (docs/scale.md has the comparison). Nobody runs what is compiled here.
QUICK = {
    "tpu": {"JAX_OPTIMIZATION_LEVEL": "O0"},
    "cpu": {"JAX_OPTIMIZATION_LEVEL": "O0"},
    # Not for speed. XLA of jaxlib 0.10.2 ends in a failed check when it fuses some of this model's
    # matrix products (triton_tiling_propagation.cc); a run on such a GPU needs the flag as well.
    "cuda": {"XLA_FLAGS": "--xla_gpu_enable_triton_gemm=false"},
}
_TAIL_LINES = 12
# Lines of a crash that say why, rather than where.
_TELLING = re.compile(r"Check fail|[A-Z][A-Z_]{6,}: |Error: ")


class PlanError(RuntimeError):
    """A plan that can't be made, with what to do about it."""


def find_toolchain(target: Target) -> dict[str, str]:
    """Versions of what compiles for the target.

    Raises:
      PlanError: it isn't installed; names the extra.
    """
    extra, module, packages = _TOOLCHAINS[target.chip.platform]
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise PlanError(
            f"planning for {target.text} needs the compiler for {target.chip.name}, which isn't "
            f"installed: pip install 'liax-jax[{extra}]'"
        )
    names = ("jax", "jaxlib", "flax", "optax", *packages)
    versions = {name: importlib.metadata.version(name) for name in names}
    for name in packages:
        if name.startswith("jax-") and versions[name] != versions["jaxlib"]:
            raise PlanError(
                f"{name} {versions[name]} doesn't go with jaxlib {versions['jaxlib']}: pip install "
                f"{name}=={versions['jaxlib']}"
            )
    return versions


def compile_for(
    config: ConfigDict,
    target: Target,
    cache: Path | None,
    *,
    quick: bool = True,
    timeout_minutes: float = 240.0,
    dump: Path | None = None,
) -> dict[str, Any]:
    """What the training step of a config needs on a target: `compile_step.compile_step`'s result.

    Args:
      config: of a run.
      target: to compile for.
      cache: folder of earlier results; None compiles anew and keeps nothing.
      quick: compile with the least optimisation where that spares time.
      timeout_minutes: after which the compiler is stopped.
      dump: file that gets the compiled program's text, where it is compiled.

    Raises:
      ValueError: config and target don't go together; says why.
      PlanError: the toolchain is missing, ended without a result, or took too long.
    """
    versions = find_toolchain(target)
    environment = QUICK[target.chip.platform] if quick else {}
    asked = _asked(config, target, {**versions, **environment})
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="liax_plan_"))
        kept = cache if cache is not None else Path(folder)
        by_request, by_program = kept / "requests" / f"{asked}.json", kept / "programs"
        if by_request.exists():
            return json.loads(by_request.read_text()) | {"cached": True}
        request = {
            "config": json.loads(config.to_json_best_effort()),
            "target": target.text,
            "versions": {**versions, **environment},
            "known": str(by_program),
            "dump": str(dump) if dump else None,
        }
        result = _in_own_process(request, target, environment, Path(folder), timeout_minutes)
        if "error" in result:
            raise ValueError(result["error"])
        result["versions"] = versions
        _write(by_request, result)
        _write(by_program / f"{result['program']}.json", result)
    return result | {"cached": False}


def _asked(config: ConfigDict, target: Target, versions: Mapping[str, str]) -> str:
    fields = json.loads(config.to_json_best_effort())
    for name in _UNSEEN:
        fields.pop(name, None)
    fields["data"] = {"flip": fields.get("data", {}).get("flip")}
    content = [fields, target.text, versions, _source_digest()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _source_digest() -> str:
    """Of the files that make the training step, and of those that read what it compiles to."""
    root, digest = Path(liax_jax.__file__).parent, hashlib.sha256()
    files = [root / "ops.py", root / "layers.py", root / "losses.py"]
    for package in ("models", "metrics", "training", "planning"):
        files += sorted((root / package).glob("*.py"))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _write(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    partial.replace(path)


def _environment(target: Target, more: Mapping[str, str]) -> dict[str, str]:
    """Of the compiling process: nothing that asks for devices, and no search for absent ones."""
    flags = [
        flag
        for flag in f"{os.environ.get('XLA_FLAGS', '')} {more.get('XLA_FLAGS', '')}".split()
        if "xla_force_host_platform_device_count" not in flag
    ]
    if target.chip.platform == "cpu":
        flags.append(f"--xla_force_host_platform_device_count={target.num_devices}")
        if more:
            flags.append("--xla_backend_optimization_level=0")
    environment = os.environ | more
    environment |= {
        "XLA_FLAGS": " ".join(flags),
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_STDERR_LOG_LEVEL": "3",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # The same source as this process, wherever it is started.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return environment


def _in_own_process(
    request: Mapping[str, Any],
    target: Target,
    environment: Mapping[str, str],
    folder: Path,
    timeout_minutes: float,
) -> dict[str, Any]:
    request_path, result_path = folder / "request.json", folder / "result.json"
    log_path = folder / "log"
    request_path.write_text(json.dumps(request))
    command = [sys.executable, "-m", "liax_jax.planning.compile_step"]
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            [*command, str(request_path), str(result_path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(target, environment),
            start_new_session=True,
        )
        try:
            in_time = _wait(process, log_path, target, timeout_minutes * 60)
        finally:
            _end(process)
    if not in_time:
        raise PlanError(
            f"compiling for {target.text} was stopped after {timeout_minutes:g} minutes; give it "
            "longer with --timeout, or plan a smaller model"
        )
    if process.returncode or not result_path.exists():
        last = _last_lines(log_path)
        raise PlanError(
            f"the compiler for {target.text} ended with status {process.returncode} and without a "
            f"result; its last words: {last}"
        )
    return json.loads(result_path.read_text())


@contextlib.contextmanager
def _elapsed_bar(target: Target) -> Iterator[tqdm]:
    # There is no rate: a compiler doesn't say how far it is.
    with tqdm(
        total=0, desc=f"{target.text}: starting", bar_format="{desc}, {elapsed}", disable=None
    ) as bar:
        yield bar


def _wait(process: subprocess.Popen, log_path: Path, target: Target, seconds: float) -> bool:
    """Shows what the process is at until it ends; False where it didn't in time."""
    started, phase = time.monotonic(), ""
    with _elapsed_bar(target) as bar:
        while process.poll() is None:
            if time.monotonic() - started > seconds:
                return False
            now = _phase(log_path)
            if now != phase:
                phase = now
                bar.set_description_str(f"{target.text}: {phase}", refresh=False)
                if bar.disable:
                    elapsed = time.monotonic() - started
                    # Not on stdout, which is the plan's.
                    tqdm.write(f"{target.text}: {phase} ({elapsed:.0f} s)", file=sys.stderr)
            bar.refresh()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1.0)
    return True


def _phase(log_path: Path) -> str:
    phases = [line for line in _text(log_path).splitlines() if line.startswith("phase: ")]
    return phases[-1].removeprefix("phase: ") if phases else "starting"


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def _last_lines(log_path: Path) -> str:
    lines = [line.strip() for line in _text(log_path).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("phase: ")]
    telling = [line for line in lines if _TELLING.search(line)]
    return " | ".join(telling[-2:] or lines[-_TAIL_LINES:])[:1500] or "none"


def _end(process: subprocess.Popen) -> None:
    """Ends the process and what it started, where it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
