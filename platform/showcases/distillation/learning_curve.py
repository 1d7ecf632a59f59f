"""How much of Φ more labels would buy: trained on growing parts of the training split, measured on the same test split.

Beside it what costs no label: CLIP's cosine as it is, and Φ trained on weak labels.
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
    """Φ after so many labels.

    Attributes:
        name: as a table calls it.
        labels: pairs trained on, one a seed.
        auc: on the people's test pairs, 0 to 1, one a seed.
        f1: the same, at the threshold that is best on their val pairs.
        skipped: seeds whose part held one kind of pair alone, which teaches nothing.
    """

    name: str
    labels: tuple[int, ...]
    auc: tuple[float, ...]
    f1: tuple[float, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Curve:
    """The points by growing number of labels, what costs none, and how many test pairs measured them all."""

    points: list[Point]
    references: list[Point]
    test_pairs: int


@dataclass(frozen=True)
class Labelled:
    """What the curve is drawn from: people's pairs of all three splits, and the vectors of their reviews."""

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
        reviews: those of the training split, to be labelled by similarity for the weak start.
        counts: labels to train on; a part is made of whole reviews, so it has a few more. The whole split comes last.
        seeds: of the order in which reviews are taken, and of training.

    Raises:
        ArtifactError: the val or test split lacks one kind of pair.
        CorpusError: no label is a person's.
    """
    people = data.annotations.filter(pc.equal(data.annotations["source"], "people"))
    if not people.num_rows:
        raise CorpusError("annotations: no label is a person's, so nothing can be measured; run jobs.annotate import")
    data = replace(data, annotations=people)
    train = _split(people, "train")
    asked = [(f"{count} labels", count) for count in sorted(set(counts)) if 0 < count < train.num_rows]
    points: list[Point] = []
    for name, count in [*asked, ("all labels", train.num_rows)]:
        points.append(_point(name, data, train, count, config, seeds))
        progress(_told(points[-1]))
    references = [raw_cosine(data), *_weak_start(data, reviews, config, seeds, progress)]
    for point in references:
        progress(_told(point))
    return Curve(points, references, _split(people, "test").num_rows)


def take_reviews(train: pa.Table, count: int, seed: int) -> pa.Table:
    """The pairs of so many whole reviews that they are `count` or just above; with one seed, fewer lie within more."""
    reviews = sorted(set(train["review_id"].to_pylist()))
    order = {reviews[i]: place for place, i in enumerate(np.random.default_rng(seed).permutation(len(reviews)))}
    place = np.array([order[name] for name in train["review_id"].to_pylist()])
    reached = np.cumsum(np.bincount(place, minlength=len(reviews)))
    last = int(np.searchsorted(reached, count))  # the first review with which `count` is reached
    return train.filter(pa.array(place <= last))


def raw_cosine(data: Labelled) -> Point:
    """CLIP's similarity in the place of Φ: no label but those of val, for its threshold."""
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
    """Φ trained on weak labels of the training reviews alone; none where there are too few pairs."""
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


def _told(point: Point) -> str:
    if not point.auc:
        return f"{point.name}: pairs of one kind alone, nothing to learn from"
    return f"{point.name}: AUC {np.mean(point.auc):.3f}, F1 {np.mean(point.f1):.3f} ({len(point.auc)} seeds)"
