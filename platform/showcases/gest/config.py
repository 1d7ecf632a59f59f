"""Options of the corpus steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestConfig:
    """Rules of paper section 3 and Appendix A for the raw reviews.

    Args:
        min_words: reviews with fewer words are left out.
        max_photos: reviews with more photos are left out (2.13% of GEST-raw).
    """

    min_words: int = 5
    max_photos: int = 10


@dataclass(frozen=True)
class FetchConfig:
    """How photos are taken in.

    Args:
        max_side: photos are shrunk so that the shorter side has at most this many px; 0 keeps them as they are.
        max_failed: the step fails when a larger share of the photos than this fails, expired ones aside.
    """

    max_side: int = 256
    max_failed: float = 0.2


@dataclass(frozen=True)
class BuildConfig:
    """Rules for GEST-s1 and GEST-s2.

    Args:
        threshold: a sentence is kept if some photo of its review scores at least this with the classifier.
        max_history: at most this many past reviews and photos of a user are kept a row.
    """

    threshold: float = 0.5
    max_history: int = 50
