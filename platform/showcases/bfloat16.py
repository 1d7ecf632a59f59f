"""Whether this machine computes faster in bfloat16."""

import torch


def has_fast_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices natively, not by emulation.

    An x86 CPU without AVX512_BF16 and AMX emulates it, which is slower than float32; so do other CPUs.

    Args:
        device: cpu or cuda.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
