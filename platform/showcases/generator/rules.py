"""Constraints on decoding, applied to the scores before each token is chosen."""

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessorList, PreTrainedTokenizerBase
from transformers.generation.logits_process import (
    NoRepeatNGramLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

Tokens = tuple[int, ...]


class Rules:
    """Masks the scores of forbidden next tokens.

    Args:
        no_repeat_ngram: n-grams of this size are not repeated; 0 disables the rule.
        top_p: nucleus of sampling; 0 disables sampling.
        temperature: of sampling.
        banned: for each example token sequences that must not be written; None bans nothing.
        beams: rows per example, consecutive.
    """

    def __init__(
        self,
        no_repeat_ngram: int = 0,
        top_p: float = 0.0,
        temperature: float = 1.0,
        banned: Sequence[Sequence[Tokens]] | None = None,
        beams: int = 1,
    ) -> None:
        self.processors = LogitsProcessorList()
        if no_repeat_ngram:
            self.processors.append(NoRepeatNGramLogitsProcessor(no_repeat_ngram))
        if top_p:
            self.processors.extend([TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)])
        self.banned, self.beams = banned if banned and any(banned) else None, beams

    def __call__(self, examples: Tensor, texts: Tensor, scores: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after texts (R, t), of which the first token is the begin token.

        Args:
            examples: (R / beams,) indices of the examples that the rows belong to.
        """
        if self.banned is not None:
            scores = scores.clone()
            for place, example in enumerate(examples.tolist()):
                for row in range(place * self.beams, (place + 1) * self.beams) if self.banned[example] else ():
                    _forbid(scores[row], texts[row, 1:].tolist(), self.banned[example])
        return self.processors(texts, scores)  # type: ignore[arg-type, no-any-return]  # annotated LongTensor


def banned_tokens(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> list[Tokens]:
    """Tokenizations of words and phrases: at the start or after a blank; as given, lower, upper, capitalised.

    A word can still be spelled with other tokens; to be sure, check the text with `mentions`.
    """
    found = set()
    for word in words:
        for form in (word, word.lower(), word.upper(), word.capitalize(), word.title()):
            for spelled in (form, f" {form}"):
                found.add(tuple(tokenizer.encode(spelled, add_special_tokens=False)))
    return sorted(found - {()})


def _forbid(scores: Tensor, text: list[int], banned: Sequence[Tokens]) -> None:
    for *head, last in banned:
        if not head or text[-len(head) :] == head:
            scores[last] = -torch.inf


def mentions(text: str, word: str) -> bool:
    """Whether a text contains this whole word or phrase, ignoring case: `ram` is not in `ramen`."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None
