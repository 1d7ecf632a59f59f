"""What the library needs of its dependencies beyond their public names, each with the reason and a test."""

import sys

import torch

_TORCHVISION_OPS = ("nms", "qnms")
_libraries: list[torch.library.Library] = []  # a registration lives as long as its Library object


def import_torchvision() -> None:
    """Import torchvision, also a build for CUDA beside a CPU-only torch; call it before open_clip, timm or GPT-2.

    Such a torchvision cannot load its C++ library and then fails while registering fake kernels for operators that
    were never defined, and whatever imports it fails too. Declaring these operators, without kernels, lets it import.
    Matching builds import as they are; without torchvision nothing happens.
    """
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _libraries:
            raise
        library = torch.library.Library("torchvision", "DEF")
        for name in _TORCHVISION_OPS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        import torchvision  # noqa: F401
