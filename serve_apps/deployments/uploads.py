"""Embeds uploaded reviews and photos in the Selector, by the same encoder and rules as the catalog."""

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from showcases.gest.reading.sentences import split_sentences
from showcases.storage.embeddings import EmbeddingTable, review_features

if TYPE_CHECKING:
    from showcases.clip import ClipEncoder

SENTENCES = 64  # per forward pass
REVIEWS, PHOTOS = 16, 16  # per thread call; cancellation takes effect between calls


def review_vectors(encoder: "ClipEncoder", texts: list[str]) -> list[np.ndarray | None]:
    """(d,) float32 feature of each text, by the same `review_features` as the catalog's; None for texts without a
    letter or digit."""
    split = split_sentences(texts)
    ids = [f"{review}:{number}" for review, sentences in enumerate(split) for number in range(len(sentences))]
    flat = [sentence for sentences in split for sentence in sentences]
    pieces = [encoder.encode_text(flat[start : start + SENTENCES]) for start in range(0, len(flat), SENTENCES)]
    table = EmbeddingTable(ids, np.concatenate([np.zeros((0, encoder.dim), np.float32), *pieces]), encoder.model_id)
    features = review_features(table, [str(review) for review in range(len(texts))])
    return [features.get(str(review)) for review in range(len(texts))]


async def embed_reviews(encoder: "ClipEncoder", texts: list[str]) -> list[np.ndarray | None]:
    """`review_vectors`, off the event loop."""
    found: list[np.ndarray | None] = []
    for start in range(0, len(texts), REVIEWS):
        found += await asyncio.to_thread(review_vectors, encoder, texts[start : start + REVIEWS])
    return found


async def embed_photos(encoder: "ClipEncoder", photos: list[bytes]) -> np.ndarray:
    """(n, d) float32 unit vectors of n valid JPEGs, off the event loop, by the same code as jobs.embed.

    Raises:
        ValueError: one can't be decoded, though the gateway decoded it before.
    """
    found = [np.zeros((0, encoder.dim), np.float32)]
    for start in range(0, len(photos), PHOTOS):
        vectors, errors = await asyncio.to_thread(encoder.encode_images, photos[start : start + PHOTOS])
        if any(errors):
            raise ValueError(next(error for error in errors if error))
        found.append(vectors)
    return np.concatenate(found)
