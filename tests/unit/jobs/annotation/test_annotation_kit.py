"""The annotation kit by the commands that a user types, on a small made-up workspace; no Ray."""

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import annotate
from jobs.runner.config import PipelineConfig, parse
from jobs.tracking import tracker as tracking
from showcases.distillation import PairClassifier
from showcases.distillation.learning_curve import take_reviews
from showcases.storage.artifacts import Manifest, Workspace
from tests.artifacts import finish
from tests.pair_workspace import D, pair_workspace


class Untracked:
    """In MLflow's place, whose database takes a minute of a busy machine to make."""

    def log_manifest(self, manifest: Manifest) -> None:
        pass

    def log_inputs(self, datasets: list[dict]) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def untracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "step_run", lambda *_, **__: contextlib.nullcontext(Untracked()))
        yield


@pytest.fixture(scope="module")
def home(untracked: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace, labels.json of all its pairs, and a classifier."""
    folder = tmp_path_factory.mktemp("kit")
    workspace = pair_workspace(folder)
    PairClassifier(D, embedding_space="toy").save_pretrained(folder / "phi")
    workspace.upload(folder / "phi", "classifier")
    finish(workspace, "classifier")
    annotate.main(["import", "--root", workspace.root, "--labels", str(folder / "labels.json")])
    return folder


def run(home: Path, *arguments: str) -> None:
    annotate.main([arguments[0], "--root", str(home / "workspace"), *arguments[1:]])


def test_export_samples_reviews_with_the_sentence_marked(home: Path, tmp_path: Path, capsys) -> None:
    for seed in ("1", "1", "2"):
        run(home, "export", "--out", str(tmp_path / seed), "--count", "5", "--seed", seed, "--photos-at", "https://h/")
    tasks = json.loads((tmp_path / "1" / "tasks.json").read_text())
    assert len({task["data"]["review_id"] for task in tasks}) == 5 and len(tasks) >= 18
    assert all(task["data"]["image"] == f"https://h/{task['data']['photo_id']}.jpg" for task in tasks)
    assert all(f"<mark>{task['data']['sentence']}</mark>" in task["data"]["html"] for task in tasks)
    assert (tmp_path / "1" / "tasks.json").read_text() != (tmp_path / "2" / "tasks.json").read_text()
    assert (tmp_path / "1" / "photos").is_dir() and "<HyperText" in (
        tmp_path / "1" / "labelling_config.xml"
    ).read_text()
    assert "5 reviews" in capsys.readouterr().out


def test_disagreements_are_listed_by_evenness_and_go_into_the_next_round(home: Path, tmp_path: Path) -> None:
    folder = home / "workspace" / "annotations"
    rows = list(csv.DictReader((folder / "disagreements.csv").open()))
    table = pq.read_table(folder / "part-00000.parquet").to_pylist()
    split_votes = {(row["sentence_id"], row["photo_id"]) for row in table if len(set(row["votes"])) > 1}
    assert {(row["sentence_id"], row["photo_id"]) for row in rows} == split_votes and split_votes
    assert {row["phi"] for row in rows} == {"0.5000"}  # of the classifier that stands: it knows nothing yet
    run(home, "export", "--out", str(tmp_path), "--disagreements", str(home / "labels.json"))
    data = [task["data"] for task in json.loads((tmp_path / "tasks.json").read_text())]
    assert {(f"{d['review_id']}:{d['sentence_index']}", d["photo_id"]) for d in data} == split_votes


def test_import_says_how_far_annotators_agree(home: Path) -> None:
    said = json.loads((home / "workspace" / "annotations" / "agreement.json").read_text())
    metrics = Workspace(str(home / "workspace")).require("annotations").metrics
    assert metrics["fleiss_kappa"] == pytest.approx(said["fleiss_kappa"]) and metrics["annotators"] == 3
    assert 0.7 < said["krippendorff_alpha"] < 1 and said["fleiss_pairs"] == 360 == said["answers"]["user 0"]
    agreeing = {skill["annotator"]: skill["agreeing"] for skill in said["annotators"]}
    assert agreeing["user 0"] == agreeing["user 1"] == 1 > agreeing["user 2"] > 0.8  # the third is wrong now and then


def test_few_labels_of_several_files_are_filled_up(home: Path, tmp_path: Path, capsys) -> None:
    workspace = pair_workspace(tmp_path)
    tasks = json.loads((tmp_path / "labels.json").read_text())
    halves = tmp_path / "a.json", tmp_path / "b.json"
    for path, part in zip(halves, (tasks[:100], tasks[100:240]), strict=True):
        path.write_text(json.dumps(part))
    options = [
        "--annotate.weak_below",
        "300",
        "--annotate.weak_precision",
        "0.8",
        "--annotate.aggregate",
        "dawid-skene",
    ]
    annotate.main(["import", "--labels", *map(str, halves), "--root", workspace.root, *options])
    out = capsys.readouterr().out
    assert "weak labels `matching`" in out and "Dawid-Skene:" in out and "user 2" in out
    manifest = workspace.require("annotations")
    assert manifest.metrics["source"] == "people+weak" and set(manifest.inputs) >= {"labels file", "labels file 1"}
    table = workspace.read_table("annotations").to_pylist()
    weak = [row for row in table if row["source"] == "weak"]
    assert len(table) - len(weak) == 238 and len(weak) == manifest.metrics["weak_added"] > 0
    assert {row["split"] for row in weak} == {"train"} and not any(row["votes"] for row in weak)


def test_curve_writes_table_and_picture(home: Path, tmp_path: Path, capsys) -> None:
    loop = ["--distill.loop.epochs", "3", "--distill.loop.batch_size", "64"]
    run(home, "curve", "--counts", "40,120,9999", "--seeds", "0,1", "--out", str(tmp_path), *loop)
    rows = list(csv.DictReader((tmp_path / "label_curve.csv").open()))
    assert list(dict.fromkeys(row["row"] for row in rows)) == [
        "40 labels",
        "120 labels",
        "all labels",
        "CLIP cosine, no training",
        "weak labels alone",
    ]
    auc = {row["row"]: float(row["value"]) for row in rows if row["metric"] == "AUC"}
    assert auc["all labels"] > 0.8 and auc["CLIP cosine, no training"] > 0.8  # the topics are told apart by cosine
    used = {row["row"]: float(row["value"]) for row in rows if row["metric"] == "labels"}
    assert 40 <= used["40 labels"] < 44 and 120 <= used["120 labels"] < 124  # whole reviews of 4 pairs at most
    assert (tmp_path / "label_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "all labels: AUC" in capsys.readouterr().out


def test_parts_of_one_seed_lie_within_each_other_by_review(home: Path) -> None:
    train = Workspace(str(home / "workspace")).read_table("annotations")
    parts = [set(take_reviews(train, count, seed=3)["review_id"].to_pylist()) for count in (20, 60, 200)]
    assert parts[0] < parts[1] < parts[2]
    taken = take_reviews(train, 60, seed=3).to_pylist()
    assert len(taken) == sum(row["review_id"] in parts[1] for row in train.to_pylist())  # reviews stay whole
    assert parts[0] != set(take_reviews(train, 20, seed=4)["review_id"].to_pylist())
    assert take_reviews(train, train.num_rows, seed=3).num_rows == train.num_rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "--count", "0"], "at least one review"),
        (["import"], "no labels"),
        (["import", "--labels", "absent.json"], "absent.json"),
    ],
)
def test_mistakes_are_told_in_a_line(home: Path, arguments: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit):
        run(home, *arguments)
    assert message in capsys.readouterr().err


def test_labels_of_the_config_are_one_file_or_a_list_or_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abcd":
        (tmp_path / f"{name}.json").write_text("[]")
    path = tmp_path / "config.yaml"
    path.write_text("corpus: {labels: [a.json, b.json]}\n")

    def names(config: PipelineConfig) -> list[str]:
        return annotate.label_files(config)

    assert names(parse(["--config", str(path)], "x")) == ["a.json", "b.json"]
    assert names(parse(["--labels", "c.json"], "x")) == ["c.json"] and names(parse([], "x")) == []
    assert names(parse(["--corpus.labels", "d.json"], "x")) == ["d.json"]
    assert names(parse(["--labels", "c.json", "[ab].json"], "x")) == ["c.json", "a.json", "b.json"]
