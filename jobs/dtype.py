"""One dtype for all vectors of a work: probed by the encoders as they start, settled by the first, noted for good."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from jobs.arbiter import Arbiter, noted
from showcases.artifacts import Workspace
from showcases.clip.config import Dtype
from showcases.clip.probe import Choice, choose_dtype
from showcases.clip.units import PHOTOS, SENTENCES, Prepared, Unit, prepare

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

NOTE = (PHOTOS, "_dtype.json")  # artifact and file
PROBED = 8  # photos, of the first unit


@dataclass(frozen=True)
class Settled:
    """How an encoder comes to its dtype: as configured, as settled before, or by probing, where it will work.

    Attributes:
        configured: auto probes.
        sample: a few rows to probe with; the photos among them only where the encoder's first unit has none.
        batch: photos a forward pass while it is timed.
        arbiter: an actor of jobs.arbiter, where there are several encoders to agree.
    """

    workspace: Workspace
    configured: str
    sample: Sequence[Unit] = ()
    batch: int = 16
    arbiter: Any = None

    def __call__(self, encoder: "ClipEncoder", unit: Prepared) -> Dtype:
        """The dtype of this encoder, which is of all encoders; `unit` is the first that it is to encode."""
        if self.configured != "auto":
            return self.configured  # type: ignore[return-value]
        choice = self._ask("choice")
        if choice is None:
            choice = self._ask("settle", asdict(self._probed(encoder, unit)))
        return Choice(**choice).dtype

    def _ask(self, method: str, *arguments: Any) -> Any:
        if self.arbiter is None:
            return getattr(Arbiter(self.workspace, *NOTE), method)(*arguments)
        return ray.get(getattr(self.arbiter, method).remote(*arguments))

    def _probed(self, encoder: "ClipEncoder", unit: Prepared) -> Choice:
        size = encoder.image_size
        known = unit.artifact == PHOTOS and len(unit.content) > 0
        ready = [prepare(each, self.workspace, size) for each in self.sample if each.artifact == SENTENCES or not known]
        texts = [text for each in ready if each.artifact == SENTENCES for text in each.content]
        pixels = np.concatenate(
            [np.zeros((0, size, size, 3), np.uint8), *(each.content for each in ready if each.artifact == PHOTOS)]
        )
        if known:
            pixels = np.asarray(unit.content)[:: -(-len(unit.content) // PROBED)]
        return choose_dtype(encoder, pixels, texts, self.batch)


def settled(workspace: Workspace, configured: str) -> Choice:
    """The dtype of this work's vectors, after it is done; float32 where there was nothing to probe."""
    if configured != "auto":
        return Choice(configured)  # type: ignore[arg-type]
    return Choice(**(noted(workspace, *NOTE) or {"dtype": "float32"}))
