"""The paper's sizes in bfloat16 on a CUDA GPU: a training step, writing texts, and photos through CLIP.

    python -m benchmarks.speed.gpu [--batch 32] [--batches 1 8 32 128] [--photos 256] [--peak_tflops 989]

The generator has GPT-2 small's shape with the paper's encoder; its examples are made up, of GEST-s2's mean length. A
training step is what jobs.train_generator does with precision bfloat16: PC²L, clipping, AdamW. Texts are written by
beam search with 2 beams, 64 tokens each. Photos are batches of pixels in the host's memory through open_clip's ViT-B-32
with random weights: decoding JPEGs is not in it.

Utilisation is what torch counts of floating-point operations (`torch.utils.flop_counter`; padding counts, too), over
seconds and the GPU's dense bfloat16 peak by its data sheet; for a GPU that is not in PEAKS give it, or it is n/a.
Writing feeds one token a row: with small batches memory bounds it, not its operations.

A line for each, `ours` and `rival` in TFLOP/s: what was reached, and the peak. `--device cpu --tiny` tries the code.
"""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness import median_seconds, parse, print_line
from benchmarks.speed.paper_size import PAPER, TINY, Size, examples, objective, stepper
from showcases.clip.encoder import ClipEncoder
from showcases.clip.model import build
from showcases.generator.config import ContrastiveConfig
from showcases.generator.decoder import new_decoder
from showcases.generator.decoding import Decoding, write
from showcases.generator.mma import Encoded
from showcases.training import LoopConfig

SLOTS, LOOP = 15, LoopConfig(lr=1e-4, optimizer="adamw", precision="bfloat16")
TINY_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


PEAKS = (  # TFLOP/s, without sparsity; the first whose words are all in the device's name
    ("H200 NVL", 835.5),
    ("H200", 989.5),
    ("H100 NVL", 835.5),
    ("H100 PCIe", 756.5),
    ("H100", 989.5),  # SXM: torch calls it "NVIDIA H100 80GB HBM3"
    ("A100", 312.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("T4", 65.0),  # float16: its tensor cores know no bfloat16
)


def peak_of(name: str) -> float | None:
    """Of a device as torch names it, e.g. "NVIDIA A100-SXM4-80GB"."""
    words = set(re.split(r"[\s-]+", name.lower()))
    return next((peak for key, peak in PEAKS if set(key.lower().split()) <= words), None)


@dataclass(frozen=True)
class Device:
    """Where it runs.

    Args:
        kind: torch's name, cuda or cpu.
        name: of the product.
        peak: TFLOP/s, as far as that is known.
        times: runs of each, of which the median counts, after two that do not.
    """

    kind: str
    name: str
    peak: float | None
    times: int

    def report(self, name: str, label: str, work: Callable[[int], Any], things: str, count: float, batch: int) -> None:
        """Time some runs of `work(number)`; print a sentence and the line.

        Args:
            things: what it makes, e.g. tokens.
            count: of them, in a run.
        """

        def whole(number: int) -> None:
            work(number)
            if self.kind == "cuda":
                torch.cuda.synchronize()

        with FlopCounterMode(display=False) as counter:
            work(0)
        seconds = median_seconds(whole, self.times, warm_up=2)
        reached, rate = counter.get_total_flops() / seconds / 1e12, count / seconds
        used = None if self.peak is None else reached / self.peak
        share = "n/a" if used is None else f"{100 * used:.1f} %"
        print(f"{label}: {1000 * seconds:.1f} ms, {rate:,.0f} {things}/s; {reached:.3g} TFLOP/s, {share}", flush=True)
        facts: dict[str, float | str | None] = {"device": self.name, "seconds": seconds, "batch": batch}
        facts[f"{things}_per_s"] = rate
        print_line(name, used, reached, self.peak, "TFLOP/s", torch.get_num_threads(), **facts)


def train(device: Device, size: Size, batch: int) -> None:
    """Steps on other examples each time; tokens are the explanations' and their hard negatives', as decoded."""
    count = device.times + 2
    data = examples(count * batch, size)
    step = stepper(objective(size, ContrastiveConfig()), data, batch, LOOP, device.kind)
    batches = [data.batch(range(n * batch, (n + 1) * batch)) for n in range(2, count)]
    tokens = statistics.mean(float(each.text_mask.sum() + each.hard_mask.sum() + 2 * batch) for each in batches)
    device.report("gpu_train", f"training step, batch {batch}", step, "tokens", tokens, batch)


def decode(device: Device, size: Size, batch: int) -> None:
    """Texts of random weights, all as long as they may be: the end token is never the likeliest."""
    torch.manual_seed(0)
    decoder = new_decoder(size.model, size.vocabulary).eval()
    with torch.no_grad():
        decoder.transformer.wte.weight[0] = 0.0  # the end token's score is 0, below the best of the others
    decoder = decoder.to(device.kind, torch.bfloat16)
    hidden = torch.randn(batch, SLOTS, size.model.n_embd, device=device.kind)
    encoded = Encoded(hidden, torch.ones(batch, SLOTS, dtype=torch.bool, device=device.kind), 5)
    how = Decoding(size.model.max_tokens, size.model.beams)
    label, tokens = f"writing, batch {batch}, {how.beams} beams", batch * size.model.max_tokens
    device.report("gpu_decode", label, lambda _: write(decoder, encoded, 0, how), "tokens", tokens, batch)


def photos(device: Device, shape: dict[str, Any], batch: int) -> None:
    """Pixels to unit vectors, both in the host's memory, as jobs.embed does it."""
    side = shape["vision_cfg"]["image_size"]
    config = {"model_cfg": shape, "preprocess_cfg": {"size": side, "mean": [0.5] * 3, "std": [0.25] * 3}}
    torch.manual_seed(0)
    encoder = ClipEncoder(build(config), config, "random", device.kind, "bfloat16")
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
    work = lambda _: encoder.encode_pixels(pixels)  # noqa: E731
    device.report("gpu_photos", f"photos, batch {batch}", work, "photos", batch, batch)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        batch=(32, "examples of a training step"),
        batches=([1, 8, 32, 128], "examples that are written at once"),
        photos=(256, "a batch"),
        times=(20, "runs of each, of which the median counts"),
        peak_tflops=(float, "dense bfloat16, of a GPU that is not in the table"),
        device=("cuda", "or cpu"),
        tiny=(False, "tiny models, to try the code"),
    )
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here: nothing was measured")
        return
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    device = Device(options.device, name, options.peak_tflops or peak_of(name), options.times)
    size = Size(TINY, 300) if options.tiny else Size(PAPER)
    print(f"{device.name}: torch {torch.__version__}", flush=True)
    train(device, size, options.batch)
    for batch in options.batches:
        decode(device, size, batch)
    from open_clip import get_model_config  # after showcases.clip, see showcases.compat

    photos(device, TINY_CLIP if options.tiny else get_model_config("ViT-B-32"), options.photos)


if __name__ == "__main__":
    main()
