"""Inspect a workspace, complete or not: reads columns of finished artifacts, but no photo bytes.

500,000 reviews of 36 words (real ones repeated with other words inserted) with 1,000,000 photos took 25 s of user CPU
time and a peak of 1,379 MiB.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.errors import ArtifactError
from showcases.gest.building.ragged import flatten
from showcases.gest.building.statistics import table_1
from showcases.gest.inspection import duplicates, histograms, languages, leaks
from showcases.gest.inspection.inspection import DIVERSITIES, Inspection, State
from showcases.gest.inspection.near import JACCARD, SHORT, Likeness, compare
from showcases.storage.artifacts import FLOW, Manifest, Workspace

COLUMNS: dict[str, tuple[str, ...]] = {
    "reviews": ("review_id", "user_id", "business_id", "rating", "text", "photo_ids", "split"),
    "photos": ("photo_id", "user_id", "business_id"),
    "rejects": ("reason",),
    "images": ("photo_id", "status", "content_hash", "same_as"),
    "gest_s1": ("review_id", "user_id", "business_id", "photo_ids", "history_review_ids", "split"),
    "gest_s2": ("review_id", "user_id", "business_id", "explanation", "photo_ids", "history_review_ids", "split"),
}
RULES = (
    f"Texts are compared as words in lower case without punctuation; nearly the same are two whose sets of word "
    f"3-shingles have a Jaccard index of at least {JACCARD}. All such pairs are found.",
    f"Texts of fewer than {SHORT} words are not compared, and the same one in two splits is no error: "
    "many people write “Great food”.",
    "Texts in two splits are those to be learned or written (the review in gest_s1, the explanation in gest_s2), not "
    "the past reviews, which are input and follow their user. Candidates of gest_s1, all photos of a business, are "
    "shared by the splits as in the paper; a photo in two splits is one that users of both posted.",
    "Languages go by script and by spaCy's stop words; und: fewer than two words tell, as in “Great food”.",
)


class Sight:
    """The finished artifacts of a workspace, each read once."""

    def __init__(self, workspace: Workspace) -> None:
        self.manifests = {artifact.name: workspace.manifest(artifact.name) for artifact in FLOW}
        self.tables = {
            name: workspace.read_table(name, columns)
            for name, columns in COLUMNS.items()
            if self.manifests[name] is not None
        }
        self.workspace = workspace
        self.states = tuple(_states(workspace, self.manifests, self.tables))

    @property
    def imported(self) -> bool:
        """The reviews are the published GEST-s2's explanations, not whole reviews (jobs.import_s2)."""
        manifest = self.manifests["reviews"]
        return manifest is not None and manifest.step == "import_s2"


def inspect_workspace(workspace: Workspace) -> Inspection:
    """Run all checks.

    Raises:
        ArtifactError: no artifact is finished.
    """
    sight = Sight(workspace)
    if not sight.tables:
        raise ArtifactError(
            f"{workspace.root}: none of {', '.join(COLUMNS)} is finished; run jobs.ingest or jobs.import_s2 first"
        )
    reviews = sight.tables.get("reviews")
    texts = None if reviews is None else compare(reviews["text"])
    spread, source = _figure_3(sight)
    return Inspection(
        root=workspace.root.partition("?")[0],  # strips the store's options
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        states=sight.states,
        table_1=_table_1(sight),
        figure_3=spread,
        histograms=tuple(_histograms(sight)),
        duplicates=tuple(_duplicates(sight, texts)),
        leaks=tuple(_leaks(sight, texts)),
        notes=(*RULES, *source, *_notes(sight)),
    )


def _states(
    workspace: Workspace, manifests: Mapping[str, Manifest | None], tables: Mapping[str, pa.Table]
) -> list[State]:
    """State of all artifacts; row counts of those that were read."""
    found = []
    for artifact in FLOW:
        manifest = manifests[artifact.name]
        if manifest is None:
            state = "unfinished" if workspace.shards(artifact.name) else "missing"
            found.append(State(artifact.name, artifact.step, state))
        else:
            rows = tables[artifact.name].num_rows if artifact.name in tables else None
            found.append(State(artifact.name, manifest.step, "finished", rows))
    return found


def _table_1(sight: Sight) -> dict[str, dict[str, float]]:
    """Table 1 computed from the rows; for raw, of all photos that reviews name."""
    found, reviews = {}, sight.tables.get("reviews")
    if reviews is not None and not sight.imported:
        found["raw"] = table_1(reviews, "text", flatten(reviews["photo_ids"])[0])
    if (s1 := sight.tables.get("gest_s1")) is not None and reviews is not None:
        rows = reviews.filter(pc.is_in(reviews["review_id"], value_set=s1["review_id"].combine_chunks()))
        found["s1"] = table_1(rows, "text", flatten(s1["photo_ids"])[0])
    if (s2 := sight.tables.get("gest_s2")) is not None:
        found["s2"] = table_1(s2, "explanation", flatten(s2["photo_ids"])[0])
    return found


def _figure_3(sight: Sight) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:
    """The diversities from build_gest's manifest, or else computed from the vectors; and a note on which."""
    manifest = sight.manifests["gest_s1"]
    recorded: Mapping[str, Any] = {} if manifest is None else manifest.metrics
    if all(name in recorded.get("s1", {}) for name in DIVERSITIES):
        known = {name: {column: figures[column] for column in DIVERSITIES} for name, figures in recorded.items()}
        return known, ("Figure 3 is as build_gest computed it (gest_s1's manifest).",)
    photos = sight.tables.get("photos")
    if photos is None or sight.manifests["image_embeddings"] is None:
        return {}, ()
    from showcases.gest.building.diversity import diversities  # imports torch
    from showcases.storage.embeddings import EmbeddingShards

    sets = {} if sight.imported else {"raw": np.ones(photos.num_rows, bool)}
    for name in ("s1", "s2"):
        if (table := sight.tables.get(f"gest_{name}")) is not None:
            sets[name] = np.asarray(pc.is_in(photos["photo_id"], value_set=flatten(table["photo_ids"])[0]))
    images = EmbeddingShards(sight.workspace, "image_embeddings")
    return diversities(photos, images, sets), ("Figure 3 was computed from image_embeddings.",)


def _histograms(sight: Sight) -> list[histograms.Histogram]:
    found, tables = [], sight.tables
    if "reviews" in tables:
        found += histograms.of_reviews(tables["reviews"], languages.histogram(tables["reviews"]["text"]))
    for name, column, title, counted in (
        ("images", "status", "States of the photos", "photos"),
        ("rejects", "reason", "Lines that are no review, or have an unusable photo, by reason", "lines"),
    ):
        if name in tables:
            bars = histograms.value_counts(tables[name][column])
            found.append(histograms.Histogram(f"{name}_{column}", title, counted, bars))
    return found


def _duplicates(sight: Sight, texts: Likeness | None) -> list[duplicates.Duplicates]:
    found, tables = [], sight.tables
    if texts is not None:
        found += duplicates.of_texts("reviews", texts, tables["reviews"]["user_id"])
    found += [
        duplicates.of_photo_ids(name, tables[name]["photo_ids"])
        for name in ("reviews", "gest_s1", "gest_s2")
        if name in tables
    ]
    if "images" in tables:
        found += duplicates.of_contents(leaks.Contents.from_images(tables["images"]), tables.get("photos"))
    return found


def _leaks(sight: Sight, texts: Likeness | None) -> list[leaks.Leak]:
    """Leaks in the datasets that models are tested on, or in all reviews if these don't exist yet."""
    tables = sight.tables
    contents = leaks.Contents.from_images(tables["images"]) if "images" in tables else None
    found: list[leaks.Leak] = []
    if "gest_s1" in tables:
        found += _of_set("gest_s1", tables["gest_s1"], contents)
        found += _s1_texts(tables["gest_s1"], tables["reviews"], texts) if texts is not None else []
    if "gest_s2" in tables:
        s2 = tables["gest_s2"]
        texts_s2, splits = s2["explanation"], leaks.Splits.of(s2["split"])
        found += _of_set("gest_s2", s2, contents)
        found += leaks.text_leaks("gest_s2", compare(texts_s2), splits, s2["review_id"], texts_s2)
    if "gest_s1" in tables and "gest_s2" in tables:
        both = pa.concat_tables([tables[name].select(["user_id", "split"]) for name in ("gest_s1", "gest_s2")])
        found.append(leaks.key_leak("gest_s1 + gest_s2", "user", both["user_id"], leaks.Splits.of(both["split"])))
    if not found and texts is not None:
        reviews = tables["reviews"]
        splits = leaks.Splits.of(reviews["split"])
        found.append(leaks.key_leak("reviews", "user", reviews["user_id"], splits))
        found += leaks.photo_leaks("reviews", reviews["photo_ids"], splits, contents)
        found += leaks.text_leaks("reviews", texts, splits, reviews["review_id"], reviews["text"])
    return found


def _of_set(name: str, rows: pa.Table, contents: leaks.Contents | None) -> list[leaks.Leak]:
    """Leaks of users, reviews (as examples or as past reviews) and photos."""
    splits = leaks.Splits.of(rows["split"])
    past, lengths = flatten(rows["history_review_ids"])
    named = pa.concat_arrays([rows["review_id"].combine_chunks(), past.cast(pa.string())])
    of_named = leaks.Splits(splits.names, np.concatenate([splits.bits, np.repeat(splits.bits, lengths)]))
    return [
        leaks.key_leak(name, "user", rows["user_id"], splits),
        leaks.key_leak(name, "review, as example or as past review", named, of_named),
        *leaks.photo_leaks(name, rows["photo_ids"], splits, contents),
    ]


def _s1_texts(s1: pa.Table, reviews: pa.Table, texts: Likeness) -> list[leaks.Leak]:
    """Text leaks of the reviews behind gest_s1's examples; `texts` compares all reviews."""
    place = pc.index_in(s1["review_id"], value_set=reviews["review_id"].combine_chunks())
    known = np.asarray(pc.is_valid(place))
    at = np.asarray(pc.drop_null(place)).astype(np.int64)
    mine = Likeness(texts.group[at], texts.words[at], texts.pairs)
    ids = s1["review_id"].filter(pa.array(known))
    splits = leaks.Splits.of(s1["split"].filter(pa.array(known)))
    return leaks.text_leaks("gest_s1", mine, splits, ids, reviews["text"].take(pa.array(at)))


def _notes(sight: Sight) -> list[str]:
    """Remarks on this workspace for the reader."""
    notes = []
    if "reviews" in sight.tables:
        count = languages.translated(sight.tables["reviews"]["text"])
        notes.append(f"{count:,} reviews contain Google's translation.")
    if sight.imported:
        notes.append(
            "The reviews are those of the published GEST-s2 (jobs.import_s2): explanations and past reviews, so "
            "Table 1 has no row raw."
        )
    if "gest_s1" not in sight.tables and "gest_s2" not in sight.tables:
        notes.append("Neither gest_s1 nor gest_s2 is finished: all reviews were checked for leaks.")
    if "images" not in sight.tables:
        notes.append("images is not finished: photos were compared by id only.")
    return notes
