"""Which program made an evaluation: the code that scores, versions, and the device."""

import importlib.metadata

import jax

from liax_jax.source_version import source_version

# Of a clip's line and of results.json.
MADE_WITH = "made_with"
_SCORING = ("metrics/*.py", "evaluation/scoring.py", "evaluation/reenactment.py")


def scoring_version(protocol: str) -> str:
    """A hash over the code that a protocol's scores depend on, its own file included.

    Args:
      protocol: name of one in `evaluation/protocols`.
    """
    return source_version((*_SCORING, f"evaluation/protocols/{protocol}.py"))


def made_with() -> dict[str, str]:
    """Versions of this package and of JAX, and the device."""
    return {
        "liax_jax": package_version(),
        "jax": jax.__version__,
        "device": device_name(jax.devices()[0]),
    }


def device_name(device: jax.Device) -> str:
    """Platform and kind, such as "gpu, NVIDIA H100"; once where they are the same."""
    return ", ".join(dict.fromkeys((device.platform, device.device_kind)))


def package_version() -> str:
    """Of this package, as pip knows it."""
    try:
        return importlib.metadata.version("liax-jax")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # run from its sources
