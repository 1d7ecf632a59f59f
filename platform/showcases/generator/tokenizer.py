"""Tokenization: GPT-2's byte-level BPE for pretrained weights, else one learned on the corpus.

Both cover every byte, so any text round-trips; one special token begins, ends and pads.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, PreTrainedTokenizerFast

from showcases.errors import ModelError

END = "<|endoftext|>"
SMALLEST_VOCAB = 257  # 256 bytes and END


def learn_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE; deterministic.

    Args:
        texts: of the training split.
        vocab_size: maximum; smaller if the texts have fewer merges.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocab_size, SMALLEST_VOCAB),
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_special_tokens())


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerFast:
    """A saved tokenizer (tokenizer.json), or GPT-2's (vocab.json and merges.txt), from a folder or hub name.

    Raises:
        ModelError: no tokenizer was found.
    """
    kind = PreTrainedTokenizerFast if (Path(source) / "tokenizer.json").is_file() else GPT2Tokenizer
    try:
        return kind.from_pretrained(str(source), **_special_tokens())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{source}: no GPT-2 tokenizer found (tokenizer.json, or vocab.json and merges.txt)"
        ) from error


def encode(tokenizer: PreTrainedTokenizerFast, text: str, max_tokens: int) -> tuple[list[int], bool]:
    """Token ids without special tokens, at most `max_tokens`, and whether the text was truncated."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    return ids[:max_tokens], len(ids) > max_tokens


def decode(tokenizer: PreTrainedTokenizerFast, ids: Iterable[int]) -> str:
    """Text of token ids, without special tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _special_tokens() -> dict[str, Any]:
    # split_special_tokens: an end token spelled out in a review is ordinary text
    return {
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
