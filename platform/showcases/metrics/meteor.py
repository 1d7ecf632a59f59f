"""METEOR 1.5 through pycocoevalcap's Java program, and all text figures, of which it is one."""

import contextlib
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from types import TracebackType
from typing import Any

import numpy as np

from showcases.compat import meteor_statistics
from showcases.metrics.bootstrap import Sums
from showcases.metrics.text import Figure, bleu, nist, own_figures

STATISTICS = 23  # METEOR's statistics per pair of texts, summed over the corpus; some of their indices:
LENGTHS, CHUNKS, MATCHED = [0, 1], 20, [21, 22]  # words of both; runs of matches (none if all match); words matched


class MeteorScorer:
    """METEOR 1.5 for English: its Java program, started once for all texts and stopped at the end of the `with` block.

    Figures can be resampled only within the block: the program computes METEOR from the summed statistics.
    """

    def __init__(self) -> None:
        self._meteor: Any = None

    def __enter__(self) -> "MeteorScorer":
        if not self._missing():
            from pycocoevalcap.meteor.meteor import Meteor

            self._meteor = Meteor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._meteor is not None:
            process = self._meteor.meteor_p
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()  # closes the pipes and waits

    def __call__(self, hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
        """Corpus METEOR, 0 to 1 (statistics are summed over the corpus, as its command line does)."""
        if self._meteor is None:
            return Figure(None, len(hypotheses), "pycocoevalcap", note=f"n/a ({self._missing()})")
        pairs = zip(hypotheses, references, strict=True)
        lines = [meteor_statistics(self._meteor, _one_line(text), _one_line(other)) for text, other in pairs]
        rows = np.array([[float(number) for number in line.split()] for line in lines]).reshape(-1, STATISTICS)
        rows[(rows[:, CHUNKS] == 1) & (rows[:, MATCHED] == rows[:, LENGTHS]).all(1), CHUNKS] = 0
        value = float(self._of_sums(rows.sum(0, keepdims=True))[0]) if len(rows) else 0.0
        library = f"METEOR 1.5 of pycocoevalcap {version('pycocoevalcap')}"
        return Figure(value, len(rows), library, "METEOR's own (-norm)", statistic=Sums(rows, self._of_sums))

    @staticmethod
    def _missing() -> str:
        """What is missing to run METEOR; empty if nothing."""
        if not find_spec("pycocoevalcap"):
            return "pip install 'showcases[studies]'"
        return "" if shutil.which("java") else "no Java"

    def _of_sums(self, sums: np.ndarray) -> np.ndarray:
        """(B,) METEOR of statistics (B, 23), one segment each; the program's last line, their total, is ignored."""
        segments = [" ".join(f"{number:.17g}" for number in row) for row in sums]
        program = self._meteor.meteor_p
        program.stdin.write(f"EVAL ||| {' ||| '.join(segments)}\n".encode())
        program.stdin.flush()
        return np.array([float(program.stdout.readline()) for _ in range(len(segments) + 1)][:-1])


def _one_line(text: str) -> str:
    """Escape a text for METEOR's line protocol: one line, no field separators."""
    return " ".join(text.replace("|||", " ").split())


def text_figures(hypotheses: Sequence[str], references: Sequence[str], meteor: MeteorScorer) -> dict[str, Figure]:
    """All figures of a system's texts against the references, by name."""
    return {
        "BLEU-1": bleu(hypotheses, references, 1),
        "BLEU-4": bleu(hypotheses, references, 4),
        "METEOR": meteor(hypotheses, references),
        "NIST": nist(hypotheses, references),
        **own_figures(hypotheses),
    }
