"""`showcases STEP …` as it is installed: from any folder, quick to list, and completed by a real shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jobs.cli.commands import COMMANDS, SHELLS
from jobs.cli.completion import script

pytestmark = pytest.mark.server

COMPLETED = ("train_clip", "train_selector", "train_generator", "keys", "submit")  # steps; all would take minutes
SCRIPT = Path(sys.executable).parent / "showcases"
ASK = """
source {script}
COMP_WORDS=({words}); COMP_CWORD={place}
"$(complete -p showcases | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def showcases(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(SCRIPT), *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "showcases.bash"
    file.write_text(script("bash", COMPLETED))
    return file


def completed(file: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in ("showcases", *words))
    code = ASK.format(script=file, words=quoted, place=len(words))
    done = subprocess.run(["bash", "-c", code], cwd=file.parent, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_lists_its_steps_without_heavy_imports(tmp_path: Path) -> None:
    done = showcases(tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^  (\w[\w-]*)  ", done.stdout, re.MULTILINE) == [*COMMANDS, "completion"]
    code = "import sys; from jobs.cli.main import main; main(['--help']); "
    code += "print(sorted({'ray', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("[]\n")


def test_an_unknown_step_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    done = showcases(tmp_path, "train-selektor")
    assert done.returncode == 2
    assert "did you mean `train_selector`?" in done.stderr


def test_a_step_runs_from_another_folder(tmp_path: Path) -> None:
    made = showcases(tmp_path, "keys", "create", "--root", "here", "--tenant", "acme", "--scopes", "read")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "here").is_dir()
    assert "acme" in showcases(tmp_path, "keys", "list", "--root", "here").stdout
    assert showcases(tmp_path, "keys", "create", "--root", "here").returncode == 2  # as `python -m` ends


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("train_",), ["train_clip", "train_selector", "train_generator"]),
        (("train_generator", "--train_generator.contrastive.t"), ["text_loss", "tau"]),
        (("train_selector", "--train_selector.model.kernel", ""), ["deep", "rbf"]),
        (("keys", "r"), ["rotate", "revoke"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("submit", "--no-wait", "ing"), ["ingest"]),
        (("train_clip", "--config", "a.yaml", "--see"), ["--seed"]),
    ],
)
def test_bash_completes(bash_script: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert [word.rpartition(".")[2] for word in completed(bash_script, *words)] == offered


def test_bash_offers_files_for_an_option_that_takes_one(bash_script: Path) -> None:
    (bash_script.parent / "mine.yaml").touch()
    assert completed(bash_script, "train_clip", "--config", "min") == ["mine.yaml"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_offers_subcommands(shell: str) -> None:
    made = script(shell, ("keys",))
    assert "rotate" in made and "tenant" in made


def test_every_job_has_a_name(repository: Path) -> None:
    modules = {
        f"{folder}.{file.stem}"
        for folder in ("jobs", "tuning")
        for file in (repository / folder).glob("*.py")
        if 'if __name__ == "__main__"' in file.read_text()
    }
    assert modules - {"jobs.cli.main"} == {c.module for c in COMMANDS.values() if not c.module.startswith("serve_apps")}


def test_shipped_configs_can_be_named(repository: Path) -> None:
    from jobs.cli.main import CONFIGS, with_shipped_config

    assert with_shipped_config(["--config", "mini", "--seed", "1"]) == [
        "--config",
        str(CONFIGS / "mini.yaml"),
        "--seed",
        "1",
    ]
    assert with_shipped_config(["--config=paper"]) == [f"--config={CONFIGS / 'paper.yaml'}"]
    assert with_shipped_config(["--root", "mini"]) == ["--root", "mini"]
    assert yaml.safe_load((CONFIGS / "mini.yaml").read_text())
