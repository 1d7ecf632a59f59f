"""Options of the explanation generator and its losses (paper sections 4.2, 4.3)."""

import math
from dataclasses import dataclass, field
from typing import Literal

from showcases.errors import ConfigError
from showcases.training import LoopConfig

Inputs = Literal["img+text", "img", "text"]
Precision = Literal["float32", "bfloat16", "int8"]  # of the decoder's weights and matrix products during inference
MONITOR = "val_nats_per_word"  # selects the best weights; smaller is better


@dataclass(frozen=True)
class GeneratorConfig:
    """The encoder of photos and past reviews, and the GPT-2 that attends to it.

    Args:
        pretrained: local folder or hub name of GPT-2 weights and tokenizer; None trains a small one from scratch.
        random_init: use only the size and the tokenizer of `pretrained`, with random weights (Table 5, "Img Random").
        vocab_size: of the byte-level BPE that is learned if `pretrained` is None.
        n_layer: decoder blocks, if `pretrained` is None (paper: GPT-2 small's 12).
        n_head: heads of a decoder block, likewise (paper: 12).
        n_embd: width, likewise (paper: 768).
        dropout: of hidden states (GPT-2: 0.1; a small model in few epochs learns more without); attention
            weights have no dropout, because fused attention is faster.
        mma_layers: self-attention layers over the features of both modalities (paper: 3).
        mma_heads: their heads (paper: 12).
        max_images: maximum number of photos per showcase (paper: 5).
        max_reviews: maximum number of past reviews read (paper: 10).
        max_tokens: maximum length of an explanation (paper: 64).
        beams: of beam search (paper: 2).
        no_repeat_ngram: n-grams of this size are not repeated within an explanation; 0 disables the rule.
    """

    pretrained: str | None = None
    random_init: bool = False
    vocab_size: int = 2000
    n_layer: int = 2
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0
    mma_layers: int = 3
    mma_heads: int = 4
    max_images: int = 5
    max_reviews: int = 10
    max_tokens: int = 64
    beams: int = 2
    no_repeat_ngram: int = 0


@dataclass(frozen=True)
class ContrastiveConfig:
    """The contrastive losses (Eq. 7 to 11).

    Args:
        image_loss: none, cl (Eq. 7) or ccl (Eq. 8: with a hard negative whose entities are replaced).
        text_loss: none, cl (Eq. 7) or pcl (Eq. 9: negatives weighted by how far apart the users are).
        lambda_image: weight of the image loss (paper: lambda_1 = 0.2).
        lambda_text: weight of the text loss (paper: lambda_2 = 0.2).
        alpha: base of the weights f(i, j), above 1 (paper: e).
        tau: temperature, above 0 (paper: 0.1).
    """

    image_loss: Literal["none", "cl", "ccl"] = "ccl"
    text_loss: Literal["none", "cl", "pcl"] = "pcl"
    lambda_image: float = 0.2
    lambda_text: float = 0.2
    alpha: float = math.e
    tau: float = 0.1

    def __post_init__(self) -> None:
        if self.alpha <= 1:
            raise ConfigError(f"contrastive.alpha is {self.alpha}; it must be above 1, to weight distant users more")
        if self.tau <= 0:
            raise ConfigError(f"contrastive.tau is {self.tau}; a temperature must be above 0")


@dataclass(frozen=True)
class TrainGeneratorConfig:
    """Training of the generator.

    Args:
        variants: inputs to train with, one row of Table 2 each; the first one is served.
        seeds: every variant is trained once per seed; the first one is served.
        spacy_model: pipeline whose noun chunks are the entities (a name or a folder); None mines a lexicon.
        model: architecture.
        contrastive: losses.
        loop: training (paper: adamw, lr 1e-4, batch_size 32); its seed is replaced by each of `seeds`.
        finetune: train the decoder as a language model on gest_ft first (Table 5, "Img GPT-2 + FT").
        finetune_loop: options of that training.
    """

    variants: tuple[Inputs, ...] = ("img+text", "img")
    seeds: tuple[int, ...] = (0,)
    spacy_model: str | None = None
    model: GeneratorConfig = field(default_factory=GeneratorConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=8, batch_size=32, lr=2e-3, optimizer="adamw", schedule="cosine", warmup_steps=50
        )
    )
    finetune: bool = False
    finetune_loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=4, batch_size=32, lr=2e-3, optimizer="adamw", schedule="cosine", warmup_steps=10
        )
    )

    def __post_init__(self) -> None:
        if not self.variants or not self.seeds:
            raise ConfigError("train_generator.variants and train_generator.seeds need at least one entry each")

    def needs_hard(self, variant: Inputs) -> bool:
        """Whether a variant is trained with hard negatives (Eq. 8)."""
        return self.contrastive.image_loss == "ccl" and "img" in variant
