"""What GPUs can do at most, from the vendor's data sheets, and which of them a name means."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Peak:
    """Of one GPU.

    Args:
        tflops: dense bfloat16 on the tensor cores, 1e12 floating-point operations a second. Data sheets since Ampere
            print the figure with structured sparsity, which is twice this.
        tb_per_s: of its memory, 1e12 bytes a second; both None where they are not known.
    """

    tflops: float | None = None
    tb_per_s: float | None = None


PEAKS = (  # the first whose words all stand in the device's name
    ("H200 NVL", Peak(835.5, 4.8)),
    ("H200", Peak(989.5, 4.8)),
    ("H100 NVL", Peak(835.5, 3.9)),
    ("H100 PCIe", Peak(756.5, 2.0)),
    ("H100", Peak(989.5, 3.35)),  # SXM: torch calls it "NVIDIA H100 80GB HBM3"
    ("A100 40GB", Peak(312.0, 1.555)),
    ("A100 PCIe 80GB", Peak(312.0, 1.935)),
    ("A100", Peak(312.0, 2.039)),
    ("L4", Peak(121.0, 0.3)),
    ("A10G", Peak(70.0, 0.6)),
    ("T4", Peak(65.0, 0.32)),  # float16: its tensor cores know no bfloat16
)


def peak_of(name: str) -> Peak:
    """The peak of a device as torch names it, e.g. "NVIDIA A100-SXM4-80GB"; of unknowns if it is not in the table."""
    words = set(re.split(r"[\s-]+", name.lower()))
    return next((peak for key, peak in PEAKS if set(key.lower().split()) <= words), Peak())
