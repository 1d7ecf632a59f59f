"""GPT-2 with cross-attention in every block: with pretrained weights, or a small one from scratch.

Paper section 4.2: GPT-2's weights load into everything but the cross-attention, which is new.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import GPT2Config, PreTrainedTokenizerFast

from showcases.compat import import_torchvision
from showcases.errors import ModelError
from showcases.generator.config import GeneratorConfig
from showcases.generator.tokenizer import learn_tokenizer, load_tokenizer

import_torchvision()

from transformers import GPT2LMHeadModel  # noqa: E402

NEW = ("crossattention.", "ln_cross_attn.")  # parts of a block that plain GPT-2 lacks


def starting_decoder(
    config: GeneratorConfig,
    texts: Sequence[str],
    cross_attention: bool = True,
    finetuned: Path | None = None,
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """The decoder that training starts from, and its tokenizer.

    Args:
        config: `pretrained` names the weights; with `random_init` only their size is used; None makes a small one.
        texts: of the training split; a tokenizer is learned from them if none is given.
        cross_attention: whether it attends to an encoder.
        finetuned: folder of a fine-tuned decoder (`finetune_decoder`), instead of `config.pretrained`.

    Raises:
        ModelError: there are no such weights.
    """
    source = finetuned or config.pretrained
    if source is None:
        tokenizer = learn_tokenizer(texts, config.vocab_size)
        return new_decoder(config, len(tokenizer), cross_attention), tokenizer
    tokenizer = load_tokenizer(source)
    if config.random_init and finetuned is None:
        return random_decoder(source, config, cross_attention), tokenizer
    return pretrained_decoder(source, config, cross_attention), tokenizer


def new_decoder(config: GeneratorConfig, vocab_size: int, cross_attention: bool = True) -> GPT2LMHeadModel:
    """A GPT-2 of the configured size with random weights; attends to the encoder if `cross_attention`."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=config.max_tokens + 1,  # plus the begin token
            n_embd=config.n_embd,
            n_layer=config.n_layer,
            n_head=config.n_head,
            add_cross_attention=cross_attention,
            bos_token_id=None,
            eos_token_id=None,
            **_common(config),
        )
    )


def random_decoder(source: str | Path, config: GeneratorConfig, cross_attention: bool = True) -> GPT2LMHeadModel:
    """A GPT-2 of the size of the weights at `source`, with random ones (Table 5, "Img Random").

    Raises:
        ModelError: no GPT-2 config was found.
    """
    try:
        found = GPT2Config.from_pretrained(str(source), add_cross_attention=cross_attention, **_common(config))
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: no GPT-2 config could be loaded from there: {error}") from error
    return GPT2LMHeadModel(found)


def pretrained_decoder(source: str | Path, config: GeneratorConfig, cross_attention: bool = True) -> GPT2LMHeadModel:
    """GPT-2 from a local folder or hub name; only its cross-attention gets random weights.

    Raises:
        ModelError: the weights were not found, or are incomplete.
    """
    model: GPT2LMHeadModel
    found: dict[str, Any]
    report = logging.getLogger("transformers.modeling_utils")
    level = report.level
    report.setLevel(logging.ERROR)  # silences its table of missing weights; checked below
    try:
        model, found = GPT2LMHeadModel.from_pretrained(  # type: ignore[misc]
            str(source), add_cross_attention=cross_attention, output_loading_info=True, **_common(config)
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: no GPT-2 weights could be loaded from there: {error}") from error
    finally:
        report.setLevel(level)
    missing = [key for key in found["missing_keys"] if not any(part in key for part in NEW)]
    odd = missing + sorted(found["unexpected_keys"]) + [key for key, *_ in found["mismatched_keys"]]
    if odd:
        raise ModelError(f"{source}: not the weights of a GPT-2; missing, unknown or of another shape: {odd[:5]}")
    if model.config.n_positions <= config.max_tokens:
        raise ModelError(f"{source}: has {model.config.n_positions} positions, max_tokens is {config.max_tokens}")
    return model


def rebuilt_decoder(config: dict[str, Any]) -> GPT2LMHeadModel:
    """A decoder for a saved GPT2Config, whose weights are loaded later."""
    return GPT2LMHeadModel(GPT2Config.from_dict(config))


def _common(config: GeneratorConfig) -> dict[str, Any]:
    return {
        "activation_function": "gelu_pytorch_tanh",  # GPT-2's gelu_new, in one kernel
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": 0.0,
    }
