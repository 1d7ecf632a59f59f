"""torchvision, open_clip and timm import beside whatever torch is installed; real ops are never replaced."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["torchvision", "open_clip", "timm"])
def test_imports_after_showcases(module: str) -> None:
    assert run(f"import showcases, {module}; print({module}.__name__)") == module


def test_real_ops_stay_and_missing_ones_are_declared_once() -> None:
    # the same process asks whether torchvision's own library loads, by other means than the shim
    code = """
import showcases, torch
from showcases import _torchvision as shim
import torchvision
first = shim._LIBRARY
shim.declare_missing_ops()
assert shim._LIBRARY is first
boxes = torch.tensor([[0., 0., 1., 1.], [0., 0., 1., 1.]])
try:
    torch.ops.torchvision.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    works = True
except NotImplementedError:
    works = False
from torchvision.extension import _has_ops
print(works == (first is None) == _has_ops())
"""
    assert run(code) == "True"


def test_a_torchvision_without_its_library_is_still_importable() -> None:
    # as with a CPU torch beside a CUDA torchvision: loading the library fails, whatever is installed here
    code = """
import torch
def refuse(path):
    raise OSError("libcudart.so: cannot open shared object file")
torch.ops.load_library = refuse
import showcases
from showcases import _torchvision as shim
import torchvision
assert shim._LIBRARY is not None
from torchvision.transforms.v2 import functional
print(functional.resize_image(torch.zeros(3, 8, 8), [4, 4]).shape)
"""
    assert run(code) == "torch.Size([3, 4, 4])"


def test_processes_that_need_no_torch_do_not_import_it() -> None:
    # decoders and the arbiter of jobs.embed: torch would be half of their start
    code = """
import sys, showcases, showcases.clip.units, jobs.arbiter, jobs.encoding
print("torch" in sys.modules, "open_clip" in sys.modules)
"""
    assert run(code) == "False False"
