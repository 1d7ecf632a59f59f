"""Training examples, prepared with Ray Data before training and streamed to the workers during training.

The training split is stored shuffled in shards in _examples/ under the workspace root. Each epoch reads the shards in a
new order and shuffles rows of neighbouring shards; both depend only on seed and epoch, so a resumed run sees the same
examples, on any number of workers.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from jobs.runner.step import StepContext, fingerprint_of
from showcases.errors import ConfigError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, with_photo
from showcases.storage.shards import read_shard
from showcases.training import Prepared

if TYPE_CHECKING:
    from showcases.generator.entities import EntityPool
    from showcases.generator.lexicon import Finder
    from showcases.training import Stream

FOLDER = "_examples"
FACTS = "examples.json"  # written last
SHARD = 1024  # rows
BUFFER = 16 * SHARD  # rows in the shuffle buffer
CHUNK = 512  # explanations per entity extraction task


def prepare_selector(context: StepContext, seed: int) -> Prepared:
    """The training split of GEST-s1."""
    return _prepare(context, "gest_s1", seed, hard=False, spacy_model=None)


def prepare_generator(context: StepContext, seed: int, hard: bool, spacy_model: str | None) -> Prepared:
    """The training split of GEST-s2; with `hard`, hard negatives with replaced entities are added (Eq. 8)."""
    return _prepare(context, "gest_s2", seed, hard, spacy_model if hard else None)


def _prepare(context: StepContext, artifact: str, seed: int, hard: bool, spacy_model: str | None) -> Prepared:
    """Prepare examples, or reuse existing ones from the same rows and embeddings."""
    workspace = context.workspace
    inputs = {name: workspace.require(name).digest for name in (artifact, "image_embeddings")}
    folder = f"{artifact}-{fingerprint_of({'seed': seed, 'hard': hard, 'spacy_model': spacy_model}, inputs)}"
    if (facts := workspace.find_json(FOLDER, folder, FACTS)) is not None:
        return Prepared(**facts["prepared"])
    _remove_stale(workspace, artifact, inputs)
    rows, left_out = ray.get(_learnable.remote(workspace, artifact))
    blocks = replaced(rows, seed, spacy_model) if hard and len(rows) else [ray.put(rows)]
    prepared: Prepared = ray.get(_write.remote(workspace, folder, blocks, left_out, seed))
    if not prepared.rows:
        raise ConfigError(
            f"{artifact} has no usable train row (left out: {left_out}); the corpus is too small, or the "
            "classifier's threshold too high (build_gest.threshold)"
        )
    workspace.write_json({"prepared": asdict(prepared), "inputs": inputs}, FOLDER, folder, FACTS)
    suffix = f", {prepared.hard_negatives} with hard negatives" if hard else ""
    context.say(f"{prepared.rows} training examples prepared{suffix}")
    return prepared


def _remove_stale(workspace: Workspace, artifact: str, inputs: dict[str, str]) -> None:
    """Delete examples of outdated rows or embeddings."""
    for name in workspace.folders_in(FOLDER):
        facts = workspace.find_json(FOLDER, name, FACTS) if name.startswith(f"{artifact}-") else None
        if facts is not None and facts["inputs"] != inputs:
            workspace.remove(FOLDER, name)


@ray.remote(num_cpus=1)
def _learnable(workspace: Workspace, artifact: str) -> tuple[pa.Table, dict[str, int]]:
    """Usable rows of the training split, and counts of skipped ones."""
    rows = workspace.read_table(artifact).filter(pc.field("split") == "train")
    embedded = EmbeddingShards(workspace, "image_embeddings").all_ids()
    if artifact == "gest_s2":
        from showcases.generator.examples import learnable

        return learnable(rows, embedded)
    seen = with_photo(rows, embedded)
    return seen, {"no embedded photo": rows.num_rows - seen.num_rows}


def replaced(rows: pa.Table, seed: int, spacy_model: str | None) -> list[Any]:
    """References to tables of rows with hard negatives: finds entities, pools them, replaces them."""
    phrases = None if spacy_model else ray.get(_mine.remote(ray.put(rows["explanation"])))
    chunks = [rows.slice(start, CHUNK) for start in range(0, len(rows), CHUNK)]
    find = partial(_find, spacy_model=spacy_model, phrases=phrases)
    found = ray.data.from_arrow(chunks).map_batches(find, batch_size=None, batch_format="pyarrow").materialize()
    pool = ray.get(_pool.remote(found.to_arrow_refs()))
    hard = found.map_batches(partial(_replace, pool=pool, seed=seed), batch_size=None, batch_format="pyarrow")
    return list(hard.to_arrow_refs())


@ray.remote(num_cpus=1)
def _mine(texts: pa.ChunkedArray) -> tuple[str, ...]:
    from showcases.generator.lexicon import mine_phrases

    return tuple(mine_phrases(texts.to_pylist()))


def _find(rows: pa.Table, spacy_model: str | None, phrases: tuple[str, ...] | None) -> pa.Table:
    """Add the spans of the explanations' entities."""
    spans = list(_finder(spacy_model, phrases).find(rows["explanation"].to_pylist()))
    return rows.append_column("spans", pa.array(spans, pa.list_(pa.list_(pa.int32()))))


@lru_cache(maxsize=1)
def _finder(spacy_model: str | None, phrases: tuple[str, ...] | None) -> "Finder":
    """Cached per process."""
    from showcases.generator.lexicon import Lexicon, make_finder

    return make_finder(spacy_model, ()) if phrases is None else Lexicon(phrases)


@ray.remote(num_cpus=1)
def _pool(blocks: list[Any]) -> "EntityPool":
    from showcases.generator.entities import EntityPool

    tables = ray.get(blocks)
    texts = [text for table in tables for text in table["explanation"].to_pylist()]
    return EntityPool(texts, [spans for table in tables for spans in table["spans"].to_pylist()])


def _replace(rows: pa.Table, pool: "EntityPool", seed: int) -> pa.Table:
    from showcases.generator.entities import draws
    from showcases.generator.examples import with_hard

    columns = (rows[name].to_pylist() for name in ("explanation", "spans", "review_id"))
    hard = [pool.replace(text, spans, draws(seed, name)) for text, spans, name in zip(*columns, strict=True)]
    return with_hard(rows.drop_columns(["spans"]), hard)


@ray.remote(num_cpus=1)
def _write(workspace: Workspace, folder: str, blocks: list[Any], left_out: dict[str, int], seed: int) -> Prepared:
    """Write all rows in shards, ordered by hashed ids: a shuffle independent of the input order.

    Rows of a business stay together, as `LoopConfig.run` requires.
    """
    from showcases.generator.examples import HARD

    rows = pa.concat_tables(ray.get(blocks))
    key = str(seed).encode()
    names = zip(rows["business_id"].to_pylist(), rows["review_id"].to_pylist(), strict=True)
    hashes = [[blake2b(part.encode(), digest_size=8, key=key).digest() for part in pair] for pair in names]
    rows = rows.take(sorted(range(len(hashes)), key=hashes.__getitem__))
    for number, start in enumerate(range(0, len(rows), SHARD)):
        workspace.write_table(rows.slice(start, SHARD), FOLDER, folder, _shard(number))
    hard = len(rows) - rows[HARD].null_count if HARD in rows.column_names else 0
    return Prepared(folder, len(rows), rows.column_names, left_out, hard)


def _shard(number: int) -> str:
    return f"part-{number:05d}.parquet"


def stream(workspace: Workspace, prepared: Prepared, seed: int, run: int = 1, buffer: int = BUFFER) -> "Stream":
    """The prepared examples for one rank: each rank reads all of them and takes its share of each batch.

    Reading tasks request no CPU, since the waiting workers may hold all of a small cluster's.

    Args:
        run: see LoopConfig.
        buffer: rows in the shuffle buffer. If all fit, they are read only once.
    """
    from showcases.training import Stream
    from showcases.training.batches import shuffled

    paths = [workspace.path(FOLDER, prepared.folder, _shard(n)) for n in range(-(-prepared.rows // SHARD))]
    held: list[pa.Table] = []

    def epoch(number: int) -> Iterator[pa.Table]:
        rng = np.random.default_rng([seed, number])
        if prepared.rows > buffer:
            tables = _read_all(workspace, [paths[n] for n in rng.permutation(len(paths))], prepared.columns)
            return shuffled(tables, rng, buffer, run)
        if not held:
            held.append(pa.concat_tables(_read_all(workspace, paths, prepared.columns)))
        return shuffled(held, rng, buffer, run)

    return Stream(prepared.rows, epoch)


def _read_all(workspace: Workspace, paths: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """The shards' rows in order, with prefetching."""
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    options = ray.data.DataContext.get_current()
    options.execution_options.preserve_order, options.enable_progress_bars = True, False
    data = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=len(paths)).map_batches(
        partial(_read, workspace=workspace, columns=columns), batch_size=1, batch_format="numpy", num_cpus=0
    )
    yield from data.iter_batches(batch_size=SHARD, batch_format="pyarrow")


def _read(items: dict[str, np.ndarray], workspace: Workspace, columns: Sequence[str]) -> pa.Table:
    return read_shard(workspace, str(items["path"][0]), columns)
