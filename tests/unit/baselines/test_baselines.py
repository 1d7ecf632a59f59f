"""What every baseline promises: loss, causality, padding, writing, folders, and learning a handful by heart."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from showcases.baselines import NAMES, BaselineConfig, BaselinePredictor, load_baseline, sized_like
from showcases.baselines.base import Baseline, Rereading
from showcases.baselines.data import BaselineBatch, BaselineData, Given
from showcases.baselines.kinds import KINDS
from showcases.errors import ConfigError, ModelError
from showcases.generator import GeneratorConfig
from showcases.generator.data import IGNORED

from .conftest import TEXTS

Make = Callable[..., Baseline]
every = pytest.mark.parametrize("name", NAMES)


def likeliest(model: Baseline, given: Given, tokens: list[int]) -> torch.Tensor:
    """log p (vocabulary,) of the token after `tokens`, of one example, with the whole text read at once."""
    hidden = model.decode(torch.tensor([tokens]), model.read(given))
    return model.logits(hidden)[0, -1].log_softmax(-1)


@every
@torch.no_grad()
def test_the_loss_is_the_mean_over_tokens_of_each_example_read_alone(
    name: str, make: Make, data: BaselineData, batch: BaselineBatch
) -> None:
    """Alone there is no padding, of photos, reviews or words."""
    model, nats = make(name), []
    for number in range(len(data)):
        alone = data.batch([number])
        for place, target in enumerate(alone.targets[0].tolist()):
            assert target != IGNORED
            nats.append(-float(likeliest(model, alone.given, alone.tokens[0, : place + 1].tolist())[target]))
    assert float(model.loss(batch)) == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert float(model.nats(batch)) == pytest.approx(sum(nats), rel=1e-5)
    assert float(model(batch)[1]["ce"]) == pytest.approx(sum(nats) / len(nats), rel=1e-5)


@every
@torch.no_grad()
def test_the_loss_of_two_workers_is_that_of_one(
    name: str, make: Make, data: BaselineData, batch: BaselineBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares of 3 and 2 examples with texts of unlike length: `fit` weighs each share's loss by its examples."""
    model = make(name)
    whole = float(model(batch)[0])
    together = torch.tensor([5, int((batch.targets != IGNORED).sum()), int(batch.text_mask.sum())])
    monkeypatch.setattr("showcases.baselines.base.sum_over_workers", lambda counts: together)
    shares = [float(model(data.batch(numbers))[0]) for numbers in ([0, 2, 4], [1, 3])]
    assert (3 * shares[0] + 2 * shares[1]) / 5 == pytest.approx(whole, rel=1e-5)


@every
@torch.no_grad()
def test_it_reads_what_it_says_and_nothing_else(name: str, make: Make, batch: BaselineBatch) -> None:
    model, given = make(name), batch.given
    parts = {"images": ["images"], "reviews": ["reviews"], "item_reviews": ["item_reviews"], "ids": ["users", "items"]}
    plain = model.loss(batch)
    for part, names in parts.items():
        for column in names:
            changed = replace(batch, given=replace(given, **{column: getattr(given, column).roll(1, 0)}))
            assert (float(model.loss(changed)) != float(plain)) == (part in model.reads)


@every
@torch.no_grad()
def test_it_writes_the_likeliest_token_each_time(name: str, make: Make, data: BaselineData) -> None:
    end = data.shared.end
    for seed in range(2):
        model = make(name, seed)
        written = model.write(data.batch([0, 1, 2]).given, max_tokens=6, beams=1)
        for number in range(3):
            given, text = data.batch([number]).given, [end]
            while len(text) <= 6 and (len(text) == 1 or text[-1] != end):
                text.append(int(likeliest(model, given, text).argmax()))
            assert written[number] == [token for token in text if token != end]


@every
@torch.no_grad()
def test_two_beams_find_what_a_plain_search_finds(name: str, make: Make, data: BaselineData) -> None:
    """A loop over texts of two tokens: the best two first tokens, then the best mean of what follows."""
    model, end = make(name, 3), data.shared.end
    written = model.write(data.batch([0, 1]).given, max_tokens=2, beams=2)
    for number in range(2):
        given = data.batch([number]).given
        first = likeliest(model, given, [end])
        texts = []
        for token in first.topk(2)[1].tolist():
            if token == end:
                texts.append((float(first[token]), []))
        for token in [token for token in first.topk(4)[1].tolist() if token != end][:2]:
            second = likeliest(model, given, [end, token])
            texts += [
                (float(first[token] + value) / 2, [token, int(last)])
                for value, last in zip(*second.topk(2), strict=True)
            ]
        assert written[number] == [token for token in max(texts)[1] if token != end]


@every
@torch.no_grad()
def test_a_beam_goes_on_from_the_text_and_the_example_that_it_is_given(
    name: str, make: Make, data: BaselineData
) -> None:
    model, end = make(name), data.shared.end
    fed = Rereading(model, model.read(data.batch([0, 1, 2]).given), beams=2)
    fed.step(torch.full((6,), end))
    fed.step(torch.tensor([10, 11, 12, 13, 14, 15]))
    fed.take_beams(torch.tensor([[1, 0], [1, 1], [0, 1]]))
    fed.take_examples(torch.tensor([0, 1]))
    scores = fed.step(torch.tensor([20, 21, 22, 23])).log_softmax(-1)
    for row, (number, text) in enumerate([(0, [11, 20]), (0, [10, 21]), (1, [13, 22]), (1, [13, 23])]):
        expected = likeliest(model, data.batch([number]).given, [end, *text])
        torch.testing.assert_close(scores[row], expected, rtol=1e-4, atol=1e-5)


@every
def test_it_learns_a_handful_by_heart(name: str, make: Make, batch: BaselineBatch) -> None:
    model = make(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    model.config = replace(model.config, unknown_rate=0.0)  # else PETER meets users that it cannot tell apart
    for _ in range(150):
        optimizer.zero_grad()
        model(batch)[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    assert float(model.loss(batch).detach()) < 0.03
    assert model.texts(batch.given, beams=1) == list(TEXTS)
    assert model.texts(batch.given, beams=2) == list(TEXTS)


@every
def test_every_parameter_gets_a_gradient(name: str, make: Make, batch: BaselineBatch) -> None:
    """DistributedDataParallel waits for ever for a parameter that no loss reaches."""
    model = make(name)
    model(batch)[0].backward()
    assert [other for other, value in model.named_parameters() if value.grad is None] == []


@every
def test_a_folder_gives_the_same_model_and_texts(name: str, make: Make, data: BaselineData, tmp_path: Path) -> None:
    model, batch = make(name), data.batch([0, 1, 2, 3])
    model.save_pretrained(tmp_path)
    again = load_baseline(tmp_path)
    assert type(again) is KINDS[name] and again.config == model.config and not again.training  # type: ignore[index]
    assert torch.equal(again.loss(batch), model.loss(batch))
    given = batch.given
    columns = {
        "images": given.images.numpy(), "n_images": given.image_mask.sum(1).numpy(),
        "reviews": given.reviews.numpy(), "n_reviews": given.review_mask.sum(1).numpy(),
        "item_reviews": given.item_reviews.numpy(), "n_item_reviews": given.item_review_mask.sum(1).numpy(),
        "user_id": np.array([f"u{n}" for n in range(4)], object),
        "business_id": np.array([f"b{n % 2}" for n in range(4)], object),
    }  # fmt: skip
    predict = BaselinePredictor(tmp_path, beams=1)
    assert predict(columns)["text"].tolist() == model.texts(given, beams=1)
    needed = {"ids": ["user_id", "business_id"]}
    own = [column for part in model.reads for column in needed.get(part, [part, f"n_{part}"])]
    assert predict({column: columns[column] for column in own})["text"].tolist() == model.texts(given, beams=1)
    with pytest.raises(ModelError, match=f"no column {own[-1]}"):
        predict({column: value for column, value in columns.items() if column != own[-1]})


def test_a_folder_of_something_else_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_baseline(tmp_path)
    make("ST").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="of ST, not of PETER"):
        KINDS["PETER"].from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"kind": "showcases.generator"}))
    with pytest.raises(ModelError, match="not of a baseline"):
        load_baseline(tmp_path)


def test_the_references_are_never_the_examples_own(data: BaselineData) -> None:
    """Businesses b0 and b1 have reviews of users 0, 2, 4 and 1, 3."""
    reviews = [name for n in range(5) for name in [f"u{n}_b{n % 2}", *(f"u{n}_old{i}" for i in range(n))]]
    found = [[reviews[row] for row in rows] for rows in data.item_reviews]
    assert found == [["u2_b0", "u4_b0"], ["u3_b1"], ["u0_b0", "u4_b0"], ["u1_b1"], ["u0_b0", "u2_b0"]]


@every
def test_sizes_lie_near_our_small_generators(name: str) -> None:
    """1.52 million, with 2,000 tokens and features of 512."""
    config = sized_like(name, GeneratorConfig(dropout=0.3, max_tokens=12, beams=3))  # type: ignore[arg-type]
    assert (config.dropout, config.max_tokens, config.beams) == (0.3, 12, 3)

    class Tokens(list[int]):
        eos_token_id = 0

    with torch.device("meta"):
        model = KINDS[config.name](config, Tokens(range(2000)), 512, 512)  # type: ignore[arg-type]
    assert 1.2e6 < model.parameter_count < 1.8e6


def test_options_that_cannot_be_are_refused() -> None:
    for wrong in ({"name": "GPT"}, {"name": "R2Gen", "width": 30}, {"name": "PETER", "unknown_rate": 1.0}):
        with pytest.raises(ConfigError):
            BaselineConfig(**wrong)  # type: ignore[arg-type]
