"""The world: sizes, statistics, planted faults, sentences that a splitter recovers."""

from collections import Counter
from statistics import median

import pytest
import spacy

from showcases.errors import ConfigError
from showcases_demo import MiniConfig, World, build_world
from showcases_demo.menu import CUISINES, DISHES, EXTRAS
from showcases_demo.summary import summarize
from showcases_demo.writer import official_rows

SIZES = [
    MiniConfig(restaurants=6, users=24, reviews=90, photos=160),
    MiniConfig(restaurants=10, users=40, reviews=120, photos=400, seed=3),
    MiniConfig(restaurants=40, users=250, reviews=1500, photos=3000, seed=1),
]


@pytest.mark.parametrize("config", SIZES, ids=lambda config: f"{config.reviews} reviews")
def test_counts_are_those_of_the_config(config: MiniConfig) -> None:
    found = summarize(build_world(config), photo_files=0, label_tasks=0)
    assert (found.reviews, found.photos, found.users) == (config.reviews, config.photos, config.users)
    assert config.restaurants * 0.9 <= found.businesses <= config.restaurants


@pytest.mark.parametrize("config", SIZES, ids=lambda config: f"{config.reviews} reviews")
def test_planted_faults_are_counted_and_there(config: MiniConfig) -> None:
    world = build_world(config)
    rows = Counter(review.fault for review in world.reviews)
    photos = {photo.photo_id: photo for review in world.reviews for photo in review.photos}.values()
    found = rows | Counter(f"photo {photo.fault}" for photo in photos)
    for name, planted in world.faults.items():
        kind = {"expired_urls": "photo expired", "truncated_jpegs": "photo truncated"}.get(name, name)
        there = sum(bool(photo.copy_of) for photo in photos) if name == "duplicate_photos" else found[kind]
        assert there == planted >= 1, name


def test_faulty_rows_are_what_they_say(town: World) -> None:
    by_fault = {review.fault: review for review in town.reviews}
    assert by_fault["empty_texts"].text == ""
    assert 1 <= len(by_fault["under_5_words"].text.split()) < 5
    assert not by_fault["no_photos"].photos
    assert len(by_fault["over_10_photos"].photos) > 10
    assert by_fault["translated_by_google"].text.startswith("(Translated by Google) ")
    assert "(Original)" in by_fault["translated_by_google"].text
    assert any("\u3040" <= character <= "\u30ff" for character in by_fault["japanese"].text)
    assert any("😍" in review.text for review in town.reviews)


def test_duplicate_rows_are_exact_and_others_unique(town: World) -> None:
    rows = Counter(str(row) for row in official_rows(town))
    assert sum(count - 1 for count in rows.values()) == town.faults["duplicate_rows"]
    pairs = {(review.user, review.restaurant) for review in town.reviews}
    assert len(pairs) == len(town.reviews) - town.faults["duplicate_rows"]


def test_statistics_are_like_real_data(town: World) -> None:
    found = summarize(town, photo_files=0, label_tasks=0)
    assert 25 <= found.words_per_review <= 45
    assert 0.35 <= found.single_review_users <= 0.45
    per_business = Counter(review.restaurant for review in town.reviews for _ in review.photos)
    assert max(per_business.values()) > 2 * median(per_business.values())
    per_user = Counter(review.user for review in town.reviews)
    assert max(per_user.values()) > 3 * len(town.reviews) / len(per_user)
    assert "1,010,511" in found.as_table() and "36.26" in found.as_table()


def test_spacy_recovers_every_sentence(town: World) -> None:
    splitter = spacy.blank("en")
    splitter.add_pipe("sentencizer")
    plain = [review for review in town.reviews if review.sentences]
    for review, doc in zip(plain, splitter.pipe(review.text for review in plain), strict=True):
        assert [span.text.strip() for span in doc.sents] == [sentence.text for sentence in review.sentences]


def test_sentences_tell_what_they_describe(town: World) -> None:
    kinds: Counter[str] = Counter()
    for review in town.reviews:
        shown = {(photo.subject.kind, photo.subject.name) for photo in review.photos}
        for sentence in review.sentences:
            about = sentence.about and (sentence.about.kind, sentence.about.name)
            kinds["nothing" if about is None else "shown" if about in shown else "not shown"] += 1
            assert about in shown or about is None or about[0] == "dish"  # a scene is never just remembered
    total = kinds.total()
    assert kinds["shown"] > 0.3 * total
    assert kinds["nothing"] > 0.25 * total
    assert kinds["not shown"] > 0.03 * total


def test_menus_name_known_dishes() -> None:
    for cuisine, dishes in {**CUISINES, "extras": EXTRAS}.items():
        assert set(dishes) <= set(DISHES), cuisine
    assert set().union(*CUISINES.values()) == set(DISHES)


@pytest.mark.parametrize("wrong", [{"photos": 100}, {"reviews": 10}, {"restaurants": 1}, {"photo_size": 4}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MiniConfig(**wrong)
