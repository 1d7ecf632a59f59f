"""Who is answered by the candidate, and when the candidate has shown that it is worse: plain arithmetic."""

import hashlib
import math
from collections import deque

from serve_apps.args import RolloutConfig

SURE = 3.0  # standard errors: a mean is looked at after every answer, and chance must not end a good candidate


def takes_candidate(key: str, version: str, share: float) -> bool:
    """Whether this user (or request) is answered by the candidate: always the same for one version.

    By SHA-256, so that every gateway decides alike; with the version, so that the next candidate meets other people.
    """
    digest = hashlib.sha256(f"{version}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class Window:
    """The newest calls of one version: whether they failed, and the CLIP-Align of the texts among them."""

    def __init__(self, size: int) -> None:
        self._failed: deque[bool] = deque(maxlen=size)
        self._aligned: deque[float] = deque(maxlen=size)

    def add(self, failed: bool, align: float | None = None) -> None:
        """
        Args:
            align: of the text, where one was written: mean over its sentences of Phi's highest probability over the
                photos, 0 to 1.
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
        """Share of calls that failed, 0 where there are none."""
        return sum(self._failed) / max(self.calls, 1)

    @property
    def errors_variance(self) -> float:
        """Of that share, by the rule of succession: none of a few calls may still mean that one in many fails."""
        share = (sum(self._failed) + 1) / (self.calls + 2)
        return share * (1 - share) / (self.calls + 2)

    @property
    def align(self) -> float:
        """Mean CLIP-Align, NaN where there are no texts."""
        return sum(self._aligned) / self.texts if self.texts else math.nan

    @property
    def align_variance(self) -> float:
        """Of the mean CLIP-Align; there are at least two texts."""
        mean = self.align
        squares = sum((value - mean) ** 2 for value in self._aligned)
        return squares / (self.texts - 1) / self.texts


def verdict(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    """Why the candidate has to go, None while nothing speaks against it.

    It goes where its errors are too many, or its CLIP-Align too low, by SURE standard errors of the difference to what
    is allowed. What is allowed hangs on the champion's: what ails both is not the candidate's doing.
    """
    return _too_many_errors(champion, candidate, config) or _too_little_align(champion, candidate, config)


def _too_many_errors(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    allowed = champion.errors + config.candidate_max_errors
    chance = SURE * math.sqrt(candidate.errors_variance + champion.errors_variance)
    if candidate.calls < config.candidate_least or candidate.errors <= allowed + chance:
        return None
    return (
        f"{candidate.errors:.1%} of its last {candidate.calls} calls failed, of the champion's last {champion.calls} "
        f"{champion.errors:.1%}; {allowed:.1%} are allowed, and {chance:.1%} for chance"
    )


def _too_little_align(champion: Window, candidate: Window, config: RolloutConfig) -> str | None:
    if min(champion.texts, candidate.texts) < config.candidate_least:
        return None
    allowed = config.candidate_floor * champion.align
    chance = SURE * math.sqrt(candidate.align_variance + config.candidate_floor**2 * champion.align_variance)
    if candidate.align >= allowed - chance:
        return None
    return (
        f"the mean CLIP-Align of its last {candidate.texts} texts is {candidate.align:.3f}, of the champion's last "
        f"{champion.texts} {champion.align:.3f}; {allowed:.3f} is allowed, and {chance:.3f} less for chance"
    )
