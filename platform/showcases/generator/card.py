"""The generator's model card."""

from pathlib import Path
from typing import TYPE_CHECKING

from showcases.generator.config import ContrastiveConfig, Inputs
from showcases.model_card import Card

if TYPE_CHECKING:
    from showcases.generator.model import Generator

TASKS: dict[Inputs, str] = {"img+text": "image-text-to-text", "img": "image-to-text", "text": "text-generation"}
READS: dict[Inputs, str] = {"img+text": "photos and past reviews", "img": "photos", "text": "past reviews"}
IMAGE_LOSSES = {
    "cl": "contrastive loss of photos and text (Eq. 7)",
    "ccl": "cross-modal contrastive loss CCL, with negatives whose entities are replaced (Eq. 8)",
}
TEXT_LOSSES = {
    "cl": "contrastive loss of past reviews and text (Eq. 7)",
    "pcl": "personalized contrastive loss PCL, negatives weighted by how far apart the users are (Eq. 9, 10)",
}


def generator_card(model: "Generator") -> Card:
    """The card of a trained generator, from its config and weights."""
    config, decoder = model.config, model.decoder.config
    start = "from scratch" if config.pretrained is None else f"from GPT-2 weights {_plain(config.pretrained)}"
    return Card(
        title="Showcases: explanation generator",
        model="showcases.generator:Generator",
        front={"pipeline_tag": TASKS[model.inputs], "tags": ["recommendation-explanation", "gpt2"]},
        summary=f"Writes an explanation of a recommended business from {READS[model.inputs]}: self-attention over "
        f"their features, then a GPT-2 ({start}) with cross-attention in every block.",
        inputs=_inputs(model),
        sizes={
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "width": model.width,
            "decoder blocks": decoder.n_layer,
            "decoder heads": decoder.n_head,
            "encoder layers": config.mma_layers,
            "encoder heads": config.mma_heads,
            "vocabulary": decoder.vocab_size,
            "longest text, in tokens": config.max_tokens,
            "beams": config.beams,
        },
        limits=[
            "It may write what no photo shows: score its sentences with the pair classifier, "
            "`showcases.distillation.PairClassifier`, and leave out those below its threshold.",
            "It writes in the language and style of the reviews it was trained on, with their mistakes and biases.",
            "A text is not a statement by the user whose reviews were read.",
        ],
    )


def _inputs(model: "Generator") -> list[str]:
    config = model.config
    lines = [f"Embedding space `{model.embedding_space}`; it can't use features of another encoder."]
    if "img" in model.inputs:
        lines.append(f"Photos: CLIP features, {model.image_dim} wide, at most {config.max_images}, in any order.")
    if "text" in model.inputs:
        lines.append(
            f"Past reviews: mean CLIP feature of each one's sentences, {model.text_dim} wide, at most "
            f"{config.max_reviews}, in any order."
        )
    return lines


def losses_in_words(config: ContrastiveConfig, inputs: Inputs) -> str:
    """Eq. 11 as configured; an unused modality has no loss."""
    parts = ["cross-entropy"]
    if config.image_loss != "none" and "img" in inputs:
        parts.append(f"{config.lambda_image:g} × {IMAGE_LOSSES[config.image_loss]}")
    if config.text_loss != "none" and "text" in inputs:
        parts.append(f"{config.lambda_text:g} × {TEXT_LOSSES[config.text_loss]}")
    if len(parts) > 1:
        parts[-1] += f"; temperature {config.tau:g}"
    return " + ".join(parts)


def _plain(source: str) -> str:
    """A hub name unchanged; only the last part of a local path, as the rest is specific to one machine."""
    return f"`{Path(source).name if Path(source).is_absolute() else source}`"
