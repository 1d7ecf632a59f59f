"""Requirements of steps: weights, models, programs, disk space.

Steps declare them (`Step.needs`), and `jobs.runner.preflight` checks them on driver and nodes. A check uses the step's
own loader if that is fast, else it looks for the files.
"""

import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.runner.hub import first_line, hub_problem, missing_files, url_problem
from showcases.errors import ModelError, ShowcasesError

Place = Literal["driver", "nodes"]
JAVA_SECONDS = 60
SINGLE = ("model.safetensors", "pytorch_model.bin")
WEIGHTS = (*SINGLE, *(f"{name}.index.json" for name in SINGLE))
CONFIG, TOKENIZERS = ("config.json",), ("tokenizer.json", "vocab.json")


@dataclass(frozen=True)
class Requirement(ABC):
    """A requirement of a step. Pickled and sent to the nodes.

    Args:
        option: the option that requires it, e.g. train_generator.spacy_model.
        place: where it is needed: on the driver, or on all nodes.
        optional: if missing, only warn.
    """

    option: str
    place: Place = "nodes"
    optional: bool = False

    @abstractmethod
    def problem(self) -> str | None:
        """What is wrong on this machine, and what to do; None if met."""


@dataclass(frozen=True)
class SpacyPipeline(Requirement):
    """An installed spaCy pipeline, or a folder of one.

    Args:
        name: of the package, or the folder.
        tags: must tag parts of speech.
    """

    name: str = ""
    tags: bool = False

    def problem(self) -> str | None:
        import spacy  # local imports here and below: slow, and rarely needed

        try:
            pipeline = spacy.load(self.name)
        except (OSError, ValueError, ImportError) as error:
            if Path(self.name).is_dir():
                return f"{self.name}: not a loadable spaCy pipeline ({first_line(error)})"
            return (
                f"{self.name} is neither an installed spaCy pipeline nor a folder. `python -m spacy download "
                f"{self.name}` on every node, or omit the option"
            )
        if self.tags and not pipeline("The food was good.").has_annotation("POS"):
            return (
                f"{self.name} doesn't tag parts of speech. Use one that does, e.g. en_core_web_sm, or omit the option"
            )
        return None


@dataclass(frozen=True)
class ClipWeights(Requirement):
    """An open_clip model and its weights.

    Args:
        model: architecture.
        pretrained: open_clip's tag, or a local file.
    """

    model: str = ""
    pretrained: str = ""

    def problem(self) -> str | None:
        from showcases.compat import import_torchvision

        import_torchvision()
        import open_clip
        from open_clip import pretrained as known

        if open_clip.get_model_config(self.model) is None and not self.model.startswith(("hf-hub:", "local-dir:")):
            near = _near(self.model, open_clip.list_models())
            return f"clip.model {self.model} is not an open_clip architecture{near}"
        if Path(self.pretrained).is_file():
            return None
        found = known.get_pretrained_cfg(self.model, self.pretrained)
        if not found:
            tags = known.list_pretrained_tags_by_model(self.model)
            return (
                f"clip.pretrained {self.pretrained} is neither a file nor a tag of {self.model}"
                f"{_near('', tags)}. A file must exist at this path on every node"
            )
        repository, file = _split(found.get("hf_hub", ""))
        if repository and known.has_hf_hub():
            return hub_problem(repository, (file or "open_clip_pytorch_model.bin", "open_clip_model.safetensors"))
        cached = Path("~/.cache/clip").expanduser() / Path(found["url"]).name
        return None if cached.is_file() else url_problem(found["url"])


@dataclass(frozen=True)
class BackboneWeights(Requirement):
    """Weights of train_clip's image encoder.

    Args:
        backbone: timm architecture.
        path: safetensors file, or its folder; None trains from scratch.
    """

    backbone: str | None = None
    path: str | None = None

    def problem(self) -> str | None:
        from showcases.compat import import_torchvision

        import_torchvision()
        import timm

        if self.backbone is None:
            return "train_clip.backbone_weights requires train_clip.backbone"
        if not timm.is_model(self.backbone):
            near = _near(self.backbone, timm.list_models())
            return f"train_clip.backbone {self.backbone} is not a timm architecture{near}"
        if self.path is None:
            return None
        file = Path(self.path) / "model.safetensors" if Path(self.path).is_dir() else Path(self.path)
        if not file.is_file():
            return f"{file}: no such file. It must exist at this path on every node"
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "pt") as weights:  # type: ignore[no-untyped-call]
                weights.keys()
        except (SafetensorError, OSError) as error:
            return f"{file}: not a readable safetensors file ({first_line(error)})"
        return None


@dataclass(frozen=True)
class Gpt2(Requirement):
    """GPT-2 with its tokenizer: a folder, or a name on the hub.

    Args:
        source: the folder or name.
        weights: whether weights are needed besides config and tokenizer.
        max_tokens: number of positions needed.
    """

    source: str = ""
    weights: bool = True
    max_tokens: int = 0

    def problem(self) -> str | None:
        from transformers import GPT2Config

        from showcases.generator.tokenizer import load_tokenizer

        problem = missing_files(self.source, CONFIG, TOKENIZERS, WEIGHTS if self.weights else CONFIG)
        if problem is not None or not Path(self.source).is_dir():
            return problem
        try:
            positions = GPT2Config.from_pretrained(self.source).n_positions
            load_tokenizer(self.source)
        except (OSError, ValueError, ModelError) as error:
            return f"{self.source}: not a loadable GPT-2 config and tokenizer ({first_line(error)})"
        if positions <= self.max_tokens:
            return f"{self.source} has {positions} positions; train_generator.model.max_tokens is {self.max_tokens}"
        return None


@dataclass(frozen=True)
class Encoder(Requirement):
    """A transformers encoder with its tokenizer: a folder, or a name on the hub.

    Args:
        source: the folder or name.
        layer: layer used; None is the last.
    """

    source: str = ""
    layer: int | None = None

    def problem(self) -> str | None:
        from transformers import AutoConfig, AutoTokenizer

        problem = missing_files(self.source, CONFIG, WEIGHTS)
        if problem is not None or not Path(self.source).is_dir():
            return problem
        try:
            layers = AutoConfig.from_pretrained(self.source).num_hidden_layers
            AutoTokenizer.from_pretrained(self.source)
        except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
            return f"{self.source}: not a loadable encoder config and tokenizer ({first_line(error)})"
        if self.layer is not None and not 0 <= self.layer <= layers:
            return f"{self.source} has layers 0 to {layers}; evaluate.bertscore_layer is {self.layer}"
        return None


@dataclass(frozen=True)
class Cuda(Requirement):
    """A CUDA build of torch, on machines with GPUs."""

    def problem(self) -> str | None:
        if not Path("/proc/driver/nvidia").exists():
            return None
        import torch

        if torch.version.cuda is None:
            return f"torch {torch.__version__} has no CUDA, but this machine has GPUs. Install a CUDA build of torch"
        return None


@dataclass(frozen=True)
class Room(Requirement):
    """Free space on a local workspace's disk.

    Args:
        root: of the workspace.
        need_bytes: approximate bytes to write.
        what: description of the data.
    """

    root: str = ""
    need_bytes: int = 0
    what: str = ""

    def problem(self) -> str | None:
        if "://" in self.root:
            return None
        free = shutil.disk_usage(next(p for p in (Path(self.root), *Path(self.root).parents) if p.exists())).free
        if free >= self.need_bytes:
            return None
        return (
            f"{self.root}: {free / 2**30:.1f} GiB free, {self.what} need about {self.need_bytes / 2**30:.1f} GiB. "
            "Free some space, or use another --root"
        )


@dataclass(frozen=True)
class Java(Requirement):
    """A Java runtime, for METEOR."""

    def problem(self) -> str | None:
        java = shutil.which("java")
        if java is None:
            return "no `java` on the PATH: METEOR will be n/a. Install a Java runtime (e.g. the package default-jre)"
        try:
            done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return (
                f"{java} does not run ({first_line(error)}). Repair it, or remove it from the PATH (METEOR is n/a then)"
            )
        if done.returncode:
            return (
                f"{java} does not run ({done.stderr.strip() or done.returncode}). Repair it, or remove it from the PATH"
            )
        return None


def problem_of(requirement: Requirement) -> str | None:
    """`requirement.problem()`, with unexpected errors as problems."""
    try:
        return requirement.problem()
    except ShowcasesError as error:
        return str(error)
    except Exception as error:
        return f"check failed ({first_line(error)})"


def _split(hub: str) -> tuple[str, str]:
    """Split open_clip's `owner/name/file`; `owner/name/` means its default file."""
    repository, _, file = hub.rpartition("/")
    return repository, file


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) if name else known[:8]
    return f"; similar: {', '.join(near)}" if name and near else (f"; available: {', '.join(near)}" if near else "")
