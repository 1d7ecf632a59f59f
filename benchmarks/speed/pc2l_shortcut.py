"""What the contrastive losses teach: do they tie a text to its photos, or the decoder's states to what they attend to?

    python -m benchmarks.speed.pc2l_shortcut --root workspace [--epochs 4]

H^Y, the decoder's last hidden states, has passed cross-attention: photos and reviews stand in it whatever the text says
(paper section 4.3 compares it with those very photos and reviews). A PC²L generator is trained on the workspace; then
each text of the validation split is decoded over its own photos and reviews, and over those of another example of the
batch. For each H̃^Y the nearest H̃^V and H̃^R of the batch of 32 are sought. If the losses had tied texts to photos, the
nearest would be the text's own either way.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import cores, parse
from showcases.generator.config import TrainGeneratorConfig
from showcases.generator.data import GeneratorData, read_rows
from showcases.generator.losses import cosine
from showcases.generator.objective import Objective
from showcases.generator.train import train_generator
from showcases.storage.artifacts import Workspace
from showcases.training import Session, TrainingJob

BATCH = 32


def train(workspace: Workspace, config: TrainGeneratorConfig) -> Objective:
    """With the heads φ, which a saved generator has no more."""
    found: list[Objective] = []
    begin = Objective.__init__

    def remember(self: Objective, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        found.append(self)

    def report(metrics: dict[str, float], _: Path | None) -> None:
        print("  ".join(f"{k} {v:.3f}" for k, v in metrics.items() if "loss" in k or k == "epoch"), flush=True)

    Objective.__init__ = remember  # type: ignore[method-assign]
    try:
        train_generator(TrainingJob(workspace, config, "img+text"), Session(report))
    finally:
        Objective.__init__ = begin  # type: ignore[method-assign]
    return found[0].eval()


@torch.no_grad()
def nearest(objective: Objective, data: GeneratorData) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """By (over, modality): shares of texts whose nearest is their own, and is that of what they attended to."""
    generator, losses = objective.generator, objective.contrastive
    assert losses.text_head and losses.image_head and losses.review_head
    own, other = torch.arange(BATCH), torch.roll(torch.arange(BATCH), 1)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for start in range(0, len(data) - BATCH + 1, BATCH):
        batch = data.batch(range(start, start + BATCH))
        encoded = generator.encode(batch.images, batch.image_mask, batch.reviews, batch.review_mask)
        heads = {"photos": (losses.image_head, encoded.images), "reviews": (losses.review_head, encoded.reviews)}
        for over, seen in (("its own", own), ("another's", other)):
            states = generator.decode(batch.tokens, encoded.take(seen))
            texts = losses.text_head(states, batch.text_mask)
            for modality, (head, part) in heads.items():
                best = cosine(texts, head(*part)).argmax(1)
                shares = (float((best == own).float().mean()), float((best == seen).float().mean()))
                found.setdefault((over, modality), []).append(shares)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    help_text = "workspace with gest_s2 and embeddings, as `make demo` leaves it"
    options = parse(__doc__, argv, root=((str,), help_text), epochs=(4, None))
    torch.set_num_threads(cores())
    workspace, config = Workspace(options.root), TrainGeneratorConfig()
    objective = train(workspace, replace(config, loop=replace(config.loop, epochs=options.epochs)))
    rows = read_rows(workspace, ("val",), config.model)["val"]
    found = nearest(objective, GeneratorData(rows, objective.generator.tokenizer, config.model.max_tokens))
    for (over, modality), shares in found.items():
        text, context = np.mean(shares, axis=0)
        print(f"decoded over {over:9} {modality:7}: nearest is the text's {text:6.1%}, that attended to {context:6.1%}")


if __name__ == "__main__":
    main()
