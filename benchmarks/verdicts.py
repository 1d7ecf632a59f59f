"""What a tool demands of what it measured: printed one by one, and an exit status of 1 where any does not hold."""

from dataclasses import dataclass, field


@dataclass
class Verdicts:
    """Collects them."""

    failed: list[str] = field(default_factory=list)

    def demand(self, holds: bool, what: str) -> None:
        """Print what was demanded, with the figures in it, and whether it holds."""
        print(f"{'ok' if holds else 'NOT SO'}: {what}", flush=True)
        if not holds:
            self.failed.append(what)

    def end(self) -> None:
        """
        Raises:
            SystemExit: with 1, where something did not hold.
        """
        if self.failed:
            raise SystemExit(1)
