"""Writing texts with GPT-2 small: our decoding against transformers' `generate`, and with fewer bits against float32.

    python -m benchmarks.speed.decode [--tokens 64] [--beams 2] [--batches 1 8 32]

Random weights of GPT-2 small's shape with cross-attention in every block, 15 encoded slots an example; no text ends
early. Both must write the same tokens in float32. The first line is that, the second one our fastest precision against
our own float32, both at batch 8. Weights are laid out before the clock starts, as for every batch but the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.harness import cores, each_ms, parse, print_line
from showcases.compat import import_torchvision
from showcases.generator.decoding import Decoding, write
from showcases.generator.mma import Encoded
from showcases.generator.weights import decoder_maps

import_torchvision()

from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel  # noqa: E402

SLOTS, END = 15, 50256
FEWER_BITS = ("bfloat16", "int8")


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
    """Seconds of the fastest of some runs, and what came of the last."""
    results: list[Any] = []
    taken = each_ms(lambda _: results.append(work()), range(times))
    return taken.min() / 1000, results[-1]


def main(argv: Sequence[str] | None = None) -> None:
    sizes = {"tokens": (64, None), "beams": (2, None), "batches": ([1, 8, 32], None)}
    options = parse(__doc__, argv, **sizes, times=(3, "runs of each, of which the fastest counts"))
    torch.set_num_threads(cores())
    how, model, rates = Decoding(options.tokens, options.beams), decoder(), {}
    for batch in options.batches:
        rates[batch] = tokens_per_second(model, encodings(batch), how, options.times)
        exact, rival = rates[batch]["float32"], rates[batch]["transformers"]
        fewer = ", ".join(
            f"{name} {rates[batch][name]:.1f} ({rates[batch][name] / exact:.2f} x)" for name in FEWER_BITS
        )
        print(
            f"batch {batch:>3}: float32 {exact:.1f} tokens/s, transformers {rival:.1f} ({exact / rival:.2f} x); "
            f"against our float32: {fewer}",
            flush=True,
        )
    line = rates.get(8) or rates[options.batches[0]]
    exact, best = line["float32"], max(line[name] for name in FEWER_BITS)
    print_line("decode", exact / line["transformers"], exact, line["transformers"], "tokens/s", cores())
    print_line("decode_best", best / exact, best, exact, "tokens/s", cores())


def tokens_per_second(model: GPT2LMHeadModel, encoded: Encoded, how: Decoding, times: int) -> dict[str, float]:
    """By precision of ours, and of transformers in float32."""
    rival, expected = timed(lambda: theirs(model, encoded, how), times)
    seconds = {"transformers": rival}
    for precision in ("float32", *FEWER_BITS):
        mine = replace(how, precision=precision)
        decoder_maps(model, mine.precision)
        seconds[precision], ids = timed(lambda mine=mine: write(model, encoded, END, mine), times)
        if precision == "float32" and ids != expected:
            raise SystemExit("error: other tokens than transformers': nothing is compared")
    count = sum(len(each) for each in expected)
    return {name: count / each for name, each in seconds.items()}


if __name__ == "__main__":
    main()
