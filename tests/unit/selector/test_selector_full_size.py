"""jobs/configs/paper.yaml's selector: its weights counted by hand, and three training steps with batches of 32."""

import itertools
import math
from dataclasses import replace

import torch

from benchmarks.speed.selector_epoch import examples
from jobs.runner.config import parse
from showcases.selector.train import fit_selector
from showcases.training import Session

USER, IMAGE = (1024, 512, 512, 256, 128), (512, 512, 512, 256, 128)  # section 5.1


def weights(widths: tuple[int, ...]) -> int:
    """Of an MLP, biases included."""
    return sum(inputs * outputs + outputs for inputs, outputs in itertools.pairwise(widths))


def test_the_papers_selector_is_built_and_trains() -> None:
    paper = parse(["--config", "jobs/configs/paper.yaml"], "test").train_selector
    config = replace(paper, loop=replace(paper.loop, epochs=1, batch_size=32))
    reports: list[dict[str, float]] = []
    train, validation = examples(3 * 32, 8), examples(8, 8, seed=1)
    selector, metrics = fit_selector(train, validation, config, "img+text", 0, Session(lambda m, _: reports.append(m)))
    assert [len(tower.linears) for tower in (selector.user_tower, selector.image_tower)] == [4, 4]
    assert sum(each.numel() for each in selector.parameters()) == weights(USER) + weights(IMAGE) + 1
    assert math.isfinite(metrics["train_loss"]) and len(reports) == 1
    # the same seed without a step of training
    still, _ = fit_selector(
        train, validation, replace(config, loop=replace(config.loop, lr=0.0)), "img+text", 0, Session(lambda *_: None)
    )
    for (name, after), before in zip(selector.named_parameters(), still.parameters(), strict=True):
        assert not torch.equal(after, before), name
    assert selector.profile_dim == USER[0]
