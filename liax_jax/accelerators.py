"""Published rates of accelerators, by the name that JAX gives the device.

Per chip, dense (no structured sparsity), as their makers publish them; what a program reaches is
less. Sources: Google Cloud's pages "TPU v4", "TPU v5e", "TPU v5p", "TPU v6e" (docs.cloud.google.com
/tpu/docs); NVIDIA's data sheets of A100, H100 and H200 (Tensor Core GPU), whose tensor core rates
"with sparsity" are halved here.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """Peak rates of one chip.

    Attributes:
        name: as people say it.
        bfloat16_flops: floating-point operations a second of the matrix units on bfloat16.
        float32_flops: the same for float32 convolutions and matrix products at JAX's default
            precision: one bfloat16 pass on TPUs, TensorFloat-32 on NVIDIA's GPUs.
        hbm_bytes: memory on the chip.
        hbm_bytes_per_second: bandwidth of that memory.
        link_bytes_per_second: to the other chips of its slice (TPU) or node (NVLink), each way.
    """

    name: str
    bfloat16_flops: float
    float32_flops: float
    hbm_bytes: float
    hbm_bytes_per_second: float
    link_bytes_per_second: float

    def peak_flops(self, dtype: str) -> float:
        """The published peak for the arithmetic of a model's config: "bfloat16" or "float32"."""
        return {"bfloat16": self.bfloat16_flops, "float32": self.float32_flops}[dtype]


_GIB = 2.0**30

# A TPU's memory is given in GB and counted in GiB by its runtime; a GPU's in GB.
# (pattern of jax.Device.device_kind, accelerator); the first that matches.
_ACCELERATORS = (
    (r"TPU v4$", Accelerator("TPU v4", 275e12, 275e12, 32 * _GIB, 1228e9, 300e9)),
    (r"TPU v5( ?lite|e)", Accelerator("TPU v5e", 197e12, 197e12, 16 * _GIB, 819e9, 200e9)),
    (r"TPU v5p?$", Accelerator("TPU v5p", 459e12, 459e12, 95 * _GIB, 2765e9, 600e9)),
    (r"TPU v6( ?lite|e)", Accelerator("TPU v6e", 918e12, 918e12, 32 * _GIB, 1638e9, 400e9)),
    (r"A100.*80 ?GB", Accelerator("A100 80 GB", 312e12, 156e12, 80e9, 2039e9, 300e9)),
    (r"A100", Accelerator("A100 40 GB", 312e12, 156e12, 40e9, 1555e9, 300e9)),
    (r"H200", Accelerator("H200", 989.5e12, 494.7e12, 141e9, 4800e9, 450e9)),
    (r"H100.*NVL", Accelerator("H100 NVL", 835.5e12, 417.5e12, 94e9, 3900e9, 300e9)),
    (r"H100.*PCIe", Accelerator("H100 PCIe", 756e12, 378e12, 80e9, 2000e9, 300e9)),
    (r"H100", Accelerator("H100", 989.5e12, 494.7e12, 80e9, 3350e9, 450e9)),
)


def find_accelerator(device_kind: str) -> Accelerator | None:
    """The accelerator of a `jax.Device.device_kind`; None where its rates aren't known."""
    for pattern, accelerator in _ACCELERATORS:
        if re.search(pattern, device_kind):
            return accelerator
    return None
