"""Writing texts with GPT-2 small: our decoding against transformers' `generate`, and in bfloat16 against float32.

    python -m benchmarks.decode [--tokens 64] [--beams 2] [--batches 1 8 32]

Random weights of GPT-2 small's shape with cross-attention in every block, 15 encoded slots an example; no text ends
early. Both must write the same tokens in float32. The line is batch 8.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import showcases  # noqa: F401 - before transformers: declares the torchvision operators that a torch without CUDA lacks

import torch  # isort: skip
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from benchmarks.line import cores, print_line
from showcases.generator.decoding import Decoding, write
from showcases.generator.mma import Encoded

SLOTS, END = 15, 50256


def decoder() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(add_cross_attention=True, activation_function="gelu_pytorch_tanh", initializer_range=0.1)
    return GPT2LMHeadModel(config).eval()


def encodings(examples: int) -> Encoded:
    generator = torch.Generator().manual_seed(examples)
    hidden = torch.randn(examples, SLOTS, 768, generator=generator)
    return Encoded(hidden, torch.ones(examples, SLOTS, dtype=torch.bool), 5)


def theirs(model: Any, encoded: Encoded, how: Decoding) -> list[list[int]]:
    begin = torch.full((len(encoded.hidden), 1), END)
    config = GenerationConfig(
        max_new_tokens=how.max_tokens, num_beams=how.beams, do_sample=False,
        bos_token_id=END, eos_token_id=END, pad_token_id=END,
    )  # fmt: skip
    dtype = model.transformer.wte.weight.dtype
    written = model.generate(
        begin,
        attention_mask=torch.ones_like(begin),
        encoder_hidden_states=encoded.hidden.to(dtype),
        encoder_attention_mask=encoded.mask,
        generation_config=config,
    )
    return [[token for token in ids if token != END] for ids in written.tolist()]


def timed(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    """Seconds of the fastest of some runs, and what came of it."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - started)
    return min(taken), result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--beams", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--times", type=int, default=3, help="runs of each, of which the fastest counts")
    options = parser.parse_args(argv)
    torch.set_num_threads(cores())
    how = Decoding(options.tokens, options.beams)
    exact = decoder()
    rounded = copy.deepcopy(exact).to(torch.bfloat16)
    line = None
    for batch in options.batches:
        encoded = encodings(batch)
        mine, ids = timed(lambda e=encoded: write(exact, e, END, how), options.times)
        rival, expected = timed(lambda e=encoded: theirs(exact, e, how), options.times)
        if ids != expected:
            raise SystemExit(f"error: batch {batch}: other tokens than transformers': nothing is compared")
        half, _ = timed(lambda e=encoded: write(rounded, e, END, how), options.times)
        count = sum(len(each) for each in ids)
        print(
            f"batch {batch:>3}: float32 {count / mine:8.1f} tokens/s, transformers {count / rival:8.1f} "
            f"({rival / mine:.2f} x); bfloat16 {count / half:8.1f} ({mine / half:.2f} x our float32)",
            flush=True,
        )
        if batch == 8 or line is None:
            line = (rival / mine, count / mine, count / rival)
    assert line is not None
    print_line("decode", *line, "tokens/s", cores())


if __name__ == "__main__":
    main()
