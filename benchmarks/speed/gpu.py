"""The paper's sizes in bfloat16 on a CUDA GPU: a training step, writing texts, and photos through CLIP.

    python -m benchmarks.speed.gpu [--batch 32] [--batches 1 8 32 128] [--photos 256] [--peak_tflops 989
        --peak_tb_per_s 3.35]

The generator has GPT-2 small's shape with the paper's encoder; its examples are made up, of GEST-s2's mean length. A
training step is what jobs.train_generator does with precision bfloat16: PC²L, clipping, AdamW. Texts are written by
beam search with 2 beams, 64 tokens each. Photos are batches of pixels in the host's memory through open_clip's ViT-B-32
with random weights: decoding JPEGs is not in it.

Model FLOP utilisation (MFU) is what the mathematics needs, over seconds and the GPU's dense bfloat16 peak:
    training  3 x (2 N a token + attention): 6 N, with N the weights that a token is multiplied by;
    writing   2 N a token and beam + attention: without the backward pass;
    photos    2 N a patch + attention.
`benchmarks.speed.flops` has them in full; real tokens count, padding does not. Writing feeds one token a row, so with
small
batches the bytes that it reads bound it, not its FLOPs: there the model bandwidth utilisation (MBU), the bytes of
weights, keys and values over seconds and the memory's peak, says how close to the limit it is. The peaks are the data
sheets' (`benchmarks.speed.gpu_peaks`); for a GPU that is not there give them, or utilisation is n/a.

A line for each, `ours` and `rival` in TFLOP/s: what was reached, and the peak. `--device cpu --tiny` tries the code.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.line import print_line
from benchmarks.speed import flops
from benchmarks.speed.gpu_peaks import Peak, peak_of
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


@dataclass(frozen=True)
class Device:
    """Where it runs.

    Args:
        kind: torch's name, cuda or cpu.
        name: of the product.
        peak: what it can do at most, as far as that is known.
        times: runs of each, of which the median counts, after two that do not.
    """

    kind: str
    name: str
    peak: Peak
    times: int

    def seconds(self, work: Callable[[int], Any]) -> float:
        """Median of some runs of `work(number)`, to the end of what they started on the device."""
        taken = []
        for number in range(self.times + 2):
            started = time.perf_counter()
            work(number)
            if self.kind == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[2:])

    def report(
        self, name: str, told: str, flop: float, seconds: float, read: float | None = None, **more: float
    ) -> None:
        """A sentence and the line: FLOP and seconds of a run, bytes that it reads."""
        reached = flop / seconds / 1e12
        used = _share(reached, self.peak.tflops)
        facts: dict[str, float | str | None] = {"device": self.name, "seconds": seconds, **more}
        shares = f"MFU {_percent(used)}"
        if read is not None:
            facts["mbu"] = moved = _share(read / seconds / 1e12, self.peak.tb_per_s)
            shares += f", MBU {_percent(moved)}"
        print(f"{told}; {reached:.3g} TFLOP/s, {shares}", flush=True)
        print_line(name, used, reached, self.peak.tflops, "TFLOP/s", torch.get_num_threads(), **facts)


def train(device: Device, size: Size, batch: int) -> None:
    """Steps on other examples each time; tokens are the explanations' and their hard negatives', as decoded."""
    data = examples((device.times + 2) * batch, size)
    model = objective(size, ContrastiveConfig())
    seconds = device.seconds(stepper(model, data, batch, LOOP, device.kind))
    batches = [data.batch(range(n * batch, (n + 1) * batch)) for n in range(2, device.times + 2)]
    flop = statistics.mean(flops.training(model, each) for each in batches)
    tokens = statistics.mean(float(each.text_mask.sum() + each.hard_mask.sum() + 2 * batch) for each in batches)
    told = f"training, batch {batch}: {seconds * 1000:.1f} ms a step, {tokens / seconds:,.0f} tokens/s"
    device.report("gpu_train", told, flop, seconds, batch=batch, tokens_per_s=tokens / seconds)


def decode(device: Device, size: Size, batch: int) -> None:
    """Texts of random weights, all as long as they may be: the end token is never the likeliest."""
    torch.manual_seed(0)
    decoder = new_decoder(size.model, size.vocabulary).eval()
    with torch.no_grad():
        decoder.transformer.wte.weight[0] = 0.0  # the end token's score is 0, below the best of the others
    decoder = decoder.to(device.kind, torch.bfloat16)
    hidden = torch.randn(batch, SLOTS, size.model.n_embd, device=device.kind)
    encoded = Encoded(hidden, torch.ones(batch, SLOTS, dtype=torch.bool, device=device.kind), 5)
    how, rows = Decoding(size.model.max_tokens, size.model.beams), []
    watching = decoder.lm_head.register_forward_hook(lambda _, __, scores: rows.append(len(scores)))
    tokens = sum(len(ids) for ids in write(decoder, encoded, 0, how))  # also says how many rows each step feeds
    watching.remove()
    seconds = device.seconds(lambda _: write(decoder, encoded, 0, how))
    shape = (size.model.n_embd, size.model.n_layer, size.vocabulary, SLOTS)
    told = f"writing, batch {batch}, {how.beams} beams: {tokens / seconds:,.0f} tokens/s"
    read = flops.decoding_bytes(*shape, how.beams, rows, size=2)
    flop = flops.decoding(*shape, batch, rows)
    device.report("gpu_decode", told, flop, seconds, read, batch=batch, tokens_per_s=tokens / seconds)


def photos(device: Device, shape: dict[str, Any], batch: int) -> None:
    """Pixels to unit vectors, both in the host's memory, as jobs.embed does it."""
    vision = shape["vision_cfg"]
    side, patch, width = vision["image_size"], vision["patch_size"], vision["width"]
    config = {"model_cfg": shape, "preprocess_cfg": {"size": side, "mean": [0.5] * 3, "std": [0.25] * 3}}
    torch.manual_seed(0)
    encoder = ClipEncoder(build(config), config, "random", device.kind, "bfloat16")
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
    seconds = device.seconds(lambda _: encoder.encode_pixels(pixels))
    flop = batch * flops.vision(width, vision["layers"], patch, (side // patch) ** 2 + 1, encoder.dim)
    told = f"photos, batch {batch}: {batch / seconds:,.0f} photos/s"
    device.report("gpu_photos", told, flop, seconds, batch=batch, photos_per_s=batch / seconds)


def _share(reached: float, peak: float | None) -> float | None:
    return None if peak is None else reached / peak


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


def _device(options: argparse.Namespace) -> Device:
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    peak = peak_of(name)
    given = Peak(options.peak_tflops or peak.tflops, options.peak_tb_per_s or peak.tb_per_s)
    return Device(options.device, name, given, options.times)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="examples of a training step")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 8, 32, 128], help="examples that are written at once"
    )
    parser.add_argument("--photos", type=int, default=256, help="a batch")
    parser.add_argument("--times", type=int, default=20, help="runs of each, of which the median counts")
    parser.add_argument("--peak_tflops", type=float, help="dense bfloat16, of a GPU that is not in the table")
    parser.add_argument("--peak_tb_per_s", type=float, help="of its memory")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the code")
    options = parser.parse_args(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here: nothing was measured")
        return
    device = _device(options)
    size = Size(TINY, 300) if options.tiny else Size(PAPER)
    print(f"{device.name}: torch {torch.__version__}", flush=True)
    train(device, size, options.batch)
    for batch in options.batches:
        decode(device, size, batch)
    from open_clip import get_model_config  # after showcases.clip, see showcases.compat

    photos(device, TINY_CLIP if options.tiny else get_model_config("ViT-B-32"), options.photos)


if __name__ == "__main__":
    main()
