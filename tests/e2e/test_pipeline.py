"""The whole flow on a tiny corpus: in a folder and on S3, skipped when nothing changed, redone when something did."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs import train_selector
from jobs.pipeline import STEPS, run_pipeline
from jobs.reproduce import reproduce
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.execute import execute
from jobs.tracking.config import TrackingConfig
from serve_apps.rollout.models import find
from showcases.errors import ShowcasesError
from showcases.evaluation.config import ReproduceConfig
from showcases.storage.artifacts import FLOW, Workspace
from showcases.storage.embeddings import EmbeddingTable
from showcases.tracking_db import database_uri
from tests.quick import quick

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path) -> CorpusConfig:
    names = ("image_review_all.json", "photos", "labels.json")
    return CorpusConfig(*(str(tiny_corpus / name) for name in names))


@pytest.fixture(scope="module", autouse=True)
def no_java() -> Iterator[None]:
    """METEOR's program reads for ten seconds at each start; tests/ray/test_evaluate_job.py starts it."""
    which = shutil.which
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            shutil, "which", lambda name, *more, **named: None if name == "java" else which(name, *more, **named)
        )
        yield


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, corpus: CorpusConfig, ray_cluster: str) -> PipelineConfig:
    root = tmp_path_factory.mktemp("ws") / "a?b #c %20 ü"  # what means something in a URI is nothing but a name here
    config = quick(PipelineConfig(root=str(root), corpus=corpus))
    run_pipeline(config)
    return config


def test_every_artifact_is_finished_and_says_what_made_it(local: PipelineConfig) -> None:
    workspace = Workspace(local.root)
    for artifact in FLOW:
        manifest = workspace.require(artifact.name)
        assert manifest.step == artifact.step
        for name, digest in manifest.inputs.items():
            if name in {a.name for a in FLOW}:
                assert workspace.require(name).digest == digest


def test_no_photo_vanishes(local: PipelineConfig) -> None:
    workspace = Workspace(local.root)
    named = set(workspace.read_table("photos")["photo_id"].to_pylist())
    images = workspace.read_table("images", ["photo_id", "status"]).to_pylist()
    assert {row["photo_id"] for row in images} == named and len(images) == len(named)
    ok = {row["photo_id"] for row in images if row["status"] == "ok"}
    assert set(EmbeddingTable.read(workspace, "image_embeddings").ids) == ok
    assert {"not_found", "corrupt"} <= {row["status"] for row in images}  # planted
    manifest = workspace.require("images")
    assert manifest.rows["ok"] + sum(manifest.failures.values()) == len(named)


def test_vectors_carry_their_encoders_id(local: PipelineConfig) -> None:
    workspace = Workspace(local.root)
    tables = [EmbeddingTable.read(workspace, name) for name in ("image_embeddings", "sentence_embeddings")]
    assert tables[0].model_id == tables[1].model_id and tables[0].model_id.startswith("small/corpus#")


def test_a_second_run_skips_everything(local: PipelineConfig, capsys: pytest.CaptureFixture[str]) -> None:
    before = {artifact.name: Workspace(local.root).require(artifact.name).digest for artifact in FLOW}
    assert run_pipeline(local) == {}
    assert capsys.readouterr().out.count("skipped:") == len(STEPS)
    assert before == {artifact.name: Workspace(local.root).require(artifact.name).digest for artifact in FLOW}


def test_runs_are_nested_and_models_registered(local: PipelineConfig) -> None:
    client = MlflowClient(database_uri(local.root))
    experiment = client.get_experiment_by_name("showcases")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.info.run_id for run in runs if run.info.run_name.startswith("pipeline ")}
    children = {run.info.run_name for run in runs if run.data.tags.get("mlflow.parentRunId") in parents}
    assert children == {step.name for step in STEPS}
    for model in ("showcases-selector", "showcases-generator"):
        champion = client.get_model_version_by_alias(model, "champion")
        assert champion.version == client.get_model_version_by_alias(model, "candidate").version
        ref = find(model, "champion", client.tracking_uri)
        assert (ref.download() / "model.safetensors").is_file() and ref.download().is_relative_to(local.root)
    assert [path.name for path in Path(local.root).parent.iterdir()] == [Path(local.root).name]  # all is inside


def test_a_changed_option_redoes_its_step_and_what_follows(local: PipelineConfig) -> None:
    workspace = Workspace(local.root)
    before = {artifact.name: workspace.require(artifact.name).digest for artifact in FLOW}
    changed = replace(local, evaluate=replace(local.evaluate, max_examples=5))
    assert set(run_pipeline(changed)) == {"evaluate"}
    after = {artifact.name: workspace.require(artifact.name).digest for artifact in FLOW}
    assert {name for name in after if after[name] != before[name]} == {"report"}
    assert workspace.require("report").config["evaluate"]["max_examples"] == 5


@pytest.mark.slow
def test_one_more_seed_trains_one_more_model_and_one_less_removes_it(local: PipelineConfig, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(local.root, root)
    workspace = Workspace(str(root))

    def train(*seeds: int) -> dict[str, int]:
        config = replace(local, root=str(root), train_selector=replace(local.train_selector, seeds=seeds))
        assert execute(train_selector.STEP, workspace, config)
        return {path.parent.name: path.stat().st_mtime_ns for path in root.glob("selector/*/model.safetensors")}

    def versions() -> int:
        return len(MlflowClient(database_uri(str(root))).search_model_versions("name='showcases-selector'"))

    alone = {path.parent.name: path.stat().st_mtime_ns for path in root.glob("selector/*/model.safetensors")}
    registered = versions()
    both = train(0, 1)
    assert set(both) == {"img_text-seed0", "img_text-seed1"}
    assert both["img_text-seed0"] == alone["img_text-seed0"]  # neither trained nor written again
    assert set(workspace.require("selector").metrics) == set(both)
    assert train(0) == alone
    assert versions() == registered


@pytest.mark.slow  # a second pipeline; S3 itself is also asked in tests/ray and tests/unit
def test_the_same_on_s3(
    corpus: CorpusConfig, ray_cluster: str, s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_S3_ENDPOINT_URL", raising=False)
    root = s3_server.root("pipeline")
    tracking = TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db")
    config = quick(PipelineConfig(root=root, corpus=corpus, tracking=tracking))
    run_pipeline(config)
    workspace = Workspace(root)
    assert not workspace.is_local
    for artifact in FLOW:
        workspace.require(artifact.name)
    assert run_pipeline(config) == {}
    assert not list(tmp_path.glob("*/manifest.json"))


def test_a_step_whose_input_is_missing_names_the_step_to_run(tmp_path: Path, corpus: CorpusConfig) -> None:
    from jobs import embed

    config = PipelineConfig(root=str(tmp_path), corpus=corpus)
    with pytest.raises(ShowcasesError, match=r"jobs\.fetch_images"):
        execute(embed.STEP, Workspace(config.root), config)


@pytest.mark.slow
def test_the_studies_train_what_is_missing_and_nothing_twice(
    local: PipelineConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune = replace(local.train_generator.finetune_loop, epochs=1)
    config = replace(
        local,
        train_selector=replace(local.train_selector, variants=("img+text", "img")),
        train_generator=replace(local.train_generator, finetune_loop=finetune),
        reproduce=ReproduceConfig(tables=(1, 3, 5), figures=(3,), seeds=(0,)),
    )
    tables = reproduce(config)
    first = capsys.readouterr().out
    assert "selectors: 1 found, 1 to train" in first  # img+text is the pipeline's own
    assert "generators: 0 found, 3 to train" in first
    assert [table.name for table in tables] == ["table_1", "figure_3", "table_3", "table_5"]
    assert [row.name for row in tables[2].rows] == ["random", "most-popular", "img", "img+text"]
    assert [row.name for row in tables[3].rows] == ["Img Random", "Text Random", "Img Random + FT"]
    assert all(row.value("BLEU-1")[0] is not None for row in tables[3].rows)
    for name in ("1", "3", "5"):
        assert f"- Table {name}: " in first  # a verdict each
    assert "Table 3: photos: the paper's order" in first and "| F1@3 | paper | ours | ± |" in first
    again = reproduce(config)
    second = capsys.readouterr().out
    assert "0 to train" in second and "epoch" not in second and "texts of 3 models stand, 0 models write" in second
    assert [table.to_csv() for table in again] == [table.to_csv() for table in tables]
    workspace = Workspace(local.root)
    assert workspace.read_bytes("_reproduce", "table_5.csv").decode() == tables[3].to_csv()
    page = workspace.read_bytes("_reproduce", "report.html").decode()
    assert 'id="figure_3"' in page and "<option>Img Random + FT</option>" in page
    assert run_pipeline(local) == {}  # the flow's own artifacts are as they were


@pytest.mark.slow
def test_table_2_has_every_baseline_beside_ours(local: PipelineConfig, capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(local, reproduce=ReproduceConfig(tables=(2,), figures=(6,), seeds=(0,)))
    table, more, apart, *figures = reproduce(config)
    first = capsys.readouterr().out
    # img+text is the flow's own, and Figure 6's PC²L
    assert "baselines: 0 found, 4 to train" in first and "generators: 1 found, 3 to train" in first
    assert [row.name.split(" − ")[0] for row in apart.rows] == ["img+text"] * 6
    assert [[row.name for row in figure.rows] for figure in figures] == [
        ["ground truth", "baseline", "PC²L"],
        ["baseline", "PC²L"],
    ]
    said = [json.loads(line) for line in texts_of(Workspace(local.root), "baseline-PETER")]
    assert {row["model"] for row in said} == {"PETER"} and len({row["review_id"] for row in said}) == len(said) > 0
    names = ["ground truth", "ST", "R2Gen", "Ref2Seq", "PETER", "Text Random", "img", "img+text"]
    assert [row.name for row in table.rows] == names
    assert all(row.value("BLEU-1")[0] is not None for row in table.rows[1:])
    [sizes] = (note for note in table.notes if note.startswith("Parameters: "))
    assert all(f"{name} " in sizes for name in names[1:])
    again = reproduce(config)
    told = capsys.readouterr().out
    assert "baselines: 4 found, 0 to train" in told and "epoch" not in told
    assert [other.to_csv() for other in again][:2] == [table.to_csv(), more.to_csv()]


def texts_of(workspace: Workspace, name: str) -> list[str]:
    """Lines of the texts that `jobs.reproduce` kept of a model."""
    [file] = Path(workspace.path("_reproduce", "texts")).glob(f"{name}-*.jsonl")
    return file.read_text().splitlines()
