"""publish: writes photos, reviews and their features to the catalog that the service reads."""

from jobs.runner.config import PipelineConfig
from jobs.runner.execute import main
from jobs.runner.step import Step, StepContext
from showcases.catalog import Catalog, located
from showcases.catalog.corpus import Batches, photo_batches, review_batches
from showcases.catalog.versions import Versions
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, require_one_space
from showcases.storage.shards import count_rows


def run(context: StepContext) -> None:
    """Write a new catalog version with every review and every embedded photo, and make it current."""
    workspace = context.workspace
    images = EmbeddingShards(workspace, "image_embeddings")
    sentences = EmbeddingShards(workspace, "sentence_embeddings")
    require_one_space({"photos": images.model_id, "sentences": sentences.model_id}, "run jobs.embed again")
    uri, options = located(workspace)
    photos = Batches(lambda: photo_batches(workspace, images))
    reviews = Batches(lambda: review_batches(workspace, sentences))
    rows = Catalog.write(uri, photos, reviews, images.model_id, options)
    for name, count in rows.items():
        context.say(f"{count:,} {name}")
    posted = sum(count_rows(workspace, workspace.shards("photos")))
    context.record("catalog", rows=rows, failures={"photos without an embedding": posted - rows["photos"]})


def unversioned(config: PipelineConfig) -> bool:
    """Whether the catalog predates versioning, although a manifest may exist."""
    return not Versions(*located(Workspace(config.root))).history()


STEP = Step(
    name="publish",
    reads=("reviews", "photos", "images", "image_embeddings", "sentence_embeddings"),
    writes=("catalog",),
    sections=(),
    run=run,
    replaces=True,
    is_forced=unversioned,
)

if __name__ == "__main__":
    main(STEP)
