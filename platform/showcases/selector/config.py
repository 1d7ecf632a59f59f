"""Options of the image selector (paper section 4.1)."""

from dataclasses import dataclass, field
from typing import Literal

from showcases.training import LoopConfig

Profile = Literal["img", "text", "img+text"]


@dataclass(frozen=True)
class SelectorConfig:
    """The two towers and the kernel.

    Args:
        hidden_dims: widths of the towers' hidden layers.
        out_dim: width of their common output.
        delta: added to the kernel's diagonal.
    """

    hidden_dims: tuple[int, ...] = (512, 512, 256)
    out_dim: int = 128
    delta: float = 0.01


@dataclass(frozen=True)
class TrainSelectorConfig:
    """Training of the selector.

    Args:
        variants: user profiles to train, a row of Table 3 each; the first one is served.
        seeds: every variant is trained once for each; the first one is served.
        model: architecture.
        loop: training; its seed is replaced by each of `seeds`.
    """

    variants: tuple[Profile, ...] = ("img+text", "img", "text")
    seeds: tuple[int, ...] = (0,)
    model: SelectorConfig = field(default_factory=SelectorConfig)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=20, batch_size=512, lr=1e-3))
