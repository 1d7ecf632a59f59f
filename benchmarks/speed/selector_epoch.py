"""One epoch of the selector on 100,000 examples, against the same loss computed example by example.

    python -m benchmarks.speed.selector_epoch [--examples 100000] [--candidates 36] [--loop 1000]

Both train the paper's towers (1024-512-512-256-128 and 512-512-512-256-128) by Adam in batches of 512 on the same
made-up examples of a user, a business of 36 photos, and the 1 to 4 of them that the user posted. Ours is the training
loop that jobs.train_selector runs; the rival computes kernel and log-likelihood of one example after the other, as the
formula is written, and runs on the first `--loop` examples. Their first losses must agree. The second line is the same
training in bfloat16 with `run`: examples of one business side by side, whose photos a batch then computes once.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch

from benchmarks.harness import cores, parse, print_line, unit_vectors
from showcases.selector.config import SelectorConfig
from showcases.selector.data import PhotoPool, SelectorData
from showcases.selector.model import Selector
from showcases.selector.train import SetLikelihood
from showcases.storage.embeddings import EmbeddingTable
from showcases.training import LoopConfig, Session, Task, fit

DIM, BATCH = 512, 512
TOWERS = SelectorConfig(hidden_dims=(512, 512, 256), out_dim=128)  # the paper's


def examples(count: int, candidates: int, seed: int = 0) -> SelectorData:
    """Made-up examples; 20 users a business, as a popular one of GEST has."""
    rng = np.random.default_rng(seed)
    businesses = max(1, count // 20)
    photos = businesses * candidates
    vectors = unit_vectors(rng.standard_normal((photos, DIM), np.float32) + 1)
    names = np.array([f"p{number}" for number in range(photos)])
    owner = [f"b{number}" for number in np.repeat(np.arange(businesses), candidates)]
    table = pa.table({"photo_id": names, "review_id": names, "user_id": names, "business_id": owner})
    pool = PhotoPool(table, EmbeddingTable(names.tolist(), vectors.astype(np.float16), "made-up"))
    posted = [np.sort(rng.choice(candidates, rng.integers(1, 5), replace=False)) for _ in range(count)]
    return SelectorData(
        pool=pool,
        review_ids=[f"r{number}" for number in range(count)],
        business=rng.integers(0, businesses, count),
        user=np.arange(count),
        targets=np.array([(number, place) for number, places in enumerate(posted) for place in places]),
        text=rng.standard_normal((count, DIM), np.float32) / DIM**0.5,
        photos=rng.standard_normal((count, DIM), np.float32) / DIM**0.5,
    )


def new_model() -> SetLikelihood:
    torch.manual_seed(0)
    return SetLikelihood(Selector(TOWERS, "img+text", DIM, DIM))


def run_ours(data: SelectorData, config: LoopConfig) -> tuple[float, float]:
    """Seconds of an epoch, and the first batch's loss."""
    model, losses = new_model(), []

    def loss(model: torch.nn.Module, numbers: np.ndarray) -> tuple[torch.Tensor, dict[str, float]]:
        value = -model(data.batch(numbers, "img+text")).mean()
        losses.append(float(value.detach()))
        return value, {}

    started = time.perf_counter()
    task = Task(model, loss, lambda _: {"val_loss": 0.0}, lambda *_: None, len(data), groups=data.business)
    fit(task, config, Session(lambda *_: None))
    return time.perf_counter() - started, losses[0]


def run_loop(data: SelectorData, count: int) -> tuple[float, float]:
    """The same for `count` examples, one after the other; a step after each batch."""
    model = new_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=LoopConfig().lr)
    order = np.random.default_rng([LoopConfig().seed, 0]).permutation(len(data))[:count]
    first, started = 0.0, time.perf_counter()
    for start in range(0, count, BATCH):
        part = order[start : start + BATCH]
        optimizer.zero_grad()
        for number in part:
            value = -one(model.selector, data, int(number)) / len(part)
            value.backward()
            first += float(value.detach()) if start == 0 else 0.0
        torch.nn.utils.clip_grad_norm_(model.parameters(), LoopConfig().clip_norm)
        optimizer.step()
    return time.perf_counter() - started, first


def one(selector: Selector, data: SelectorData, number: int) -> torch.Tensor:
    """log P(Y) of one example, as the formula is written: log det L_Y - log det(L + I)."""
    batch = data.batch(np.array([number]), "img+text")
    images = batch.photos[batch.candidates[0]]  # (N, D)
    users, items = selector.user_tower(batch.profiles)[0], selector.image_tower(images)
    bound = selector.config.max_log_relevance
    quality = (bound * torch.tanh((items @ users + selector.bias) / bound)).exp()  # (N,)
    unit = torch.nn.functional.normalize(images, dim=1)
    eye = torch.eye(len(images))
    kernel = quality[:, None] * (unit @ unit.T) * quality[None, :] + selector.config.delta * eye
    chosen = batch.chosen[0].nonzero()[:, 0]
    return torch.logdet(kernel[chosen][:, chosen]) - torch.logdet(kernel + eye)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        examples=(100_000, None),
        candidates=(36, "photos of a business"),
        loop=(1000, "examples of the rival"),
        run=(20, "examples of a business side by side, in the last lines"),
    )
    data = examples(options.examples, options.candidates)
    torch.set_num_threads(cores())
    config = LoopConfig(epochs=1, batch_size=BATCH)
    mine, first = run_ours(data, config)
    print(f"ours: {options.examples:,} examples in {mine:.1f} s; first batch's loss {first:.4f}", flush=True)
    theirs, theirs_first = run_loop(data, max(options.loop, BATCH))
    rate, rival = options.examples / mine, max(options.loop, BATCH) / theirs
    print(f"one by one: {rival:,.1f} examples a second; first batch's loss {theirs_first:.4f}")
    if abs(first - theirs_first) > 1e-3 * abs(theirs_first):
        raise SystemExit("error: the losses differ: nothing is compared")
    print_line("selector_epoch", rate / rival, rate, rival, "examples/s", cores())
    for precision, run in (("bfloat16", 1), ("float32", options.run), ("bfloat16", options.run)):
        seconds, _ = run_ours(data, replace(config, precision=precision, run=run))
        each = options.examples / seconds
        print(f"{precision}, runs of {run}: {each:,.1f} examples a second, {each / rival:.2f} x", flush=True)
    print_line("selector_epoch_runs", each / rival, each, rival, "examples/s", cores())


if __name__ == "__main__":
    main()
