"""Commands that can't work end before Ray starts, at once, with one line and a code that says whether to try again."""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.pipeline import STEPS
from jobs.runner import cluster, exits, needs, preflight, requirements
from jobs.runner.cluster import ClusterConfig, RayStartError
from jobs.runner.config import PipelineConfig, parse
from showcases.clip.config import ClipConfig
from showcases.errors import AccessDeniedError, ConfigError, DiskFullError
from showcases.storage.artifacts import Manifest, Workspace
from tests.mounts import FULL, READ_ONLY, python, run_with

PAPER = "jobs/configs/paper.yaml"


@pytest.mark.parametrize(
    ("mount", "code", "words"), [(READ_ONLY, 77, "the file system is read-only"), (FULL, 74, "the disk is full")]
)
def test_a_step_ends_before_ray_where_the_root_takes_nothing(
    mount: str, code: int, words: str, repository: Path, tmp_path: Path, short_folder: Path
) -> None:
    disk = tmp_path / "disk"
    command = [sys.executable, "-m", "jobs.ingest", "--root", str(disk / "workspace")]
    path = f"{repository / 'platform'}{os.pathsep}{repository}"
    done = run_with(mount, disk, command, PYTHONPATH=path, RAY_TMPDIR=str(short_folder))
    assert done.returncode == code, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {disk}")
    assert words in line
    assert not list(short_folder.iterdir())  # Ray was not started


def test_ray_is_not_started_where_its_folder_takes_nothing(short_folder: Path) -> None:
    code = """
import sys
from jobs.runner.cluster import ClusterConfig, check_start
from jobs.runner.exits import exit_on_error
with exit_on_error():
    check_start(ClusterConfig())
"""
    for mount, expected in ((READ_ONLY, 77), (FULL, 74)):
        disk = short_folder / "d"
        done = run_with(mount, disk, python(code), RAY_TMPDIR=str(disk))
        assert done.returncode == expected, done.stderr
        assert "RAY_TMPDIR" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_ray_is_not_started_where_its_sockets_would_have_too_long_a_path(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder / ("x" * 60)))
    with pytest.raises(ConfigError, match=r"too long for Ray.* limit is 107. Set RAY_TMPDIR"):
        cluster.check_start(ClusterConfig())
    (short_folder / "ray").write_bytes(b"")
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    with pytest.raises(AccessDeniedError, match="is a file, not a folder"):
        cluster.check_start(ClusterConfig())


def test_a_cluster_that_does_not_answer_is_worth_another_try(free_ports: list[int]) -> None:
    with pytest.raises(RayStartError, match=rf"no Ray cluster answers at 127\.0\.0\.1:{free_ports[0]} \(") as caught:
        cluster.check_start(ClusterConfig(address=f"127.0.0.1:{free_ports[0]}"))
    assert caught.value.exit_code in exits.RETRIED


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("Version mismatch: The cluster was started with: Ray: 2.1", ConfigError, "constraints.txt"),
        ("Unauthenticated: RPC error: InvalidAuthToken", ConfigError, "RAY_AUTH_TOKEN"),
        ("Could not find any running Ray instance.", ConfigError, "ray start --head"),
        ("Timed out waiting for file\n /tmp/ray/gcs_server_port", RayStartError, "df -h"),
    ],
)
def test_what_ray_says_becomes_one_line(said: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, cluster.explained_start(None):
        raise RuntimeError(said)
    assert "\n" not in str(caught.value)


def test_every_code_has_its_row_in_the_docs(repository: Path) -> None:
    text = (repository / "docs" / "troubleshooting.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \|.*\| (yes|no) \|$", text, flags=re.MULTILINE))
    ours = (1, exits.UNAVAILABLE, DiskFullError.exit_code, exits.LOST, AccessDeniedError.exit_code)
    assert {str(code): "yes" if code in exits.RETRIED else "no" for code in ours}.items() <= rows.items()


def problems(config: PipelineConfig) -> list[str]:
    wanted = preflight.wanted_by(config, STEPS)
    return [f"{want.step} {problem}" for want, problem in preflight.problems_of(wanted)]


def test_the_papers_config_names_all_that_is_missing_at_once(repository: Path, tmp_path: Path) -> None:
    config = parse(["--config", str(repository / PAPER), "--root", str(tmp_path / "w")], "test")
    config = replace(config, cluster=ClusterConfig())
    with pytest.raises(ConfigError, match="nothing was started") as caught:
        preflight.check_before_ray(config, STEPS)
    said = str(caught.value)
    for words in (
        "train_generator.model.pretrained: gpt2",
        "python -m spacy download en_core_web_sm",
        "train_clip: clip",
    ):
        assert words in said
    assert "[this machine]" in said
    assert not any((tmp_path / "w").iterdir())


def with_sections(config: PipelineConfig, **sections: dict[str, Any]) -> PipelineConfig:
    return replace(config, **{name: replace(getattr(config, name), **given) for name, given in sections.items()})


def test_each_name_is_looked_at(tmp_path: Path) -> None:
    base = PipelineConfig(root=str(tmp_path))
    assert [p for p in problems(base) if "java" not in p] == []
    generator = replace(base.train_generator.model, pretrained=str(tmp_path))
    cases = {
        "is not a timm architecture; similar: resnet50": {"train_clip": {"backbone": "resnet_50"}},
        "weights.safetensors: no such file": {"train_clip": {"backbone_weights": f"{tmp_path}/weights.safetensors"}},
        "is neither an installed spaCy pipeline nor a folder": {"evaluate": {"spacy_model": "nowhere"}},
        "is neither a file nor a tag of ViT-B-32; available: openai": {
            "clip": {"model": "ViT-B-32", "pretrained": "opanai"}
        },
        "is not an open_clip architecture; similar: ViT-B-32": {"clip": {"model": "ViT-B-23", "pretrained": "openai"}},
        f"{tmp_path}: the folder has no config.json": {"train_generator": {"model": generator}},
        "the folder has no config.json": {"evaluate": {"bertscore_model": str(tmp_path)}},
    }
    for words, sections in cases.items():
        assert any(words in problem for problem in problems(with_sections(base, **sections))), words
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"<html>")
    [found] = [p for p in problems(with_sections(base, train_clip={"backbone_weights": str(junk)})) if "junk" in p]
    assert "not a readable safetensors file" in found


def test_a_model_without_weights_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"clip.model=ViT-B-32 needs clip.pretrained"):
        ClipConfig(model="ViT-B-32")


def test_a_whole_gpt2_passes_and_one_without_weights_does_not(tmp_path: Path) -> None:
    from showcases.generator.config import GeneratorConfig
    from showcases.generator.decoder import new_decoder
    from showcases.generator.tokenizer import learn_tokenizer

    folder = tmp_path / "gpt2"
    tokenizer = learn_tokenizer(["the soup was good"] * 20, 300)
    tokenizer.save_pretrained(str(folder))
    small = GeneratorConfig(n_layer=1, n_head=2, n_embd=8, max_tokens=32)
    new_decoder(small, len(tokenizer), cross_attention=False).save_pretrained(str(folder))
    need = requirements.Gpt2("option", source=str(folder), max_tokens=32)
    assert need.problem() is None
    assert "33 positions" in str(replace(need, max_tokens=64).problem())
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors nor pytorch_model.bin" in str(need.problem())
    assert replace(need, weights=False).problem() is None
    (folder / "config.json").write_text("<html>")
    assert "not a loadable GPT-2 config and tokenizer" in str(replace(need, weights=False).problem())


def test_a_step_that_will_be_skipped_needs_nothing(tmp_path: Path) -> None:
    config = with_sections(PipelineConfig(root=str(tmp_path)), evaluate={"spacy_model": "nowhere"})
    workspace = Workspace(config.root)

    def finish(step: Any) -> None:
        inputs = {name: workspace.require(name).digest for name in step.reads}
        for name in step.writes:
            workspace.finish(Manifest(name, step.name, step.used(config), inputs, "1", "now", 0.0))

    clip, embed, *_, evaluate = [step for step in STEPS if step.name in ("train_clip", "embed", "evaluate")]
    made_by_others = {*clip.reads, *evaluate.reads} - {*clip.writes, *embed.writes}
    for name in made_by_others:
        workspace.finish(Manifest(name, "test", {}, {}, "1", "now", 0.0))
    for step in (clip, embed, evaluate):
        finish(step)
    assert [step.name for step in preflight.not_current(config, (clip, embed, evaluate))] == []
    assert preflight.wanted_by(config, (clip, embed, evaluate)) == []
    other = with_sections(config, train_clip={"width": 48})  # then what comes after it is made anew as well
    assert [step.name for step in preflight.not_current(other, (clip, embed, evaluate))] == [
        "train_clip", "embed", "evaluate",
    ]  # fmt: skip
    assert any("nowhere" in str(want.requirement) for want in preflight.wanted_by(other, (clip, embed, evaluate)))


def test_what_is_optional_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    want = preflight.Want("evaluate", requirements.Java("METEOR", "driver", optional=True))
    preflight.require({"node a": [(want, "no java")], "node b": [(want, "no java")]})
    assert capsys.readouterr().err == "warning: evaluate: METEOR: no java [node a, node b]\n"


def test_room_is_checked_by_what_will_be_written(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(bytes(1000))
    config = PipelineConfig(root=str(tmp_path / "not" / "yet"))
    config = replace(config, corpus=replace(config.corpus, photos=str(photos)))
    [room] = needs.photo_needs(config)
    assert isinstance(room, requirements.Room)
    assert (room.need_bytes, room.problem()) == (1000, None)
    assert "need about 1073741824.0 GiB" in str(replace(room, need_bytes=2**60).problem())
    assert replace(room, need_bytes=2**60, root="s3://bucket").problem() is None


def test_codes_are_those_of_sysexits() -> None:
    ours = (exits.UNAVAILABLE, DiskFullError.exit_code, exits.LOST, AccessDeniedError.exit_code)
    assert ours == (os.EX_UNAVAILABLE, os.EX_IOERR, os.EX_TEMPFAIL, os.EX_NOPERM)
