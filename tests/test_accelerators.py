"""Devices are found by the names that JAX gives them."""

import pytest

from liax_jax.accelerators import find_accelerator


@pytest.mark.parametrize(
    ("device_kind", "name", "teraflops", "gigabytes"),
    [
        ("TPU v4", "TPU v4", 275, 34.4),
        ("TPU v5 lite", "TPU v5e", 197, 17.2),
        ("TPU v5e", "TPU v5e", 197, 17.2),
        ("TPU v5", "TPU v5p", 459, 102.0),
        ("TPU v5p", "TPU v5p", 459, 102.0),
        ("TPU v6 lite", "TPU v6e", 918, 34.4),
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB", 312, 80),
        ("NVIDIA A100 80GB PCIe", "A100 80 GB", 312, 80),
        ("NVIDIA A100-SXM4-40GB", "A100 40 GB", 312, 40),
        ("NVIDIA H100 80GB HBM3", "H100", 989.5, 80),
        ("NVIDIA H100 PCIe", "H100 PCIe", 756, 80),
        ("NVIDIA H200", "H200", 989.5, 141),
    ],
)
def test_published_rates(device_kind, name, teraflops, gigabytes):
    accelerator = find_accelerator(device_kind)
    assert accelerator is not None and accelerator.name == name
    assert accelerator.peak_flops("bfloat16") == teraflops * 1e12
    assert accelerator.hbm_bytes / 1e9 == pytest.approx(gigabytes, abs=0.05)
    # float32 is never quicker, and on TPUs no slower: its default precision is one bfloat16 pass.
    ratio = accelerator.peak_flops("float32") / accelerator.peak_flops("bfloat16")
    assert ratio == pytest.approx(1.0 if "TPU" in name else 0.5, rel=1e-3)


@pytest.mark.parametrize("device_kind", ["cpu", "TPU v3", "TPU v7x", "NVIDIA GeForce RTX 4090", ""])
def test_unknown_devices_have_none(device_kind):
    assert find_accelerator(device_kind) is None
