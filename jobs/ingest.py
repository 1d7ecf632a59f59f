"""ingest: the official file, or the mini corpus, to the tables `reviews` and `photos`."""

from pathlib import Path

from jobs.corpus import file_digest
from jobs.step import Step, StepContext, main
from showcases.gest.official import read_raw


def ingest(context: StepContext) -> None:
    path = Path(context.config.corpus.reviews or "")
    corpus = read_raw(path, context.config.ingest, context.config.seed)
    context.workspace.write_table(corpus.reviews, "reviews")
    context.workspace.write_table(corpus.photos, "photos")
    users = corpus.reviews["user_id"].unique()
    context.say(f"kept {corpus.reviews.num_rows} reviews by {len(users)} users, {corpus.photos.num_rows} photos")
    for reason, count in sorted(corpus.left_out.items()):
        context.say(f"left out {count}: {reason}")
    context.record("reviews", {"reviews": corpus.reviews.num_rows, "users": len(users)}, corpus.left_out)
    context.record("photos", {"photos": corpus.photos.num_rows})


STEP = Step(
    name="ingest",
    reads=(),
    writes=("reviews", "photos"),
    sections=("seed", "ingest"),
    run=ingest,
    corpus=True,
    inputs=lambda config: {"reviews file": file_digest(Path(config.corpus.reviews or ""))},
)

if __name__ == "__main__":
    main(STEP)
