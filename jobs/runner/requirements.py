"""What a config names and a step will need: weights, models, programs, disk room. Checked before work begins.

Each step says what it needs (`Step.needs`); `jobs.runner.preflight` checks that on driver and nodes. A check looks
with the loader that the step itself will use where that is quick, else for the files that it will open.
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
    """Something that a step will need. Small, and pickled to the nodes.

    Args:
        option: that names it, e.g. train_generator.spacy_model.
        place: whose machine needs it: the driver's, or any node's.
        optional: the step works without; only a warning is printed.
    """

    option: str
    place: Place = "nodes"
    optional: bool = False

    @abstractmethod
    def problem(self) -> str | None:
        """What is wrong on this machine, and what to do; None if nothing is."""


@dataclass(frozen=True)
class SpacyPipeline(Requirement):
    """An installed spaCy pipeline, or a folder of one.

    Args:
        name: of the package, or the folder.
        tags: it must tag parts of speech.
    """

    name: str = ""
    tags: bool = False

    def problem(self) -> str | None:
        import spacy  # here, and below: most configs name nothing that takes seconds to import

        try:
            pipeline = spacy.load(self.name)
        except (OSError, ValueError, ImportError) as error:
            if Path(self.name).is_dir():
                return f"{self.name}: no spaCy pipeline that loads ({first_line(error)})"
            return (
                f"{self.name} is neither an installed spaCy pipeline nor a folder. `python -m spacy download "
                f"{self.name}`, on every node, or leave the option out"
            )
        if self.tags and not pipeline("The food was good.").has_annotation("POS"):
            return f"{self.name} tags no parts of speech. Name one that does, e.g. en_core_web_sm, or leave it out"
        return None


@dataclass(frozen=True)
class ClipWeights(Requirement):
    """A model of open_clip's list and its weights.

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
            return f"clip.model {self.model} is no architecture of open_clip{near}"
        if Path(self.pretrained).is_file():
            return None
        found = known.get_pretrained_cfg(self.model, self.pretrained)
        if not found:
            tags = known.list_pretrained_tags_by_model(self.model)
            return (
                f"clip.pretrained {self.pretrained} is no file here and no tag of {self.model}{_near('', tags)}. "
                "A file must lie at this path on every node"
            )
        repository, file = _split(found.get("hf_hub", ""))
        if repository and known.has_hf_hub():
            return hub_problem(repository, (file or "open_clip_pytorch_model.bin", "open_clip_model.safetensors"))
        cached = Path("~/.cache/clip").expanduser() / Path(found["url"]).name
        return None if cached.is_file() else url_problem(found["url"])


@dataclass(frozen=True)
class BackboneWeights(Requirement):
    """Weights of train_clip's image tower.

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
            return "train_clip.backbone_weights are given without train_clip.backbone, whose weights they would be"
        if not timm.is_model(self.backbone):
            near = _near(self.backbone, timm.list_models())
            return f"train_clip.backbone {self.backbone} is no architecture of timm{near}"
        if self.path is None:
            return None
        file = Path(self.path) / "model.safetensors" if Path(self.path).is_dir() else Path(self.path)
        if not file.is_file():
            return f"{file}: no such file. It must lie at this path on every node"
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "pt") as weights:  # type: ignore[no-untyped-call]
                weights.keys()
        except (SafetensorError, OSError) as error:
            return f"{file}: no safetensors file that can be read ({first_line(error)})"
        return None


@dataclass(frozen=True)
class Gpt2(Requirement):
    """GPT-2 with its tokenizer: a folder, or a name on the hub.

    Args:
        source: the folder or name.
        weights: they are needed, too, and not only config and tokenizer.
        max_tokens: that it must have positions for.
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
            return f"{self.source}: no config and tokenizer of a GPT-2 could be loaded from there ({first_line(error)})"
        if positions <= self.max_tokens:
            return f"{self.source} has {positions} positions; train_generator.model.max_tokens is {self.max_tokens}"
        return None


@dataclass(frozen=True)
class Encoder(Requirement):
    """A transformers encoder with its tokenizer: a folder, or a name on the hub.

    Args:
        source: the folder or name.
        layer: that it must have; None takes the last.
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
            return f"{self.source}: no config and tokenizer of an encoder load from there ({first_line(error)})"
        if self.layer is not None and not 0 <= self.layer <= layers:
            return f"{self.source} has layers 0 to {layers}; evaluate.bertscore_layer is {self.layer}"
        return None


@dataclass(frozen=True)
class Cuda(Requirement):
    """A torch that can compute on the GPUs of its machine; nothing on a machine without."""

    def problem(self) -> str | None:
        if not Path("/proc/driver/nvidia").exists():
            return None
        import torch

        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA, but there are GPUs. Install a CUDA build of torch"
        return None


@dataclass(frozen=True)
class Room(Requirement):
    """Free space on the workspace's disk, roughly; what S3 holds has no limit.

    Args:
        root: of the workspace.
        need_bytes: that will be written, about.
        what: is written, for a person.
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
            f"{self.root}: {free / 2**30:.1f} GiB are free, {self.what} take about {self.need_bytes / 2**30:.1f} GiB. "
            "Make room, or name another --root"
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
            return f"{java} does not run ({first_line(error)}). Repair it, or take it off the PATH: METEOR is n/a then"
        if done.returncode:
            return f"{java} does not run ({done.stderr.strip() or done.returncode}). Repair it, or take it off the PATH"
        return None


def problem_of(requirement: Requirement) -> str | None:
    """`requirement.problem()`, where an unforeseen error counts as one."""
    try:
        return requirement.problem()
    except ShowcasesError as error:
        return str(error)
    except Exception as error:
        return f"can't be checked ({first_line(error)})"


def _split(hub: str) -> tuple[str, str]:
    """open_clip's `owner/name/file`, or `owner/name/` for its usual file."""
    repository, _, file = hub.rpartition("/")
    return repository, file


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) if name else known[:8]
    return f"; near: {', '.join(near)}" if name and near else (f"; those are {', '.join(near)}" if near else "")
