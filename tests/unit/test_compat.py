"""What showcases.compat repairs in other packages, each in a process of its own; importing showcases does nothing."""

import subprocess
import sys

import pytest

LIGHT = ("artifacts", "clip", "clip.config", "clip.units", "generator", "generator.config", "selector", "catalog")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_importing_showcases_changes_nothing() -> None:
    code = """
import sys
def state():
    return list(sys.meta_path), list(sys.path_hooks), list(sys.path)
before = state(), set(sys.modules)
import showcases
print(before[0] == state(), sorted(set(sys.modules) - before[1]))
"""
    assert run(code) == "True ['showcases']"


def test_light_modules_import_no_torch() -> None:
    imports = ", ".join(f"showcases.{name}" for name in LIGHT)
    heavy = {"torch", "torchvision", "open_clip", "timm", "transformers"}
    assert run(f"import sys, jobs.encoding, {imports}; print(sorted({heavy} & sys.modules.keys()))") == "[]"


@pytest.mark.parametrize("module", ["showcases.clip.model", "showcases.generator.decoder"])
def test_modules_that_need_torchvision_import(module: str) -> None:
    assert run(f"import {module}, torchvision, open_clip, timm; print('imported')") == "imported"


def test_operators_are_declared_only_where_torchvision_has_no_library() -> None:
    code = """
import torch
from showcases import compat
compat.import_torchvision()
compat.import_torchvision()
from torchvision.extension import _has_ops
assert len(compat._libraries) == (not _has_ops())
boxes = torch.tensor([[0., 0., 1., 1.], [0., 0., 1., 1.]])
try:
    torch.ops.torchvision.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    works = True
except NotImplementedError:
    works = False
print(works == _has_ops())
"""
    assert run(code) == "True"


def test_a_torchvision_that_cannot_load_its_library_imports_and_resizes() -> None:
    code = """
import torch
def refuse(path):
    raise OSError("libcudart.so: cannot open shared object file")
torch.ops.load_library = refuse
from showcases import compat
compat.import_torchvision()
assert len(compat._libraries) == 1
from torchvision.transforms.v2 import functional
print(functional.resize_image(torch.zeros(3, 8, 8), [4, 4]).shape)
"""
    assert run(code) == "torch.Size([3, 4, 4])"


def test_without_torchvision_nothing_happens() -> None:
    code = """
import sys
sys.modules["torchvision"] = None
from showcases import compat
compat.import_torchvision()
print(len(compat._libraries))
"""
    assert run(code) == "0"
