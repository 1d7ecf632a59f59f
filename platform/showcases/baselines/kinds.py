"""Every baseline by its name."""

from pathlib import Path

from showcases.baselines.base import Baseline, description
from showcases.baselines.config import Name
from showcases.baselines.peter import Peter
from showcases.baselines.r2gen import R2Gen
from showcases.baselines.ref2seq import Ref2Seq
from showcases.baselines.show_and_tell import ShowAndTell

KINDS: dict[Name, type[Baseline]] = {kind.name: kind for kind in (ShowAndTell, R2Gen, Ref2Seq, Peter)}


def load_baseline(folder: Path | str) -> Baseline:
    """Load a baseline of any kind.

    Raises:
        ModelError: the folder does not contain a baseline.
    """
    return KINDS[description(Path(folder))["baseline"]["name"]].from_pretrained(folder)
