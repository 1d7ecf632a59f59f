"""Prepared training examples of the generator: trainable rows with hard negatives."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.generator.config import Inputs, TrainGeneratorConfig
from showcases.generator.entities import replace_entities
from showcases.generator.lexicon import make_finder
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, with_photo

HARD = "hard_explanation"  # column: explanation with replaced entities (Eq. 8), null if it has none


def prepared_rows(workspace: Workspace, config: TrainGeneratorConfig, variant: Inputs, seed: int) -> pa.Table:
    """The trainable rows of the training split, with hard negatives if the losses need them.

    Returns:
        Columns of schema GEST_S2, and hard_explanation.
    """
    embedded = EmbeddingShards(workspace, "image_embeddings").all_ids()
    rows, _ = learnable(training_rows(workspace), embedded)
    texts = rows["explanation"].to_pylist()
    hard: list[str | None] = [None] * len(texts)
    if config.needs_hard(variant):
        finder = make_finder(config.spacy_model, texts)
        hard = replace_entities(texts, finder, seed, rows["review_id"].to_pylist())
    return with_hard(rows, hard)


def with_hard(rows: pa.Table, hard: list[str | None]) -> pa.Table:
    """The rows with a column of hard negatives."""
    return rows.append_column(HARD, pa.array(hard, pa.string()))


def training_rows(workspace: Workspace) -> pa.Table:
    """The training split of GEST-s2."""
    return workspace.read_table("gest_s2").filter(pc.field("split") == "train")


def training_texts(workspace: Workspace) -> list[str]:
    """The explanations of the training split, for learning a tokenizer."""
    return [text for text in training_rows(workspace)["explanation"].to_pylist() if (text or "").strip()]


def learnable(rows: pa.Table, embedded: pa.ChunkedArray) -> tuple[pa.Table, dict[str, int]]:
    """Rows with an explanation and at least one photo in `embedded`, and counts of dropped rows by reason."""
    has_text = np.array([bool((text or "").strip()) for text in rows["explanation"].to_pylist()], bool)
    with_text = rows.filter(has_text)
    seen = with_photo(with_text, embedded)
    return seen, {
        "no explanation": rows.num_rows - with_text.num_rows,
        "no embedded photo": with_text.num_rows - seen.num_rows,
    }
