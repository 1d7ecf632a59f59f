"""docs/own-data.md: its row is read, and what it says of other forms and of ids holds."""

import json
import re
from pathlib import Path

import pytest

from showcases.gest.reading.records import parse_record

OTHER = {  # a line of Google Local 2021
    "user_id": "1118",
    "time": 1617296337174,
    "rating": 5,
    "text": "The food was unique.",
    "pics": [{"url": ["https://lh5.googleusercontent.com/p/AF1QipMHkf_7-Q8=w150-h150-k-no-p"]}],
    "resp": None,
    "gmap_id": "0x80c8:0xc136",
}


def fence(repository: Path, language: str) -> str:
    text = (repository / "docs" / "own-data.md").read_text(encoding="utf-8")
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return found


def test_the_row_shown_is_one(repository: Path) -> None:
    row = json.loads(fence(repository, "json"))
    row["pics"][0]["id"] = row["pics"][0]["id"].removesuffix("…")
    assert parse_record(row).text == "Great ramen. Parking was easy."


@pytest.mark.parametrize("pics", [OTHER["pics"], None])
def test_google_local_2021_is_read_as_the_page_says(pics: object) -> None:
    record = parse_record(OTHER | {"pics": pics})
    assert (record.user_id, record.business_id, record.rating) == ("1118", "0x80c8:0xc136", 5)
    url = "https://lh5.googleusercontent.com/p/AF1QipMHkf_7-Q8=w150-h150-k-no-p"
    assert list(record.pics) == ([("AF1QipMHkf_7-Q8", url)] if pics else [])
