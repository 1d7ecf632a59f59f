"""Texts of the studies' models for the same test examples, cached on disk, and their metrics."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from jobs import train_generator
from jobs.evaluating.generate import cut_and_embed, generate, generator_input
from jobs.evaluating.report_parts import make_gallery
from jobs.evaluating.scorers import make_scorers
from jobs.runner.step import fingerprint_of
from jobs.studies.models import FOLDER, Study, Wanted
from showcases.baselines.ids import ItemReviews
from showcases.distillation import PairClassifier
from showcases.evaluation.examples import Example, draw_examples
from showcases.evaluation.report.gallery import Showcase
from showcases.evaluation.selection import Ranked
from showcases.evaluation.systems import GROUND_TRUTH, System, Yardsticks, measure
from showcases.metrics.meteor import MeteorScorer
from showcases.metrics.text import Figure
from showcases.storage.artifacts import Place
from showcases.storage.embeddings import EmbeddingTable

AT_ONCE = 8  # models per batch; at most this much is lost by an interruption


@dataclass(frozen=True)
class Read:
    """Test examples, texts and metrics.

    Attributes:
        examples: the same for all models.
        texts: by model name (Wanted.name), including the ground truth.
        figures: metrics by the same names.
        by: the scorers used.
        gallery: some test users with texts of the first seed's models.
    """

    examples: Sequence[Example]
    texts: Mapping[str, list[str]]
    figures: Mapping[str, Mapping[str, Figure]]
    by: Yardsticks
    gallery: list[Showcase]


def read_all(
    study: Study, models: Sequence[Wanted], places: Mapping[str, Place], ranked: Sequence[Ranked], meteor: MeteorScorer
) -> Read:
    """Generate texts that aren't cached, and compute metrics of all texts.

    Args:
        ranked: of which the first selector's photos are shown.
        meteor: in its `with` block.
    """
    rows = study.workspace.read_table("gest_s2").to_pylist()
    examples = draw_examples(rows, ranked_first(ranked).chosen, study.config.evaluate.max_examples, study.config.seed)
    images = EmbeddingTable.read(study.workspace, "image_embeddings")
    classifier = study.workspace.load(PairClassifier.from_pretrained, "classifier")
    texts = {GROUND_TRUTH: [example.explanation for example in examples]}
    texts |= written_by(study, {model.name: model for model in models}, places, examples, images)
    context = study.context(train_generator.STEP)
    context.say(f"measuring {len(texts) - 1} models on {len(examples)} test examples")
    keyed: dict[System, list[str]] = {(name, 0): part for name, part in texts.items()}
    by = make_scorers(context, classifier, meteor, [row["explanation"] for row in rows])
    written = cut_and_embed(context, keyed, images.dim)
    measured = measure(examples, written, images, by)
    first = {model.system[0]: written[model.name, 0] for model in models if model.seed == models[0].seed}
    gallery = make_gallery(context, examples, ranked_first(ranked), first, images, classifier)
    return Read(examples, texts, {name: figures for (name, _), figures in measured.items()}, by, gallery)


def ranked_first(ranked: Sequence[Ranked]) -> Ranked:
    """The first selector's photos."""
    return next(entry for entry in ranked if entry.chosen)


def written_by(
    study: Study,
    models: Mapping[str, Wanted],
    places: Mapping[str, Place],
    examples: Sequence[Example],
    images: EmbeddingTable,
) -> dict[str, list[str]]:
    """Each model's texts in the examples' order; cached texts are reused."""
    keys = {name: _key(study, model, examples) for name, model in models.items()}
    cached = {name: _read_cached(study, name, keys[name]) for name in models}
    texts = {name: found for name, found in cached.items() if found is not None}
    waiting = [name for name in models if name not in texts]
    context = study.context(train_generator.STEP)
    context.say(
        f"texts of {len(texts)} models are cached, generating those of {len(waiting)} for {len(examples)} test examples"
    )
    if not waiting:
        return texts
    gest = study.workspace.read_table("gest_s2", ("review_id", "user_id", "business_id", "split"))
    others = ItemReviews.of(gest.filter(pc.field("split") == "train"))
    most_reviews = study.config.train_generator.model.max_reviews
    rows = generator_input(context, examples, images, most_reviews, others)
    for start in range(0, len(waiting), AT_ONCE):
        names = waiting[start : start + AT_ONCE]
        written = generate(context, rows, {(name, 0): places[name] for name in names})
        for name in names:
            texts[name] = written[name, 0]
            _cache(study, models[name], keys[name], examples, texts[name])
        context.say(f"{min(start + AT_ONCE, len(waiting))} of {len(waiting)} models done")
    return {name: texts[name] for name in models}


def _key(study: Study, model: Wanted, examples: Sequence[Example]) -> str:
    shown = {example.review_id: " ".join(example.shown) for example in examples}
    return fingerprint_of({"shown": shown}, {"model": study.job(model).fingerprint})


def _file(name: str, key: str) -> Place:
    return (FOLDER, "texts", f"{name}-{key}.jsonl")


def _read_cached(study: Study, name: str, key: str) -> list[str] | None:
    try:
        lines = study.workspace.read_bytes(*_file(name, key)).decode()
    except FileNotFoundError:
        return None
    return [json.loads(line)["text"] for line in lines.removesuffix("\n").split("\n")]  # texts may hold U+2028


def _cache(study: Study, model: Wanted, key: str, examples: Sequence[Example], texts: Sequence[str]) -> None:
    """Cache texts as JSON lines of review_id, model, seed, text."""
    lines = [
        json.dumps({"review_id": example.review_id, "model": model.system[0], "seed": model.seed, "text": text})
        for example, text in zip(examples, texts, strict=True)
    ]
    study.workspace.write_bytes(("\n".join(lines) + "\n").encode(), *_file(model.name, key))
