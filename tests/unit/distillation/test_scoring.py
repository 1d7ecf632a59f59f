"""All pairs of a partition, and the way of vectors to their partition, against loops over reviews and rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from showcases.distillation import PairClassifier, PairScorer
from showcases.distillation.partitions import PhotoIndex, of_reviews, of_sentences
from showcases.distillation.scoring import find_pairs
from showcases.distillation.shuffle import Shuffle
from showcases.errors import ArtifactError
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import ALIGNMENTS
from tests.artifacts import embedding_table

D = 6
Review = tuple[str, list[str] | None]  # review id, photo ids


def vectors(ids: list[str], seed: int) -> pa.Table:
    unit = np.random.default_rng(seed).normal(size=(len(ids), D))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return embedding_table(ids, unit, "toy")


def table_of(reviews: list[Review]) -> pa.Table:
    photos = pa.array([photos for _, photos in reviews], pa.list_(pa.string()))
    return pa.table([pa.array([name for name, _ in reviews], pa.string()), photos], names=["review_id", "photo_ids"])


def corpus(seed: int, count: int = 60) -> tuple[list[Review], list[str], list[str]]:
    """Reviews, and the ids of the sentences and photos that were embedded: some are missing, some of no review."""
    rng = np.random.default_rng(seed)
    reviews: list[Review] = []
    said, shown = [f"u:{count}_unknown:0"], ["of no review"]
    for i in range(count):
        photos = [f"p{i}-{j}" for j in range(rng.integers(0, 4))]
        reviews.append((f"u:{i}_b{rng.integers(9)}", photos + photos[:1] if i else None))
        said += [f"{reviews[-1][0]}:{n}" for n in range(rng.integers(0, 13)) if rng.random() < 0.8]
        shown += [name for name in photos if rng.random() < 0.8]
    reviews.append(("another_b1", ["p1-0", "p2-0"]))  # a photo may be shown twice
    said.append("another_b1:0")
    return reviews, [said[i] for i in rng.permutation(len(said))], [shown[i] for i in rng.permutation(len(shown))]


def by_loops(reviews: list[Review], said: list[str], shown: list[str]) -> list[tuple[str, str, str]]:
    """Review by review, sentence by sentence, photo by photo."""
    return [
        (name, f"{name}:{n}", photo)
        for name, photos in reviews
        for n in range(20)
        if f"{name}:{n}" in said
        for photo in dict.fromkeys(photos or ())
        if photo in shown
    ]


@pytest.mark.parametrize("seed", range(4))
def test_every_pair_of_each_review_once_and_no_other(seed: int) -> None:
    reviews, said, shown = corpus(seed)
    pairs = find_pairs(table_of(reviews), pa.chunked_array([said]), pa.chunked_array([shown[:5], shown[5:]]))
    found = [
        (reviews[r][0], said[s], shown[p]) for r, s, p in zip(pairs.review, pairs.sentence, pairs.photo, strict=True)
    ]
    assert found == by_loops(reviews, said, shown) and len(found) == len(pairs) > 100


def test_nothing_to_pair_is_no_pair() -> None:
    none = pa.chunked_array([], pa.string())
    assert len(find_pairs(table_of([("u_b", ["p"])]), none, pa.chunked_array([["p"]]))) == 0
    assert len(find_pairs(table_of([]), pa.chunked_array([["u_b:0"]]), none)) == 0


@pytest.fixture
def model(tmp_path: Path) -> PairClassifier:
    model = PairClassifier(D, embedding_space="toy")
    torch.manual_seed(0)
    torch.nn.init.normal_(model.layer.weight)
    model.save_pretrained(tmp_path / "model")
    return model


def test_a_score_is_what_the_classifier_says_of_that_pair_alone(model: PairClassifier, tmp_path: Path) -> None:
    reviews, said, shown = corpus(7)
    sentences, photos = vectors(said, 1), vectors(shown, 2)
    found = PairScorer(tmp_path / "model", "toy")(table_of(reviews), sentences, photos)
    assert found.schema == ALIGNMENTS
    text, image = (
        {row["id"]: np.array([row["vector"]], np.float16) for row in table.to_pylist()} for table in (sentences, photos)
    )
    for row in found.to_pylist():
        expected = model.score(text[row["sentence_id"]], image[row["photo_id"]])[0]
        assert row["score"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("partitions", [1, 2, 7, 200])
def test_partitions_together_hold_the_same_pairs_and_each_vector_moves_once(
    model: PairClassifier, tmp_path: Path, partitions: int
) -> None:
    reviews, said, shown = corpus(3)
    table, sentences, photos = table_of(reviews), vectors(said, 1), vectors(shown, 2)
    shuffle = Shuffle(Workspace(str(tmp_path / "workspace")), "alignments", partitions)
    place = of_reviews(table["review_id"], partitions)
    shuffle.deal(table, np.arange(table.num_rows), place, "reviews.arrow")
    listed = [(name, place[i]) for i, (_, names) in enumerate(reviews) for name in names or ()]
    index = PhotoIndex.build([name for name, _ in listed], np.array([where for _, where in listed]))
    for number, half in enumerate((sentences.slice(0, 100), sentences.slice(100))):
        shuffle.deal(half, np.arange(half.num_rows), of_sentences(half["id"], partitions), f"s{number}.arrow")
    rows, where = index.find(photos["id"].to_pylist())
    shuffle.deal(photos, rows, where, "p.arrow")

    score, got = PairScorer(tmp_path / "model", "toy"), []
    come: list[str] = []
    for number in range(partitions):
        parts = [shuffle.fetch(names, number) for names in (["reviews.arrow"], ["s0.arrow", "s1.arrow"], ["p.arrow"])]
        come += [name for part in parts[1:] for name in part["id"].to_pylist()]
        got += score(*parts).to_pylist()
    whole = score(table, sentences, photos).to_pylist()
    key = lambda row: (row["sentence_id"], row["photo_id"])  # noqa: E731
    for one, other in zip(sorted(got, key=key), sorted(whole, key=key), strict=True):
        assert key(one) == key(other) and one["score"] == pytest.approx(other["score"], rel=1e-5)
    twice = {name for name in ("p1-0", "p2-0") if len({w for n, w in listed if n == name}) > 1}
    expected = said + [name for name in shown if name in dict(listed)] + [name for name in twice if name in shown]
    assert sorted(come) == sorted(expected)  # a photo of two reviews goes to both partitions, all else to one
    shuffle.clear()
    assert shuffle.names() == set()


def test_partitions_are_even_and_never_change() -> None:
    names = pa.array([f"{user}_{place}" for user in range(300) for place in range(20)])
    sizes = np.bincount(of_reviews(names, 16), minlength=16)
    assert sizes.min() > 300 and sizes.max() < 450
    # what earlier releases dealt out must still be found: CRC-32 of "123456789" is 0xCBF43926, by its definition
    assert of_reviews(pa.array(["123456789"]), 1 << 32).tolist() == [0xCBF43926]
    assert of_sentences(pa.array(["a:b_c:12"]), 1 << 32).tolist() == of_reviews(pa.array(["a:b_c"]), 1 << 32).tolist()


def test_a_dealt_file_that_is_gone_is_named(tmp_path: Path) -> None:
    shuffle = Shuffle(Workspace(str(tmp_path)), "alignments", 2)
    with pytest.raises(ArtifactError, match=r"x\.arrow.*jobs\.distill"):
        shuffle.fetch(["x.arrow"], 0)


def test_dealing_out_on_s3_is_the_same(s3_server) -> None:
    shuffle = Shuffle(Workspace(s3_server.root("dealt")), "alignments", 3)
    table = vectors([f"u_b:{i}" for i in range(20)], 0)
    place = np.arange(20) % 2  # nothing goes to the third
    assert shuffle.names() == set()
    size = shuffle.deal(table, np.arange(20), place, "s.arrow")
    assert shuffle.names() == {"s.arrow"} and 20 * D * 2 < size < 20 * D * 2 + 5000
    parts = [shuffle.fetch(["s.arrow"], number) for number in range(3)]
    assert [part["id"].to_pylist() for part in parts[:2]] == [table["id"].to_pylist()[i::2] for i in range(2)]
    assert parts[0]["vector"].to_pylist() == table["vector"].to_pylist()[::2] and parts[2].num_rows == 0
    assert parts[2].schema == table.schema
    shuffle.clear()
    shuffle.clear()
    assert shuffle.names() == set()
    with pytest.raises(ArtifactError, match="is missing"):
        shuffle.fetch(["s.arrow"], 0)
