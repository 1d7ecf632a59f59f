"""A token bucket: `rate` requests a second in the long run, `burst` at once."""

from dataclasses import dataclass


@dataclass
class TokenBucket:
    """Holds its level as of a moment; nothing runs in the background.

    Attributes:
        rate: tokens/s that come in.
        burst: tokens that it holds at most, and holds at first.
    """

    rate: float
    burst: float
    level: float = -1.0
    at: float = 0.0  # s, of the caller's clock

    def __post_init__(self) -> None:
        self.level = self.burst if self.level < 0 else self.level

    def take(self, now: float) -> float:
        """Take a token: 0 where there was one, else the seconds until there will be, and nothing is taken."""
        self._fill(now)
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate

    def seconds_to_full(self, now: float) -> float:
        self._fill(now)
        return (self.burst - self.level) / self.rate

    def resized(self, rate: float, burst: float, now: float) -> "TokenBucket":
        """With a key's new numbers; what was used stays used."""
        self._fill(now)
        return TokenBucket(rate, burst, min(self.level, burst), now)

    def _fill(self, now: float) -> None:
        passed = max(0.0, now - self.at)  # a clock that went back brings nothing
        self.level = min(self.burst, self.level + passed * self.rate)
        self.at = max(self.at, now)
