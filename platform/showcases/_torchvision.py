"""Lets a torchvision built for CUDA import beside a CPU-only torch.

Its C++ library cannot load there, so its ops stay undefined and its Python part dies registering fake kernels for
them; open_clip and timm with it. Declaring the schemas first cures that. With matching builds nothing is declared.
"""

import importlib.util
from pathlib import Path

import torch

_LIBRARY: torch.library.Library | None = None  # the registration lives as long as this object


def declare_missing_ops() -> None:
    """Declare `torchvision::nms` and `torchvision::qnms` where torchvision's own library cannot define them."""
    global _LIBRARY
    if _LIBRARY is not None or _ops_load():
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARY = library


def _ops_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # no torchvision, nothing to declare
    libraries = sorted(Path(spec.submodule_search_locations[0]).glob("_C*.*"))
    try:
        for path in libraries:
            torch.ops.load_library(str(path))
    except OSError:
        return False
    return bool(libraries)
