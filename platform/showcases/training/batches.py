"""Which examples make a batch: in an order that seed and epoch fix, so that a run can be cut off and go on.

Ranks split each batch, so N workers see what one would.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from showcases.errors import ConfigError, ShowcasesError

Part = Any  # of a batch, a rank's: (n,) example numbers, or a table of n rows


class Epochs(Protocol):
    """Batches of one rank."""

    rank: int
    world_size: int

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, number: int) -> Iterator[tuple[Part, int]]:
        """Yield (this rank's part, size of the whole batch)."""


class Batches:
    """Example numbers in random order.

    Args:
        examples: how many there are.
        batch_size: over all ranks.
        drop_last: leave out a last batch that is not full, for losses that compare equal shares of the batch.
    """

    def __init__(
        self, examples: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
    ) -> None:
        self.steps = _steps(examples, batch_size, world_size, drop_last)
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, int]]:
        """Yield (this rank's example numbers, size of the whole batch)."""
        order = np.random.default_rng([self.seed, number]).permutation(self.examples)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield batch[self.rank :: self.world_size], len(batch)


@dataclass(frozen=True)
class Stream:
    """Examples that are read while they are trained on.

    Attributes:
        rows: an epoch.
        epoch: of a number, from 0: tables that together have these rows, in an order that the number fixes; the same on
            every rank and in every process. A column `review_id` names them.
    """

    rows: int
    epoch: Callable[[int], Iterable[pa.Table]]


def in_memory(table: pa.Table, seed: int) -> Stream:
    """The rows of a table, in random order."""

    def epoch(number: int) -> Iterator[pa.Table]:
        yield table.take(np.random.default_rng([seed, number]).permutation(table.num_rows))

    return Stream(table.num_rows, epoch)


class StreamedBatches:
    """A stream cut into batches; arguments as of `Batches`."""

    def __init__(
        self, stream: Stream, batch_size: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
    ) -> None:
        self.steps = _steps(stream.rows, batch_size, world_size, drop_last)
        self.stream, self.batch_size = stream, batch_size
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> Iterator[tuple[pa.Table, int]]:
        """Yield (this rank's rows, size of the whole batch).

        Raises:
            ShowcasesError: the stream has not the rows that it promised.
        """
        rows = 0
        for step, batch in enumerate(_rebatch(self.stream.epoch(number), self.batch_size)):
            rows += batch.num_rows
            if step < len(self):
                yield batch.take(np.arange(self.rank, batch.num_rows, self.world_size)), batch.num_rows
        if rows != self.stream.rows:
            raise ShowcasesError(f"{rows} training examples came, {self.stream.rows} were prepared: run the step again")


def part_of(part: Part, numbers: np.ndarray) -> Part:
    """Some examples of a part."""
    return part.take(numbers) if isinstance(part, pa.Table) else part[numbers]


def names_of(part: Part) -> list[Any]:
    """Ids of a part's examples; their numbers where they have none."""
    return part["review_id"].to_pylist() if isinstance(part, pa.Table) else part.tolist()  # type: ignore[no-any-return]


def _rebatch(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    rest: pa.Table | None = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        while rest.num_rows >= size:
            yield rest.slice(0, size)
            rest = rest.slice(size)
    if rest is not None and rest.num_rows:
        yield rest


def _steps(examples: int, batch_size: int, world_size: int, drop_last: bool) -> int:
    if examples < 1:
        raise ConfigError("no training examples: the training split is empty; is the corpus large enough?")
    if batch_size < world_size:
        raise ConfigError(f"batch_size {batch_size} is less than the {world_size} workers; raise it")
    full, rest = divmod(examples, batch_size)
    if drop_last and full:
        return full
    return full + (rest >= world_size)  # a last batch smaller than the world would leave ranks idle
