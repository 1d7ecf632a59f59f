"""What the base package and each extra install is enough for what they are for: all other packages are hidden."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SELECT = """
import numpy as np
from showcases.generator import Generator, PC2LLoss, contrastive_loss
from showcases.metrics import bleu, clip_align, clip_score, distinct, div_at_k, paired_bootstrap, precision_recall_f1
from showcases.selector import Selector, deep_kernel, greedy_map, rbf_kernel, set_log_likelihood
images = np.random.default_rng(0).normal(size=(5, 4))
kernel = deep_kernel(np.ones(5), images)
chosen = greedy_map(kernel)
assert set_log_likelihood(kernel, np.isin(np.arange(5), chosen)) < 0 < div_at_k(images, chosen)
assert precision_recall_f1(chosen, np.arange(5) < 3)[0] <= 1 and distinct(["a b", "a c"], 1).value == 0.75
assert contrastive_loss(images, images).shape == (5,) and bleu(["a b"], ["a b"], 1).value > 0.99
import showcases.clip, showcases.distillation, showcases.storage.artifacts, showcases.model_card
"""
HIDDEN = """
from showcases.errors import MissingPackageError
def hint(work):
    try:
        work()
    except MissingPackageError as error:
        return str(error)
import showcases.distillation.aggregation as aggregation
from showcases.metrics.coverage import TaggedWords
from showcases.gest.reading.sentences import split_sentences
assert "showcases[annotation]" in hint(lambda: aggregation.dawid_skene([]))
assert "showcases[serve]" in hint(lambda: __import__("showcases.catalog"))
assert "showcases[ray]" in hint(lambda: split_sentences("One. Two."))
assert "showcases[studies]" in hint(lambda: TaggedWords("en_core_web_sm"))
from showcases.metrics.meteor import MeteorScorer
with MeteorScorer() as meteor:
    assert "showcases[studies]" in meteor(["a"], ["a"]).note
"""
ALL_OF = """
import importlib, pathlib, sys
for folder in {folders}:
    for file in sorted(pathlib.Path(folder).rglob("*.py")):
        parts = file.relative_to({top!r}).with_suffix("").parts
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
"""
HIDE = """
import sys
def without(finder):
    class Without:
        invalidate_caches = finder.invalidate_caches
        find_distributions = getattr(finder, "find_distributions", None)
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None if name.partition(".")[0] in HIDDEN else finder.find_spec(name, path, target)
    return Without
sys.meta_path[:] = [without(finder) if hasattr(finder, "invalidate_caches") else finder for finder in sys.meta_path]
"""


def installed_with(repository: Path, *extras: str) -> set[str]:
    """Canonical names of the distributions that `pip install showcases[extras]` brings here."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    wanted += [Requirement(line) for extra in extras for line in project["optional-dependencies"][extra]]
    found: set[tuple[str, str]] = set()
    while wanted:
        requirement = wanted.pop()
        for extra in ("", *requirement.extras):
            key = canonicalize_name(requirement.name), extra
            if key in found:
                continue
            found.add(key)
            try:
                lines = importlib.metadata.requires(requirement.name) or []
            except importlib.metadata.PackageNotFoundError:
                continue  # of another platform
            parsed = [Requirement(line) for line in lines]
            wanted += [part for part in parsed if part.marker is None or part.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def hidden_from(repository: Path, *extras: str) -> set[str]:
    """Importable names that belong to other distributions only."""
    there = installed_with(repository, *extras)
    ours = {"showcases", "showcases_demo", "jobs", "tuning", "serve_apps", "benchmarks", "tests"}
    ours |= {"psutil", "colorama"}  # Ray has its own copies of these
    owners = importlib.metadata.packages_distributions()
    return {name for name, of in owners.items() if not there & set(map(canonicalize_name, of))} - ours


def run(repository: Path, code: str, *extras: str) -> None:
    hide = HIDE.replace("HIDDEN", repr(hidden_from(repository, *extras)))
    paths = f"import sys; sys.path[:0] = [{str(repository / 'platform')!r}, {str(repository)!r}]\n"
    done = subprocess.run([sys.executable, "-c", hide + paths + code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def all_of(repository: Path, *folders: str) -> str:
    top = repository / ("platform" if folders[0].startswith("showcases") else "")
    return ALL_OF.format(folders=[str(top / folder) for folder in folders], top=str(top))


def test_the_hidden_are_those_that_an_extra_brings(repository: Path) -> None:
    assert {"ray", "mlflow", "spacy", "crowdkit", "lancedb", "fastapi"} <= hidden_from(repository)
    assert not {"torch", "numpy", "transformers", "PIL"} & hidden_from(repository)


@pytest.mark.parametrize("code", [SELECT, HIDDEN], ids=["use", "hints"])
def test_the_base_package(repository: Path, code: str) -> None:
    run(repository, code)


@pytest.mark.parametrize(
    ("extras", "folders"),
    [
        (("ray",), ("jobs", "tuning")),
        (("serve",), ("serve_apps",)),
        (("studies",), ("showcases/evaluation/report", "showcases/metrics")),
        (("annotation",), ("showcases/distillation", "showcases/evaluation/human")),
    ],
    ids=str,
)
def test_each_extra_imports_what_it_is_for(repository: Path, extras: tuple[str, ...], folders: tuple[str, ...]) -> None:
    run(repository, all_of(repository, *folders), *extras)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("extra", "folders"),
    [
        ("", ()),
        ("ray", ("jobs", "tuning")),
        ("serve", ("serve_apps",)),
        ("studies", ("showcases/evaluation/report", "showcases/metrics")),
        ("annotation", ("showcases/distillation", "showcases/evaluation/human")),
    ],
)
def test_each_extra_is_enough_where_nothing_else_is_installed(
    repository: Path, tmp_path: Path, extra: str, folders: tuple[str, ...]
) -> None:
    """`make extras`: a virtual environment each, installed by pip and asked from another folder."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python, wanted = tmp_path / "venv/bin/python", f"{repository}[{extra}]" if extra else str(repository)
    pip = [python, "-m", "pip", "install", "--quiet", "-c", repository / "constraints.txt", wanted]
    subprocess.run(pip, check=True)
    code = SELECT + (all_of(repository, *folders).replace(str(repository), "SITE") if folders else HIDDEN)
    site = subprocess.run(
        [python, "-c", "import pathlib, showcases; print(pathlib.Path(showcases.__file__).parents[1])"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    code = code.replace("SITE/platform", site).replace("SITE", site)
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
