"""The encoder's promises: order and padding do not matter, nothing at all is allowed."""

import math

import pytest
import torch

from showcases.errors import ConfigError
from showcases.generator.mma import MultiModalEncoder

WIDTH = 12


@pytest.fixture
def encoder() -> MultiModalEncoder:
    torch.manual_seed(0)
    return MultiModalEncoder(WIDTH, layers=2, heads=3, dropout=0.0, image_dim=6, text_dim=5).eval()


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "images": torch.randn(2, 3, 6),
        "image_mask": torch.ones(2, 3, dtype=torch.bool),
        "reviews": torch.randn(2, 4, 5),
        "review_mask": torch.ones(2, 4, dtype=torch.bool),
    }


def test_permuting_photos_permutes_their_states_and_leaves_the_reviews(encoder, batch):
    order = torch.tensor([2, 0, 1])
    straight = encoder(**batch)
    permuted = encoder(**batch | {"images": batch["images"][:, order]})
    torch.testing.assert_close(permuted.images[0], straight.images[0][:, order])
    torch.testing.assert_close(permuted.reviews[0], straight.reviews[0])


@pytest.mark.parametrize("garbage", [7.0, float("nan"), float("inf")])
def test_padding_has_no_effect_on_states_or_gradients(encoder, batch, garbage):
    padded = {
        "images": torch.cat([batch["images"], torch.full((2, 2, 6), garbage)], dim=1),
        "image_mask": torch.tensor([[True] * 3 + [False] * 2] * 2),
        "reviews": torch.cat([batch["reviews"], torch.full((2, 1, 5), garbage)], dim=1),
        "review_mask": torch.tensor([[True] * 4 + [False]] * 2),
    }
    results = []
    for inputs in (batch, padded):
        encoder.zero_grad()
        encoded = encoder(**inputs)
        hidden = torch.cat([encoded.images[0][:, :3], encoded.reviews[0][:, :4]], dim=1)
        hidden.square().sum().backward()
        results.append((hidden.detach(), encoder.images.linear.weight.grad.clone()))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])


def test_an_example_without_photos_or_reviews_gets_finite_states_and_gradients(encoder, batch):
    batch["image_mask"][0] = False
    batch["review_mask"][0] = False
    encoded = encoder(**batch)
    assert torch.isfinite(encoded.hidden).all()
    assert encoded.mask.tolist()[0] == [True, False, False, True, False, False, False]  # a stand-in each
    encoded.hidden[encoded.mask].square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())
    assert encoder.images.nothing.grad.abs().sum() > 0


def test_an_example_without_photos_reads_alike_whatever_its_batch_holds(encoder, batch):
    batch["image_mask"][0] = False
    beside_others = encoder(**batch)
    alone = encoder(
        torch.zeros(1, 0, 6), torch.zeros(1, 0, dtype=torch.bool), batch["reviews"][:1], batch["review_mask"][:1]
    )
    torch.testing.assert_close(alone.reviews[0], beside_others.reviews[0][:1])
    torch.testing.assert_close(alone.images[0][:, 0], beside_others.images[0][:1, 0])


def test_modalities_see_each_other(encoder, batch):
    other = encoder(**batch | {"images": batch["images"] + 1})
    assert (other.reviews[0] - encoder(**batch).reviews[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("image_dim", "text_dim", "ignored"), [(6, None, "reviews"), (None, 5, "images")])
def test_a_modality_that_is_not_read_has_no_say(batch, image_dim, text_dim, ignored):
    encoder = MultiModalEncoder(WIDTH, 1, 3, 0.0, image_dim, text_dim).eval()
    straight = encoder(**batch)
    other = encoder(**batch | {ignored: batch[ignored] + 5})
    torch.testing.assert_close(other.hidden, straight.hidden, rtol=0, atol=0)
    assert straight.hidden.shape[1] == (3 if ignored == "reviews" else 4)
    assert getattr(straight, ignored)[0].shape[1] == 0


def test_without_layers_it_is_the_projection_of_the_method(batch):
    encoder = MultiModalEncoder(WIDTH, 0, 3, 0.0, 6, 5).eval()
    photo = batch["images"][1, 2]
    projected = encoder.images.linear.weight @ (photo * math.sqrt(6)) + encoder.images.linear.bias  # Z^V = W^V V
    expected = (projected - projected.mean()) / torch.sqrt(projected.var(unbiased=False) + 1e-5)
    torch.testing.assert_close(encoder(**batch).images[0][1, 2], expected)


def test_refuses_heads_that_do_not_divide_the_width_and_no_modality():
    with pytest.raises(ConfigError, match="mma_heads 5"):
        MultiModalEncoder(WIDTH, 1, 5, 0.0, 6, 5)
    with pytest.raises(ConfigError, match="photos or reviews"):
        MultiModalEncoder(WIDTH, 1, 3, 0.0, None, None)


def test_standardised_features_lie_around_zero_and_padding_stays_without_effect(encoder, batch):
    cone = torch.nn.functional.normalize(torch.ones(50, 6) + 0.1 * torch.randn(50, 6), dim=1)  # as CLIP's are
    encoder.standardise(cone, batch["reviews"].flatten(0, 1))
    seen = []
    hook = encoder.images.linear.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    encoder(cone[None], torch.ones(1, 50, dtype=torch.bool), batch["reviews"][:1], batch["review_mask"][:1])
    hook.remove()
    torch.testing.assert_close(seen[0][0].mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].square().mean(), torch.tensor(1.0))
    test_padding_has_no_effect_on_states_or_gradients(encoder, batch, float("nan"))
    assert encoder.reviews.scale != encoder.images.scale
