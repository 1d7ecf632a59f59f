"""Canary rules: which users get the candidate, and when it counts as worse."""

import hashlib
import math
from collections import deque

from serve_apps.args import RolloutConfig

SURE = 3.0  # standard errors; strict, because the test repeats after every call


def takes_candidate(key: str, version: str, share: float) -> bool:
    """Whether this user (or request) gets the candidate; stable for one version.

    By SHA-256, so that all gateways agree; includes the version, so that each candidate gets a different sample.
    """
    digest = hashlib.sha256(f"{version}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class Window:
    """The most recent calls of one version: failures, and CLIP-Align of the texts."""

    def __init__(self, size: int) -> None:
        self._failed: deque[bool] = deque(maxlen=size)
        self._aligned: deque[float] = deque(maxlen=size)

    def add(self, failed: bool, align: float | None = None) -> None:
        """
        Args:
            align: CLIP-Align of the text, if the call wrote one: mean over its sentences of Phi's highest probability
                over the photos, 0 to 1.
        """
        self._failed.append(failed)
        if align is not None:
            self._aligned.append(align)

    @property
    def calls(self) -> int:
        return len(self._failed)

    @property
    def texts(self) -> int:
        return len(self._aligned)

    @property
    def errors(self) -> float:
        """Error rate; 0 without calls."""
        return sum(self._failed) / max(self.calls, 1)

    @property
    def errors_variance(self) -> float:
        """Variance of the error rate, by the rule of succession, so that it isn't 0 after a few successes."""
        share = (sum(self._failed) + 1) / (self.calls + 2)
        return share * (1 - share) / (self.calls + 2)

    @property
    def align(self) -> float:
        """Mean CLIP-Align; NaN without texts."""
        return sum(self._aligned) / self.texts if self.texts else math.nan

    @property
    def align_variance(self) -> float:
        """Variance of the mean CLIP-Align; needs at least two texts."""
        mean = self.align
        squares = sum((value - mean) ** 2 for value in self._aligned)
        return squares / (self.texts - 1) / self.texts


def verdict(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    """Why the candidate must be rolled back; None if it is fine so far.

    It is rolled back if its error rate or CLIP-Align is worse than allowed by SURE standard errors of the difference.
    Limits are relative to the champion, so that failures of both don't count against the candidate.
    """
    return _too_many_errors(champion, candidate, config) or _too_little_align(champion, candidate, config)


def _too_many_errors(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    allowed = champion.errors + config.candidate_max_errors
    chance = SURE * math.sqrt(candidate.errors_variance + champion.errors_variance)
    if candidate.calls < config.candidate_least or candidate.errors <= allowed + chance:
        return None
    return (
        f"{candidate.errors:.1%} of its last {candidate.calls} calls failed, against {champion.errors:.1%} of "
        f"the champion's last {champion.calls}; allowed: {allowed:.1%} plus {chance:.1%} for chance"
    )


def _too_little_align(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    if min(champion.texts, candidate.texts) < config.candidate_least:
        return None
    allowed = config.candidate_floor * champion.align
    chance = SURE * math.sqrt(candidate.align_variance + config.candidate_floor**2 * champion.align_variance)
    if candidate.align >= allowed - chance:
        return None
    return (
        f"the mean CLIP-Align of its last {candidate.texts} texts is {candidate.align:.3f}, against "
        f"{champion.align:.3f} of the champion's last {champion.texts}; allowed: {allowed:.3f} minus {chance:.3f} for "
        "chance"
    )
