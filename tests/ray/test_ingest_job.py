"""ingest and import_s2 as jobs: they write what one process reads, whatever the blocks; rejects have a place."""

import gzip
import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import import_s2, ingest
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.execute import execute
from jobs.tracking.config import TrackingConfig
from showcases.errors import ConfigError, CorpusError
from showcases.gest.config import IngestConfig
from showcases.gest.reading.official import read_raw
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import REJECTS

pytestmark = pytest.mark.ray
BROKEN = (b"{", b'{"user_id": "\xff"}', b'{"user_id": "u", "business_id": "b", "review_text": "", "pics": 3}', b"")


@pytest.fixture
def noisy(tiny_corpus: Path, tmp_path: Path) -> Path:
    """The tiny corpus with broken and blank lines between, and some lines twice."""
    draw = random.Random(0)
    lines = []
    for line in (tiny_corpus / "image_review_all.json").read_bytes().splitlines():
        lines += [line] * (1 + (draw.random() < 0.05))
        lines += [draw.choice(BROKEN)] * (draw.random() < 0.05)
    path = tmp_path / "image_review_all.json"
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory, ray_cluster: str) -> TrackingConfig:
    """One database for all of these runs: making it takes seconds."""
    return TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db")


def configured(folder: Path, reviews: Path, tracking: TrackingConfig, **options: object) -> PipelineConfig:
    return PipelineConfig(
        root=str(folder),
        corpus=CorpusConfig(reviews=str(reviews)),
        tracking=tracking,
        ingest=IngestConfig(**options),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("block_kb", [8, 8192])
@pytest.mark.parametrize("packed", [False, True])
def test_the_job_writes_what_one_process_reads(
    noisy: Path, tmp_path: Path, tracking: TrackingConfig, block_kb: int, packed: bool
) -> None:
    path = noisy
    if packed:
        path = tmp_path / "image_review_all.json.gz"
        path.write_bytes(gzip.compress(noisy.read_bytes()))
    config = configured(tmp_path / "ws", path, tracking, block_kb=block_kb)
    workspace = Workspace(config.root)
    assert execute(ingest.STEP, workspace, config)
    corpus = read_raw(noisy, IngestConfig(), seed=0)
    assert workspace.read_table("reviews").equals(corpus.reviews)
    assert workspace.read_table("photos").equals(corpus.photos)
    rejects = workspace.read_table("rejects")
    assert rejects.drop_columns("file").equals(corpus.rejects.drop_columns("file"))
    assert set(rejects["file"].to_pylist()) == {str(path)}
    shards = [pq.read_metadata(shard).num_rows for shard in workspace.shards("reviews")]
    assert (len(shards) > 3) == (block_kb == 8) and sum(shards) == corpus.reviews.num_rows


def test_a_pattern_of_files_is_one_corpus_and_a_further_file_makes_the_step_run_again(
    noisy: Path, tmp_path: Path, tracking: TrackingConfig
) -> None:
    lines = noisy.read_bytes().splitlines(keepends=True)
    cuts = [0, len(lines) // 3, len(lines) // 2, len(lines)]
    for number, (start, end) in enumerate(pairwise(cuts)):
        data = b"\xef\xbb\xbf" + b"".join(lines[start:end])
        (tmp_path / f"part-{number}").write_bytes(gzip.compress(data) if number % 2 else data)
    config = configured(tmp_path / "ws", tmp_path / "part-*", tracking, block_kb=8)
    workspace = Workspace(config.root)
    assert execute(ingest.STEP, workspace, config)
    corpus = read_raw(noisy, IngestConfig(), seed=0)
    assert workspace.read_table("reviews").equals(corpus.reviews)
    assert workspace.read_table("photos").equals(corpus.photos)
    assert workspace.read_table("rejects").num_rows == corpus.rejects.num_rows
    listed = replace(config, corpus=CorpusConfig(reviews=[str(tmp_path / f"part-{n}") for n in range(3)]))
    assert not execute(ingest.STEP, workspace, listed)
    (tmp_path / "part-3").write_bytes(lines[0])
    assert execute(ingest.STEP, workspace, config)


def test_every_line_is_accounted_for_and_every_reject_found_again(
    noisy: Path, tmp_path: Path, tracking: TrackingConfig
) -> None:
    config = configured(tmp_path / "ws", noisy, tracking, block_kb=8)
    workspace = Workspace(config.root)
    execute(ingest.STEP, workspace, config)
    manifest, data = workspace.require("reviews"), noisy.read_bytes()
    lines = data.removesuffix(b"\n").split(b"\n")
    reviews = {name: n for name, n in manifest.failures.items() if name != "photo of an earlier review"}
    blank = sum(not line.strip() for line in lines)
    assert manifest.rows["reviews"] + sum(reviews.values()) + blank == len(lines) == manifest.metrics["lines"]
    assert manifest.metrics["blank_lines"] == blank
    rejects = workspace.read_table("rejects").to_pylist()
    assert len(rejects) == workspace.require("rejects").rows["rejects"] > 5
    for reject in rejects:
        line = lines[reject["line"] - 1]
        assert reject["raw"] == line[:1000] and data[reject["offset"] :].startswith(line)


def test_a_clean_file_has_an_empty_table_of_rejects_and_a_second_run_is_skipped(
    noisy: Path, tmp_path: Path, tracking: TrackingConfig
) -> None:
    lines = dict.fromkeys(line for line in noisy.read_bytes().splitlines() if line not in BROKEN)
    noisy.write_bytes(b"\n".join(lines))
    config = configured(tmp_path / "ws", noisy, tracking)
    workspace = Workspace(config.root)
    assert execute(ingest.STEP, workspace, config)
    rejects = workspace.read_table("rejects")
    assert rejects.num_rows == 0 and rejects.schema.equals(REJECTS)
    assert not execute(ingest.STEP, workspace, replace(config, ingest=IngestConfig(block_kb=64)))


def test_a_file_of_which_too_much_is_rejected_fails_and_the_rejects_can_be_read(
    noisy: Path, tmp_path: Path, tracking: TrackingConfig
) -> None:
    noisy.write_bytes(noisy.read_bytes() + b"\n{" * 200)
    config = configured(tmp_path / "ws", noisy, tracking)
    workspace = Workspace(config.root)
    words = r"--ingest\.max_rejected 0\.2: not JSON 2\d\d \(first in line "
    with pytest.raises(CorpusError, match=words) as raised:
        execute(ingest.STEP, workspace, config)
    assert workspace.manifest("reviews") is None
    folder = re.search(rf"{workspace.root}/_builds/rejects/[\w-]+", str(raised.value))
    assert folder is not None and pq.read_table(folder.group()).num_rows > 200
    allowed = replace(config, ingest=IngestConfig(max_rejected=0.9))
    assert execute(ingest.STEP, workspace, allowed)


def test_what_was_finished_stays_whatever_fails(noisy: Path, tmp_path: Path, tracking: TrackingConfig) -> None:
    config = configured(tmp_path / "ws", noisy, tracking)
    workspace = Workspace(config.root)
    execute(ingest.STEP, workspace, config)
    before = {name: workspace.require(name) for name in ("reviews", "photos", "rejects")}
    rows = workspace.read_table("reviews")
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"{\n" * 500)
    for wrong in (replace(config, corpus=CorpusConfig(reviews=str(broken))), replace(config, force=True)):
        if wrong.force:
            noisy.write_bytes(b"[]\n" + noisy.read_bytes()[:50])
        with pytest.raises(CorpusError):
            execute(ingest.STEP, workspace, wrong)
        assert {name: workspace.require(name) for name in before} == before
        assert workspace.read_table("reviews").equals(rows)


def filtered_file(folder: Path, tiny_corpus: Path) -> Path:
    rows = [json.loads(line) for line in (tiny_corpus / "image_review_all.json").read_text().splitlines()]
    parts: dict[str, list[object]] = {"train": [], "val": [], "test": []}
    for row in rows:
        split = ("train", "train", "val", "test")[int(row["user_id"]) % 4]
        past = [
            [f"{other['user_id']}_{other['business_id']}", other["review_text"]]
            for other in rows
            if other["user_id"] == row["user_id"] and other["business_id"] != row["business_id"]
        ]
        parts[split].append({**row, "pics": [pic["id"] for pic in row["pics"]], "history_reviews": past})
    path = folder / "filter_all_t.json"
    path.write_text(json.dumps(parts))
    return path


def test_import_s2_writes_what_the_generator_reads(tiny_corpus: Path, tmp_path: Path, tracking: TrackingConfig) -> None:
    path = filtered_file(tmp_path, tiny_corpus)
    config = configured(tmp_path / "ws", path, tracking)
    workspace = Workspace(config.root)
    assert execute(import_s2.STEP, workspace, config)
    assert not execute(import_s2.STEP, workspace, config)
    published = json.loads(path.read_text())
    s2 = workspace.read_table("gest_s2").to_pylist()
    rejected = workspace.read_table("rejects")
    assert len(s2) + rejected.num_rows == sum(len(rows) for rows in published.values())
    for split, rows in published.items():
        wanted = {f"{row['user_id']}_{row['business_id']}": row for row in rows}
        found = {row["review_id"]: row for row in s2 if row["split"] == split}
        assert found.keys() == wanted.keys()
        for name, row in found.items():
            assert row["explanation"] == wanted[name]["review_text"] and row["photo_ids"] == wanted[name]["pics"]
            assert row["history_review_ids"] == list(dict.fromkeys(p[0] for p in wanted[name]["history_reviews"]))
    reviews = set(workspace.read_table("reviews")["review_id"].to_pylist())
    assert {name for row in s2 for name in [row["review_id"], *row["history_review_ids"]]} <= reviews
    photos = workspace.read_table("photos")["photo_id"].to_pylist()
    assert set(photos) == {name for row in s2 for name in row["photo_ids"]} and len(photos) == len(set(photos))
    manifest = workspace.require("gest_s2")
    assert (manifest.step, manifest.rows["reviews"]) == ("import_s2", len(s2))


def test_import_s2_writes_over_no_other_corpus_and_wants_its_own_form(
    noisy: Path, tiny_corpus: Path, tmp_path: Path, tracking: TrackingConfig
) -> None:
    config = configured(tmp_path / "ws", noisy, tracking)
    workspace = Workspace(config.root)
    execute(ingest.STEP, workspace, config)
    filtered = replace(config, corpus=CorpusConfig(reviews=str(filtered_file(tmp_path, tiny_corpus))))
    with pytest.raises(ConfigError, match=r"was written by jobs\.ingest"):
        execute(import_s2.STEP, workspace, filtered)
    assert workspace.manifest("reviews") is not None
    with pytest.raises(ConfigError, match="--reviews"):
        execute(import_s2.STEP, workspace, replace(config, corpus=CorpusConfig()))
    elsewhere = replace(config, root=str(tmp_path / "other"))
    with pytest.raises(CorpusError, match=r"jobs\.ingest"):
        execute(import_s2.STEP, Workspace(elsewhere.root), elsewhere)
    with pytest.raises(CorpusError, match=r"jobs\.import_s2"):
        execute(ingest.STEP, Workspace(elsewhere.root), replace(elsewhere, corpus=filtered.corpus))
