"""A slice of `make fuzz`, the same each time."""

import re

import pytest

from benchmarks.faults import fuzz
from benchmarks.faults.fuzz_photos import MODES, bases, fuzz_photos, photo
from showcases.photos import to_pixels


def test_mutated_photos_come_to_rows_and_the_same_ones_each_time() -> None:
    outcomes = fuzz_photos(300, seed=20)
    assert sum(outcomes.values()) == 300
    assert {name.split()[0] for name in outcomes} >= {"ok", "corrupt"}
    originals = bases()
    assert photo(20, 7, originals) == photo(20, 7, originals) != photo(21, 7, originals)


def test_what_is_mutated_is_whole_before() -> None:
    originals = bases()
    assert {name.split()[0] for name in originals} == set(MODES)
    for name, data in originals.items():
        assert to_pixels(data, 16).shape == (16, 16, 3), name


def test_the_command_runs_both_halves_and_counts_all(capsys: pytest.CaptureFixture[str]) -> None:
    fuzz.main(["--photos", "20", "--reviews", "30", "--seed", "3"])
    photos, reviews = capsys.readouterr().out.split("mutated")[1:]
    rows = [
        {name: int(number) for number, name in re.findall(r"^\| (\d+) \| (.+) \|$", half, re.MULTILINE)}
        for half in (photos, reviews)
    ]
    assert sum(rows[0].values()) == 20
    ends = [number for name, number in rows[1].items() if name.startswith(("kept", "rejected", "left out"))]
    assert rows[1]["lines"] == sum(ends) == 30
