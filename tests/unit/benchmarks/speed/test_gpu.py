"""benchmarks.speed.gpu without a GPU."""

import json

import pytest
import torch

from benchmarks.speed import gpu
from benchmarks.speed.gpu import peak_of
from benchmarks.speed.paper_size import TINY


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out == "no CUDA GPU here: nothing was measured\n"


def test_a_dry_run_on_a_cpu_goes_through_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--device=cpu", "--tiny", "--batch=2", "--photos=2", "--times=1", "--peak_tflops=0.5"]
    gpu.main([*options, "--batches", "1", "2"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["name"] for line in lines] == ["gpu_train", "gpu_decode", "gpu_decode", "gpu_photos"]
    for line in lines:
        assert line["rival"] == 0.5 and line["ratio"] == pytest.approx(line["ours"] / 0.5, rel=1e-3)
        assert line["seconds"] > 0 and line["device"] == "cpu"
    one, two = lines[1:3]  # what is written, whatever the seconds
    assert two["tokens_per_s"] * two["seconds"] == pytest.approx(2 * one["tokens_per_s"] * one["seconds"], rel=1e-2)
    assert one["tokens_per_s"] * one["seconds"] == pytest.approx(TINY.max_tokens, rel=1e-2)
    assert all(line["ours"] > 0 for line in lines)


@pytest.mark.parametrize("name, tflops", [
    ("NVIDIA H100 80GB HBM3", 989.5), ("NVIDIA H100 PCIe", 756.5), ("NVIDIA H200", 989.5),
    ("NVIDIA A100-SXM4-40GB", 312.0), ("NVIDIA A100 80GB PCIe", 312.0), ("NVIDIA L4", 121.0), ("Tesla T4", 65.0),
    ("cpu", None), ("NVIDIA L40S", None), ("NVIDIA GeForce RTX 4090", None),
])  # fmt: skip
def test_gpus_are_known_by_the_names_that_torch_gives_them(name: str, tflops: float | None) -> None:
    assert peak_of(name) == tflops
