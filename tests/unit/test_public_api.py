"""What people import: NumPy or tensors in, the same out, alone or in batches, and the same numbers either way."""

import numpy as np
import pytest
import torch

from showcases.errors import ConfigError
from showcases.generator import ContrastiveConfig, PC2LLoss, contrastive_loss
from showcases.selector import Selector, SelectorConfig, deep_kernel, greedy_map, rbf_kernel, set_log_likelihood

RANDOM = np.random.default_rng(0)
RELEVANCE, IMAGES = RANDOM.random((3, 6)) + 0.2, RANDOM.normal(size=(3, 6, 4))
KERNEL = np.stack([factor @ factor.T for factor in RANDOM.normal(size=(3, 6, 6))])
CHOSEN = RANDOM.random((3, 6)) < 0.5
BATCHED = {
    "deep_kernel": (deep_kernel, (RELEVANCE, IMAGES), {"delta": 0.01}),
    "rbf_kernel": (rbf_kernel, (RELEVANCE, IMAGES), {}),
    "rbf_kernel, projected": (rbf_kernel, (RELEVANCE, IMAGES), {"alpha": 3.0}),
    "greedy_map": (greedy_map, (KERNEL,), {"k": 4}),
    "set_log_likelihood": (set_log_likelihood, (KERNEL, CHOSEN), {}),
    "contrastive_loss": (contrastive_loss, (IMAGES[0], IMAGES[1]), {"hard": IMAGES[2]}),
}


@pytest.mark.parametrize("name", BATCHED)
def test_arrays_and_tensors_come_to_the_same(name: str) -> None:
    function, arguments, options = BATCHED[name]
    arrays = function(*arguments, **options)
    named = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in options.items()}
    tensors = function(*map(torch.tensor, arguments), **named)
    assert isinstance(arrays, np.ndarray) and isinstance(tensors, torch.Tensor)
    assert arrays.dtype in (np.float64, np.int64)  # nothing is rounded on its way
    np.testing.assert_allclose(arrays, tensors.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in BATCHED if name != "contrastive_loss"])
def test_one_example_needs_no_batch_and_a_batch_may_have_more_dimensions(name: str) -> None:
    function, arguments, options = BATCHED[name]
    whole = function(*arguments, **options)
    for row in range(3):
        np.testing.assert_allclose(function(*(part[row] for part in arguments), **options), whole[row], rtol=1e-9)
    deeper = function(*(part[None].repeat(2, 0) for part in arguments), **options)
    np.testing.assert_allclose(deeper, np.stack([whole, whole]), rtol=1e-9)


def test_an_array_beside_a_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="convert them"):
        deep_kernel(RELEVANCE, torch.tensor(IMAGES))


@pytest.mark.parametrize(
    ("function", "arguments", "options"),
    [
        (deep_kernel, (RELEVANCE[:2], IMAGES), {}),
        (deep_kernel, (RELEVANCE, IMAGES), {"delta": -1.0}),
        (rbf_kernel, (RELEVANCE, IMAGES), {"sigma": 0.0}),
        (greedy_map, (KERNEL[:, :4],), {}),
        (greedy_map, (KERNEL,), {"k": 0}),
        (contrastive_loss, (IMAGES[0], IMAGES[1, :2]), {}),
        (contrastive_loss, (IMAGES[0], IMAGES[1]), {"tau": 0.0}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(function, arguments, options) -> None:
    with pytest.raises(ValueError, match="fit|must be|at least"):
        function(*arguments, **options)


def test_a_selector_chooses_for_one_user_as_in_a_batch() -> None:
    torch.manual_seed(0)
    selector = Selector(SelectorConfig(hidden_dims=(8,), out_dim=4), "img", image_dim=4, text_dim=4).eval()
    profiles, images = RANDOM.normal(size=(3, 4)).astype(np.float32), IMAGES.astype(np.float32)
    together = selector.select(profiles, images, k=3)
    assert isinstance(together, np.ndarray) and together.shape == (3, 3)
    for row in range(3):
        assert selector.select(profiles[row], images[row]).tolist() == together[row].tolist()
        as_tensor = selector.select(torch.tensor(profiles[row]), torch.tensor(images[row]))
        assert as_tensor.tolist() == together[row].tolist()


def test_pc2l_takes_states_with_or_without_masks() -> None:
    torch.manual_seed(0)
    loss = PC2LLoss(4)
    states = {"images": IMAGES, "reviews": IMAGES[::-1], "texts": IMAGES * 2, "hard": IMAGES + 1}
    given = {name: torch.tensor(np.ascontiguousarray(part), dtype=torch.float32) for name, part in states.items()}
    users = torch.tensor(IMAGES[:, 0], dtype=torch.float32)
    image_loss, text_loss = loss(**given, users=users)
    assert image_loss.shape == text_loss.shape == (3,) and (image_loss > 0).all() and (text_loss > 0).all()
    masked = {name: (part, torch.ones(3, 6, dtype=torch.bool)) for name, part in given.items()}
    assert torch.equal(loss(**masked, users=users)[0], image_loss)
    arrays = loss(**{name: part.numpy() for name, part in given.items()}, users=users.numpy())
    np.testing.assert_allclose(arrays[1], text_loss.detach().numpy(), rtol=1e-6)
    with pytest.raises(ConfigError, match="users"):
        loss(**given)
    with pytest.raises(ConfigError, match="hard"):
        loss(**{name: part for name, part in given.items() if name != "hard"}, users=users)
    plain = PC2LLoss(4, ContrastiveConfig(image_loss="cl", text_loss="none"))
    assert plain(images=given["images"], reviews=None, texts=given["texts"])[1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_they_come_to_the_same() -> None:
    kernel = torch.tensor(KERNEL, device="cuda")
    assert greedy_map(kernel, k=4).device.type == "cuda"
    assert greedy_map(kernel, k=4).tolist() == greedy_map(KERNEL, k=4).tolist()
    loss = PC2LLoss(4, ContrastiveConfig(image_loss="cl", text_loss="cl")).double()
    states = [torch.tensor(part) for part in (IMAGES, IMAGES + 1, IMAGES * 2)]
    here = loss(*states)
    there = loss.cuda()(*(part.cuda() for part in states))
    torch.testing.assert_close(there[0].cpu(), here[0])
    torch.testing.assert_close(there[1].cpu(), here[1])
