"""Training examples on Ray Data: what plain Python prepares, in an order that only seed and epoch decide."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray

from jobs.runner.config import PipelineConfig
from jobs.runner.step import StepContext
from jobs.tracking.tracker import Tracker
from jobs.training.examples import BUFFER, SHARD, Prepared, prepare_generator, prepare_selector, stream
from showcases.generator import TrainGeneratorConfig
from showcases.generator.examples import prepared_rows
from showcases.storage.artifacts import Workspace
from tests.artifacts import embedding_table, put

pytestmark = pytest.mark.ray
ROWS = SHARD + 200  # two shards
DISHES, WORDS = ("ramen", "burger", "salad", "pizza", "soup"), ("great", "cold", "fine")


@pytest.fixture(scope="module")
def context(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> StepContext:
    """Rows of both GEST sets; one in 50 has no embedded photo, one in 40 no explanation."""
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    rng = np.random.default_rng(0)
    rows = [
        {
            "review_id": f"u{n}_b",
            "user_id": f"u{n}",
            "business_id": f"b{n % 60}",
            "explanation": "" if n % 40 == 7 else f"The {rng.choice(DISHES)} was {rng.choice(WORDS)} on day {n}.",
            "photo_ids": ["lost"] if n % 50 == 3 else [f"p{n % 9}"],
            "history_review_ids": [],
            "split": "val" if n % 10 == 0 else "train",
        }
        for n in range(ROWS * 10 // 9)
    ]
    for artifact in ("gest_s1", "gest_s2"):
        put(workspace, artifact, pa.Table.from_pylist(rows))
    put(workspace, "image_embeddings", embedding_table([f"p{n}" for n in range(9)], np.ones((9, 4)), "space"))
    return StepContext(workspace, PipelineConfig(root=workspace.root), Tracker("", ""), {}, {})


def order(
    workspace: Workspace, prepared: Prepared, seed: int, epoch: int, run: int = 1, buffer: int = BUFFER
) -> list[str]:
    tables = stream(workspace, prepared, seed, run, buffer).epoch(epoch)
    return [name for table in tables for name in table["review_id"].to_pylist()]


def test_hard_negatives_are_those_that_plain_python_makes(context: StepContext) -> None:
    prepared = prepare_generator(context, 5, hard=True, spacy_model=None)
    expected = prepared_rows(context.workspace, TrainGeneratorConfig(), "img+text", 5)
    found = pa.concat_tables(stream(context.workspace, prepared, 5).epoch(0))
    assert found.sort_by("review_id").to_pylist() == expected.sort_by("review_id").to_pylist()
    assert prepared.rows == len(found) and prepared.hard_negatives == len(found) - found["hard_explanation"].null_count
    assert prepared.hard_negatives > 0.9 * len(found)
    assert set(prepared.left_out) == {"no explanation", "no embedded photo"} and all(prepared.left_out.values())
    again = prepare_generator(context, 5, hard=True, spacy_model=None)
    assert again == prepared  # and nothing is made twice:
    [folder] = Path(context.workspace.root, "_examples").glob("gest_s2-*")
    assert folder.name == prepared.folder


@pytest.mark.parametrize("buffer", [BUFFER, SHARD // 2])  # all held; streamed, some at a time
def test_seed_and_epoch_alone_decide_the_order(context: StepContext, buffer: int) -> None:
    workspace, prepared = context.workspace, prepare_selector(context, 0)
    first = order(workspace, prepared, 0, 0, buffer=buffer)
    assert len(set(first)) == len(first) == prepared.rows > SHARD
    assert order(workspace, prepared, 0, 0, buffer=buffer) == first
    others = [order(workspace, prepared, seed, epoch, buffer=buffer) for seed, epoch in ((0, 1), (1, 0))]
    for other in others:
        assert sorted(other) == sorted(first)
        assert np.mean([a == b for a, b in zip(first, other, strict=True)]) < 0.02
    if buffer == BUFFER:  # rows of both shards are mixed
        place = {name: number for number, name in enumerate(first)}
        assert np.mean([abs(place[name] - number) for number, name in enumerate(others[0])]) > 0.2 * len(first)


def test_epochs_follow_each_other_as_they_come_alone(context: StepContext) -> None:
    prepared = prepare_selector(context, 0)
    source = stream(context.workspace, prepared, 0)
    one_after_the_other = [
        [name for table in source.epoch(number) for name in table["review_id"].to_pylist()] for number in (0, 1)
    ]
    assert one_after_the_other == [order(context.workspace, prepared, 0, number) for number in (0, 1)]


def test_runs_keep_examples_of_a_business_together(context: StepContext) -> None:
    prepared = prepare_selector(context, 0)
    rows = pa.concat_tables(stream(context.workspace, prepared, 0, run=10).epoch(0))
    assert sorted(rows["review_id"].to_pylist()) == sorted(order(context.workspace, prepared, 0, 0))
    business = rows["business_id"].to_pylist()
    alike = np.mean([a == b for a, b in itertools.pairwise(business)])
    assert alike > 0.8  # 9 of 10 within a run


def test_a_worker_that_holds_all_cpus_can_still_read(context: StepContext) -> None:
    prepared = prepare_selector(context, 0)

    @ray.remote(num_cpus=int(ray.cluster_resources()["CPU"]))
    def elsewhere(workspace: Workspace, prepared: Any) -> list[str]:
        return order(workspace, prepared, 0, 1, buffer=SHARD // 2)

    there = ray.get(elsewhere.remote(context.workspace, prepared), timeout=120)
    assert there == order(context.workspace, prepared, 0, 1, buffer=SHARD // 2)
