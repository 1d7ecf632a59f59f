"""Lets a torchvision built for CUDA import beside a CPU-only torch.

Its C++ library cannot load there, so its ops stay undefined and its Python part dies registering fake kernels for
them; open_clip and timm with it. Declaring the schemas first cures that. With matching builds nothing is declared.
Nothing happens, and torch is not imported, before something imports torchvision: most of our processes never do.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_LIBRARY: Any = None  # a torch.library.Library: the registration lives as long as this object


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; the first to be asked for torchvision, it declares the ops and goes."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            declare_missing_ops()
        return None


def cure_on_import() -> None:
    """Have `declare_missing_ops` called when torchvision is imported, before it is."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, _BeforeTorchvision())


def declare_missing_ops() -> None:
    """Declare `torchvision::nms` and `torchvision::qnms` where torchvision's own library cannot define them."""
    global _LIBRARY
    if _LIBRARY is not None or _ops_load():
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARY = library


def _ops_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # no torchvision, nothing to declare
    import torch

    libraries = sorted(Path(spec.submodule_search_locations[0]).glob("_C*.*"))
    try:
        for path in libraries:
            torch.ops.load_library(str(path))
    except OSError:
        return False
    return bool(libraries)
