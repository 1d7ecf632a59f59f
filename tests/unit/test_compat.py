"""What showcases.compat repairs in other packages, each in a process of its own; importing showcases does nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from showcases import compat

LIGHT = (
    "storage.artifacts",
    "clip",
    "clip.config",
    "clip.units",
    "generator",
    "generator.config",
    "selector",
    "catalog",
)


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
    assert run(f"import sys, jobs.embedding.encode, {imports}; print(sorted({heavy} & sys.modules.keys()))") == "[]"


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


@pytest.mark.parametrize("after", ["none", "relu", "gelu"])
@pytest.mark.parametrize("has_layout", [True, False])
def test_onednns_product_is_torchs(after: str, has_layout: bool) -> None:
    torch.manual_seed(0)
    vectors, weight, bias = torch.randn(5, 16), torch.randn(8, 16), torch.randn(8)
    if not compat.has_onednn(vectors):
        pytest.skip("this torch has no oneDNN")
    then = {"none": lambda x: x, "relu": F.relu, "gelu": lambda x: F.gelu(x, approximate="tanh")}[after]
    found = compat.onednn_linear(vectors, compat.onednn_layout(weight, 5) if has_layout else weight, bias, after)
    torch.testing.assert_close(found, then(F.linear(vectors, weight, bias)), rtol=1e-4, atol=1e-5)


def test_onednn_takes_no_doubles() -> None:
    assert not compat.has_onednn(torch.zeros(2, 2, dtype=torch.float64))


def test_the_version_of_a_tensor_rises_when_it_changes_in_place() -> None:
    tensor = torch.zeros(3)
    before = compat.version_of(tensor)
    tensor.add_(1)
    assert compat.version_of(tensor) > before == compat.version_of(torch.zeros(3))


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="/proc/cpuinfo is Linux's")
def test_vnni_is_what_the_kernel_lists() -> None:
    assert compat.has_vnni() == ("avx512_vnni" in Path("/proc/cpuinfo").read_text().split())
