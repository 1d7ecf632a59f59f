"""Each contrastive loss against its equation, written out in loops (paper section 4.3)."""

import math

import pytest
import torch

from showcases.errors import ConfigError
from showcases.generator import ContrastiveConfig
from showcases.generator.losses import PC2LLoss, ProjectionHead, contrastive_loss, masked_mean, user_weights

N, D, TAU = 5, 7, 0.1


def cos(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of two vectors, in plain arithmetic."""
    a, b = a.detach(), b.detach()
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    length = math.sqrt(sum(float(x) ** 2 for x in a)) * math.sqrt(sum(float(y) ** 2 for y in b))
    return dot / length if length else 0.0


def literal(anchors, texts, tau, f=None, hard=None, has_hard=None) -> list[float]:
    """-log exp(s_ii) / (exp(s_ii) + sum_j f_ij exp(s_ij) + exp(s_i,ent)), one number at a time."""
    losses = []
    for i in range(len(anchors)):
        own = math.exp(cos(anchors[i], texts[i]) / tau)
        denominator = own
        for j in range(len(texts)):
            if j != i:
                weight = f[i][j] if f is not None else 1.0
                denominator += weight * math.exp(cos(anchors[i], texts[j]) / tau)
        if hard is not None and (has_hard is None or has_hard[i]):
            denominator += math.exp(cos(anchors[i], hard[i]) / tau)
        losses.append(-math.log(own / denominator))
    return losses


@pytest.fixture
def vectors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    names = ("anchors", "texts", "hard", "users")
    return {name: torch.randn(N, D, dtype=torch.float64) for name in names}


def test_cl_is_equation_7(vectors):
    ours = contrastive_loss(vectors["anchors"], vectors["texts"], TAU)
    torch.testing.assert_close(ours.tolist(), literal(vectors["anchors"], vectors["texts"], TAU))


def test_ccl_is_equation_8_and_only_examples_with_entities_have_a_hard_negative(vectors):
    has_hard = torch.tensor([True, False, True, True, False])
    ours = contrastive_loss(vectors["anchors"], vectors["texts"], TAU, hard=vectors["hard"], has_hard=has_hard)
    expected = literal(vectors["anchors"], vectors["texts"], TAU, hard=vectors["hard"], has_hard=has_hard)
    torch.testing.assert_close(ours.tolist(), expected)
    assert torch.isfinite(ours).all()


def test_pcl_is_equations_9_and_10(vectors):
    alpha, users = 3.0, vectors["users"]
    f = [[alpha ** (1 - cos(users[i], users[j])) for j in range(N)] for i in range(N)]
    weights = user_weights(users, users, alpha)
    torch.testing.assert_close(weights.tolist(), f)
    ours = contrastive_loss(vectors["anchors"], vectors["texts"], TAU, weights)
    torch.testing.assert_close(ours.tolist(), literal(vectors["anchors"], vectors["texts"], TAU, f))


def test_a_user_without_past_reviews_stands_at_a_right_angle_to_all():
    users = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(user_weights(users, users, math.e), torch.tensor([[math.e, math.e], [math.e, 1.0]]))


def test_users_of_one_taste_weigh_less_as_negatives_than_far_ones(vectors):
    near = user_weights(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.1], [-1.0, 0.0]]), math.e)[0]
    assert near[0] < 1.1
    assert near[1] == pytest.approx(math.e**2)


def test_an_anchor_of_a_later_worker_finds_its_own_text(vectors):
    whole = contrastive_loss(vectors["anchors"], vectors["texts"], TAU)
    part = contrastive_loss(vectors["anchors"][3:], vectors["texts"], TAU, first=3)
    torch.testing.assert_close(part, whole[3:])


def test_a_head_is_two_layers_with_relu_then_the_mean_over_real_positions():
    torch.manual_seed(1)
    head = ProjectionHead(3)
    first, _, second = head.layers
    hidden = torch.randn(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    for row in range(2):
        real = [hidden[row, n] for n in range(4) if mask[row, n]]
        through = [second.weight @ torch.clamp(first.weight @ h + first.bias, min=0) + second.bias for h in real]
        torch.testing.assert_close(head(hidden, mask)[row], sum(through) / len(real))


def test_the_mean_over_nothing_is_zero():
    assert masked_mean(torch.ones(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool)).tolist() == [[0.0, 0.0, 0.0]]


def states(width: int = 6) -> dict[str, object]:
    torch.manual_seed(2)

    def modality(length: int, mask: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(3, length, width), torch.arange(length) < torch.tensor(mask)[:, None]

    return {
        "images": modality(2, [1, 2, 2]),
        "reviews": modality(3, [3, 1, 1]),
        "texts": modality(5, [5, 2, 4]),
        "hard": modality(5, [5, 3, 4]),
        "has_hard": torch.tensor([True, False, True]),
        "users": torch.randn(3, 4),
        "has_reviews": torch.tensor([True, True, False]),
    }


@pytest.mark.parametrize("image_loss", ["none", "cl", "ccl"])
@pytest.mark.parametrize("text_loss", ["none", "cl", "pcl"])
def test_every_variant_of_table_4_is_its_equations(image_loss, text_loss):
    given = states()
    losses = PC2LLoss(6, ContrastiveConfig(image_loss=image_loss, text_loss=text_loss), True, True)
    image, text = (loss.tolist() for loss in losses(**given))
    own = losses.text_head(*given["texts"]) if losses.text_head else None
    if image_loss == "none":
        assert image == [0.0, 0.0, 0.0]
    else:
        hard = losses.text_head(*given["hard"]) if image_loss == "ccl" else None
        anchors = losses.image_head(*given["images"])
        assert image == pytest.approx(literal(anchors, own, TAU, hard=hard, has_hard=given["has_hard"]), abs=1e-4)
    if text_loss == "none":
        assert text == [0.0, 0.0, 0.0]
    else:
        f = user_weights(given["users"], given["users"], math.e).tolist() if text_loss == "pcl" else None
        expected = literal(losses.review_head(*given["reviews"]), own, TAU, f)
        assert text == pytest.approx([*expected[:2], 0.0], abs=1e-4)  # the third has no past review


def test_a_modality_that_is_not_read_has_no_loss_and_no_head():
    photos_only = PC2LLoss(6, ContrastiveConfig(), reads_images=True, reads_reviews=False)
    image, text = photos_only(**states())
    assert (image > 0).all() and text.tolist() == [0.0, 0.0, 0.0]
    assert not any("review_head" in name for name, _ in photos_only.named_parameters())
    reviews_only = PC2LLoss(6, ContrastiveConfig(), reads_images=False, reads_reviews=True)
    assert not reviews_only.needs_hard


@pytest.mark.parametrize(("option", "value"), [("alpha", 1.0), ("tau", 0.0), ("tau", -1.0)])
def test_values_without_meaning_are_refused(option, value):
    with pytest.raises(ConfigError, match=option):
        ContrastiveConfig(**{option: value})
