"""The options of a sweep's command line, beside those of the jobs."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentParser

from jobs.runner.config import PipelineConfig, parser, read
from showcases.errors import ConfigError

Search = list[str] | dict[str, list[Any] | None]


@dataclass(frozen=True)
class SweepConfig:
    """What is searched, how, and for how long.

    Args:
        name: of the sweep; its results lie in _sweeps/<generator or selector>/<name> of the workspace.
        search: options to vary: their names, values by name ([lowest, highest], or a list of a choice's), or a YAML
            file of either; none takes the usual ones.
        search_algorithm: tpe (Optuna), multi (Optuna, on BLEU-1, CLIP-Align and Distinct-2 of validation texts; of the
            generator), grid or random.
        scheduler: none trains every trial to its end, asha stops the worse ones early, pbt lets the worse ones go on
            from the better ones' weights with changed options.
        trials: points that are tried, the paper's among them; of pbt the population; a grid has as many as it has.
        epochs: passes over the training split a trial.
        grid_steps: values of each range in a grid.
        reduction: of asha: one trial in so many goes on at each stage.
        interval: of pbt: epochs between two changes.
        validation_texts: of multi: validation examples that a trial writes for.
        search_seed: of the points that are tried.
        max_concurrent: trials side by side; none computes it from what the cluster has now.
        resume: go on with this sweep where it was cut off.
        register: put the best trial's model into the registry as `candidate`.
        out: local folder for the results, besides the workspace.
    """

    name: str = "default"
    search: list[str] | dict[str, list[Any] | None] | str | None = None
    search_algorithm: Literal["tpe", "multi", "grid", "random"] = "tpe"
    scheduler: Literal["none", "asha", "pbt"] = "none"
    trials: int = 8
    epochs: int = 4
    grid_steps: int = 3
    reduction: int = 2
    interval: int = 1
    validation_texts: int = 200
    search_seed: int = 0
    max_concurrent: int | None = None
    resume: bool = False
    register: bool = False
    out: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.name):
            raise ConfigError(f"name is {self.name!r}; it names a folder: take letters, digits, - and _")
        for name in ("trials", "epochs", "interval", "validation_texts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("grid_steps", "reduction"):
            if getattr(self, name) < 2:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 2")
        if self.scheduler == "pbt" and self.search_algorithm in ("grid", "multi"):
            raise ConfigError("scheduler pbt starts from random points; it takes no search_algorithm grid or multi")
        if self.scheduler == "asha" and self.search_algorithm == "multi":
            raise ConfigError("search_algorithm multi judges finished texts, so no trial can be stopped early: "
                              "it takes scheduler none")  # fmt: skip

    def wanted(self, usual: Sequence[str]) -> Search:
        """What is searched, from the command line or the file it names.

        Raises:
            ConfigError: the file can't be read.
        """
        if not isinstance(self.search, str):
            return self.search or list(usual)
        try:
            found = yaml.safe_load(Path(self.search).read_text())
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"search: {self.search} is no YAML file of options: {error}") from error
        if not isinstance(found, list | dict):
            raise ConfigError(f"search: {self.search} must hold a list of options, or their values by name")
        return found


def parse(argv: Sequence[str] | None, prog: str) -> tuple[PipelineConfig, SweepConfig]:
    """The jobs' options and the sweep's, from one command line."""
    arguments: ArgumentParser = parser(prog)
    arguments.add_class_arguments(SweepConfig)
    values = read(arguments, sys.argv[1:] if argv is None else argv)
    jobs_options, own = (
        {each.name: values[each.name] for each in fields(kind)} for kind in (PipelineConfig, SweepConfig)
    )
    return PipelineConfig(**jobs_options), SweepConfig(**own)
