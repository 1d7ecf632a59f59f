"""benchmarks.speed.gpu without a GPU, and its arithmetic against what torch counts."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import flops, gpu
from benchmarks.speed.gpu_peaks import Peak, peak_of
from benchmarks.speed.paper_size import TINY, Size, examples, objective
from showcases.clip.encoder import ClipEncoder
from showcases.clip.model import build
from showcases.generator.config import ContrastiveConfig
from showcases.generator.decoding import Decoding, write
from showcases.generator.mma import Encoded

SIZE = Size(TINY, 300)


def counted(counter: FlopCounterMode) -> float:
    """All but attention, of which torch counts what causality hides, too."""
    return sum(count for op, count in counter.get_flop_counts()["Global"].items() if "attention" not in str(op))


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
    assert one["mbu"] is None  # of no known memory


@pytest.mark.parametrize("name, tflops, tb_per_s", [
    ("NVIDIA H100 80GB HBM3", 989.5, 3.35), ("NVIDIA H100 PCIe", 756.5, 2.0), ("NVIDIA H200", 989.5, 4.8),
    ("NVIDIA A100-SXM4-40GB", 312.0, 1.555), ("NVIDIA A100-SXM4-80GB", 312.0, 2.039),
    ("NVIDIA A100 80GB PCIe", 312.0, 1.935), ("NVIDIA L4", 121.0, 0.3), ("Tesla T4", 65.0, 0.32),
    ("NVIDIA A10G", 70.0, 0.6),
])  # fmt: skip
def test_gpus_are_known_by_the_names_that_torch_gives_them(name: str, tflops: float, tb_per_s: float) -> None:
    assert peak_of(name) == Peak(tflops, tb_per_s)


@pytest.mark.parametrize("name", ["cpu", "NVIDIA L40S", "NVIDIA GeForce RTX 4090"])
def test_other_gpus_are_not_taken_for_known_ones(name: str) -> None:
    assert peak_of(name) == Peak(None, None)


@pytest.mark.parametrize("losses", [{}, {"image_loss": "none", "text_loss": "none"}])
def test_the_flops_of_a_forward_pass_are_those_that_torch_counts(losses: Any) -> None:
    data, model = examples(3, SIZE), objective(SIZE, ContrastiveConfig(**losses)).eval()
    for number in range(3):
        batch = data.batch([number])  # alone: no slot is padding
        with FlopCounterMode(display=False) as counter:
            model(batch)
        cosines = 2 * 3 * 512  # of the contrastive losses, at most: of widths 32, 32 and 512
        assert 0 <= counted(counter) - flops.linear(model, batch) <= cosines
        slots = int(batch.image_mask.sum() + batch.review_mask.sum())
        texts = [1 + int(batch.text_mask.sum())] + ([] if losses else [1 + int(batch.hard_mask.sum())])
        pairs = slots**2 + 2 * sum(place + slots for text in texts for place in range(1, text + 1))  # 1, 2 layers
        assert flops.attention(model, batch) == 4 * 32 * pairs
        assert flops.training(model, batch) == 3 * (flops.linear(model, batch) + flops.attention(model, batch))


def test_the_flops_of_writing_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("showcases.generator.weights.has_onednn", lambda weight: False)  # torch counts its own alone
    decoder = objective(SIZE, ContrastiveConfig()).generator.decoder.eval()
    encoded = Encoded(torch.randn(2, 5, 32), torch.ones(2, 5, dtype=torch.bool), 5)
    with FlopCounterMode(display=False) as counter:
        assert all(len(ids) == 6 for ids in write(decoder, encoded, 299, Decoding(6, 2)))
    attention = 2 * 4 * 32 * sum(4 * (step + 5) for step in range(1, 7))  # 4 rows, 2 layers
    assert flops.decoding(32, 2, 300, 5, 2, [4] * 6) == counted(counter) + attention
    weights = 2 * 14 * 32**2 + 300 * 32
    moved = 6 * weights + 2 * 2 * 32 * sum(4 * step + 2 * 5 for step in range(1, 7))
    assert flops.decoding_bytes(32, 2, 300, 5, 2, [4] * 6, size=2) == 2 * moved


def test_the_flops_of_a_photo_are_those_that_torch_counts() -> None:
    config = {"model_cfg": gpu.TINY_CLIP, "preprocess_cfg": {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}}
    encoder = ClipEncoder(build(config), config, "random")
    encoder.model.train()  # or torch takes a path that it does not count
    with FlopCounterMode(display=False) as counter:
        encoder.model.encode_image(torch.from_numpy(np.ones((1, 3, 32, 32), np.float32)))  # type: ignore[operator]
    attention = 2 * 4 * 64 * 5**2  # 2 layers
    assert flops.vision(64, 2, 16, 5, 32) == counted(counter) + attention
