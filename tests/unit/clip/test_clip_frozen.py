"""A frozen backbone: it computes what it computed before, in every mode, and each photo goes through it once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from showcases.clip import model as clip_model
from showcases.clip.config import TrainClipConfig
from showcases.clip.train import ClipPairs, _loss, chances, train_clip
from showcases.errors import ConfigError
from showcases.storage.artifacts import Workspace
from showcases.training import LoopConfig, Session, TrainingJob
from tests.unit.clip.test_clip_train import CONFIG, workspace  # noqa: F401 - as a fixture

TINY = replace(TrainClipConfig(), embed_dim=16, text_width=32, text_layers=1, context_length=16)
BACKBONES = [  # name, side in px, arguments
    ("test_resnet", 64, {}),  # the default
    ("test_vit", 160, {}),
    ("mobilenetv2_050", 64, {"pad_type": "same"}),
    ("mobilenetv2_100", 96, {"pad_type": "same"}),
    ("resnet18", 64, {}),
    ("efficientnet_b0", 64, {}),
    ("convnext_atto", 64, {}),
    ("vit_tiny_patch16_224", 224, {}),  # of the kind of the paper's
]


def used(model: nn.Module) -> None:
    """Give norms statistics as training would, so that they differ from those of a batch."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(("backbone", "size", "kwargs"), BACKBONES, ids=[name for name, *_ in BACKBONES])
def test_a_frozen_backbone_computes_what_it_did_before(backbone: str, size: int, kwargs: dict[str, str]) -> None:
    torch.manual_seed(0)
    config = replace(TINY, backbone=backbone, image_size=size, backbone_kwargs=kwargs)
    model = clip_model.build(clip_model.small_config(config))
    used(model.visual.trunk)
    images = torch.randn(3, 3, size, size)
    model.eval()
    with torch.no_grad():
        before, whole = model.visual.trunk(images), model.encode_image(images)
    state = {name: value.clone() for name, value in model.visual.trunk.state_dict().items()}
    model.freeze_backbone()
    for mode in (True, False, True):
        model.train(mode)
        with torch.no_grad():
            assert torch.equal(model.visual.trunk(images), before), f"training={mode}"
            assert torch.equal(model.backbone_features(images), before)
            torch.testing.assert_close(model.encode_image(before), whole)  # from the features, as from the photos
    assert model.transformer.training and model.visual.head.training
    assert not any(parameter.requires_grad for parameter in model.visual.trunk.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.visual.trunk.state_dict().items())


def test_only_a_timm_backbone_can_be_frozen_or_loaded(tmp_path: Path) -> None:
    model = clip_model.build(clip_model.small_config(replace(TINY, backbone=None)))
    with pytest.raises(ConfigError, match="freeze_backbone needs a timm backbone"):
        model.freeze_backbone()
    with pytest.raises(ConfigError, match="backbone_weights needs the name"):
        clip_model.load_backbone(model, tmp_path)


def frozen_config(folder: Path) -> TrainClipConfig:
    """A small backbone with weights of its own."""
    torch.manual_seed(3)
    backbone = timm.create_model("mobilenetv2_050", pretrained=False)
    used(backbone)
    save_file(backbone.state_dict(), folder / "weights.safetensors")
    return replace(
        CONFIG, backbone="mobilenetv2_050", backbone_weights=str(folder / "weights.safetensors"), freeze_backbone=True
    )


@contextmanager
def photos_seen(kind: type[nn.Module]) -> Iterator[list[int]]:
    """Sizes of the batches that modules of a kind are called with."""
    sizes: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        if isinstance(module, kind):
            sizes.append(len(inputs[0]))

    handle = nn.modules.module.register_module_forward_hook(count)
    try:
        yield sizes
    finally:
        handle.remove()


def test_each_photo_goes_through_a_frozen_backbone_once(workspace: Workspace, tmp_path: Path) -> None:  # noqa: F811
    config = frozen_config(tmp_path)
    config = replace(config, loop=replace(config.loop, epochs=3))
    history = []
    with photos_seen(timm.models.EfficientNet) as sizes:  # timm's class of MobileNetV2
        train_clip(TrainingJob(workspace, config, None), Session(lambda metrics, _: history.append(metrics)))
    assert sum(sizes) == 124 + 32  # of both splits
    assert len(history) == 3 and history[-1]["train_loss"] < history[0]["train_loss"]


def literal_loss(model: nn.Module, pairs: ClipPairs, numbers: np.ndarray, config: TrainClipConfig) -> Tensor:
    """The step's loss with every photo sent through the whole tower."""
    generator = np.random.default_rng([int(torch.randint(2**31, ()).item()), 0])
    photos = torch.from_numpy(pairs.pixels[numbers])
    photos = (photos.permute(0, 3, 1, 2).float() / 255 - torch.tensor(config.image_mean).view(3, 1, 1)) / torch.tensor(
        config.image_std
    ).view(3, 1, 1)
    texts = torch.zeros(len(numbers), pairs.context, dtype=torch.long)
    for row, number in enumerate(numbers):
        tokens = pairs._text(pairs.sentences[number], generator)
        texts[row, : len(tokens)] = torch.tensor(tokens)
    image = nn.functional.normalize(model.visual(photos), dim=-1)  # type: ignore[operator, union-attr]
    text = nn.functional.normalize(model.encode_text(texts), dim=-1)  # type: ignore[operator]
    logits = image @ text.T * model.logit_scale.exp()  # type: ignore[operator, union-attr]
    own = torch.arange(len(numbers))
    return (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.T, own)) / 2


def test_cached_features_give_the_loss_and_gradients_of_the_whole_tower(
    workspace: Workspace,  # noqa: F811
    tmp_path: Path,
) -> None:
    config = frozen_config(tmp_path)
    model = clip_model.build(clip_model.small_config(config))
    clip_model.load_backbone(model, tmp_path / "weights.safetensors")
    model.freeze_backbone()
    model.train()
    whole, cached = (ClipPairs(workspace, "train", config.image_size, config.context_length) for _ in range(2))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.image_mean, config.image_std))
    cached.cache_features(lambda photos: model.backbone_features((photos - mean) / std))
    step = _loss(cached, config, "cpu")
    head = model.visual.head.proj.weight
    for start in (0, 40, 92):
        numbers = np.arange(start, start + 32)
        found, gradients = [], []
        for of in (lambda n=numbers: step(model, n)[0], lambda n=numbers: literal_loss(model, whole, n, config)):
            torch.manual_seed(start)
            head.grad = None
            value = of()
            value.backward()
            found.append(value.item())
            gradients.append(head.grad.clone())  # type: ignore[attr-defined]
        assert found[0] == pytest.approx(found[1], rel=1e-5)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_a_training_that_stays_at_chance_is_marked(workspace: Workspace, tmp_path: Path) -> None:  # noqa: F811
    config = replace(CONFIG, loop=LoopConfig(epochs=2, batch_size=32, lr=0.0))
    history: list[dict[str, float]] = []
    train_clip(TrainingJob(workspace, config, None), Session(lambda metrics, _: history.append(metrics)))
    last = history[-1]
    assert last["chance_train_loss"] == pytest.approx(np.log(32))
    assert last["at_chance_train_loss"] == 1 and last["at_chance_val_recall_top_tenth"] == 1
    json.dumps(last)
    history.clear()
    train_clip(TrainingJob(workspace, CONFIG, None), Session(lambda metrics, _: history.append(metrics)))
    assert history[-1]["at_chance_train_loss"] == 0 and history[-1]["reached_train_loss"] < np.log(32)


def test_a_collapsed_model_has_the_recall_of_chance() -> None:
    """Equal scores are a draw, not a win."""
    from showcases.clip.train import _ranks

    ranks = _ranks(torch.ones(20, 20))
    assert ranks.tolist() == pytest.approx([9.5 / 20] * 20)
    scores = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    literal = [sum(bool(other > row[i]) for other in row) / 40 for i, row in enumerate(scores)]
    assert _ranks(scores).tolist() == pytest.approx(literal)


def test_recall_by_chance_is_that_of_random_scores() -> None:
    [_, recall] = chances(batch_size=64, train=1000, val=150)
    rng = np.random.default_rng(0)
    tops = []
    for _ in range(4000):
        hits = [rng.integers(0, size, size) / size < 0.1 for size in (64, 64, 22)]
        tops.append(np.concatenate(hits).mean())
    assert recall.value == pytest.approx(np.mean(tops), abs=0.002)
    assert recall.margin == pytest.approx(3 * np.std(tops), rel=0.05)
    assert [chance.metric for chance in chances(batch_size=8, train=8, val=3)] == ["train_loss"]
