"""Annotation tools: export tasks and photos for Label Studio, and learning curves over labels."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.annotation.data import usable, vectors_of, whole_reviews
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.exits import exit_on_error
from showcases.distillation.annotations import Pairable, ReviewPairs, from_votes, sample_reviews
from showcases.distillation.labelstudio import read_exports
from showcases.distillation.labelstudio_tasks import LABELLING_CONFIG, LOCAL_PHOTOS, make_tasks, write_json
from showcases.errors import ConfigError, CorpusError
from showcases.gest.photos.images import read_photos
from showcases.ids import review_of
from showcases.storage.artifacts import Workspace

SERVED = """\
{tasks} tasks of {reviews} reviews and {photos} photos in {out}
  LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={out} label-studio start
  then: create a project with labelling_config.xml as labelling interface; add {out}/photos as local storage (not
  synced); import tasks.json; label; export as JSON; python -m jobs.annotate import --labels EXPORT.json"""
Pair = tuple[str, str]  # sentence id, photo id


def export(argv: Sequence[str]) -> None:
    """Sample reviews, or take the pairs that annotators disagreed on, and write tasks for Label Studio."""
    prog = "python -m jobs.annotate export"
    own = argparse.ArgumentParser(
        prog=prog,
        description="Tasks and photos for Label Studio. Further options: those of python -m jobs.annotate",
        allow_abbrev=False,
    )
    own.add_argument("--out", type=Path, default=Path("annotation"), help="folder to write to (default: annotation)")
    own.add_argument("--count", type=int, help="reviews to sample, by --seed (default: annotate.reviews)")
    own.add_argument(
        "--disagreements",
        nargs="+",
        metavar="EXPORT.json",
        help="instead of a sample, the pairs on which annotators of these earlier exports disagreed",
    )
    own.add_argument("--photos-at", default=LOCAL_PHOTOS, help="address of the photos, up to PHOTO_ID.jpg")
    given, rest = own.parse_known_args(argv)
    config = parse(rest, prog=prog)
    with exit_on_error():
        if given.count is not None:
            if given.count < 1:
                raise ConfigError(f"--count {given.count}: at least one review is needed")
            config = replace(config, annotate=replace(config.annotate, reviews=given.count))
        print(write_export(config, given.out.resolve(), given.disagreements, given.photos_at))


def write_export(config: PipelineConfig, out: Path, disagreements: Sequence[str] | None, photos_at: str) -> str:
    """Write tasks.json, labelling_config.xml and photos/; returns instructions."""
    workspace = Workspace(config.root)
    found = usable(workspace)
    wanted: set[Pair] | None = None
    if disagreements:
        reviews, wanted = disputed(found, disagreements)
    else:
        reviews = found.pairs(sample_reviews(found.rows(), config.annotate.reviews, config.seed))
    tasks = make_tasks(reviews, whole_reviews(workspace, reviews), photos_at, wanted)
    photos = read_photos(workspace, dict.fromkeys(task["data"]["photo_id"] for task in tasks))
    (out / "photos").mkdir(parents=True, exist_ok=True)
    for name, data in photos.items():
        (out / "photos" / f"{name}.jpg").write_bytes(data)
    (out / "tasks.json").write_bytes(write_json(tasks))
    (out / "labelling_config.xml").write_text(LABELLING_CONFIG)
    return SERVED.format(tasks=len(tasks), reviews=len(reviews), photos=len(photos), out=out)


def disputed(found: Pairable, exports: Sequence[str]) -> tuple[list[ReviewPairs], set[Pair]]:
    """The reviews and the pairs of this corpus on which votes differ.

    Raises:
        CorpusError: annotators agree on all pairs.
    """
    labelled, _ = read_exports(exports)
    known = found.pairs(found.rows({pair.review_id for pair in labelled}))
    wanted = {(dispute.sentence_id, dispute.pair.photo_id) for dispute in from_votes(labelled, known, seed=0).disputes}
    if not wanted:
        raise CorpusError(f"annotators agree on all {len(labelled)} labelled pairs of this corpus; nothing to export")
    about = {review_of(sentence) for sentence, _ in wanted}
    return [review for review in known if review.review_id in about], wanted


def curve(argv: Sequence[str]) -> None:
    """Train Φ on increasing numbers of labels; writes a table and a plot."""
    prog = "python -m jobs.annotate curve"
    own = argparse.ArgumentParser(
        prog=prog,
        description="Φ by number of labels. Further options: those of python -m jobs.annotate",
        allow_abbrev=False,
    )
    own.add_argument(
        "--counts", type=numbers, default=(100, 300, 1000, 3000), help="labels, default: 100,300,1000,3000"
    )
    own.add_argument("--seeds", type=numbers, default=(0, 1, 2), help="default: 0,1,2")
    own.add_argument("--out", type=Path, default=Path("annotation"), help="folder to write to (default: annotation)")
    given, rest = own.parse_known_args(argv)
    config = parse(rest, prog=prog)
    with exit_on_error():
        write_curve(config, given.counts, given.seeds, given.out.resolve())


def write_curve(config: PipelineConfig, counts: Sequence[int], seeds: Sequence[int], out: Path) -> None:
    """Print the table, and write it with its CSV and plot."""
    from showcases.distillation.learning_curve import Labelled, learning_curve  # local import: loads torch
    from showcases.evaluation.report.label_curve import NAME, curve_picture, curve_table

    workspace = Workspace(config.root)
    workspace.require("annotations")
    annotations = workspace.read_table("annotations")
    found = usable(workspace)
    reviews = found.pairs(found.rows(set(annotations["review_id"].to_pylist())))
    splits = dict(zip(annotations["review_id"].to_pylist(), annotations["split"].to_pylist(), strict=True))
    training = [review for review in reviews if splits[review.review_id] == "train"]
    data = Labelled(annotations, *vectors_of(workspace, reviews))
    result = learning_curve(data, training, config.distill, counts, seeds, lambda text: print(f"  {text}", flush=True))
    table = curve_table(result)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{NAME}.md").write_text(table.to_markdown())
    (out / f"{NAME}.csv").write_text(table.to_csv())
    (out / f"{NAME}.png").write_bytes(curve_picture(result))
    print(f"\n{table.to_markdown()}\n{out / NAME}.md, .csv, .png")


def numbers(text: str) -> tuple[int, ...]:
    """Parse `100,300`."""
    return tuple(int(part) for part in text.split(","))
