"""What PC²L adds to a training step: cross entropy and both contrastive losses against cross entropy alone.

    python -m benchmarks.speed.pc2l_step [--batch 32] [--rounds 5] [--threads 2]

GPT-2 small's shape with the paper's encoder, on made-up examples of GEST-s2's mean length. A step is what
jobs.train_generator does: forward, backward, clipping, AdamW. The two take turns on the same batches, and a third with
them: the hard negatives in a decoder pass of their own, each pass padded to the longest text, as the equations are
written. The medians count. PC²L decodes two texts an example where cross entropy needs one, so twice the time is what
to expect; at most 1.7 times it is the aim. On a machine that is at other work, too, compare the processor's seconds of
one thread.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.harness import cores, parse, print_line
from benchmarks.speed.paper_size import PAPER, TINY, Size, examples, objective, stepper
from showcases.generator.config import ContrastiveConfig
from showcases.generator.data import Batch
from showcases.generator.mma import Encoded
from showcases.generator.objective import Objective
from showcases.training import LoopConfig

AIM = 1.7  # times a step with cross entropy alone, at most
LOOP = LoopConfig(lr=1e-4, optimizer="adamw")
STEPS = {"CE": "cross entropy", "PC2L": "PC²L", "two passes": "PC²L in two passes"}


class TwoPasses(Objective):
    """The same losses; Y and Y^ent are decoded one after the other, all texts of a batch at once."""

    def _decode(self, batch: Batch, encoded: Encoded) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        hidden = self.generator.decode(batch.tokens, encoded)
        return hidden, (self.generator.decode(batch.hard_tokens, encoded), batch.hard_mask)


def measure(steps: dict[str, Callable[[int], float]], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each, and those of the processor, taking turns; a first round warms up and does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter(), time.process_time()
            step(number)
            taken[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
        timings = ", ".join(f"{STEPS[name]} {taken[name][-1][0]:.2f} s" for name in steps)
        print(f"round {number}{'' if number else ' (warm-up)'}: {timings}", flush=True)
    wall, processor = ({n: statistics.median(t[i] for t in taken[n][1:]) for n in steps} for i in (0, 1))
    return wall, processor


def main(argv: Sequence[str] | None = None) -> None:
    sizes = {"batch": (32, None), "rounds": (5, None), "threads": (cores(), None)}
    options = parse(__doc__, argv, **sizes, tiny=(False, "a tiny model, to try the code"))
    torch.set_num_threads(options.threads)
    size = Size(TINY, 300) if options.tiny else Size(PAPER)
    data = examples((options.rounds + 1) * options.batch, size)
    plain = ContrastiveConfig(image_loss="none", text_loss="none")
    models = {
        "CE": objective(size, plain),
        "PC2L": objective(size, ContrastiveConfig()),
        "two passes": objective(size, ContrastiveConfig(), TwoPasses),
    }
    steps = {name: stepper(model, data, options.batch, LOOP) for name, model in models.items()}
    seconds, processor = measure(steps, options.rounds)
    for name in ("PC2L", "two passes"):
        aim = f" (aim: {AIM})" if name == "PC2L" else ""
        print(
            f"{STEPS[name]}: {seconds[name] / seconds['CE']:.2f} times cross entropy alone{aim}; "
            f"in seconds of the processor {processor[name] / processor['CE']:.2f}"
        )
    rates = {name: options.batch / each for name, each in seconds.items()}
    print_line("pc2l_step", rates["PC2L"] / rates["CE"], rates["PC2L"], rates["CE"], "examples/s", options.threads)


if __name__ == "__main__":
    main()
