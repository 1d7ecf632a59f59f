"""Options of the image selector (paper section 4.1)."""

from dataclasses import dataclass, field
from typing import Literal

from showcases.training import LoopConfig

Profile = Literal["img", "text", "img+text"]
CHANCE_CAUSES = (  # why a selector may be no better than chance, most likely first
    "a CLIP that does not discriminate (train_clip's figures); users with few reviews besides the test example "
    "(jobs.inspect_data), whose profiles are empty; train_selector.loop.lr or epochs; too small a validation split"
)
MONITOR = "val_loss"  # selects the best weights; F1@k of a few hundred examples is too noisy


@dataclass(frozen=True)
class SelectorConfig:
    """The two towers and the kernel.

    Args:
        hidden_dims: widths of the towers' hidden layers (paper: 512, 512, 256).
        out_dim: width of their common output (paper: 128).
        kernel: deep (q_i g_i.g_j q_j + delta on the diagonal) or rbf (alpha q_i q_j exp(-D_ij / 2 sigma^2)).
        delta: deep kernel: added to the diagonal, above 0. Every photo is included with probability at least
            delta / (1 + delta), regardless of relevance, so delta times a business' photos must be far below the
            number that a user posts.
        alpha: rbf kernel: strength of repulsion, above 0; above 1 the kernel needs its PSD projection.
        sigma: rbf kernel: range of repulsion, in units of sqrt(1 - cosine).
        theta: quality/diversity dial when photos are chosen: relevance counts as q ** theta. 1 is the DPP as trained;
            users post similar photos, so more relevance and less diversity finds more of them.
        max_log_relevance: |log q| stays below this, so that float32 determinants stay accurate.
    """

    hidden_dims: tuple[int, ...] = (512, 512, 256)
    out_dim: int = 128
    kernel: Literal["deep", "rbf"] = "deep"
    delta: float = 0.001
    alpha: float = 0.9
    sigma: float = 0.5
    theta: float = 3.0
    max_log_relevance: float = 4.0


@dataclass(frozen=True)
class TrainSelectorConfig:
    """Training of the selector.

    Args:
        variants: user profiles to train, one row of Table 3 each; the first one is served.
        seeds: every variant is trained once per seed; the first one is served.
        k: photos selected in validation (Precision@k, Recall@k, F1@k, Div@k; paper: 3).
        model: architecture.
        loop: training (paper: adam, lr 1e-3, batch_size 512); its seed is replaced by each of `seeds`.
    """

    variants: tuple[Profile, ...] = ("img+text", "img", "text")
    seeds: tuple[int, ...] = (0,)
    k: int = 3
    model: SelectorConfig = field(default_factory=SelectorConfig)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=8, batch_size=512, lr=3e-4))
