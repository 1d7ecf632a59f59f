"""The selector as a whole: shapes, padding, the dial, the folder it is saved to, and its predictor."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from showcases.errors import ConfigError, ModelError
from showcases.model_card import Training
from showcases.selector import Selector, SelectorConfig, SelectorPredictor, user_profile
from showcases.selector.greedy import greedy_map
from showcases.selector.likelihood import set_log_likelihood

SMALL = SelectorConfig(hidden_dims=(8,), out_dim=4)


def _model(config: SelectorConfig = SMALL, profile: str = "img+text") -> Selector:
    torch.manual_seed(0)
    return Selector(config, profile, image_dim=6, text_dim=5, embedding_space="space-1").eval()  # type: ignore[arg-type]


def _inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    profiles = torch.randn(3, 11, generator=generator)
    images = torch.nn.functional.normalize(torch.randn(3, 7, 6, generator=generator), dim=-1)
    mask = torch.arange(7) < torch.tensor([[7], [4], [2]])
    return profiles, images, mask


def test_relevance_is_the_formula() -> None:
    model = _model()
    profiles, images, _ = _inputs()
    q = model.relevance(profiles, images)
    for b in range(3):
        for n in range(7):
            dot = (model.user_tower(profiles[b]) @ model.image_tower(images[b, n]) + model.bias).item()
            assert q[b, n].item() == pytest.approx(math.exp(4 * math.tanh(dot / 4)), rel=1e-5)


def test_padding_is_not_seen_by_anything() -> None:
    model = _model()
    profiles, images, mask = _inputs()
    spoiled = images.masked_fill(~mask[:, :, None], float("nan"))
    chosen = torch.zeros_like(mask)
    chosen[:, 0] = True

    def gradients(images: torch.Tensor, mask: torch.Tensor, chosen: torch.Tensor) -> list[torch.Tensor]:
        model.zero_grad()
        set_log_likelihood(model(profiles, images, mask), chosen, mask).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    wider = torch.cat([images, torch.randn(3, 5, 6)], dim=1), torch.nn.functional.pad(mask, (0, 5))
    plain = gradients(images, mask, chosen)
    assert any(gradient.abs().max() > 1e-3 for gradient in plain)
    for other in (gradients(spoiled, mask, chosen), gradients(*wider, torch.nn.functional.pad(chosen, (0, 5)))):
        for a, b in zip(plain, other, strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_photos_shared_by_many_users_give_the_same_kernel() -> None:
    model = _model()
    profiles, _, mask = _inputs()
    table = torch.nn.functional.normalize(torch.randn(9, 6), dim=-1)
    candidates = torch.randint(0, 9, (3, 7))
    assert torch.allclose(model(profiles, table, mask, candidates), model(profiles, table[candidates], mask), atol=1e-6)


@pytest.mark.parametrize("kernel", ["deep", "rbf"])
def test_select_gives_real_photos_each_once(kernel: str) -> None:
    model = _model(SelectorConfig(hidden_dims=(8,), out_dim=4, kernel=kernel))  # type: ignore[arg-type]
    profiles, images, mask = _inputs()
    chosen = model.select(profiles, images, mask, 3)
    for row, count in zip(chosen.tolist(), (3, 3, 2), strict=True):
        real = [item for item in row if item >= 0]
        assert len(set(real)) == len(real) == count
        assert all(mask[chosen.tolist().index(row), item] for item in real)


def test_the_dial_goes_from_diversity_to_relevance() -> None:
    """Three alike photos that the user likes most, three unlike ones: theta decides."""
    model = _model()
    alike = torch.tensor([[1.0, 0.1, 0, 0, 0, 0], [1.0, 0, 0.1, 0, 0, 0], [1.0, -0.1, 0, 0, 0, 0]])
    unlike = torch.eye(6)[3:]
    images = torch.cat([alike, unlike])[None]
    q = torch.tensor([[4.0, 4.0, 4.0, 1.0, 1.0, 1.0]])
    model.relevance = lambda *_: q  # type: ignore[method-assign]
    mask = torch.ones(1, 6, dtype=torch.bool)
    diverse = model.select(torch.zeros(1, 11), images, mask, 3, theta=0.0)[0].tolist()
    relevant = model.select(torch.zeros(1, 11), images, mask, 3, theta=6.0)[0].tolist()
    assert len(set(diverse) & {0, 1, 2}) <= 1
    assert set(relevant) == {0, 1, 2}


def test_the_configs_dial_is_used_unless_another_is_given() -> None:
    model = _model(SelectorConfig(hidden_dims=(8,), out_dim=4, theta=0.0))
    profiles, images, mask = _inputs()
    by_diversity = model.select(profiles, images, mask, 3, theta=0.0)
    assert torch.equal(model.select(profiles, images, mask, 3), by_diversity)
    with torch.no_grad():
        model.bias.fill_(0.0)
        model.image_tower.layers[-1].bias.fill_(3.0)  # type: ignore[union-attr, operator]
        model.user_tower.layers[-1].bias.fill_(1.0)  # type: ignore[union-attr, operator]
    relevance = model.relevance(profiles, images)
    expected = greedy_map(model.kernel(relevance**2.5, images, mask), mask, 3)
    assert torch.equal(model.select(profiles, images, mask, 3, theta=2.5), expected)


@pytest.mark.parametrize("hidden_dims", [(), (24,), (40, 33, 26)])
def test_before_training_relevance_is_the_likeness_of_profile_and_photo(hidden_dims: tuple[int, ...]) -> None:
    """All ReLUs cancel out: log q is linear in <text + 2 photos, photo>, each less its mean, over its spread."""
    torch.manual_seed(0)
    model = Selector(SelectorConfig(hidden_dims=hidden_dims, out_dim=12, max_log_relevance=1e4), "img+text", 12, 12)
    photos = torch.randn(200, 12) + 3.0
    profiles = torch.cat([torch.randn(100, 12) - 1.0, 0.3 * torch.randn(100, 12) + 2.0], dim=1)
    model.start_from_similarity(profiles, photos)
    logits = model.relevance(profiles, photos[None].expand(100, -1, -1)).log().detach()

    def standard(vectors: torch.Tensor) -> torch.Tensor:
        centred = vectors - vectors.mean(0)
        return centred / centred.square().sum(1).mean().sqrt()

    likeness = (standard(profiles[:, :12]) + 2 * standard(profiles[:, 12:])) @ standard(photos).T
    correlation = torch.corrcoef(torch.stack([logits.flatten(), likeness.flatten()]))[0, 1]
    assert correlation.item() == pytest.approx(1.0, abs=1e-4)
    assert logits.mean().item() == pytest.approx(-1.5, abs=0.1)
    assert logits.std().item() == pytest.approx(1.0, abs=0.1)


def test_keywords_like_a_photo_raise_it_above_the_others() -> None:
    """Somebody new with nothing but typed words: those whose features are a photo's bring that photo to the front."""
    torch.manual_seed(0)
    model = Selector(SelectorConfig(hidden_dims=(24,), out_dim=12), "img+text", 12, 12)
    photos = torch.nn.functional.normalize(torch.randn(200, 12), dim=1)
    model.start_from_similarity(torch.cat([photos[:100], photos[100:]], dim=1), photos)
    shown = photos[:6].numpy()

    def ranks(keywords: np.ndarray) -> list[int]:
        profile = user_profile(keywords, np.zeros((0, 12), np.float32), "img+text")
        relevance = model.relevance(torch.from_numpy(profile)[None], photos[None, :6])[0]
        return relevance.argsort(descending=True).argsort().tolist()

    for wanted in range(6):
        assert ranks(shown[[wanted]])[wanted] == 0
        both = ranks(shown[[wanted, (wanted + 1) % 6]])  # two keywords count alike
        assert sorted([both[wanted], both[(wanted + 1) % 6]])[0] == 0
        assert both[(wanted + 1) % 6] <= ranks(shown[[wanted]])[(wanted + 1) % 6]


def test_the_first_likeness_uses_the_photos_main_directions_where_the_towers_are_narrow() -> None:
    torch.manual_seed(0)
    spread = torch.tensor([5.0, 4.0, 3.0, 0.1, 0.1, 0.1])
    photos = torch.randn(500, 6) * spread
    model = Selector(SelectorConfig(hidden_dims=(8,), out_dim=3, max_log_relevance=1e4), "img", 6, 6)
    model.start_from_similarity(photos[:100], photos)
    outputs = model.image_tower(photos).detach()
    ratio = outputs @ outputs.T / (photos[:, :3] @ photos[:, :3].T)
    assert ratio.median().item() > 0
    assert (ratio / ratio.median() - 1).abs().median() < 0.1


def test_the_papers_size() -> None:
    """Towers 1024-512-512-256-128 and 512-512-512-256-128 with biases, and one bias of log q."""
    model = Selector(SelectorConfig(), "img+text", image_dim=512, text_dim=512)
    user = 1024 * 512 + 512 + 512 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128
    image = user - 512 * 512
    assert sum(p.numel() for p in model.parameters()) == user + image + 1


def test_saved_and_read_again_it_is_the_same(tmp_path: Path) -> None:
    model = _model()
    model.save_pretrained(tmp_path / "m")
    again = Selector.from_pretrained(tmp_path / "m")
    profiles, images, mask = _inputs()
    assert torch.equal(model(profiles, images, mask), again(profiles, images, mask))
    assert (again.config, again.profile, again.embedding_space) == (model.config, "img+text", "space-1")
    assert not again.training
    assert json.loads((tmp_path / "m" / "config.json").read_text())["embedding_space"] == "space-1"


def test_a_broken_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train_selector"):
        Selector.from_pretrained(tmp_path)
    _model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "image_dim": 7}))
    with pytest.raises(ModelError, match="image_tower"):
        Selector.from_pretrained(tmp_path)


def test_a_useless_config_is_told() -> None:
    with pytest.raises(ConfigError, match="delta"):
        _model(SelectorConfig(delta=0.0))


@pytest.mark.parametrize(("kind", "width"), [("text", 5), ("img", 6), ("img+text", 11)])
def test_user_profile(kind: str, width: int) -> None:
    rng = np.random.default_rng(0)
    text, images = rng.normal(size=(3, 5)), rng.normal(size=(2, 6))
    profile = user_profile(text, images, kind)  # type: ignore[arg-type]
    parts = {"text": [text], "img": [images], "img+text": [text, images]}[kind]
    assert profile.shape == (width,) and profile.dtype == np.float32
    assert profile == pytest.approx([sum(column) / len(column) for part in parts for column in part.T], abs=1e-6)
    assert _model(profile=kind).profile_dim == width


def test_user_profile_of_somebody_unknown_is_zeros() -> None:
    text = np.array([[1.0, 2.0]])
    assert user_profile(text, np.zeros((0, 3)), "img+text").tolist() == [1.0, 2.0, 0.0, 0.0, 0.0]
    with pytest.raises(ConfigError, match="shape"):
        user_profile(text, np.zeros(0), "img+text")


def test_predictor_does_what_the_model_does(tmp_path: Path) -> None:
    model = _model()
    model.save_pretrained(tmp_path)
    profiles, images, mask = _inputs()
    batch = {"profile": profiles.numpy(), "images": images.numpy(), "n_images": mask.sum(1).numpy()}
    out = SelectorPredictor(tmp_path, k=3)(batch)
    assert out["chosen"].dtype == np.int64 and out["relevance"].dtype == np.float32
    assert out["chosen"].tolist() == model.select(profiles, images, mask, 3).tolist()
    expected = model.relevance(profiles, images).detach().numpy()
    assert np.allclose(out["relevance"], np.where(mask.numpy(), expected, 0.0), atol=1e-6)
    assert out["chosen"][2, 2] == -1


def test_each_row_may_turn_the_dial_itself(tmp_path: Path) -> None:
    model = Selector(SelectorConfig(hidden_dims=(8,), out_dim=4, theta=2.0), "img", 6, 6, "space")
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    images = np.random.default_rng(0).normal(size=(1, 9, 6)).astype(np.float32)
    thetas = np.array([0.0, 4.0, np.nan, 1.0])
    batch = {"profile": np.ones((4, 6), np.float32), "images": np.repeat(images, 4, 0), "n_images": np.full(4, 9)}
    together = SelectorPredictor(tmp_path)(batch | {"theta": thetas})["chosen"]
    one = {name: column[:1] for name, column in batch.items()}
    for row, theta in enumerate((0.0, 4.0, None, 1.0)):
        np.testing.assert_array_equal(together[row], SelectorPredictor(tmp_path, theta=theta)(one)["chosen"][0])
    assert len({tuple(row) for row in together.tolist()}) > 1


def test_predictor_refuses_other_embeddings(tmp_path: Path) -> None:
    _model().save_pretrained(tmp_path)
    batch = {"profile": np.zeros((1, 12)), "images": np.zeros((1, 2, 6)), "n_images": np.array([2])}
    with pytest.raises(ModelError, match="space-1"):
        SelectorPredictor(tmp_path)(batch)


def test_the_cards_python_loads_the_model_and_the_hub_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    model.save_pretrained(tmp_path, Training(data="100 visits", metrics={"val_f1@3": 0.25}))
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "showcases" and "determinantal-point-process" in card.data.tags
    assert "- Data: 100 visits\n- val_f1@3: 0.25\n" in card.text and "`space-1`" in card.text
    count = sum(value.numel() for value in load_file(tmp_path / "model.safetensors").values())
    assert f"| parameters | {count:,} |" in card.text
    code = re.search(r"```python\n(.*?)```", card.text, re.S)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code[1], names)
    assert torch.equal(names["selector"].select(*_inputs(), 3), model.select(*_inputs(), 3))
