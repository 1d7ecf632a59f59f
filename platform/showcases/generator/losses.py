"""PC²L, personalized cross-modal contrastive learning (paper section 4.3, Eq. 7 to 11).

H̃ = φ(H): hidden states of one modality, pooled. s_ij = cos(H̃^X_i, H̃^Y_j) / τ, X photos (V) or reviews (R), Y the text.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showcases.arrays import numpy_or_tensors
from showcases.errors import ConfigError
from showcases.generator.config import ContrastiveConfig
from showcases.training.gather import gather_rows

States = Tensor | tuple[Tensor, Tensor]  # (n, N, E), optionally with a mask (n, N)


class ProjectionHead(nn.Module):
    """φ: two fully connected layers with ReLU, then the mean over real positions.

    Args:
        width: E, of the hidden states and the output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """H̃ (B, E) of hidden states (B, N, E), masked by (B, N) bool; a row without real positions gives zeros."""
        first, relu, second = self.layers
        raised = relu(first(hidden[mask]))  # real positions only
        pooled = masked_mean(raised.new_zeros(hidden.shape).index_put((mask,), raised), mask)
        out: Tensor = second(pooled)  # linear, so applied to the mean: once per row, not per position
        return out.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, E) of values (B, N, E) where mask (B, N) is True; zeros if it is nowhere."""
    weights = mask.to(values.dtype)[..., None]  # (B, N, 1)
    return (values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def cosine(left: Tensor, right: Tensor) -> Tensor:
    """Cosines (n, m) of rows (n, d) and (m, d); 0 for a row of zeros."""
    return F.normalize(left, dim=1) @ F.normalize(right, dim=1).T


@numpy_or_tensors
def user_weights(users: Tensor, others: Tensor, alpha: float) -> Tensor:
    """f(i, j) = α^(1 − cos(R̃_i, R̃_j)) (Eq. 10): the farther apart two users are, the more j counts as a negative.

    Args:
        users: (n, d), R̃_i: mean CLIP feature of the user's past reviews; zeros if there are none (cosine 0).
        others: (N, d).
        alpha: above 1.

    Returns:
        (n, N), between 1 and α².
    """
    return alpha ** (1 - cosine(users, others))


@numpy_or_tensors
def contrastive_loss(
    anchors: Tensor,
    texts: Tensor,
    tau: float = 0.1,
    weights: Tensor | None = None,
    hard: Tensor | None = None,
    has_hard: Tensor | None = None,
    first: int = 0,
) -> Tensor:
    """−log exp(s_ii) / (exp(s_ii) + Σ_{j≠i} f_ij exp(s_ij) + exp(s_i,ent)) for each anchor.

    Args:
        anchors: (n, d), H̃^X of this worker's examples.
        texts: (N, d), H̃^Y of all workers' examples; N = n on one worker.
        tau: temperature, above 0.
        weights: (n, N), f of each negative (Eq. 9), see `user_weights`; None weighs all 1 (Eq. 7).
        hard: (n, d), H̃^Y of each example's text with replaced entities (Eq. 8).
        has_hard: (n,) bool, which examples have one; None means all.
        first: row in `texts` of the first anchor's text.

    Returns:
        (n,) nats, at least 0; a tensor or an array like the arguments.

    Raises:
        ValueError: the shapes do not fit, or tau is not above 0.

    Source: Eq. 7 (plain), 8 (with `hard`), 9 (with `weights`).
    """
    if anchors.ndim != 2 or texts.ndim != 2 or anchors.shape[1] != texts.shape[1] or first + len(anchors) > len(texts):
        raise ValueError(
            f"anchors {tuple(anchors.shape)} and texts {tuple(texts.shape)} do not fit: (n, d) and (N, d) are needed, "
            f"N at least first + n ({first} + {len(anchors)})"
        )
    if not tau > 0:
        raise ValueError(f"tau is {tau}; it must be above 0")
    scores = cosine(anchors, texts) / tau  # (n, N)
    index = torch.arange(len(anchors), device=anchors.device)
    positive = scores[index, first + index]  # (n,)
    if weights is not None:
        is_own = torch.zeros_like(scores, dtype=torch.bool)
        is_own[index, first + index] = True
        scores = scores + weights.log().masked_fill(is_own, 0.0)  # f exp(s) = exp(s + log f)
    if hard is not None:
        score = F.cosine_similarity(anchors, hard, dim=1) / tau  # (n,)
        if has_hard is not None:
            score = score.masked_fill(~has_hard, -torch.inf)
        scores = torch.cat([scores, score[:, None]], dim=1)
    return torch.logsumexp(scores, dim=1) - positive


class PC2LLoss(nn.Module):
    """The image and the text loss of a batch, with negatives from all workers (Eq. 7 to 10).

    L = L_CE + λ1 · image loss + λ2 · text loss (Eq. 11) is for the caller to add up; `objective.Objective` does.

    Args:
        config: which losses, τ and α; by default the paper's, CCL and PCL.
        width: E, of the model's hidden states.
        reads_images: whether there is an H^V; without it there is no image loss.
        reads_reviews: whether there is an H^R; without it there is no text loss.
    """

    def __init__(
        self,
        width: int,
        config: ContrastiveConfig | None = None,
        reads_images: bool = True,
        reads_reviews: bool = True,
    ) -> None:
        super().__init__()
        self.config = config = config or ContrastiveConfig()
        self.image_head = ProjectionHead(width) if reads_images and config.image_loss != "none" else None
        self.review_head = ProjectionHead(width) if reads_reviews and config.text_loss != "none" else None
        has_any = self.image_head is not None or self.review_head is not None
        self.text_head = ProjectionHead(width) if has_any else None

    @property
    def needs_hard(self) -> bool:
        """Whether texts with replaced entities are needed."""
        return self.image_head is not None and self.config.image_loss == "ccl"

    @numpy_or_tensors
    def forward(
        self,
        images: States | None,
        reviews: States | None,
        texts: States,
        hard: States | None = None,
        has_hard: Tensor | None = None,
        users: Tensor | None = None,
        has_reviews: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Losses of each of this worker's n examples.

        Hidden states come alone, or with their mask: (states, mask), (n, N) bool, True at real positions.

        Args:
            images: H^V (n, I, E).
            reviews: H^R (n, R, E).
            texts: H^Y (n, T, E), the decoder's last hidden states.
            hard: likewise, for the texts with replaced entities; for ccl.
            has_hard: (n,) bool, examples whose text has an entity; by default all if `hard` is given.
            users: (n, D), R̃: mean feature of the past reviews; for pcl.
            has_reviews: (n,) bool; the text loss of an example without a past review is 0. By default those whose
                reviews' mask has a True.

        Returns:
            (n,) L_CCL or L_CL of the photos and (n,) L_PCL or L_CL of the reviews, in nats; zeros for an unused loss.

        Raises:
            ConfigError: the configured losses need an argument that is missing.
        """
        texts = _with_mask(texts)
        zeros = texts[0].new_zeros(len(texts[0]))
        if self.text_head is None:
            return zeros, zeros
        projected = self.text_head(*texts)  # (n, E)
        weighted = self.review_head is not None and self.config.text_loss == "pcl"
        if weighted and users is None:
            raise ConfigError("text_loss pcl weighs negatives by the distance between users: pass `users`, (n, D)")
        users = projected.new_zeros(len(projected), 1) if users is None else users
        gathered, first = gather_rows(torch.cat([projected, users], dim=1))
        everyone, all_users = gathered.split([projected.shape[1], users.shape[1]], dim=1)  # (N, E), (N, D)
        image_loss, text_loss = zeros, zeros
        if self.image_head is not None:
            if images is None or (self.needs_hard and hard is None):
                raise ConfigError(f"image_loss {self.config.image_loss} needs `images`, and ccl `hard` as well")
            other = self.text_head(*_with_mask(hard)) if self.needs_hard and hard is not None else None
            anchors = self.image_head(*_with_mask(images))
            image_loss = contrastive_loss(
                anchors, everyone, self.config.tau, hard=other, has_hard=has_hard, first=first
            )
        if self.review_head is not None:
            if reviews is None:
                raise ConfigError(f"text_loss {self.config.text_loss} needs `reviews`")
            reviews = _with_mask(reviews)
            weights = user_weights(users, all_users, self.config.alpha) if weighted else None
            text_loss = contrastive_loss(self.review_head(*reviews), everyone, self.config.tau, weights, first=first)
            text_loss = text_loss.where(reviews[1].any(1) if has_reviews is None else has_reviews, zeros)
        return image_loss, text_loss


def _with_mask(states: States) -> tuple[Tensor, Tensor]:
    """Hidden states (n, N, E) and their mask (n, N), all True if none is given."""
    if isinstance(states, Tensor):
        return states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return states
