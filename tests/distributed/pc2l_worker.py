"""One gloo process of test_pc2l_gather: its part of each batch, the loss and gradients that come of it.

Run as `python pc2l_worker.py RANK WORLD_SIZE FOLDER`; reads cases.pt there and writes result-RANK.pt.
"""

import sys
from pathlib import Path

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from showcases.generator import ContrastiveConfig, Generator, GeneratorConfig
from showcases.generator.data import Batch
from showcases.generator.losses import PC2LLoss
from showcases.generator.objective import Objective
from showcases.generator.tokenizer import learn_tokenizer

WIDTH, DIM = 8, 6


def heads(losses: dict[str, str]) -> PC2LLoss:
    """The losses on their own, the same weights in every process."""
    torch.manual_seed(0)
    return PC2LLoss(WIDTH, ContrastiveConfig(**losses), True, True)  # type: ignore[arg-type]


def objective(losses: dict[str, str]) -> Objective:
    """The whole model, the same weights in every process."""
    torch.manual_seed(0)
    config = GeneratorConfig(n_layer=1, n_head=2, n_embd=16, mma_layers=1, mma_heads=2, dropout=0.0, max_tokens=8)
    generator = Generator(config, learn_tokenizer(["a b"], 257), DIM, DIM)
    return Objective(generator, ContrastiveConfig(**losses))  # type: ignore[arg-type]


def heads_loss(model: nn.Module, inputs: dict) -> torch.Tensor:
    """Mean over the examples of this process."""
    image, text = model(**inputs)
    return (image + text).mean()


def objective_loss(model: nn.Module, batch: dict) -> torch.Tensor:
    """Eq. 11 as training takes it."""
    return model(Batch(**batch))[0]


def gradients(model: nn.Module) -> dict[str, torch.Tensor | None]:
    """By parameter's name."""
    return {name.removeprefix("module."): parameter.grad for name, parameter in model.named_parameters()}


def take(value, rows):  # type: ignore[no-untyped-def]
    """Rows of a tensor, or of the tensors in a tuple or dict."""
    if isinstance(value, dict):
        return {name: take(part, rows) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(take(part, rows) for part in value)
    return value[rows]


def run(case: dict, rank: int, world_size: int) -> dict:
    """Loss and gradients of this process for one case."""
    model = DistributedDataParallel({"heads": heads, "objective": objective}[case["kind"]](case["losses"]))
    own = case["parts"][rank]
    loss = {"heads": heads_loss, "objective": objective_loss}[case["kind"]](model, take(case["inputs"], own))
    total = sum(len(part) for part in case["parts"])
    (loss * (len(own) * world_size / total)).backward()  # as training.fit scales it
    return {"loss": loss.detach(), "gradients": gradients(model)}


def main(rank: int, world_size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), world_size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world_size)
    cases = torch.load(folder / "cases.pt", weights_only=True)
    torch.save({name: run(case, rank, world_size) for name, case in cases.items()}, folder / f"result-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
