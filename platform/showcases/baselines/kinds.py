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
    """Whichever baseline a folder holds.

    Raises:
        ModelError: it holds none.
    """
    return KINDS[description(Path(folder))["baseline"]["name"]].from_pretrained(folder)
