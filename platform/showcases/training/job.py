"""One training run: its inputs, and what its launcher passes to each process."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from showcases.storage.artifacts import Place, Workspace
from showcases.training.config import LoopConfig, Report

if TYPE_CHECKING:
    from showcases.training.batches import Stream


class StepConfig(Protocol):
    """A step's section of the config: a frozen dataclass with the loop's settings."""

    @property
    def loop(self) -> LoopConfig: ...


Config = TypeVar("Config", bound=StepConfig)
Variant = TypeVar("Variant")


@dataclass(frozen=True)
class Prepared:
    """Training examples that were prepared in a folder of the workspace.

    Attributes:
        folder: under the folder of all prepared examples.
        rows: of all shards.
        columns: of each.
        left_out: number of dropped rows of the split, by reason.
        hard_negatives: rows that have one.
    """

    folder: str
    rows: int
    columns: list[str]
    left_out: dict[str, int]
    hard_negatives: int


@dataclass(frozen=True)
class TrainingJob(Generic[Config, Variant]):
    """Specification of one training run; every training process gets a copy.

    Attributes:
        workspace: with the input artifacts.
        config: the step's section.
        variant: distinguishes the models of one step: a profile, input modalities, a baseline's name.
        seed: of weights and order; replaces that of `config.loop`.
        place: output folder in the workspace.
        fingerprint: of the config and inputs of this model.
        examples: the training split, prepared; None prepares it in memory.
        finetuned: folder in the workspace of the fine-tuned decoder to start from (`finetune_decoder`).
        chance_causes: likely causes if the model is no better than chance.
    """

    workspace: Workspace
    config: Config
    variant: Variant
    seed: int = 0
    place: Place = ()
    fingerprint: str = ""
    examples: Prepared | None = None
    finetuned: Place | None = None
    chance_causes: str = ""

    @property
    def name(self) -> str:
        """Name for messages, and for folders of unfinished work."""
        return "-".join(self.place).lstrip("_")

    @property
    def loop(self) -> LoopConfig:
        """The loop's settings with this job's seed."""
        return replace(self.config.loop, seed=self.seed)


@dataclass(frozen=True)
class Session:
    """A training process' connection to its launcher.

    Attributes:
        report: called after each validation, with a checkpoint whose `model/` folder can be loaded.
        resume_from: a checkpoint that an earlier session reported.
        device: torch device of this process.
        examples: the job's prepared examples, opened; None reads them into memory.
    """

    report: Report
    resume_from: Path | None = None
    device: str = "cpu"
    examples: "Stream | None" = None
