"""Options of the baselines, with sizes comparable to ours."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from showcases.errors import ConfigError
from showcases.generator.config import GeneratorConfig

Name = Literal["ST", "R2Gen", "Ref2Seq", "PETER"]  # as Table 2 prints them
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True)
class BaselineConfig:
    """One baseline; options of other kinds are ignored.

    Args:
        name: which one.
        width: E, of words, hidden states and everything.
        layers: of R2Gen's encoder, and as many of its decoder; of PETER.
        heads: of R2Gen and PETER.
        dropout: of word vectors and hidden states.
        memory_slots: rows of R2Gen's relational memory.
        context_weight: of PETER's context prediction loss.
        unknown_rate: share of ids replaced by "unknown" in PETER's training, so that it learns to handle them.
        max_images: photos that are read, at most.
        max_reviews: past reviews of the user, and reviews of the business, that are read, at most.
        max_tokens: length of an explanation.
        beams: of beam search.
        no_repeat_ngram: n-grams of this size are not repeated within an explanation; 0 disables the rule.
    """

    name: Name
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.0
    memory_slots: int = 3
    context_weight: float = 1.0
    unknown_rate: float = 0.1
    max_images: int = 5
    max_reviews: int = 10
    max_tokens: int = 64
    beams: int = 2
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ConfigError(f"baseline {self.name!r}; there are {', '.join(NAMES)}")
        if self.name in ("R2Gen", "PETER") and (self.width % self.heads or self.width % 2):
            raise ConfigError(f"{self.name}: width {self.width} must be even, and {self.heads} heads must divide it")
        if not 0 <= self.unknown_rate < 1:
            raise ConfigError(f"unknown_rate is {self.unknown_rate}; it must be at least 0 and below 1")


# near the 1.5 million weights of our small generator, with its 2,000 tokens and features of 512
SMALL: dict[Name, BaselineConfig] = {
    "ST": BaselineConfig("ST", width=240),
    "R2Gen": BaselineConfig("R2Gen", width=96),
    "Ref2Seq": BaselineConfig("Ref2Seq", width=164),
    "PETER": BaselineConfig("PETER", width=160, heads=2),  # without the id embeddings, which depend on the corpus
}
# sizes of their own papers, for comparison with pretrained weights
LARGE: dict[Name, BaselineConfig] = {
    "ST": BaselineConfig("ST", width=512),
    "R2Gen": BaselineConfig("R2Gen", width=512, layers=3, heads=8),
    "Ref2Seq": BaselineConfig("Ref2Seq", width=256),
    "PETER": BaselineConfig("PETER", width=512, heads=2),
}


def sized_like(name: Name, generator: GeneratorConfig) -> BaselineConfig:
    """A baseline to compare with this generator: same input and output limits, similar size.

    For a generator with pretrained GPT-2 weights, which the paper's baselines lack, it has the size of its own paper.
    """
    if name not in NAMES:
        raise ConfigError(f"baseline {name!r}; there are {', '.join(NAMES)}")
    return replace(
        (SMALL if generator.pretrained is None else LARGE)[name],
        dropout=generator.dropout,
        max_images=generator.max_images,
        max_reviews=generator.max_reviews,
        max_tokens=generator.max_tokens,
        beams=generator.beams,
        no_repeat_ngram=generator.no_repeat_ngram,
    )
