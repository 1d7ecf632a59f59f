"""The generator: photos and past reviews in, an explanation out (paper section 4.2)."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from showcases.errors import ModelError
from showcases.generator.card import generator_card
from showcases.generator.config import GeneratorConfig, Inputs, Precision
from showcases.generator.decoder import new_decoder, pretrained_decoder, rebuilt_decoder
from showcases.generator.decoding import Banned, Decoding, stream, write
from showcases.generator.mma import Encoded, MultiModalEncoder
from showcases.generator.tokenizer import decode as decode_text
from showcases.generator.tokenizer import load_tokenizer
from showcases.model_card import Training

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
HALF = "\ufffd"  # replacement character: an incomplete UTF-8 sequence
TIED = "decoder.lm_head.weight"  # is decoder.transformer.wte.weight; saved once


class Generator(nn.Module):
    """MMA encoder and GPT-2 decoder.

    Args:
        config: architecture.
        tokenizer: of the explanations; its end token begins and ends them.
        image_dim: D, of photo features.
        text_dim: D', of review features.
        inputs: modalities that are read; the other one is ignored.
        embedding_space: model id of the embeddings it is trained on.
        decoder: weights to start from; None builds the decoder from `config`.

    Raises:
        ModelError: `config.pretrained` does not name GPT-2 weights.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        tokenizer: PreTrainedTokenizerFast,
        image_dim: int,
        text_dim: int,
        inputs: Inputs = "img+text",
        embedding_space: str = "",
        decoder: "GPT2LMHeadModel | None" = None,
    ) -> None:
        super().__init__()
        self.config, self.tokenizer, self.inputs = config, tokenizer, inputs
        self.image_dim, self.text_dim, self.embedding_space = image_dim, text_dim, embedding_space
        if decoder is None and config.pretrained is None:
            decoder = new_decoder(config, len(tokenizer))
        self.decoder = decoder or pretrained_decoder(str(config.pretrained), config)
        self.encoder = MultiModalEncoder(
            self.width,
            config.mma_layers,
            config.mma_heads,
            config.dropout,
            image_dim if "img" in inputs else None,
            text_dim if "text" in inputs else None,
        )

    @property
    def width(self) -> int:
        """E, the model's width."""
        return int(self.decoder.config.n_embd)

    def encode(self, images: Tensor, image_mask: Tensor, reviews: Tensor, review_mask: Tensor) -> Encoded:
        """[H^V; H^R] of (B, I, D) photos and (B, R, D') reviews with their masks (B, I), (B, R)."""
        return self.encoder(images, image_mask, reviews, review_mask)

    def decode(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Last hidden states (B, T, E) of (B, T) token ids, padded on the right.

        Attention is causal, so no mask is needed for the padding.
        """
        states = self.decoder.transformer(
            tokens, encoder_hidden_states=encoded.hidden, encoder_attention_mask=encoded.mask, use_cache=False
        )
        return states.last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary (..., vocabulary) of hidden states (..., E)."""
        return self.decoder.lm_head(hidden)

    def forward(
        self, images: Tensor, image_mask: Tensor, reviews: Tensor, review_mask: Tensor, tokens: Tensor
    ) -> Tensor:
        """Scores (B, T, vocabulary) of the token that follows each of `tokens` (B, T)."""
        return self.logits(self.decode(tokens, self.encode(images, image_mask, reviews, review_mask)))

    def generate(
        self,
        images: Tensor,
        image_mask: Tensor,
        reviews: Tensor,
        review_mask: Tensor,
        beams: int | None = None,
        decoding: Decoding | None = None,
        banned: Banned = None,
    ) -> list[str]:
        """Write an explanation for each example; deterministic.

        Args:
            beams: of beam search; 1 is greedy; None uses the config's.
            decoding: all decoding options, instead of `beams` and the config.
            banned: for each example runs of tokens that must not be written (`banned_tokens`).
        """
        written = self.generate_ids(images, image_mask, reviews, review_mask, beams, decoding, banned)
        return [decode_text(self.tokenizer, ids).strip() for ids in written]

    @torch.no_grad()
    def generate_ids(
        self,
        images: Tensor,
        image_mask: Tensor,
        reviews: Tensor,
        review_mask: Tensor,
        beams: int | None = None,
        decoding: Decoding | None = None,
        banned: Banned = None,
    ) -> list[list[int]]:
        """Token ids of `generate`'s texts, at most max_tokens each, without the begin and the end token."""
        encoded = self.encode(images, image_mask, reviews, review_mask)
        return write(self.decoder, encoded, int(self.tokenizer.eos_token_id), decoding or self.decoding(beams), banned)

    def stream(
        self,
        images: Tensor,
        image_mask: Tensor,
        reviews: Tensor,
        review_mask: Tensor,
        decoding: Decoding,
        banned: Banned = None,
    ) -> Iterator[dict[int, str]]:
        """Stream `generate`: yields each example's new text as soon as it is decoded.

        Pieces contain whole characters: a token with an incomplete character is held back.

        Raises:
            ConfigError: `decoding` has beams.
        """
        with torch.no_grad():
            encoded = self.encode(images, image_mask, reviews, review_mask)
        ids: dict[int, list[int]] = defaultdict(list)
        emitted: dict[int, str] = defaultdict(str)
        for step in stream(self.decoder, encoded, int(self.tokenizer.eos_token_id), decoding, banned):
            pieces = {}
            for example, token in step.items():
                ids[example].append(token)
                text = decode_text(self.tokenizer, ids[example]).lstrip()
                if not text.endswith(HALF):
                    pieces[example] = text[len(emitted[example]) :]
                    emitted[example] = text
            yield pieces

    def decoding(self, beams: int | None = None, precision: Precision = "float32") -> Decoding:
        """The config's decoding options; `beams` None uses the config's."""
        beams = self.config.beams if beams is None else beams
        return Decoding(self.config.max_tokens, beams, self.config.no_repeat_ngram, precision=precision)

    def save_pretrained(self, folder: Path, training: Training | None = None) -> None:
        """Write config.json, model.safetensors, the tokenizer's files and a model card with `training`."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.contiguous() for name, value in self.state_dict().items() if name != TIED}
        save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        self.tokenizer.save_pretrained(str(folder))
        description = {
            "kind": "showcases.generator",
            "embedding_space": self.embedding_space,
            "inputs": self.inputs,
            "image_dim": self.image_dim,
            "text_dim": self.text_dim,
            "generator": asdict(self.config),
            "decoder": self.decoder.config.to_dict(),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(description, indent=2, sort_keys=True))
        generator_card(self).write(folder, training)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "Generator":
        """Read what `save_pretrained` wrote.

        Raises:
            ModelError: the folder is incomplete, or not a generator's.
        """
        folder = Path(folder)
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise ModelError(f"{folder}: no {name}; a generator's folder is written by jobs.train_generator")
        description = json.loads((folder / CONFIG_FILE).read_text())
        if description.get("kind") != "showcases.generator":
            raise ModelError(f"{folder / CONFIG_FILE}: kind is {description.get('kind')!r}, not a generator")
        model = cls(
            GeneratorConfig(**description["generator"]),
            load_tokenizer(folder),
            description["image_dim"],
            description["text_dim"],
            description["inputs"],
            description["embedding_space"],
            rebuilt_decoder(description["decoder"]),
        )
        missing, unexpected = model.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=False)
        if set(missing) - {TIED} or unexpected:
            raise ModelError(f"{folder / WEIGHTS_FILE}: does not fit its config: {[*missing, *unexpected][:5]}")
        return model.eval()
