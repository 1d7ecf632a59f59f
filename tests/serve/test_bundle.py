"""Which models are served, and that parts which do not belong together are refused before anything starts."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from jobs.config import PipelineConfig
from serve_apps import models
from serve_apps.args import ShowcaseArgs, deployment_options
from serve_apps.models import find
from serve_apps.registry import resolve
from serve_apps.run import main
from showcases.artifacts import Workspace
from showcases.errors import ArtifactError, ModelError
from showcases.selector import Selector
from tests.serve.tiny_service import register_pair


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
    assert "different embedding spaces" in message and "foreign-selector version 1: 'ViT-B-32" in message
    with pytest.raises(ModelError, match="foreign-generator version 1: 'ViT-B-32"):
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


@pytest.mark.ray
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
