"""The compact set against Python's own."""

import numpy as np
import pytest

from showcases.gest.building.digests import DigestSet, digest_ids


@pytest.mark.parametrize("seed", range(3))
def test_it_holds_what_a_set_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    digests, plain = DigestSet(), set()
    for size in rng.integers(0, 200, 60):
        batch = rng.integers(0, 3000, size).astype(np.uint64)
        assert digests.contains(batch).tolist() == [value in plain for value in batch.tolist()]
        expected = []
        for value in batch.tolist():
            expected.append(value not in plain)
            plain.add(value)
        assert digests.add(batch).tolist() == expected
        assert len(digests) == len(plain)
    assert digests.values().tolist() == sorted(plain)


def test_the_same_id_has_the_same_digest_and_others_another() -> None:
    names = [f"AF1Qip{number}" for number in range(20_000)]
    assert len(set(digest_ids(names).tolist())) == len(names)
    assert digest_ids(["ü", "b"]).tolist() == digest_ids(["ü", "b"]).tolist()
    assert digest_ids([]).dtype == np.uint64 and len(digest_ids([])) == 0
