"""Which models are served, and that parts which do not belong together are refused before anything starts."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from jobs import promote
from jobs.evaluating.quality_gate import SCORES
from jobs.runner.config import PipelineConfig
from jobs.tracking.config import tracking_uri
from serve_apps.args import ShowcaseArgs, deployment_options
from serve_apps.rollout import models, registry
from serve_apps.rollout.models import Parts, RegistryAwayError, find
from serve_apps.rollout.registry import Registry, keep_served, resolve, weights
from serve_apps.run import main
from showcases.errors import ArtifactError, ModelError
from showcases.evaluation.scores import SCORES_FILE, Scores
from showcases.selector import Selector
from showcases.storage.artifacts import Workspace
from tests.serve.tiny_service import register_pair

pytestmark = pytest.mark.ray  # not all start it, but all share one workspace with those that do


@pytest.fixture(scope="module")
def args(tiny_workspace: Workspace) -> ShowcaseArgs:
    return ShowcaseArgs(root=tiny_workspace.root)


def test_champions_are_pinned_and_load(args: ShowcaseArgs) -> None:
    bundle = resolve(args)
    assert bundle.embedding_space == models.load_encoder(args).model_id
    selector = Selector.from_pretrained(bundle.selector.download())
    assert selector.embedding_space == bundle.embedding_space
    assert replace(bundle.selector, version="7") != bundle.selector


def test_models_of_another_space_are_refused(args: ShowcaseArgs) -> None:
    config = PipelineConfig(root=args.root)
    register_pair(config, "ViT-B-32/openai#feedfacecafe", ["Fine soup.", "Good rice."], prefix="foreign")
    with pytest.raises(ModelError) as refused:
        resolve(args.model_copy(update={"selector": "foreign-selector"}))
    message = str(refused.value)
    assert "not embedded by the same encoder" in message and "foreign-selector version 1 by 'ViT-B-32" in message
    with pytest.raises(ModelError, match="foreign-generator version 1 by 'ViT-B-32"):
        resolve(args.model_copy(update={"generator": "foreign-generator"}))


def test_no_champion_names_the_model_and_the_job(args: ShowcaseArgs) -> None:
    with pytest.raises(ModelError, match=r"showcases-selector has the alias nobody .* jobs\.train_selector"):
        find("showcases-selector", "nobody", args.registry_uri)
    with pytest.raises(ModelError, match="no version of unheard-of"):
        find("unheard-of", "champion", args.registry_uri)


def test_an_encoder_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"jobs\.train_clip"):
        models.load_encoder(ShowcaseArgs(root=str(tmp_path)))


def test_the_config_file_names_every_deployment(args: ShowcaseArgs) -> None:
    from ray.serve.schema import ServeDeploySchema
    from yaml import safe_load

    from serve_apps import app
    from serve_apps.args import CONFIG

    schema = ServeDeploySchema.model_validate(safe_load(CONFIG.read_text()))  # Serve's own reading of the file
    (application,) = schema.applications
    assert (
        application.import_path == "serve_apps.app:build_app" and app.build_app.__annotations__["args"] is ShowcaseArgs
    )
    assert {deployment.name for deployment in application.deployments} == {"Gateway", "Selector", "Generator"}
    ShowcaseArgs(**application.args)
    assert deployment_options("Generator")["user_config"]["max_batch_size"] >= 1


def test_without_a_catalog_the_command_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--root", str(tmp_path), "--port", "0"])
    assert ended.value.code == 1
    assert "jobs.publish" in capsys.readouterr().err


@pytest.fixture
def own(args: ShowcaseArgs, tmp_path: Path) -> ShowcaseArgs:
    """A copy of the workspace, registry and all, for what is registered."""
    shutil.copytree(args.root, tmp_path / "own")
    return ShowcaseArgs(root=str(tmp_path / "own"))


def test_a_promoted_pair_is_served_as_a_bundle_and_a_mismatch_is_refused(
    own: ShowcaseArgs, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resolve(own)
    promote.main(["--root", own.root])
    assert "showcases-bundle version 1 is champion now" in capsys.readouterr().out
    bundle, parts = resolve(own), Parts.of(own)
    assert bundle.registered is not None and (bundle.registered.version, bundle.registered.alias) == ("1", "champion")
    assert (bundle.selector, bundle.generator) == (before.selector, before.generator)
    for changed, part in (({"clip_digest": "f" * 64}, "encoder"), ({"classifier_digest": "f" * 64}, "classifier")):
        with pytest.raises(ModelError, match=f"version 1 was built with another {part} .*jobs.promote"):
            resolve(own, replace(parts, **changed))
    with pytest.raises(ModelError, match="the catalog by 'another'"):
        resolve(own, replace(parts, catalog="another"))
    promote.main(["--root", own.root, "--selector", "1", "--alias", "candidate"])
    found = Registry(own, parts).look()
    assert found.champion == bundle and found.candidate is not None and found.candidate.registered is not None
    assert (found.candidate.registered.version, found.candidate.generator.alias) == ("2", "candidate")
    Registry(own, parts).remember_rollback(found.candidate.registered, "too many errors")
    found = Registry(own, parts).look()
    assert found.candidate is None and found.refused == "showcases-bundle version 2 was rolled back: too many errors"
    promote.main(["--root", own.root, "--bundle", "2"])
    assert str(resolve(own).registered) == "showcases-bundle version 2"


def test_only_pairs_that_fit_are_promoted(
    own: ShowcaseArgs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PipelineConfig(root=own.root)
    register_pair(config, "ViT-B-32/openai#feedfacecafe", ["Fine soup.", "Good rice."])
    with pytest.raises(ModelError, match="showcases-generator version 2 by 'ViT-B-32"):
        promote.promote(config, versions={"generator": "2"})

    def strict(spec: object) -> None:
        raise ModelError("not good enough")

    with pytest.raises(ModelError, match="not good enough"):
        promote.promote(config, gate=strict)
    for wanted, message in (
        (["--selector", "9"], "has no version 9"),
        (["--bundle", "9"], "no version 9 of showcases-b"),
    ):
        with pytest.raises(SystemExit):
            promote.main(["--root", own.root, *wanted])
        assert message in capsys.readouterr().err
    assert resolve(own).registered is None  # nothing was registered by all that


def keep_scores(config: PipelineConfig, name: str, version: str, hits: np.ndarray) -> None:
    """As jobs.evaluate does: BLEU-1's rows of 40 texts of 10 words each, of which `hits` (40,) are right."""
    client = MlflowClient(tracking_uri(config))
    rows = np.stack([hits, np.full(40, 10), np.full(40, 10), np.full(40, 10)], axis=1)
    scores = Scores({"test set": "tiny"}, [f"r{number}" for number in range(40)], {"BLEU-1": rows.tolist()})
    run = client.get_model_version(name, version).run_id
    place = f"{client.get_run(run).info.artifact_uri}/{SCORES}"
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # not by the client, which remembers where the original of a copy lies
        Path(folder, SCORES_FILE).write_text(scores.to_json(), encoding="utf-8")
        get_artifact_repository(place).log_artifacts(folder)
    client.set_model_version_tag(name, version, SCORES, place)


def test_a_worse_model_is_not_promoted_unless_it_is_forced(
    own: ShowcaseArgs, capsys: pytest.CaptureFixture[str]
) -> None:
    config, name = PipelineConfig(root=own.root), "showcases-generator"
    promote.main(["--root", own.root])
    register_pair(config, resolve(own).embedding_space, ["Fine soup.", "Good rice."])
    newer = ["--root", own.root, "--generator", "2"]

    def refused() -> str:
        with pytest.raises(SystemExit):
            promote.main(newer)
        return capsys.readouterr().err

    assert f"{name} version 2 has no test scores" in refused() and resolve(own).generator.version == "1"
    right = np.random.default_rng(0).integers(4, 9, 40)
    keep_scores(config, name, "1", right)
    keep_scores(config, name, "2", right - 1)  # each text has a right word less: no doubt about it
    assert f"{name} version 2 is worse than version 1 by BLEU-1" in refused()
    promote.main([*newer, "--alias", "candidate"])  # people may still be asked what they think of it
    with pytest.raises(SystemExit):
        promote.main(["--root", own.root, "--bundle", "2"])
    assert resolve(own).generator.version == "1"
    promote.main([*newer, "--force"])
    assert resolve(own).generator.version == "2"
    capsys.readouterr()
    promote.main(["--root", own.root, "--generator", "1"])
    assert f"{name} version 1 less version 2, 40 test examples: BLEU-1 +10.00 (95 %" in capsys.readouterr().out
    promote.main(["--root", own.root, "--bundle", "3"])  # back to one that was champion: nobody is asked
    assert resolve(own).generator.version == "2"


def test_with_mlflow_away_what_was_served_last_is_served_again(own: ShowcaseArgs) -> None:
    promote.promote(PipelineConfig(root=own.root))
    bundle, parts = resolve(own), Parts.of(own)
    away = Path(own.root, "mlflow.db").rename(Path(own.root, "mlflow.away"))
    with pytest.raises(RegistryAwayError, match="jobs.pipeline"):
        resolve(own, parts)
    keep_served(own, parts, bundle)
    assert resolve(own, parts) == bundle
    with pytest.raises(RegistryAwayError):  # it was of other parts
        resolve(own, replace(parts, clip_digest="f" * 64))
    away.rename(Path(own.root, "mlflow.db"))
    server = own.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})  # nobody listens there
    with pytest.raises(RegistryAwayError, match="doesn't respond"):
        resolve(server, parts)


def test_weights_that_only_mlflow_has_are_copied_for_when_it_is_away(
    own: ShowcaseArgs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, parts = resolve(own), Parts.of(own)
    folders = {ref.name: ref.download() for ref in (bundle.selector, bundle.generator)}
    held = [replace(ref, source=f"mlflow-artifacts:/{ref.name}") for ref in (bundle.selector, bundle.generator)]
    with monkeypatch.context() as there:
        there.setattr(models.ModelRef, "download", lambda ref, to: folders[ref.name])
        keep_served(own, parts, replace(bundle, selector=held[0], generator=held[1]))
    server = own.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    for ref in (replace(one, registry_uri=server.registry_uri) for one in held):
        with weights(server, ref) as folder:
            copied = json.loads((folder / "config.json").read_text())
        assert copied == json.loads((folders[ref.name] / "config.json").read_text())
    keep_served(own, parts, bundle)  # copies that are not needed leave
    assert not [path for path in Path(own.root, registry.LAST_SERVED).iterdir() if path.is_dir()]


@pytest.mark.slow  # a cluster of its own
def test_the_command_serves_until_it_is_told_to_end(args: ShowcaseArgs, repository: Path) -> None:
    command = [sys.executable, "-m", "serve_apps.run", "--root", args.root, "--port", "0"]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True, env=_environment(repository))
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("showcases at "))
        url = line.split()[2]
        assert httpx.get(f"{url}/readyz", timeout=30).status_code == 200
        assert "<title>Showcases</title>" in httpx.get(url, timeout=30).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz", timeout=5)
    finally:
        process.kill()


def _environment(repository: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(repository / "platform"), str(repository)))}
