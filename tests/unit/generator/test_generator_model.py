"""The model against transformers' own GPT-2, its folder, and its decoding against a slow literal one."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from showcases.errors import ModelError
from showcases.generator import ContrastiveConfig, Generator, GeneratorPredictor
from showcases.generator.card import losses_in_words
from showcases.generator.tokenizer import decode
from showcases.model_card import Training

IMAGE_DIM, TEXT_DIM = 6, 5


@pytest.fixture
def generator(small, tokenizer) -> Generator:
    torch.manual_seed(0)
    model = Generator(small, tokenizer, IMAGE_DIM, TEXT_DIM, embedding_space="space-1").eval()
    with torch.no_grad():  # far from its even start, so that texts differ and end
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return model


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {
        "images": torch.randn(3, 2, IMAGE_DIM),
        "image_mask": torch.tensor([[True, True], [True, False], [False, False]]),
        "reviews": torch.randn(3, 2, TEXT_DIM),
        "review_mask": torch.tensor([[True, False], [True, True], [True, True]]),
    }


@pytest.fixture
def gpt2_folder(tokenizer, tmp_path):
    """A folder of GPT-2 weights and a tokenizer, as published ones are."""
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=40, n_embd=32, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(str(tmp_path / "gpt2"))
    return tmp_path / "gpt2"


def test_with_cross_attention_zeroed_it_is_transformers_gpt2(small, tokenizer, gpt2_folder, batch):
    plain = GPT2LMHeadModel.from_pretrained(gpt2_folder).eval()
    model = Generator(replace(small, pretrained=str(gpt2_folder)), tokenizer, IMAGE_DIM, TEXT_DIM).eval()
    tokens = torch.randint(0, len(tokenizer), (3, 9))
    with torch.no_grad():
        expected = plain(tokens).logits
        assert (model(**batch, tokens=tokens) - expected).abs().max() > 1e-3  # photos and reviews have a say
        for block in model.decoder.transformer.h:
            block.crossattention.c_proj.weight.zero_()
            block.crossattention.c_proj.bias.zero_()
        torch.testing.assert_close(model(**batch, tokens=tokens), expected)


def test_pretrained_weights_fill_all_but_the_cross_attention(small, tokenizer, gpt2_folder):
    plain = GPT2LMHeadModel.from_pretrained(gpt2_folder).state_dict()
    model = Generator(replace(small, pretrained=str(gpt2_folder)), tokenizer, IMAGE_DIM, TEXT_DIM)
    ours = model.decoder.state_dict()
    for name, value in plain.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0)
    new = set(ours) - set(plain)
    assert new and all("crossattention" in name or "ln_cross_attn" in name for name in new)
    assert model.width == 32 and model.encoder.images.linear.out_features == 32


def test_incomplete_or_foreign_pretrained_weights_are_refused(small, tokenizer, gpt2_folder, tmp_path):
    config = replace(small, pretrained=str(gpt2_folder))
    with pytest.raises(ModelError, match="positions"):
        Generator(replace(config, max_tokens=40), tokenizer, IMAGE_DIM, TEXT_DIM)
    weights = load_file(gpt2_folder / "model.safetensors")
    weights.pop("transformer.h.1.mlp.c_fc.weight")
    save_file(weights, gpt2_folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"h\.1\.mlp\.c_fc\.weight"):
        Generator(config, tokenizer, IMAGE_DIM, TEXT_DIM)
    with pytest.raises(ModelError, match="no GPT-2 weights"):
        Generator(replace(small, pretrained=str(tmp_path / "none")), tokenizer, IMAGE_DIM, TEXT_DIM)


def test_padding_behind_a_text_changes_nothing_before_it(generator, batch):
    tokens = torch.randint(1, 200, (3, 6))
    padded = torch.cat([tokens, torch.full((3, 4), 77)], dim=1)
    torch.testing.assert_close(generator(**batch, tokens=padded)[:, :6], generator(**batch, tokens=tokens))


@pytest.mark.parametrize("width", [512, 640, 768])  # of CLIP ViT-B/32, RN50x4 and ViT-L/14
def test_order_and_padding_of_photos_and_reviews_leave_the_logits(small, tokenizer, width):
    torch.manual_seed(0)
    model = Generator(small, tokenizer, width, width).eval()
    for name, parameter in model.named_parameters():  # cross-attention starts almost at 0: give it a say
        if "crossattention" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    images = torch.nn.functional.normalize(torch.randn(2, 4, width), dim=-1)
    reviews = torch.nn.functional.normalize(torch.randn(2, 6, width), dim=-1)
    tokens = torch.randint(1, 200, (2, 7))

    def logits(photos: list[int], texts: list[int], padding: int = 0) -> torch.Tensor:
        parts = []
        for features, order in ((images, photos), (reviews, texts)):
            padded = torch.nn.functional.pad(features[:, order], (0, 0, 0, padding), value=9.0)
            parts += [padded, (torch.arange(padded.shape[1]) < len(order)).expand(2, -1)]
        return model(*parts, tokens=tokens)

    straight = logits([0, 1, 2, 3], [0, 1, 2, 3, 4, 5])
    for other in (logits([2, 0, 3, 1], [5, 3, 0, 1, 4, 2]), logits([0, 1, 2, 3], [0, 1, 2, 3, 4, 5], padding=3)):
        torch.testing.assert_close(other, straight, atol=1e-5, rtol=1e-5)
    assert (logits([0, 1], [0]) - straight).abs().max() > 1e-3  # photos and reviews are heard at all


def test_a_saved_model_comes_back_whole(generator, batch, tmp_path):
    generator.save_pretrained(tmp_path / "model")
    loaded = Generator.from_pretrained(tmp_path / "model")
    tokens = torch.randint(1, 200, (3, 6))
    torch.testing.assert_close(loaded(**batch, tokens=tokens), generator(**batch, tokens=tokens), rtol=0, atol=0)
    assert loaded.generate(**batch) == generator.generate(**batch)
    assert (loaded.config, loaded.inputs, loaded.embedding_space) == (generator.config, "img+text", "space-1")
    assert loaded.decoder.lm_head.weight is loaded.decoder.transformer.wte.weight
    assert json.loads((tmp_path / "model" / "config.json").read_text())["embedding_space"] == "space-1"


class TestCard:
    def test_its_python_loads_the_model(self, generator, batch, tmp_path, monkeypatch):
        generator.save_pretrained(tmp_path)
        code = re.search(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)
        monkeypatch.chdir(tmp_path)
        names: dict[str, Generator] = {}
        exec(code[1], names)
        assert len(code[1].split("\n\n")) == 2 and names["generator"].generate(**batch) == generator.generate(**batch)

    @pytest.mark.parametrize(
        ("inputs", "task"), [("img+text", "image-text-to-text"), ("img", "image-to-text"), ("text", "text-generation")]
    )
    def test_the_hub_reads_it_and_it_states_the_sizes(self, small, tokenizer, tmp_path, inputs, task):
        model = Generator(small, tokenizer, IMAGE_DIM, TEXT_DIM, inputs, "small/corpus#12")
        model.save_pretrained(tmp_path)
        card = ModelCard.load(tmp_path / "README.md")
        assert (card.data.library_name, card.data.pipeline_tag) == ("showcases", task)
        assert "personalized-showcases" in card.data.tags and "`small/corpus#12`" in card.text
        weights = load_file(tmp_path / "model.safetensors")  # centre and scale of the features are no parameters
        count = sum(value.numel() for name, value in weights.items() if not name.endswith((".centre", ".scale")))
        assert f"| parameters | {count:,} |" in card.text and "| encoder layers | 1 |" in card.text
        assert ("Photos: CLIP" in card.text, "Past reviews: mean" in card.text) == ("img" in inputs, "text" in inputs)
        assert "## Training" not in card.text

    def test_training_is_told_by_the_caller(self, generator, tmp_path):
        told = Training("100 reviews", losses_in_words(ContrastiveConfig(), "img"), {"val_nats_per_word": 2.34567})
        generator.save_pretrained(tmp_path, told)
        text = (tmp_path / "README.md").read_text()
        assert "- Data: 100 reviews\n- Loss: cross-entropy + 0.2 × cross-modal contrastive loss CCL" in text
        assert "- val_nats_per_word: 2.346\n" in text and "PCL" not in text  # the variant reads no reviews

    def test_no_folder_of_this_machine_is_named(self, small, tokenizer, gpt2_folder, tmp_path):
        Generator(replace(small, pretrained=str(gpt2_folder)), tokenizer, 6, 5).save_pretrained(tmp_path / "model")
        text = (tmp_path / "model" / "README.md").read_text()
        assert "from GPT-2 weights `gpt2`" in text and str(gpt2_folder.parent) not in text


def test_folders_that_hold_no_generator_are_refused(generator, tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        Generator.from_pretrained(tmp_path)
    generator.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("encoder.norm.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"encoder\.norm\.weight"):
        Generator.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "showcases.selector"}')
    with pytest.raises(ModelError, match=r"showcases\.selector"):
        Generator.from_pretrained(tmp_path)


def literal_greedy(model: Generator, batch: dict[str, torch.Tensor], row: int, longest: int) -> list[int]:
    """The most likely next token, again and again, without batch, cache or masks."""
    one = {name: value[row : row + 1] for name, value in batch.items()}
    end = model.tokenizer.eos_token_id
    ids = [end]
    while len(ids) <= longest:
        ids.append(int(model(**one, tokens=torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == end:
            return ids[1:-1]
    return ids[1:]


def test_greedy_decoding_is_the_literal_one(generator, batch):
    expected = [literal_greedy(generator, batch, row, generator.config.max_tokens) for row in range(3)]
    assert generator.generate_ids(**batch, beams=1) == expected
    assert expected[0] != expected[2]  # it does depend on photos and reviews
    assert generator.generate(**batch, beams=1) == [decode(generator.tokenizer, ids).strip() for ids in expected]


def total_log_probability(model: Generator, batch: dict[str, torch.Tensor], row: int, ids: list[int]) -> float:
    one = {name: value[row : row + 1] for name, value in batch.items()}
    tokens = torch.tensor([[model.tokenizer.eos_token_id, *ids]])
    scores = model(**one, tokens=tokens)[0].log_softmax(dim=-1)
    return float(sum(scores[place, token] for place, token in enumerate(ids)))


def test_a_wide_beam_finds_the_best_short_text_that_a_search_of_all_finds(small, tokenizer):
    torch.manual_seed(0)
    model = Generator(replace(small, max_tokens=2), tokenizer, IMAGE_DIM, TEXT_DIM).eval()
    with torch.no_grad():
        model.decoder.transformer.wte.weight.mul_(30)
        model.decoder.transformer.wte.weight[tokenizer.eos_token_id] = 0.0
    seen = torch.ones(1, 1, dtype=torch.bool)
    batch = {"images": torch.randn(1, 1, IMAGE_DIM), "reviews": torch.randn(1, 1, TEXT_DIM)}
    batch |= {"image_mask": seen, "review_mask": seen}
    words = range(1, len(tokenizer))
    first = torch.tensor([[tokenizer.eos_token_id]])
    start = model(**batch, tokens=first)[0, 0].log_softmax(-1)
    pairs = torch.tensor([[tokenizer.eos_token_id, word] for word in words])
    many = {name: value.expand(len(pairs), *value.shape[1:]) for name, value in batch.items()}
    second = model(**many, tokens=pairs)[:, 1].log_softmax(-1)
    totals = start[1:, None] + second[:, 1:]  # of every text of two tokens
    best = divmod(int(totals.argmax()), totals.shape[1])
    assert model.generate_ids(**batch, beams=len(tokenizer)) == [[best[0] + 1, best[1] + 1]]


def repeats_a_pair(ids: list[int]) -> bool:
    pairs = list(itertools.pairwise(ids))
    return len(set(pairs)) < len(pairs)


def test_repeated_ngrams_can_be_ruled_out(generator, batch):
    assert any(repeats_a_pair(ids) for ids in generator.generate_ids(**batch))
    generator.config = replace(generator.config, no_repeat_ngram=2)
    assert not any(repeats_a_pair(ids) for ids in generator.generate_ids(**batch))


class TestPredictor:
    @pytest.fixture
    def folder(self, generator, tmp_path):
        generator.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    @pytest.fixture
    def rows(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        return {
            "images": rng.normal(size=(4, 3, IMAGE_DIM)),
            "n_images": np.array([3, 1, 0, 2]),
            "reviews": rng.normal(size=(4, 2, TEXT_DIM)),
            "n_reviews": np.array([2, 0, 0, 1]),
        }

    def test_writes_a_text_a_row_the_same_each_time(self, folder, rows):
        first = GeneratorPredictor(folder)(rows)["text"]
        assert first.dtype == object and first.shape == (4,)
        assert all(isinstance(text, str) for text in first)
        assert GeneratorPredictor(folder)(rows)["text"].tolist() == first.tolist()

    def test_a_rows_text_does_not_depend_on_its_batch_or_on_padding(self, folder, rows):
        predictor = GeneratorPredictor(folder)
        together = predictor(rows)["text"]
        padded = rows | {"images": np.concatenate([rows["images"], np.full((4, 2, IMAGE_DIM), np.nan)], axis=1)}
        assert predictor(padded)["text"].tolist() == together.tolist()
        for row in range(4):
            alone = {name: value[row : row + 1] for name, value in rows.items()}
            alone |= {name: alone[name][:, : rows[f"n_{name}"][row]] for name in ("images", "reviews")}
            assert predictor(alone)["text"].tolist() == [together[row]]

    def test_beams_can_be_chosen(self, folder, rows, generator):
        tensors = {
            "images": torch.tensor(rows["images"], dtype=torch.float32),
            "image_mask": torch.arange(3) < torch.tensor(rows["n_images"])[:, None],
            "reviews": torch.tensor(rows["reviews"], dtype=torch.float32),
            "review_mask": torch.arange(2) < torch.tensor(rows["n_reviews"])[:, None],
        }
        for beams in (1, 3):
            expected = generator.generate(**tensors, beams=beams)
            assert GeneratorPredictor(folder, beams=beams)(rows)["text"].tolist() == expected

    def test_photos_beyond_the_most_are_not_read(self, generator, rows, tmp_path):
        generator.config = replace(generator.config, max_images=2)
        generator.save_pretrained(tmp_path / "two")
        predictor = GeneratorPredictor(tmp_path / "two")
        fewer = rows | {"images": rows["images"][:, :2], "n_images": np.minimum(rows["n_images"], 2)}
        assert predictor(rows)["text"].tolist() == predictor(fewer)["text"].tolist()

    def test_an_empty_batch_gives_no_text(self, folder):
        empty = {"images": np.zeros((0, 1, IMAGE_DIM)), "n_images": np.zeros(0, int)}
        empty |= {"reviews": np.zeros((0, 0, TEXT_DIM)), "n_reviews": np.zeros(0, int)}
        assert GeneratorPredictor(folder)(empty)["text"].shape == (0,)

    def test_features_of_another_space_are_refused(self, folder, rows):
        with pytest.raises(ModelError, match="images has the shape"):
            GeneratorPredictor(folder)(rows | {"images": np.zeros((4, 3, IMAGE_DIM + 1))})
