"""train_clip: the small CLIP for where no pretrained weights can be had; a note of the model where they can."""

import json
from pathlib import Path
from typing import Any

from jobs.runner.execute import main
from jobs.runner.requirements import clip_needs
from jobs.runner.step import Step, StepContext
from jobs.training.ray_train import train
from showcases.clip.config import CHANCE_CAUSES, CONFIG_FILE
from showcases.storage.artifacts import Workspace
from showcases.training import Report


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    # Here, for the workers alone: Ray Train's controller imports this module too, and open_clip takes seconds.
    from ray.train.torch import get_device

    from showcases.clip.train import train_clip

    train_clip(Workspace(arguments["root"]), arguments["config"], report, resume_from, str(get_device()))


def run(context: StepContext) -> None:
    clip = context.config.clip
    if clip.pretrained is not None:
        from showcases.clip.model import note  # here: open_clip takes seconds to import

        context.workspace.write_bytes(json.dumps(note(clip)).encode(), "clip", CONFIG_FILE)
        context.say(f"not trained: open_clip's {clip.model} with weights {clip.pretrained}")
        return
    arguments = {"root": context.workspace.root, "config": context.config.train_clip}
    metrics = train(context, "clip", work, arguments, "clip", (), chance_causes=CHANCE_CAUSES)
    loss, recall = metrics["best_val_loss"], metrics["best_val_recall_top_tenth"]
    context.say(f"validation loss {loss:.3f}; a photo's own text is in the top tenth of its batch for {recall:.2f}")
    context.record("clip", metrics={**metrics, "val_loss": loss})


STEP = Step(
    name="train_clip",
    reads=("reviews", "photos", "images"),
    writes=("clip",),
    sections=("seed", "clip", "train_clip"),
    run=run,
    needs=clip_needs,
)

if __name__ == "__main__":
    main(STEP)
