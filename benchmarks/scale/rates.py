"""The rates that docs/scale.json plans with: photos, sentences and pairs a second of one core of this machine.

    python -m benchmarks.scale.rates [--photos 3000] [--reviews CORPUS]

Writes JPEGs of 1200 x 900 and a corpus in the official format, and runs the jobs ingest, fetch_images (from the folder:
what hosts and network take is not in it; photos are re-encoded to 256 px), embed (ViT-B/32 with random weights) and
distill's scoring as the pipeline does. A rate is rows over the core seconds that the work itself took, starting and
loading left out. With --reviews, sentences and pairs a photo are counted in that corpus instead.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.harness import cores, parse
from benchmarks.made_up import MadeUp, write_workspace
from benchmarks.scale.check import simulated_seconds
from benchmarks.speed.embed import photographs, write_clip
from showcases.storage.artifacts import Workspace

SENTENCES = ("The soup was hot and rich.", "We sat by the window.")


def main(argv: Sequence[str] | None = None) -> None:
    counted_in = "a corpus in the official format, to count sentences and pairs a photo in"
    sizes = {"photos": (3000, None), "width": (1200, "px"), "height": (900, "px")}
    options = parse(__doc__, argv, **sizes, reviews=(str, counted_in))
    folder = Path(tempfile.mkdtemp(prefix="scale-rates-"))
    try:
        report(measured(folder, options), options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the jobs; the figures of their manifests, by artifact, and the tables' counts."""
    from jobs import distill, embed, fetch_images, ingest
    from jobs.runner import cluster
    from jobs.runner.config import CorpusConfig, PipelineConfig
    from jobs.runner.execute import execute

    corpus = CorpusConfig(reviews=str(folder / "reviews.json"), photos=str(folder / "photos"))
    print(f"writing {options.photos:,} photos of {options.width} x {options.height}", flush=True)
    write_corpus(folder, options)
    workspace = Workspace(str(folder / "workspace"))
    write_clip(workspace, folder)
    made_up = folder / "made-up"
    write_workspace(str(made_up), replace(MadeUp(), reviews=50_000))
    config = PipelineConfig(root=workspace.root, corpus=corpus)
    with cluster.connected(config.cluster):
        for step in (ingest.STEP, fetch_images.STEP, embed.STEP):
            execute(step, workspace, config)
        scored = Workspace(str(made_up))
        execute(distill.STEP, scored, replace(config, root=scored.root))
        counts = counted(workspace)
        if options.reviews:
            theirs = Workspace(str(folder / "theirs"))
            execute(
                ingest.STEP, theirs, replace(config, root=theirs.root, corpus=replace(corpus, reviews=options.reviews))
            )
            counts = counted(theirs)
    names = ("images", "image_embeddings", "sentence_embeddings")
    return {name: workspace.require(name).metrics for name in names} | {
        "alignments": scored.require("alignments").metrics["scored"],
        "counts": counts,
        "bytes": sum(info.size for info in workspace.filesystem.get_file_info(workspace.shards("images"))),
    }


def write_corpus(folder: Path, options: argparse.Namespace) -> None:
    """JPEGs, and two of them a review with a few sentences."""
    (folder / "photos").mkdir()
    for number, data in enumerate(photographs(options)):
        (folder / "photos" / f"p{number:06}.jpg").write_bytes(data)
    with (folder / "reviews.json").open("w") as file:
        for line in reviews(options.photos):
            file.write(json.dumps(line) + "\n")


def reviews(photos: int) -> Iterator[dict[str, Any]]:
    for start in range(0, photos, 2):
        pics = [{"id": f"p{n:06}", "url": [f"https://x/p{n:06}"]} for n in range(start, min(start + 2, photos))]
        text = " ".join(SENTENCES)
        yield {"user_id": f"u{start // 6}", "business_id": f"b{start}", "rating": 5, "review_text": text, "pics": pics}


def counted(workspace: Workspace) -> dict[str, float]:
    """Sentences and pairs a photo of an ingested corpus."""
    photos = workspace.read_table("photos", ["review_id"]).group_by("review_id").aggregate([([], "count_all")])
    rows = workspace.read_table("reviews", ["review_id", "sentences"])
    said = pa.table({"review_id": rows["review_id"], "said": pc.list_value_length(rows["sentences"])})
    both = said.join(photos, "review_id")
    total = pc.sum(both["count_all"]).as_py()
    pairs = pc.sum(pc.multiply(both["said"], both["count_all"])).as_py()
    return {"sentences": pc.sum(both["said"]).as_py() / total, "pairs": pairs / total, "photos": total}


def report(figures: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Print each rate with its place in docs/scale.json, and how well the simulation tells the time of the run."""
    fetched, photos, sentences, pairs = (
        figures[name] for name in ("images", "image_embeddings", "sentence_embeddings", "alignments")
    )
    held = cores()
    rates = {
        "steps.fetch_images.fetch.rows_per_s": fetched["rows"] / fetched["cpu_seconds"],
        "steps.embed photos.encode.rows_per_s": photos["rows"] / (photos["decode_cpu_s"] + held * photos["encode_s"]),
        "steps.embed sentences.encode text.rows_per_s": sentences["rows"] / (held * sentences["encode_s"]),
        "steps.distill.score.rows_per_s": pairs["rows"] / pairs["score_cpu_s"],
        "steps.embed sentences.rows_per_photo": figures["counts"]["sentences"],
        "steps.distill.rows_per_photo": figures["counts"]["pairs"],
    }
    for path, rate in rates.items():
        print(f"{path:48}{rate:>12,.2f}")
    print(f"decoding alone, photos a second of one core      {photos['rows'] / photos['decode_cpu_s']:>11,.1f}")
    loading = photos.get("loading_s", 0.0) + sentences.get("loading_s", 0.0)  # in the bill of whichever came first
    print(f"loading an encoder, s                            {loading:>11,.1f}")
    print(f"stored, bytes a photo                            {figures['bytes'] / fetched['rows']:>11,.0f}")
    print(f"photos of the corpus that was counted            {figures['counts']['photos']:>11,}")
    simulated = simulated_seconds(photos, unit=256, encoders=1)
    print(f"embed photos: {photos['seconds']:.1f} s in truth, {simulated:.1f} s simulated")
    print(json.dumps({"name": "scale_rates", "cores": held, "rates": {k: round(v, 4) for k, v in rates.items()}}))


if __name__ == "__main__":
    main()
