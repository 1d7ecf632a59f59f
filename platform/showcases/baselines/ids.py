"""Integer codes of users and businesses, for models with id embeddings.

GEST-s2 is split by user, so every user of the validation and test splits is unknown; most businesses are not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

UNKNOWN = 0


@dataclass(frozen=True)
class Ids:
    """Users and businesses of the training split; code 0 stands for unknown ones.

    Attributes:
        users: the first has code 1.
        items: businesses, likewise.
    """

    users: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: pa.Table) -> "Ids":
        """Collect the ids in a table's columns user_id and business_id."""
        return cls(*(tuple(sorted(set(rows[name].to_pylist()))) for name in ("user_id", "business_id")))

    def user_numbers(self, names: Iterable[str]) -> list[int]:
        return [self._user_number.get(name, UNKNOWN) for name in names]

    def item_numbers(self, names: Iterable[str]) -> list[int]:
        return [self._item_number.get(name, UNKNOWN) for name in names]

    @cached_property
    def _user_number(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.users, 1)}

    @cached_property
    def _item_number(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.items, 1)}


@dataclass(frozen=True)
class ItemReviews:
    """Reviews of each business: (review_id, user_id) by business, from the training split only."""

    by_item: Mapping[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, rows: pa.Table) -> "ItemReviews":
        """Build from a table with review_id, user_id and business_id, which must be the training split's."""
        found: dict[str, list[tuple[str, str]]] = {}
        columns = (rows[name].to_pylist() for name in ("review_id", "user_id", "business_id"))
        for review, user, item in zip(*columns, strict=True):
            found.setdefault(item, []).append((review, user))
        return cls(found)

    def seen_by(self, user: str, item: str) -> list[str]:
        """Reviews of `item` by users other than `user`."""
        return [review for review, author in self.by_item.get(item, []) if author != user]

    @property
    def review_ids(self) -> list[str]:
        return [review for reviews in self.by_item.values() for review, _ in reviews]
