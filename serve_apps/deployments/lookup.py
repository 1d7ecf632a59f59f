"""One request's catalog lookups, and the embedding of new reviews and keywords."""

from dataclasses import dataclass

import numpy as np

from serve_apps.deployments import uploads
from showcases.catalog import Catalog, CatalogError, NotFoundError, PhotoRows
from showcases.clip import ClipEncoder
from showcases.selector import Profile, user_profile


@dataclass(frozen=True)
class SelectionQuery:
    """A person (catalog user, or new with reviews or keywords) and the photos to select from.

    Attributes:
        business_id: its photos are the candidates if `photo_ids` is None.
        photo_ids: candidates; with `as_given`, all of them are selected in the given order.
        theta: quality/diversity trade-off; None takes the model's.
        tenant: whose uploads are visible besides the published rows.
    """

    k: int
    business_id: str | None = None
    photo_ids: list[str] | None = None
    as_given: bool = False
    theta: float | None = None
    user_id: str | None = None
    past_reviews: list[str] | None = None
    keywords: list[str] | None = None
    tenant: str | None = None


@dataclass(frozen=True)
class Selection:
    """The photos selected, and the generator's inputs.

    Attributes:
        photo_ids: at most k, in the order chosen.
        relevance: q > 0 of each.
        vectors: (len(photo_ids), d) float32.
        features: (R, d) float32, of past reviews, then of keywords.
        keywords: number used.
        past_reviews: number used.
        past_photos: number used.
        theta: quality/diversity trade-off used.
    """

    photo_ids: list[str]
    relevance: list[float]
    vectors: np.ndarray
    features: np.ndarray
    keywords: int
    past_reviews: int
    past_photos: int
    theta: float


@dataclass(frozen=True)
class Missing:
    """Why there is no selection: an id is unknown or invalid.

    Returned, not raised: Ray logs exceptions of a replica as failures, with a stack trace.
    """

    detail: str
    unknown: bool

    def error(self) -> CatalogError:
        return NotFoundError(self.detail) if self.unknown else CatalogError(self.detail)


@dataclass(frozen=True)
class SelectorInput:
    """A query and the selector's inputs.

    Attributes:
        candidates: N photos.
        profile: (P,), see `user_profile`.
        features: (R, d) float32, of past reviews, then of keywords.
        keywords: number used.
        past_photos: number used.
    """

    query: SelectionQuery
    candidates: PhotoRows
    profile: np.ndarray
    features: np.ndarray
    keywords: int
    past_photos: int

    def selection(self, chosen: np.ndarray, relevance: np.ndarray, theta: float) -> Selection:
        """
        Args:
            theta: the model's, used if the query has none.
            chosen: row numbers of candidates, best first, padded with -1; greedy MAP is nested, so the first k are
                the choice for k.
            relevance: (N or more,) of each candidate.
        """
        rows = [int(row) for row in chosen if row >= 0][: self.query.k]
        if self.query.as_given:
            rows = list(range(len(self.candidates.ids)))
        return Selection(
            [self.candidates.ids[row] for row in rows],
            [float(relevance[row]) for row in rows],
            self.candidates.vectors[rows],
            self.features,
            self.keywords,
            len(self.features) - self.keywords,
            self.past_photos,
            theta if self.query.theta is None else self.query.theta,
        )


class Lookup:
    """Looks up queries in the catalog and encodes texts; blocking and thread-safe."""

    def __init__(self, catalog: Catalog, encoder: ClipEncoder) -> None:
        self.catalog, self.encoder = catalog, encoder

    def __call__(self, query: SelectionQuery, kind: Profile) -> SelectorInput:
        """Inputs of the selector, without the user's own reviews and photos of the candidates' businesses.

        Raises:
            CatalogError: unknown user, business or photo, or an invalid id.
        """
        candidates = self._candidates(query)
        places = set(candidates.business_ids)
        posted = keywords = np.zeros((0, self.catalog.dim), np.float32)
        if query.user_id is not None:
            features = self.catalog.reviews_of_user(query.user_id, query.tenant).elsewhere(*places).features
            posted = self.catalog.photos_of_user(query.user_id, query.tenant).elsewhere(*places).vectors
        else:
            features = encode_reviews(self.encoder, query.past_reviews or [])
            keywords = encode_keywords(self.encoder, query.keywords or [])
            features = np.concatenate([features, keywords])
        profile = user_profile(features, posted, kind)
        return SelectorInput(query, candidates, profile, features, len(keywords), len(posted))

    def _candidates(self, query: SelectionQuery) -> PhotoRows:
        if query.photo_ids is not None:
            return self.catalog.photos(query.photo_ids, query.tenant)
        assert query.business_id is not None
        return self.catalog.photos_of_business(query.business_id, query.tenant)


def encode_reviews(encoder: ClipEncoder, texts: list[str]) -> np.ndarray:
    """(R, d) float32 features by the same `review_features` as the catalog's reviews.

    Texts without a letter or digit are skipped.
    """
    known = [vector for vector in uploads.review_vectors(encoder, texts) if vector is not None]
    return np.array(known, np.float32).reshape(-1, encoder.dim)


def encode_keywords(encoder: ClipEncoder, keywords: list[str]) -> np.ndarray:
    """(R, d) float32 unit features of R keywords; those without a letter or digit are skipped.

    Keywords are encoded as typed, since the prompt "a photo of ..." doesn't help. On the generated corpus, 196 dish
    names against 5,753 photos, without and with the prompt: AUC 0.947 and 0.949, precision at 10 0.490 and 0.489,
    cosine margin to other photos 0.291 and 0.289, recall at 3 of a restaurant's photos of a dish 0.600 and 0.596.
    """
    return encoder.encode_text([word for word in keywords if any(character.isalnum() for character in word)])
