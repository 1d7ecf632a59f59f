"""fetch_images: the photos' bytes into Parquet shards, each checked by decoding it; nothing vanishes."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from jobs.fetching.stream import drop, fetch, located
from jobs.runner.config import PipelineConfig
from jobs.runner.execute import main
from jobs.runner.needs import photo_needs
from jobs.runner.step import Step, StepContext
from jobs.runner.stream import Tally, done_ids, follow, without
from jobs.runner.work_cost import bill, spoken
from showcases.errors import ConfigError, ShowcasesError
from showcases.gest.photos.fetch import STATUSES
from showcases.gest.photos.images import orphans, read_columns
from showcases.gest.photos.sources import URLS, Source, open_source
from showcases.gest.photos.sources.members import NOT_FOUND

ROUNDS = 3  # of fetching duplicates again whose bytes nobody holds any more


def fetch_images(context: StepContext) -> None:
    config, workspace = context.config, context.workspace
    retried = statuses_to_retry(config.fetch_images.retry)
    source = open_source(config.corpus.photos, config.fetch_images)
    photos = located(context, source, workspace.read_table("photos", ["photo_id", "url"]))
    if retried:
        context.say(f"{drop(workspace, 'status', retried):,} photos are fetched again: {', '.join(retried)}")
    left = len(without(photos["photo_id"], done_ids(workspace, "images", "photo_id")))
    if 0 < left < photos.num_rows:
        context.say(f"{photos.num_rows - left:,} of {photos.num_rows:,} photos stand, going on from there")
    tally = follow(rounds(context, source, photos), left, "photos", context.say, note)
    settle(context, photos, tally)


def statuses_to_retry(names: str) -> list[str]:
    """The statuses of `--retry failed,expired`.

    Raises:
        ConfigError: one of them is no status, or ok.
    """
    statuses = [name.strip() for name in names.split(",") if name.strip()]
    wrong = [name for name in statuses if name not in STATUSES[1:]]
    if wrong:
        raise ConfigError(f"--retry {names}: {wrong[0]} can't be fetched again; any of {', '.join(STATUSES[1:])} can")
    return statuses


def rounds(context: StepContext, source: Source, photos: pa.Table) -> Iterator[dict[str, float]]:
    """Fetch what no shard holds, until each duplicate that is noted has its bytes in another row.

    Args:
        photos: as `located` gives them.

    Raises:
        ShowcasesError: some lost their bytes again and again.
    """
    workspace = context.workspace
    for _ in range(ROUNDS):
        todo = without(photos["photo_id"], done_ids(workspace, "images", "photo_id"))
        yield from fetch(context, source, photos.filter(pc.is_in(photos["photo_id"], value_set=todo)))
        lost = orphans(read_columns(workspace, ["photo_id", "status", "content_hash", "same_as"]))
        if not len(lost):
            return
        context.say(f"{len(lost)} duplicates of photos that are not what they were are fetched again")
        drop(workspace, "photo_id", lost.to_pylist())
    raise ShowcasesError(f"{len(lost)} photos change whenever they are fetched; run jobs.fetch_images again")


def settle(context: StepContext, photos: pa.Table, tally: Tally) -> None:
    """Check that each photo has one row, count what became of them, write down what it took.

    Raises:
        ShowcasesError: rows are missing or there twice, or more failed than the config allows.
    """
    rows = read_columns(context.workspace, ["photo_id", "status", "same_as", "error"])
    left = without(photos["photo_id"], rows["photo_id"].combine_chunks())
    if len(left) or rows.num_rows != photos.num_rows:
        raise ShowcasesError(
            f"images: {rows.num_rows} rows for {photos.num_rows} photos, {len(left)} of them without a row; run "
            "jobs.fetch_images with --force"
        )
    counts = Counter(rows["status"].to_pylist())
    copies = rows.num_rows - rows["same_as"].null_count
    context.say("photos: " + ", ".join(f"{counts[name]:,} {name}" for name in STATUSES if counts[name]))
    if copies:
        context.say(f"{copies:,} of them have the very bytes of another, which holds them for both")
    figures = bill(tally, context.config.cluster)
    if tally.rows:
        context.say(spoken(figures, "photos"))
    failures = {name: counts[name] for name in STATUSES[1:] if counts[name]}
    context.record("images", {"ok": counts["ok"], "duplicates": copies}, failures, figures)
    missing = rows.filter(pc.equal(rows["status"], NOT_FOUND))["error"].to_pylist()
    judge(context.config, counts, sorted(missing, key=lambda reason: "nearest" not in reason)[:2])


def judge(config: PipelineConfig, counts: Counter[str], missing: Sequence[str] = ()) -> None:
    """
    Args:
        counts: photos by status.
        missing: why some were not found.

    Raises:
        ShowcasesError: more photos failed than the config allows, or all.
    """
    total = sum(counts.values())
    share = (total - counts["ok"] - counts["expired"]) / max(1, total)
    if share <= config.fetch_images.max_failed and counts["ok"]:
        return
    again = NOT_FOUND if counts[NOT_FOUND] > counts["failed"] else "failed"
    found = ", ".join(f"{counts[name]} {name}" for name in STATUSES if counts[name])
    raise ShowcasesError(
        f"{share:.0%} of {total} photos failed ({found}); "
        + "".join(f"{reason}; " for reason in missing)
        + f"is --photos {config.corpus.photos} right? What was fetched stays: --retry {again} (or other statuses, "
        "joined by commas) fetches those again, fetch_images.max_failed sets what is accepted"
        + ("; fetch_images.http.hosts are the hosts that may be asked" if counts["blocked"] else "")
    )


def note(tally: Tally) -> str:
    """What became of the photos so far."""
    return ", ".join(f"{tally.outcomes[name]:,} {name}" for name in STATUSES[1:] if tally.outcomes[name])


def _inputs(config: PipelineConfig) -> dict[str, str]:
    photos = config.corpus.photos or ""
    return {"photos source": "the photos' URLs" if photos == URLS else photos}


STEP = Step(
    name="fetch_images",
    reads=("photos",),
    writes=("images",),
    sections=("fetch_images",),
    run=fetch_images,
    corpus=True,
    inputs=_inputs,
    resumes=True,
    manners=tuple(f"fetch_images.{name}" for name in ("unit", "max_failed", "retry", "http")),
    asked=lambda config: bool(config.fetch_images.retry),
    needs=photo_needs,
)

if __name__ == "__main__":
    main(STEP)
