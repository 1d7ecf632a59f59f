"""Weak labels for a corpus without annotations, by CLIP similarity; always marked in `source`.

A classifier trained on them learns little more than CLIP's cosine; its AUC is against these labels, not people's.
"""

from collections.abc import Sequence

import numpy as np

from showcases.distillation.annotations import AnnotationSet, ReviewPairs, annotation_table, split_by_review
from showcases.errors import CorpusError
from showcases.ids import sentence_id
from showcases.storage.embeddings import EmbeddingTable

SHARE = 0.25  # of the pairs: the most similar ones are labelled as matching, the least similar ones as not


def weak_labels(
    reviews: Sequence[ReviewPairs], sentences: EmbeddingTable, photos: EmbeddingTable, seed: int
) -> AnnotationSet:
    """Label pairs by CLIP similarity.

    Matching: the quarter of all (sentence, photo) pairs of one review with the highest similarity. Not matching: the
    quarter with the lowest, and each matching sentence again with a random photo of another business (of the same
    split, so that no photo is in two).

    Raises:
        CorpusError: too few pairs to label.
    """
    pairs = all_pairs(reviews)
    count = int(len(pairs) * SHARE)
    if count < 3:
        raise CorpusError(f"{len(pairs)} (sentence, photo) pairs: too few to label; at least 12 are needed")
    order = np.argsort(similarity(pairs, sentences, photos), kind="stable")
    low, high = [pairs[i] for i in sorted(order[:count])], [pairs[i] for i in sorted(order[-count:])]
    split = split_by_review((pair[2] for pair in low + high), seed)
    strange = _strangers(high, reviews, split, seed)
    rows = [(*pair, [], 1) for pair in high] + [(*pair, [], 0) for pair in low + strange]
    return AnnotationSet(annotation_table(rows, "weak", split), "weak")


def all_pairs(reviews: Sequence[ReviewPairs]) -> list[tuple[str, str, str]]:
    """Every (sentence id, photo id, review id) of these reviews."""
    return [
        (sentence_id(review.review_id, number), photo_id, review.review_id)
        for review in reviews
        for number in review.sentences
        for photo_id in review.photo_ids
    ]


def similarity(pairs: Sequence[tuple[str, str, str]], sentences: EmbeddingTable, photos: EmbeddingTable) -> np.ndarray:
    """(n,) cosines of the pairs."""
    text = sentences.gather([pair[0] for pair in pairs])
    image = photos.gather([pair[1] for pair in pairs])
    return np.einsum("nd,nd->n", text, image)


def _strangers(
    matching: Sequence[tuple[str, str, str]], reviews: Sequence[ReviewPairs], split: dict[str, str], seed: int
) -> list[tuple[str, str, str]]:
    """Each matching sentence once, with a photo of another business in the same split, if there is one."""
    rng = np.random.default_rng([seed, 1])
    business = {review.review_id: review.business_id for review in reviews}
    pools: dict[str, list[tuple[str, str]]] = {}
    for review in reviews:
        if review.review_id in split:
            pool = pools.setdefault(split[review.review_id], [])
            pool.extend((review.business_id, photo_id) for photo_id in review.photo_ids)
    result = []
    for sentence, review_id in dict.fromkeys((pair[0], pair[2]) for pair in matching):
        others = [entry for entry in _draws(rng, pools[split[review_id]]) if entry[0] != business[review_id]]
        if others:
            result.append((sentence, others[0][1], review_id))
    return result


def _draws(rng: np.random.Generator, pool: Sequence[tuple[str, str]], tries: int = 8) -> list[tuple[str, str]]:
    """A few random entries; includes another business except in the smallest corpora."""
    return [pool[i] for i in rng.integers(len(pool), size=tries)]
