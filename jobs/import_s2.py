"""import_s2: imports the published GEST-s2 to `gest_s2` with its official splits, without distillation.

    python -m jobs.import_s2 --reviews filter_all_t.json --root s2-workspace

Use a separate workspace: it also writes `reviews`, `photos` and `rejects` in place of `ingest`. Continue with
fetch_images, train_clip, embed and train_generator, one by one; `jobs.pipeline` would rebuild the corpus from raw
reviews. The paper's split for photo selection (gest_s1) was never published.

The file's fields, inferred from its content: `review_text` is the distilled explanation (so `reviews` has that as the
text of these rows, not the whole review); `history_reviews` are the user's other reviews, without rating and photos.
About 3% of the explanations are empty and 0.2% of the rows have no photo: they stay in `gest_s2`, are counted in its
manifest, and the generator's reader skips them.
"""

from jobs.runner.config import PipelineConfig
from jobs.runner.execute import main
from jobs.runner.input_files import digests, review_files
from jobs.runner.step import Step, StepContext
from showcases.errors import ConfigError, CorpusError
from showcases.gest.reading.input_check import check_s2
from showcases.gest.reading.official_s2 import S2Import
from showcases.gest.reading.opening import shown
from showcases.gest.reading.rejects import rejects_table
from showcases.storage.artifacts import Workspace

WRITES = ("reviews", "photos", "rejects", "gest_s2")


def import_s2(context: StepContext) -> None:
    files, workspace = check_s2(review_files(context.config)), context.workspace
    source = S2Import(files)
    for number, tables in enumerate(source.tables()):
        for artifact, table in tables.items():
            if table.num_rows or not number:
                workspace.write_table(table, artifact, f"part-{number:05d}.parquet")
        if number % 5 == 4:
            context.say(f"{sum(source.rows.values()):,} rows, {len(source.reviews):,} reviews")
    workspace.write_table(rejects_table(source.rejects), "rejects")
    if not source.rows:
        raise CorpusError(
            f"{', '.join(map(shown, files))}: no usable rows; {len(source.rejects):,} rejected, see rejects"
        )
    _record(context, source)


def _record(context: StepContext, source: S2Import) -> None:
    rejected: dict[str, int] = {}
    for reject in source.rejects:
        rejected[str(reject.reason)] = rejected.get(str(reject.reason), 0) + 1
    figures = source.figures()
    rows = {"reviews": sum(source.rows.values()), **source.rows}
    context.say(f"gest_s2: {', '.join(f'{name} {count:,}' for name, count in rows.items())}")
    for name, count in {**figures, **{f"rejected, {reason}": count for reason, count in rejected.items()}}.items():
        context.say(f"{name.replace('_', ' ')}: {count:,}")
    context.record("gest_s2", rows, rejected, figures)
    context.record("reviews", {"reviews": figures["reviews"]})
    context.record("photos", {"photos": figures["photos"]})
    context.record("rejects", {"rejects": len(source.rejects), **rejected})


def _inputs(config: PipelineConfig) -> dict[str, str]:
    """Digest of the file, after checking that no other corpus would be overwritten.

    Raises:
        ConfigError: no file is configured, or another step wrote to the workspace.
    """
    files = review_files(config)
    for artifact in WRITES:
        manifest = Workspace(config.root).manifest(artifact)
        if manifest is not None and manifest.step != STEP.name and not config.force:
            raise ConfigError(
                f"{config.root}: {artifact} was written by jobs.{manifest.step} and would be overwritten; use another "
                "--root, or --force true"
            )
    return digests("reviews", files)


STEP = Step(name="import_s2", reads=(), writes=WRITES, sections=(), run=import_s2, inputs=_inputs)

if __name__ == "__main__":
    main(STEP)
