"""A small slice of `make fuzz`: mutated review lines, every one accounted for; and what the mutations reach."""

from benchmarks.faults.fuzz_reviews import fuzz_reviews

REACHED = {
    "kept", "blank", "unusable photos", "left out: empty text", "left out: fewer than 5 words", "left out: no photo",
    "rejected: invalid UTF-8", "rejected: not JSON", "rejected: not a JSON object", "rejected: missing field",
    "rejected: wrong type", "rejected: rating outside 1 to 5", "rejected: unusable id", "rejected: duplicate review",
    "rejected: line too long",
}  # fmt: skip


def test_no_mutated_line_is_lost_and_every_reason_is_reached() -> None:
    found = fuzz_reviews(1000, seed=5)
    assert found["lines"] >= 1000
    assert found.keys() >= REACHED


def test_the_seed_decides_all() -> None:
    assert fuzz_reviews(60, seed=1) == fuzz_reviews(60, seed=1) != fuzz_reviews(60, seed=2)
