"""auto takes bfloat16 only where the processor says that it has instructions for it."""

from pathlib import Path

import pytest
import torch

from showcases.bfloat16 import has_fast_bfloat16

CPU = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPU.exists(), reason="/proc/cpuinfo is Linux's")
def test_a_cpu_is_fast_in_bfloat16_as_the_kernel_lists_it() -> None:
    flags = {word for line in CPU.read_text().splitlines() if line.startswith("flags") for word in line.split()}
    assert has_fast_bfloat16("cpu") == bool({"avx512_bf16", "amx_bf16"} & flags)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_fast_in_bfloat16_from_compute_capability_8_on() -> None:
    assert has_fast_bfloat16("cuda") == (torch.cuda.get_device_capability() >= (8, 0))
