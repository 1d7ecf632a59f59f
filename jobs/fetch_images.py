"""fetch_images: fetches photos into Parquet shards and checks each by decoding; every photo gets a row."""

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
from jobs.runner.work_cost import cost_of, describe_cost
from showcases.errors import ConfigError, ShowcasesError
from showcases.gest.photos.fetch import STATUSES
from showcases.gest.photos.images import orphans, read_columns
from showcases.gest.photos.sources import URLS, Source, open_source
from showcases.gest.photos.sources.members import NOT_FOUND

ROUNDS = 3  # of refetching duplicates whose original changed


def fetch_images(context: StepContext) -> None:
    config, workspace = context.config, context.workspace
    retried = statuses_to_retry(config.fetch_images.retry)
    source = open_source(config.corpus.photos, config.fetch_images)
    photos = located(context, source, workspace.read_table("photos", ["photo_id", "url"]))
    if retried:
        context.say(f"{drop(workspace, 'status', retried):,} photos are refetched: {', '.join(retried)}")
    left = len(without(photos["photo_id"], done_ids(workspace, "images", "photo_id")))
    if 0 < left < photos.num_rows:
        context.say(f"{photos.num_rows - left:,} of {photos.num_rows:,} photos already done, resuming")
    tally = follow(rounds(context, source, photos), left, "photos", context.say, note)
    finish(context, photos, tally)


def statuses_to_retry(names: str) -> list[str]:
    """The statuses of `--retry failed,expired`.

    Raises:
        ConfigError: a name is not a status, or is ok.
    """
    statuses = [name.strip() for name in names.split(",") if name.strip()]
    wrong = [name for name in statuses if name not in STATUSES[1:]]
    if wrong:
        raise ConfigError(f"--retry {names}: {wrong[0]} can't be refetched; use any of {', '.join(STATUSES[1:])}")
    return statuses


def rounds(context: StepContext, source: Source, photos: pa.Table) -> Iterator[dict[str, float]]:
    """Fetch missing photos, until the original of every duplicate exists.

    Args:
        photos: from `located`.

    Raises:
        ShowcasesError: some photos keep changing.
    """
    workspace = context.workspace
    for _ in range(ROUNDS):
        todo = without(photos["photo_id"], done_ids(workspace, "images", "photo_id"))
        yield from fetch(context, source, photos.filter(pc.is_in(photos["photo_id"], value_set=todo)))
        lost = orphans(read_columns(workspace, ["photo_id", "status", "content_hash", "same_as"]))
        if not len(lost):
            return
        context.say(f"{len(lost)} duplicates of photos that changed are refetched")
        drop(workspace, "photo_id", lost.to_pylist())
    raise ShowcasesError(f"{len(lost)} photos change with every fetch; run jobs.fetch_images again")


def finish(context: StepContext, photos: pa.Table, tally: Tally) -> None:
    """Check that each photo has one row, and record counts and costs.

    Raises:
        ShowcasesError: rows are missing or duplicate, or more photos failed than the config allows.
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
        context.say(f"{copies:,} of them are exact duplicates, stored once")
    figures = cost_of(tally, context.config.cluster)
    if tally.rows:
        context.say(describe_cost(figures, "photos"))
    failures = {name: counts[name] for name in STATUSES[1:] if counts[name]}
    context.record("images", {"ok": counts["ok"], "duplicates": copies}, failures, figures)
    missing = rows.filter(pc.equal(rows["status"], NOT_FOUND))["error"].to_pylist()
    check_failures(context.config, counts, sorted(missing, key=lambda reason: "nearest" not in reason)[:2])


def check_failures(config: PipelineConfig, counts: Counter[str], missing: Sequence[str] = ()) -> None:
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
        + f"check --photos {config.corpus.photos}. Fetched photos are stored: --retry {again} (or other "
        "statuses, separated by commas) refetches those, fetch_images.max_failed sets the accepted share"
        + ("; fetch_images.http.hosts lists the allowed hosts" if counts["blocked"] else "")
    )


def note(tally: Tally) -> str:
    """Counts of failed photos so far, by status."""
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
    execution_options=tuple(f"fetch_images.{name}" for name in ("unit", "max_failed", "retry", "http")),
    is_forced=lambda config: bool(config.fetch_images.retry),
    needs=photo_needs,
)

if __name__ == "__main__":
    main(STEP)
