"""ingest: reads the official file, or the mini corpus, into the tables `reviews`, `photos` and `rejects`.

The driver reads blocks of whole lines, plain or gzip, and makes the order-dependent decisions; tasks parse blocks,
split texts into sentences and write shards. Only a few blocks are in memory, and nodes don't need access to the file.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray

from jobs.runner.execute import main
from jobs.runner.input_files import digests, review_files
from jobs.runner.step import Step, StepContext
from jobs.runner.stream import SECONDS_BETWEEN_LINES, Tally
from jobs.runner.work_cost import cost_of
from showcases.errors import CorpusError
from showcases.gest.reading.blocks import BlockIndex, BlockRows, Decision, parse_block, settle
from showcases.gest.reading.input_check import check_reviews
from showcases.gest.reading.lines import Block, read_blocks
from showcases.gest.reading.official import Ledger, fill_split
from showcases.gest.reading.opening import shown
from showcases.storage.artifacts import ARTIFACTS, Workspace
from showcases.storage.schemas import REJECTS

TABLES = ("reviews", "photos", "rejects")


def ingest(context: StepContext) -> None:
    files, options = check_reviews(review_files(context.config)), context.config.ingest
    ledger, progress = Ledger(options), _Progress(context)
    blocks = read_blocks(files, options.block_kb * 1024, options.max_line_kb * 1024, seen=progress.seen)
    for index, write in _parsed(blocks, context):
        write(ledger.decide(index))
        progress.say(ledger)
    ledger.check(files)
    _check_rejects(context, ledger)
    _fill_splits(context, ledger)
    if not context.workspace.shards("rejects"):
        context.workspace.write_table(REJECTS.empty_table(), "rejects")
    _record(context, ledger, progress)


class _Progress:
    """Logs progress, rate and ETA every few seconds."""

    def __init__(self, context: StepContext) -> None:
        self.context, self.read, self.total = context, 0, 0
        self.started = self.logged_at = time.monotonic()

    def seen(self, read: int, total: int) -> None:
        self.read, self.total = read, total

    def say(self, ledger: Ledger) -> None:
        now = time.monotonic()
        if now - self.logged_at < SECONDS_BETWEEN_LINES:
            return
        self.logged_at, seconds = now, now - self.started
        to_go = seconds * (self.total - self.read) / max(self.read, 1)
        rejected = sum(ledger.rejected.values())
        self.context.say(
            f"{self.read / 1e6:,.0f} of {self.total / 1e6:,.0f} MB read, {ledger.lines:,} lines: {ledger.stored:,} "
            f"reviews, {rejected:,} rejected; {ledger.lines / seconds:,.0f} a second, {to_go:,.0f} s to go"
        )

    def tally(self, ledger: Ledger) -> Tally:
        """Totals of the whole file, for the costs."""
        seconds = time.monotonic() - self.started
        return Tally(rows=ledger.lines, amounts={"bytes_in": float(self.read)}, seconds=seconds)


class _Writes:
    """A bounded set of write tasks; an error is raised when a later task is added."""

    def __init__(self) -> None:
        self.most = _window()
        self.pending: deque[ray.ObjectRef] = deque()

    def add(self, task: ray.ObjectRef) -> None:
        self.pending.append(task)
        if len(self.pending) > self.most:
            ray.get(self.pending.popleft())

    def wait_quietly(self) -> None:
        """Wait until no task runs, ignoring errors."""
        if self.pending:
            ray.wait(list(self.pending), num_returns=len(self.pending))

    def wait(self) -> None:
        """Wait for all tasks and raise the first error."""
        ray.get(list(self.pending))
        self.pending.clear()


def _window() -> int:
    """Blocks in flight: one per core, and two ready ones."""
    return int(ray.cluster_resources().get("CPU", 1)) + 2


def _parsed(blocks: Iterator[Block], context: StepContext) -> Iterator[tuple[BlockIndex, Callable[[Decision], None]]]:
    """For each block, in file order: its index, and a callback for the decision on it."""
    config = context.config
    parse = ray.remote(num_returns=2, num_cpus=1)(parse_block)
    write = ray.remote(num_cpus=1)(settle_block)
    options, workspace = ray.put(config.ingest), ray.put(context.workspace)
    window, writes = _window(), _Writes()
    waiting: deque[tuple[ray.ObjectRef, list[ray.ObjectRef]]] = deque()

    def oldest() -> tuple[BlockIndex, Callable[[Decision], None]]:
        block, (index, rows) = waiting.popleft()
        return ray.get(index), lambda decision: writes.add(write.remote(workspace, block, rows, decision))

    try:
        for block in blocks:
            reference = ray.put(block)
            parsed = cast(list[ray.ObjectRef], parse.remote(reference, options, config.seed))
            waiting.append((reference, parsed))
            if len(waiting) >= window:
                yield oldest()
        while waiting:
            yield oldest()
    finally:  # no task may still write after this returns or raises
        writes.wait_quietly()
    writes.wait()


def settle_block(workspace: Workspace, block: Block, rows: BlockRows, decision: Decision) -> None:
    """Write the accepted rows of a block: a shard per table, named by block number; empty ones are skipped."""
    for artifact, table in zip(TABLES, settle(block, rows, decision), strict=True):
        if table.num_rows:
            workspace.write_table(table, artifact, f"part-{block.number:05d}.parquet")


def _check_rejects(context: StepContext, ledger: Ledger) -> None:
    rejected, lines = sum(ledger.rejected.values()), ledger.lines - ledger.blank
    most = context.config.ingest.max_rejected
    if rejected > most * lines:
        files = ", ".join(map(shown, review_files(context.config)))
        raise CorpusError(
            f"{files}: {rejected:,} of {lines:,} lines were rejected, more than --ingest.max_rejected {most}: "
            f"{ledger.explain_rejects()}. Table {context.workspace.path('rejects')} lists them with line and reason; "
            "docs/own-data.md describes the format: fix the file, or raise --ingest.max_rejected"
        )


def _fill_splits(context: StepContext, ledger: Ledger) -> None:
    """Write the split into every shard of reviews, now that all users are known."""
    fill = ray.remote(num_cpus=1)(fill_shard)
    workspace, cuts = ray.put(context.workspace), ray.put(ledger.cuts())
    writes = _Writes()
    for path in context.workspace.shards("reviews"):
        writes.add(fill.remote(workspace, path.rsplit("/", 1)[1], cuts, context.config.seed))
    writes.wait()


def fill_shard(workspace: Workspace, name: str, cuts: np.ndarray, seed: int) -> None:
    """Rewrite one shard of reviews with its split."""
    table = pq.read_table(pa.BufferReader(workspace.read_bytes("reviews", name)), schema=ARTIFACTS["reviews"].schema)
    workspace.write_table(fill_split(table, cuts, seed), "reviews", name)


def _record(context: StepContext, ledger: Ledger, progress: _Progress) -> None:
    context.say(f"accepted {ledger.stored:,} reviews by {ledger.users:,} users, {ledger.photos:,} photos")
    for reason, count in sorted(ledger.counts.items()):
        context.say(f"skipped {count:,}: {reason}")
    rejected = {reason: count for reason, count in ledger.rejected.items() if count}
    figures = {
        "lines": ledger.lines,
        "blank_lines": ledger.blank,
        **cost_of(progress.tally(ledger), context.config.cluster),
    }
    context.record("reviews", {"reviews": ledger.stored, "users": ledger.users}, ledger.counts, figures)
    photos = {reason: count for reason, count in ledger.photo_counts.items() if count}
    context.record("photos", {"photos": ledger.photos}, photos)
    context.record("rejects", {"rejects": sum(rejected.values()), **rejected})


STEP = Step(
    name="ingest",
    reads=(),
    writes=TABLES,
    sections=("seed", "ingest"),
    run=ingest,
    corpus=True,
    inputs=lambda config: digests("reviews", review_files(config)),
    execution_options=("ingest.block_kb",),
)

if __name__ == "__main__":
    main(STEP)
