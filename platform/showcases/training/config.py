"""Options of a training run, and its report callable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train.

    Args:
        epochs: passes over the training split.
        batch_size: examples per step, over all workers.
        lr: peak learning rate.
        optimizer: adam (selector, paper section 5.1) or adamw (generator).
        weight_decay: of AdamW.
        schedule: constant, or cosine decay to zero, after the warm-up.
        warmup_steps: optimizer steps of linear warm-up.
        clip_norm: maximum gradient norm; 0 disables clipping.
        seed: of the initial weights and the order of examples.
        checkpoint_every: epochs between validations, each with a checkpoint.
        checkpoint_steps: optimizer steps between further checkpoints, for long epochs; 0 for none.
        accumulate: gradient accumulation: sequential parts of a batch, to save memory; losses that compare the examples
            of a batch compare those of a part.
        precision: of the arithmetic; bfloat16 by autocast, weights stay float32. auto uses it if the GPU supports it.
        run: maximum consecutive examples of one restaurant. 1 is a plain shuffle; with more, a batch of the selector
            has fewer restaurants and photos, and is a less random sample.
        select: whether to use the weights of the best validation or of the last epoch.
    """

    epochs: int = 10
    batch_size: int = 32
    lr: float = 1e-3
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.01
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every: int = 1
    checkpoint_steps: int = 0
    accumulate: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    run: int = 1
    select: Literal["best", "last"] = "best"


class Report(Protocol):
    """Called with each checkpoint, on every rank; `checkpoint` is a folder to keep (rank 0 only).

    Metrics are those of the epoch; names that begin with `best_` are of the weights that the checkpoint's model has.
    Within an epoch (`checkpoint_steps`) there is no validation: `epoch` is a fraction then, and the model's weights are
    the best so far, or the present ones before the first validation.
    """

    def __call__(self, metrics: dict[str, float], checkpoint: Path | None) -> None: ...
