"""The selector's model card."""

from typing import TYPE_CHECKING

from showcases.model_card import Card

if TYPE_CHECKING:
    from showcases.selector.model import Selector

LOSS = "negative log-likelihood of the photos that a user posted, under the DPP of all photos of the business"


def selector_card(model: "Selector") -> Card:
    """The card of a trained selector, from its config and weights."""
    config = model.config
    parts = {"text": f"past reviews ({model.text_dim} wide)", "img": f"past photos ({model.image_dim} wide)"}
    profile = " and ".join(parts[part] for part in ("text", "img") if part in model.profile)
    return Card(
        title="Showcases: photo selector",
        model="showcases.selector:Selector",
        front={"tags": ["determinantal-point-process", "recommendation"]},
        summary="Chooses the photos of a business that a user will care about: a determinantal point process whose "
        "relevance comes from two towers, one of the user and one of the photo; greedy MAP picks a set.",
        inputs=[
            f"Embedding space `{model.embedding_space}`; it can't use features of another encoder.",
            f"User: mean CLIP feature of {profile}, concatenated; zeros if there are none.",
            f"Photos of the business: CLIP features, {model.image_dim} wide.",
        ],
        sizes={
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "hidden layers of each tower": ", ".join(str(width) for width in config.hidden_dims),
            "width of their output": config.out_dim,
            "kernel": config.kernel,
            "theta, the quality/diversity dial": f"{config.theta:g}",
        },
        limits=[
            "Relevance has no unit: it orders the photos of one business for one user, and compares no users.",
            "It was trained on what people post, which is not all that they look at.",
        ],
    )
