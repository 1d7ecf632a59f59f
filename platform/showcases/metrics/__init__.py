"""Metrics of chosen photos and generated texts (paper section 5.1, Appendix B), and the paired bootstrap."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use

if TYPE_CHECKING:
    from showcases.metrics.alignment import clip_align, clip_score
    from showcases.metrics.bootstrap import paired_bootstrap
    from showcases.metrics.ranking import div_at_k, precision_recall_f1
    from showcases.metrics.text import bleu, distinct

__all__ = ["bleu", "clip_align", "clip_score", "distinct", "div_at_k", "paired_bootstrap", "precision_recall_f1"]

__getattr__ = on_first_use(
    __name__,
    {
        "bleu": "text",
        "clip_align": "alignment",
        "clip_score": "alignment",
        "distinct": "text",
        "div_at_k": "ranking",
        "paired_bootstrap": "bootstrap",
        "precision_recall_f1": "ranking",
    },
)
