"""One dtype for all vectors of a work: probed by the encoders as they start, settled by the first, noted for good."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from jobs.arbiter import noted
from showcases.artifacts import Workspace
from showcases.clip.config import Dtype
from showcases.clip.probe import Choice, choose_dtype
from showcases.clip.units import PHOTOS, SENTENCES, Unit, prepare

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

NOTE = (PHOTOS, "_dtype.json")  # artifact and file


@dataclass(frozen=True)
class Settled:
    """How an encoder comes to its dtype: as configured, as settled before, or by probing, where it will work.

    Attributes:
        configured: auto probes.
        sample: a few rows to probe with.
        batch: photos a forward pass while it is timed.
        arbiter: an actor of jobs.arbiter; None where dtype is configured.
    """

    workspace: Workspace
    configured: str
    sample: Sequence[Unit] = ()
    batch: int = 16
    arbiter: Any = None

    def of(self, encoder: "ClipEncoder") -> Dtype:
        """The dtype of this encoder, which is of all encoders."""
        if self.configured != "auto":
            return self.configured  # type: ignore[return-value]
        choice = ray.get(self.arbiter.choice.remote())
        if choice is None:
            choice = ray.get(self.arbiter.settle.remote(asdict(self._probed(encoder))))
        return Choice(**choice).dtype

    def _probed(self, encoder: "ClipEncoder") -> Choice:
        size = encoder.image_size
        ready = [prepare(unit, self.workspace, size) for unit in self.sample]
        pixels = [unit.content for unit in ready if unit.artifact == PHOTOS]
        texts = [text for unit in ready if unit.artifact == SENTENCES for text in unit.content]
        none = np.zeros((0, size, size, 3), np.uint8)
        return choose_dtype(encoder, np.concatenate([none, *pixels]), texts, self.batch)


def settled(workspace: Workspace, configured: str) -> Choice:
    """The dtype of this work's vectors, after it is done; float32 where there was nothing to probe."""
    if configured != "auto":
        return Choice(configured)  # type: ignore[arg-type]
    return Choice(**(noted(workspace, *NOTE) or {"dtype": "float32"}))
