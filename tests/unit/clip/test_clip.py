"""The encoder: small model round trips, local timm weights, published models from local files, errors."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from showcases.clip import ClipEncoder, model
from showcases.clip.config import CONFIG_FILE, ClipConfig, TrainClipConfig
from showcases.errors import ModelError

SMALL = replace(TrainClipConfig(), image_size=32, embed_dim=16, text_width=32, text_layers=1, context_length=16)


def jpeg(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 50), colour).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = model.small_config(SMALL)
    model.save(model.build(config), config, tmp_path / "clip")
    return tmp_path / "clip"


def test_vectors_are_unit_and_survive_saving(folder: Path) -> None:
    first, second = ClipEncoder.from_pretrained(folder), ClipEncoder.from_pretrained(folder)
    photos = [jpeg((200, 30, 30)), jpeg((30, 200, 30))]
    vectors, errors = first.encode_images(photos)
    texts = first.encode_text(["a bowl of ramen", "the front"])
    assert errors == [None, None]
    assert vectors.shape == texts.shape == (2, 16) and first.dim == 16
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, second.encode_images(photos)[0])
    assert first.model_id == second.model_id


def test_the_image_vector_is_open_clips_own(folder: Path) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    encoder = ClipEncoder.from_pretrained(folder)
    transform = image_transform_v2(PreprocessCfg(size=32, mean=SMALL.image_mean, std=SMALL.image_std), is_train=False)
    image = Image.open(io.BytesIO(jpeg((200, 30, 30))))
    with torch.no_grad():
        expected = encoder.model.encode_image(transform(image)[None], normalize=True)[0].numpy()
    np.testing.assert_allclose(encoder.encode_images([jpeg((200, 30, 30))])[0][0], expected, atol=1e-3)


def test_bfloat16_is_close_and_can_be_taken_back(folder: Path) -> None:
    encoder = ClipEncoder.from_pretrained(folder)
    photos, texts = [jpeg((200, 30, 30)), jpeg((20, 90, 200))], ["A bowl of ramen.", "The room."]
    exact = np.concatenate([encoder.encode_images(photos)[0], encoder.encode_text(texts)])
    encoder.dtype = "bfloat16"
    rounded = np.concatenate([encoder.encode_images(photos)[0], encoder.encode_text(texts)])
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-5)
    assert (exact * rounded).sum(1).min() > 0.999 and not np.array_equal(exact, rounded)
    encoder.dtype = "float32"
    np.testing.assert_array_equal(encoder.encode_text(texts), exact[2:])


def test_in_bfloat16_sentences_keep_their_order_and_no_layer_copies_its_weights(folder: Path) -> None:
    encoder = ClipEncoder.from_pretrained(folder)
    sentences = ["A fine bowl.", "Too salty!", "Friendly people and a long, long wait for the noodles."]
    expected = encoder.encode_text(sentences)
    encoder.dtype = "bfloat16"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        found = encoder.encode_text(sentences)
    assert (found * expected).sum(1).min() > 0.999 > (found * np.roll(expected, 1, 0)).sum(1).max()
    assert "aten::bmm" not in {event.key for event in profile.key_averages()}  # a product with a copy for each token


def test_a_photo_that_does_not_decode_keeps_its_place(folder: Path) -> None:
    vectors, errors = ClipEncoder.from_pretrained(folder).encode_images([jpeg((0, 0, 0)), b"no photo", jpeg((9, 9, 9))])
    assert errors[0] is None and errors[2] is None and "not an image" in str(errors[1])
    assert not vectors[1].any() and vectors[0].any()


def test_other_weights_are_another_embedding_space(folder: Path, tmp_path: Path) -> None:
    config = model.small_config(SMALL)
    torch.manual_seed(1)
    model.save(model.build(config), config, tmp_path / "other")
    assert ClipEncoder.from_pretrained(folder).model_id != ClipEncoder.from_pretrained(tmp_path / "other").model_id


def test_local_timm_weights_go_into_the_image_tower(tmp_path: Path) -> None:
    torch.manual_seed(3)
    source = timm.create_model("mobilenetv2_050", pretrained=False, pad_type="same")
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()},
        tmp_path / "w.safetensors",
    )
    config = replace(SMALL, backbone="mobilenetv2_050", backbone_kwargs={"pad_type": "same"})
    clip = model.build(model.small_config(config))
    model.load_backbone(clip, tmp_path / "w.safetensors")
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        ours = clip.eval().visual.trunk(pixels)
        expected = source.half().float().eval().forward_head(source.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    model.save(clip, model.small_config(config), tmp_path / "clip")
    again = ClipEncoder.from_pretrained(tmp_path / "clip").model
    with torch.no_grad():
        torch.testing.assert_close(again.visual.trunk(pixels), ours)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    clip = model.build(model.small_config(replace(SMALL, backbone="mobilenetv2_050")))
    with pytest.raises(ModelError, match="not this backbone's weights|does not fit"):
        model.load_backbone(clip, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="no backbone weights found"):
        model.load_backbone(clip, tmp_path / "absent.safetensors")


def test_the_imagenet_backbone_knows_things(shared_data: Path) -> None:
    config = replace(SMALL, backbone="mobilenetv2_100", backbone_kwargs={"pad_type": "same"})
    clip = model.build(model.small_config(config))
    before = clip.visual.trunk.conv_stem.weight.clone()
    model.load_backbone(clip, shared_data / "imagenet-mobilenetv2")
    assert not torch.equal(before, clip.visual.trunk.conv_stem.weight)


def test_a_published_model_loads_from_a_local_file(tmp_path: Path) -> None:
    """The paper's path: open_clip's architecture by name, weights from a file instead of the hub."""
    torch.manual_seed(0)
    published = open_clip.create_model("ViT-S-32-alt")
    torch.save(published.state_dict(), tmp_path / "weights.pt")
    note = {"published": {"model": "ViT-S-32-alt", "pretrained": str(tmp_path / "weights.pt")}}
    (tmp_path / CONFIG_FILE).write_text(json.dumps(note))
    encoder = ClipEncoder.from_pretrained(tmp_path)
    tokens = open_clip.get_tokenizer("ViT-S-32-alt")(["a bowl of ramen"])
    with torch.no_grad():
        expected = published.eval().encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_text(["a bowl of ramen"]), expected, atol=1e-5)
    assert encoder.image_size == 224 and encoder.model_id.startswith("ViT-S-32-alt/weights.pt#")


def test_no_such_weights_and_no_such_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ViT-S-32-alt"):
        model.published(ClipConfig("ViT-S-32-alt", "no-such-tag"))
    with pytest.raises(ModelError, match="jobs.train_clip"):
        ClipEncoder.from_pretrained(tmp_path)
