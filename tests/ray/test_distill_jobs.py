"""annotate and distill on a small made-up workspace: with people's labels, with none, and what the files hold."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from showcases.distillation import PairClassifier
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable
from tests.pair_workspace import pair_workspace
from tests.unfinished import unfinish

pytestmark = pytest.mark.ray


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return pair_workspace(tmp_path)


@pytest.fixture
def config(workspace: Workspace, tmp_path: Path):
    from jobs.runner.config import CorpusConfig, PipelineConfig
    from showcases.distillation.config import DistillConfig
    from showcases.training import LoopConfig

    loop = LoopConfig(epochs=12, batch_size=64, lr=2e-2, optimizer="adamw")
    corpus = CorpusConfig(reviews="unused", labels=str(tmp_path / "labels.json"))
    return PipelineConfig(root=workspace.root, corpus=corpus, distill=DistillConfig(loop=loop))


def test_people_teach_the_classifier_that_scores_every_pair(ray_cluster, workspace, config, capsys) -> None:
    from jobs import annotate, distill
    from jobs.runner.execute import execute

    assert execute(annotate.STEP, workspace, config) and execute(distill.STEP, workspace, config)
    annotations = workspace.require("annotations")
    assert annotations.rows["pairs"] == 358 and annotations.failures == {"unknown_photo": 2}
    assert annotations.metrics["source"] == "people" and 0.7 < annotations.metrics["krippendorff_alpha"] < 1
    metrics = workspace.require("classifier").metrics
    assert metrics["auc"] > 0.9 and metrics["n"] == annotations.rows["test"] and metrics["source"] == "people"
    assert "human labels" in capsys.readouterr().out

    table = workspace.read_table("alignments")
    folder = workspace.download("classifier", Path(workspace.root) / "local")
    model = PairClassifier.from_pretrained(folder)
    pairs = set(zip(table["sentence_id"].to_pylist(), table["photo_id"].to_pylist(), strict=True))
    assert table.num_rows == len(pairs) == 90 * 4 - 2
    assert all(sentence.split("_")[0][1:] == photo.split("-")[0][1:] for sentence, photo in pairs)
    text = EmbeddingTable.read(workspace, "sentence_embeddings").gather(table["sentence_id"].to_pylist())
    image = EmbeddingTable.read(workspace, "image_embeddings").gather(table["photo_id"].to_pylist())
    np.testing.assert_allclose(table["score"].to_numpy(), model.score(text, image), rtol=1e-5)
    assert not execute(distill.STEP, workspace, config)  # nothing changed


def test_without_labels_they_are_weak_and_it_says_so(ray_cluster, workspace, config, capsys) -> None:
    from jobs import annotate, distill
    from jobs.runner.execute import execute

    config = replace(config, corpus=replace(config.corpus, labels=None))
    execute(annotate.STEP, workspace, config)
    execute(distill.STEP, workspace, config)
    printed = capsys.readouterr().out
    assert "no labels configured" in printed and "weak labels, not human ones" in printed
    assert workspace.require("classifier").metrics["source"] == "weak"
    tasks = json.loads(workspace.read_bytes("annotations", "tasks.json"))
    assert len(tasks) == 358 and tasks[0]["data"]["sentence"].startswith("On topic")
    assert b"<Choices" in workspace.read_bytes("annotations", "labelling_config.xml")


def test_labels_of_another_corpus_are_refused(ray_cluster, workspace, config, tmp_path: Path) -> None:
    from jobs import annotate
    from jobs.runner.execute import execute
    from showcases.errors import CorpusError

    path = Path(config.corpus.labels)
    path.write_text(path.read_text().replace('"review_id": "u', '"review_id": "other'))
    with pytest.raises(CorpusError, match="none of the 360 labelled pairs"):
        execute(annotate.STEP, workspace, config)
    assert workspace.manifest("annotations") is None


def scores(workspace: Workspace) -> dict[tuple[str, str], float]:
    table = workspace.read_table("alignments")
    assert table.num_rows == 90 * 4 - 2
    keys = zip(table["sentence_id"].to_pylist(), table["photo_id"].to_pylist(), strict=True)
    return dict(zip(keys, table["score"].to_pylist(), strict=True))


def written(workspace: Workspace, artifact: str) -> dict[str, int]:
    """When each file of an artifact was written, by name."""
    files = Path(workspace.root, artifact).iterdir()
    return {path.name: path.stat().st_mtime_ns for path in files if path.suffix in (".parquet", ".safetensors")}


def test_partitions_give_the_same_scores_move_each_vector_once_and_are_kept_when_cut_off(
    ray_cluster, workspace, config, monkeypatch, capsys
) -> None:
    from jobs import annotate, distill
    from jobs.distilling import partitioning
    from jobs.runner.execute import execute

    execute(annotate.STEP, workspace, config)
    execute(distill.STEP, workspace, config)
    whole = scores(workspace)
    assert list(written(workspace, "alignments")) == ["part-00000-of-00001.parquet"]

    monkeypatch.setattr(partitioning, "PARTITION_BYTES", 1000)  # 359 vectors of 16 bytes: 6 partitions
    monkeypatch.setattr(partitioning, "UNIT_BYTES", 3000)
    execute(distill.STEP, workspace, replace(config, force=True))
    assert scores(workspace) == pytest.approx(whole, rel=1e-5)
    metrics = workspace.require("alignments").metrics
    assert metrics["partitions"] == 6 and metrics["scored"]["pairs"] == 358
    moved = [metrics["dealt"]["vectors_read"], metrics["dealt"]["vectors_dealt"], metrics["scored"]["vectors_loaded"]]
    assert moved == [359, 359, 359]
    before = written(workspace, "alignments")
    assert len(before) == 6 and not list(Path(workspace.root, "alignments").glob("_dealt*"))

    gone = sorted(before)[1::3]
    for name in gone:
        Path(workspace.root, "alignments", name).unlink()
    trained = written(workspace, "classifier")
    unfinish(workspace, "alignments", "classifier")  # as a driver leaves it that is killed between two partitions
    capsys.readouterr()
    assert execute(distill.STEP, workspace, config)
    after = written(workspace, "alignments")
    assert {name for name in after if after[name] != before[name]} == set(gone) and set(after) == set(before)
    assert "4 of 6 partitions already done" in capsys.readouterr().out
    assert scores(workspace) == pytest.approx(whole, rel=1e-5) and written(workspace, "classifier") == trained
    assert workspace.require("classifier").metrics["auc"] > 0.9

    loop = replace(config.distill.loop, epochs=2)  # other work: nothing of the old is kept
    execute(distill.STEP, workspace, replace(config, distill=replace(config.distill, loop=loop)))
    assert written(workspace, "classifier") != trained and not set(written(workspace, "alignments")) - set(before)
    assert scores(workspace) != pytest.approx(whole, rel=1e-5)


def test_shards_are_dealt_out_in_groups_of_a_size() -> None:
    from jobs.distilling.partitioning import grouped

    sizes = {"a": 3, "b": 4, "c": 9, "d": 1, "e": 5, "f": 5}
    assert grouped(list(sizes), list(sizes.values()), 7) == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    assert grouped([], [], 7) == []
