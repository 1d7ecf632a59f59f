"""The part that makes each baseline what it is, against its equations in plain loops."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from showcases.baselines.base import Baseline
from showcases.baselines.data import BaselineBatch, BaselineData
from showcases.baselines.ids import Ids
from showcases.baselines.peter import Peter, hidden_from
from showcases.baselines.r2gen import ConditionalNorm, R2Gen, RelationalMemory, positions
from showcases.baselines.ref2seq import Ref2Seq, ReferenceAttention
from showcases.baselines.show_and_tell import ShowAndTell

Make = Callable[..., Baseline]


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_st_feeds_the_mean_photo_first_and_never_again(make: Make, batch: BaselineBatch) -> None:
    """LSTM by its equations: i, f, g, o; c' = f c + i g, h = o tanh c'."""
    model = make("ST")
    assert isinstance(model, ShowAndTell)
    lstm, hidden = model.lstm, model.decode(batch.tokens, model.read(batch.given))
    for row in range(len(batch.given)):
        real = batch.given.images[row][batch.given.image_mask[row]]
        photos = (real - model.images.centre) * model.images.scale @ model.images.linear.weight.T
        h = c = torch.zeros(model.config.width)
        words = [model.words.weight[token] for token in batch.tokens[row]]
        for place, x in enumerate([photos.mean(0) + model.images.linear.bias, *words]):
            gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            if place:
                close(hidden[row, place - 1], h)


def attention_in_loops(attention: nn.MultiheadAttention, queries: Tensor, keys: Tensor) -> Tensor:
    """Multi-head attention (n, E) of queries (n, E) over keys (m, E), head by head."""
    width, heads = queries.shape[1], attention.num_heads
    w, b = attention.in_proj_weight, attention.in_proj_bias
    q, k, v = (
        part @ w[n * width : (n + 1) * width].T + b[n * width : (n + 1) * width]
        for n, part in enumerate((queries, keys, keys))
    )
    size, found = width // heads, []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        found.append((q[:, own] @ k[:, own].T / math.sqrt(size)).softmax(dim=1) @ v[:, own])
    return torch.cat(found, dim=1) @ attention.out_proj.weight.T + attention.out_proj.bias


@torch.no_grad()
def test_r2gen_memory_is_its_equations_word_by_word() -> None:
    torch.manual_seed(0)
    slots, width, length = 3, 8, 5
    memory, words = RelationalMemory(slots, width, 2), torch.randn(2, length, width)
    ours = memory(words)
    (first, _, second), (w_f, w_i) = memory.mlp, memory.of_word.weight.split(width)
    (u_f, u_i), (b_f, b_i), (c_f, c_i) = (
        part.split(width) for part in (memory.of_memory.weight, memory.of_word.bias, memory.of_memory.bias)
    )
    for row in range(2):
        m = torch.eye(slots, width)
        for place in range(length):
            y = words[row, place]
            z = attention_in_loops(memory.attention, m, torch.cat([m, y[None]]))
            candidate = torch.stack(
                [second.weight @ (first.weight @ s + first.bias).relu() + second.bias + s for s in z + m]
            )
            forget = torch.stack([w_f @ y + b_f + u_f @ slot.tanh() + c_f for slot in m]).sigmoid()
            write = torch.stack([w_i @ y + b_i + u_i @ slot.tanh() + c_i for slot in m]).sigmoid()
            m = forget * m + write * candidate.tanh()
            close(ours[row, place], m.flatten())


@torch.no_grad()
def test_r2gen_memory_moves_gain_and_bias_of_the_norm() -> None:
    torch.manual_seed(0)
    norm, hidden, memory = ConditionalNorm(6, 2), torch.randn(2, 3, 6), torch.randn(2, 3, 12)
    norm.gain.data.normal_(), norm.bias.data.normal_()
    ours = norm(hidden, memory)
    for row in range(2):
        for place in range(3):
            r, m = hidden[row, place], memory[row, place]
            gain, bias = norm.gain + norm.gain_change(m), norm.bias + norm.bias_change(m)
            deviation = (r - r.mean()).square().mean().sqrt()
            close(ours[row, place], gain * (r - r.mean()) / deviation + bias)
    assert not torch.allclose(ours, norm(hidden, -memory))


@torch.no_grad()
def test_r2gen_words_see_no_later_ones_and_the_memory_reaches_every_layer(make: Make, batch: BaselineBatch) -> None:
    model = make("R2Gen")
    assert isinstance(model, R2Gen)
    read = model.read(batch.given)
    whole, part = model.decode(batch.tokens, read), model.decode(batch.tokens[:, :4], read)
    close(whole[:, :4], part)
    assert all(isinstance(norm, ConditionalNorm) for layer in model.layers for norm in layer.norms)
    assert [len(layer.norms) for layer in model.layers] == [3] * model.config.layers


@torch.no_grad()
def test_ref2seq_attends_to_each_real_reference() -> None:
    torch.manual_seed(0)
    attention, width = ReferenceAttention(6), 6
    states, references = torch.randn(2, 3, width), torch.randn(2, 4, width)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    ours = attention(states, references, mask)
    # W of the paper, over [e; h]
    whole = torch.cat([attention.of_reference.weight, attention.of_state.weight], dim=1)
    for row in range(2):
        real = references[row][mask[row]]
        for place, h in enumerate(states[row]):
            scores = [
                attention.score.weight[0] @ (whole @ torch.cat([e, h]) + attention.of_reference.bias).tanh()
                for e in real
            ]
            total = sum(math.exp(score) for score in scores)
            expected = sum(math.exp(score) / total * e for score, e in zip(scores, real, strict=True))
            close(ours[row, place], expected)


@torch.no_grad()
def test_ref2seq_starts_from_both_last_states_and_fuses_both_attentions(make: Make, data: BaselineData) -> None:
    """Against the same parts used on one example without padding; a user without past reviews has one stand-in."""
    model, whole = make("Ref2Seq"), data.batch(range(5))
    assert isinstance(model, Ref2Seq)
    hidden = model.decode(whole.tokens, model.read(whole.given))
    for row in range(5):
        given = data.batch([row]).given
        parts = []
        for projection, encoder, features, mask in (
            (model.reviews, model.user_encoder, given.reviews, given.review_mask),
            (model.item_reviews, model.item_encoder, given.item_reviews, given.item_review_mask),
        ):
            inputs = projection.linear(features[0] * projection.scale) if mask.any() else projection.nothing[None]
            parts.append(encoder(inputs))
        (of_user, user_last), (of_item, item_last) = parts
        assert len(of_user) == max(row, 1)
        states, _ = model.decoder(model.words(whole.tokens[row]), user_last + item_last)
        for place, h in enumerate(states):
            mixed = [
                attention(h[None, None], references[None], torch.ones(1, len(references), dtype=torch.bool))[0, 0]
                for attention, references in ((model.user_attention, of_user), (model.item_attention, of_item))
            ]
            close(hidden[row, place], (model.fuse.weight @ torch.cat([h, *mixed]) + model.fuse.bias).tanh())


def test_peter_mask_lets_user_and_business_see_each_other_and_nothing_else_ahead() -> None:
    hidden = hidden_from(6)
    for row in range(6):
        for column in range(6):
            sees = column <= row or (row, column) == (0, 1)
            assert bool(hidden[row, column]) == (not sees)


@torch.no_grad()
def test_peter_mask_holds_in_the_whole_model(make: Make, batch: BaselineBatch) -> None:
    """A changed input changes exactly the states that may see it; behind two layers, too."""
    model = make("PETER")
    assert isinstance(model, Peter)
    tokens, (users, items) = batch.tokens[:1, :4], (batch.given.users[:1], batch.given.items[:1])
    plain = model.states(tokens, (users, items))[0]

    def changed(other: Tensor) -> list[bool]:
        return (~torch.isclose(other[0], plain, atol=1e-6).all(dim=1)).tolist()

    assert changed(model.states(tokens, (users + 1, items))) == [True] * 6
    assert changed(model.states(tokens, (users, items + 1))) == [True] * 6
    for place in range(4):
        others = tokens.clone()
        others[0, place] += 1
        assert changed(model.states(others, (users, items))) == [False] * (2 + place) + [True] * (4 - place)


@torch.no_grad()
def test_peter_context_loss_is_the_bag_of_words_from_the_business_state(make: Make, batch: BaselineBatch) -> None:
    """In the paper both losses come from one pass; the business' state is the one of that pass."""
    model, nats = make("PETER"), []
    assert isinstance(model, Peter)
    context = model.logits(model.states(batch.tokens, model.read(batch.given))[:, 1]).log_softmax(-1)
    for row in range(len(batch.given)):
        nats += [-float(context[row, token]) for token in batch.tokens[row][batch.text_mask[row]]]
    total, parts = model(batch)
    assert float(parts["context_loss"]) == pytest.approx(sum(nats) / len(nats), rel=1e-4)
    assert float(total) == pytest.approx(
        float(parts["ce"] + model.config.context_weight * parts["context_loss"]), rel=1e-5
    )


def test_peter_takes_unknown_ids_for_one_and_meets_them_in_training(make: Make, batch: BaselineBatch) -> None:
    ids = Ids(("a", "b"), ("x",))
    assert ids.user_numbers(["b", "nobody", "a"]) == [2, 0, 1] and ids.item_numbers(["y", "x"]) == [0, 1]
    model = make("PETER")
    assert torch.equal(model.read(batch.given)[0], batch.given.users)
    model.train()
    torch.manual_seed(0)
    users = torch.cat([model.read(batch.given)[0] for _ in range(400)])
    assert float((users == 0).float().mean()) == pytest.approx(model.config.unknown_rate, abs=0.03)


def test_positions_are_sines_and_cosines() -> None:
    ours = positions(4, 6, torch.device("cpu"))
    for place in range(4):
        for pair in range(3):
            angle = place / 10_000 ** (2 * pair / 6)
            assert ours[place, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(
                [math.sin(angle), math.cos(angle)], abs=1e-6
            )
