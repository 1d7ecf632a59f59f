"""A tenant that sent nothing costs no look at the side tables, and yet is seen to have sent when its PUT returns."""

from pathlib import Path
from typing import Any

import pytest

from showcases.catalog import Catalog, live
from tests.unit.catalog.made_up import PHOTOS, write

SENT = {"review_id": "r1", "business_id": "b0", "text": "Words."}


def test_lookups_of_a_tenant_without_rows_leave_the_side_tables_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(str(tmp_path))
    catalog, elsewhere = Catalog.open(str(tmp_path)), Catalog.open(str(tmp_path))
    looks: list[str] = []
    find = live.find

    def counted(table: Any, where: str, *more: Any) -> Any:
        looks.append(where)
        return find(table, where, *more)

    monkeypatch.setattr(live, "find", counted)
    user, place = PHOTOS[0]["user_id"], PHOTOS[0]["business_id"]

    def look(reader: Catalog) -> list[Any]:
        rows = reader.photos_of_business(place, "new").ids, reader.reviews_of_user(user, "new").ids
        return [*rows, reader.user(user, "new"), reader.photo("p0", "new"), reader.business(place, "new")]

    published = look(catalog)
    assert looks == [] and published[2] == catalog.user(user)
    for turn in range(3):  # each time `elsewhere` has just made sure that there is nothing
        assert "r1" not in elsewhere.reviews_of_user(user, f"t{turn}").ids
        catalog.put_reviews(user, [SENT], f"t{turn}")
        assert "r1" in elsewhere.reviews_of_user(user, f"t{turn}").ids
        assert "r1" in Catalog.open(str(tmp_path)).reviews_of_user(user, f"t{turn}").ids
    looks.clear()
    assert look(catalog) == published == look(elsewhere) and looks == []  # others' rows change nothing
