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

from jobs.runner.config import PipelineConfig
from showcases.clip.config import TrainClipConfig
from showcases.errors import ModelError, ShowcasesError

Place = Literal["driver", "nodes"]
JAVA_SECONDS = 60
GPT2_BYTES = 550 * 2**20  # of GPT-2 small's weights
CHECKPOINT_FILES = 6  # weights and two moments of Adam, in the last checkpoint and in the next
SINGLE = ("model.safetensors", "pytorch_model.bin")
WEIGHTS = (*SINGLE, *(f"{name}.index.json" for name in SINGLE))
CONFIG, TOKENIZERS = ("config.json",), ("tokenizer.json", "vocab.json")
HUB = (
    "Give a local folder, let the machine reach the hub, or download it there before (`hf download`, with the HF_HOME "
    "of the job)"
)


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
                return f"{self.name}: no spaCy pipeline that loads ({_line(error)})"
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
            return _hub_problem(repository, (file or "open_clip_pytorch_model.bin", "open_clip_model.safetensors"))
        cached = Path("~/.cache/clip").expanduser() / Path(found["url"]).name
        return None if cached.is_file() else _url_problem(found["url"])


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
            return f"{file}: no safetensors file that can be read ({_line(error)})"
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

        problem = _missing(self.source, CONFIG, TOKENIZERS, WEIGHTS if self.weights else CONFIG)
        if problem is not None or not Path(self.source).is_dir():
            return problem
        try:
            positions = GPT2Config.from_pretrained(self.source).n_positions
            load_tokenizer(self.source)
        except (OSError, ValueError, ModelError) as error:
            return f"{self.source}: no config and tokenizer of a GPT-2 could be loaded from there ({_line(error)})"
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

        problem = _missing(self.source, CONFIG, WEIGHTS)
        if problem is not None or not Path(self.source).is_dir():
            return problem
        try:
            layers = AutoConfig.from_pretrained(self.source).num_hidden_layers
            AutoTokenizer.from_pretrained(self.source)
        except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
            return f"{self.source}: no config and tokenizer of an encoder could be loaded from there ({_line(error)})"
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
            return f"{java} does not run ({_line(error)}). Repair it, or take it off the PATH: METEOR is n/a then"
        if done.returncode:
            return f"{java} does not run ({done.stderr.strip() or done.returncode}). Repair it, or take it off the PATH"
        return None


def gpu_needs(config: PipelineConfig) -> list[Requirement]:
    """Of a step that computes on GPUs where there are some."""
    return [Cuda("cluster.gpu")] if config.cluster.gpu else []


def photo_needs(config: PipelineConfig) -> list[Requirement]:
    """Room for a copy of the photos in a folder or in tars."""
    photos = Path(config.corpus.photos or "")
    if config.corpus.photos is None or not photos.exists():
        return []
    files = [photos] if photos.is_file() else photos.rglob("*")
    size = sum(file.stat().st_size for file in files if file.is_file())
    return [Room("root", "driver", True, root=config.root, need_bytes=size, what=f"the photos of {photos}")]


def clip_needs(config: PipelineConfig) -> list[Requirement]:
    """The encoder that is taken as it is, or what the small one is trained from."""
    clip, small = config.clip, config.train_clip
    if clip.pretrained is not None:
        return [ClipWeights("clip", model=clip.model, pretrained=clip.pretrained)]
    if small.backbone_weights is None and small.backbone in (None, TrainClipConfig().backbone):
        return gpu_needs(config)
    weights = BackboneWeights("train_clip.backbone", backbone=small.backbone, path=small.backbone_weights)
    return [*gpu_needs(config), weights]


def embed_needs(config: PipelineConfig) -> list[Requirement]:
    """Published weights are loaded by each encoder; those of the small one are in the workspace."""
    return gpu_needs(config) + (clip_needs(config) if config.clip.pretrained is not None else [])


def generator_needs(config: PipelineConfig) -> list[Requirement]:
    """GPT-2 with its tokenizer, the pipeline that finds entities for hard negatives, and room for checkpoints."""
    options = config.train_generator
    needs = gpu_needs(config)
    if (source := options.model.pretrained) is not None:
        weights, most = not options.model.random_init, options.model.max_tokens
        needs.append(Gpt2("train_generator.model.pretrained", source=source, weights=weights, max_tokens=most))
        size = CHECKPOINT_FILES * max(GPT2_BYTES, _folder_bytes(source))
        needs.append(
            Room("root", "driver", True, root=config.root, need_bytes=size, what="the generator's checkpoints")
        )
    hard = options.contrastive.image_loss == "ccl" and any("img" in variant for variant in options.variants)
    if options.spacy_model is not None and hard:
        needs.append(SpacyPipeline("train_generator.spacy_model", name=options.spacy_model))
    return needs


def evaluate_needs(config: PipelineConfig) -> list[Requirement]:
    """What texts are measured with, on the driver."""
    options = config.evaluate
    needs: list[Requirement] = [*gpu_needs(config), Java("METEOR", "driver", True)]
    if options.spacy_model is not None:
        needs.append(SpacyPipeline("evaluate.spacy_model", "driver", name=options.spacy_model, tags=True))
    if options.bertscore_model is not None:
        layer = options.bertscore_layer
        needs.append(Encoder("evaluate.bertscore_model", "driver", source=options.bertscore_model, layer=layer))
    return needs


def problem_of(requirement: Requirement) -> str | None:
    """`requirement.problem()`, where an unforeseen error counts as one."""
    try:
        return requirement.problem()
    except ShowcasesError as error:
        return str(error)
    except Exception as error:
        return f"can't be checked ({_line(error)})"


def _hub_problem(repository: str, *parts: tuple[str, ...]) -> str | None:
    """Whether one file of each part is in the hub's cache here, or can be had from the hub now, by one quick question.

    Loaders themselves would ask a hub that is out of reach again and again, for half a minute a file.
    """
    from transformers.utils.hub import has_file

    for files in parts:
        try:
            if any(has_file(repository, file, local_files_only=True) for file in files):
                continue
            if any(has_file(repository, file) for file in files):
                continue
        except OSError as error:
            return f"{repository}: {_line(error)}"
        return (
            f"{repository} is no folder here, its {files[0]} is not in this machine's cache, and the hub does not give "
            f"it. {HUB}"
        )
    return None


def _url_problem(url: str) -> str | None:
    import urllib.request

    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10):
            return None
    except OSError as error:
        return f"{url} does not answer ({_line(error)}). Give a local file, or let the machine reach it"


def _missing(source: str, *parts: tuple[str, ...]) -> str | None:
    """Whether a folder or a name on the hub has one file of each part; transformers fills in defaults for some."""
    if not Path(source).is_dir():
        return _hub_problem(source, *parts)
    for files in parts:
        if not any((Path(source) / file).is_file() for file in files):
            return f"{source}: this folder has no {' nor '.join(files[:2])}"
    return None


def _folder_bytes(source: str) -> int:
    return sum((Path(source) / file).stat().st_size for file in WEIGHTS if (Path(source) / file).is_file())


def _split(hub: str) -> tuple[str, str]:
    """open_clip's `owner/name/file`, or `owner/name/` for its usual file."""
    repository, _, file = hub.rpartition("/")
    return repository, file


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) if name else known[:8]
    return f"; near: {', '.join(near)}" if name and near else (f"; those are {', '.join(near)}" if near else "")


def _line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
