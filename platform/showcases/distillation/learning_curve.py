"""Learning curve of Φ: trained on growing parts of the training split, measured on the same test split.

With label-free baselines: CLIP's raw cosine, and Φ trained on weak labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.distillation.annotations import ReviewPairs
from showcases.distillation.config import DistillConfig
from showcases.distillation.metrics import best_threshold, f1_score, roc_auc
from showcases.distillation.training import train_classifier
from showcases.distillation.weak import similarity, weak_labels
from showcases.errors import CorpusError
from showcases.storage.embeddings import EmbeddingTable

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """Φ trained on a number of labels.

    Attributes:
        name: as a table calls it.
        labels: pairs trained on, one a seed.
        auc: on people's test pairs, 0 to 1, one per seed.
        f1: likewise, at the best threshold on their val pairs.
        skipped: seeds whose part has only one class.
    """

    name: str
    labels: tuple[int, ...]
    auc: tuple[float, ...]
    f1: tuple[float, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Curve:
    """The points by increasing number of labels, the label-free baselines, and the number of test pairs."""

    points: list[Point]
    references: list[Point]
    test_pairs: int


@dataclass(frozen=True)
class Labelled:
    """Data of the curve: people's pairs of all three splits, and the vectors of their reviews."""

    annotations: pa.Table
    sentences: EmbeddingTable
    photos: EmbeddingTable


def learning_curve(
    data: Labelled,
    reviews: Sequence[ReviewPairs],
    config: DistillConfig,
    counts: Sequence[int],
    seeds: Sequence[int],
    progress: Progress = lambda text: None,
) -> Curve:
    """Train Φ as `jobs.distill` does, for each count and seed.

    Args:
        reviews: of the training split, to be weakly labelled by similarity.
        counts: labels to train on; a part consists of whole reviews, so it has slightly more. The whole split is last.
        seeds: of the order in which reviews are taken, and of training.

    Raises:
        ArtifactError: the val or test split lacks one class.
        CorpusError: there are no labels by people.
    """
    people = data.annotations.filter(pc.equal(data.annotations["source"], "people"))
    if not people.num_rows:
        raise CorpusError("annotations: no labels by people to measure on; run jobs.annotate import")
    data = replace(data, annotations=people)
    train = _split(people, "train")
    sizes = [(f"{count} labels", count) for count in sorted(set(counts)) if 0 < count < train.num_rows]
    points: list[Point] = []
    for name, count in [*sizes, ("all labels", train.num_rows)]:
        points.append(_point(name, data, train, count, config, seeds))
        progress(_describe(points[-1]))
    references = [raw_cosine(data), *_weak_start(data, reviews, config, seeds, progress)]
    for point in references:
        progress(_describe(point))
    return Curve(points, references, _split(people, "test").num_rows)


def take_reviews(train: pa.Table, count: int, seed: int) -> pa.Table:
    """Pairs of whole reviews, at least `count`; with one seed, smaller parts are subsets of larger ones."""
    reviews = sorted(set(train["review_id"].to_pylist()))
    order = {reviews[i]: place for place, i in enumerate(np.random.default_rng(seed).permutation(len(reviews)))}
    place = np.array([order[name] for name in train["review_id"].to_pylist()])
    reached = np.cumsum(np.bincount(place, minlength=len(reviews)))
    last = int(np.searchsorted(reached, count))  # the first review that reaches `count`
    return train.filter(pa.array(place <= last))


def raw_cosine(data: Labelled) -> Point:
    """CLIP's similarity instead of Φ; uses only val labels, for its threshold."""
    parts = {}
    for name in ("val", "test"):
        rows = _split(data.annotations, name).to_pylist()
        cosine = similarity([(row["sentence_id"], row["photo_id"], "") for row in rows], data.sentences, data.photos)
        parts[name] = np.array([row["label"] for row in rows]), (1 + cosine) / 2
    labels, scores = parts["test"]
    return Point(
        "CLIP cosine, no training",
        (0,),
        (roc_auc(labels, scores),),
        (f1_score(labels, scores >= best_threshold(*parts["val"])),),
    )


def _weak_start(
    data: Labelled, reviews: Sequence[ReviewPairs], config: DistillConfig, seeds: Sequence[int], progress: Progress
) -> list[Point]:
    """Φ trained only on weak labels of the training reviews; empty if there are too few pairs."""
    try:
        weak = weak_labels(reviews, data.sentences, data.photos, seed=0).table
    except CorpusError as error:
        progress(f"no weak start: {error}")
        return []
    everywhere = pa.array(["train"] * weak.num_rows)
    weak = weak.set_column(weak.schema.get_field_index("split"), "split", everywhere)
    return [replace(_point("weak labels alone", data, weak, weak.num_rows, config, seeds), labels=(0,))]


def _point(
    name: str, data: Labelled, train: pa.Table, count: int, config: DistillConfig, seeds: Sequence[int]
) -> Point:
    rest = data.annotations.filter(pc.not_equal(data.annotations["split"], "train"))
    found: list[tuple[int, float, float]] = []
    for seed in seeds:
        part = take_reviews(train, count, seed)
        if pc.count_distinct(part["label"]).as_py() < 2:
            continue
        seeded = replace(config, loop=replace(config.loop, seed=seed))
        _, figures = train_classifier(pa.concat_tables([part, rest]), data.sentences, data.photos, seeded)
        found.append((part.num_rows, figures["auc"], figures["f1"]))
    labels, auc, f1 = zip(*found, strict=True) if found else ((), (), ())
    return Point(name, labels, auc, f1, len(seeds) - len(found))


def _split(annotations: pa.Table, name: str) -> pa.Table:
    return annotations.filter(pc.equal(annotations["split"], name))


def _describe(point: Point) -> str:
    if not point.auc:
        return f"{point.name}: only one class, nothing to learn from"
    return f"{point.name}: AUC {np.mean(point.auc):.3f}, F1 {np.mean(point.f1):.3f} ({len(point.auc)} seeds)"
