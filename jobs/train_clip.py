"""train_clip: the small CLIP for where no pretrained weights can be had; a note of the model where they can."""

import json
from pathlib import Path
from typing import Any

from jobs.requirements import clip_needs
from jobs.step import Step, StepContext, main
from jobs.training import train
from showcases.artifacts import Workspace
from showcases.clip.config import CONFIG_FILE
from showcases.training import Report


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    # Here, for the workers alone: Ray Train's controller imports this module too, and open_clip takes seconds.
    from showcases.clip.train import train_clip

    train_clip(Workspace(arguments["root"]), arguments["config"], report, resume_from, arguments["device"])


def run(context: StepContext) -> None:
    clip = context.config.clip
    if clip.pretrained is not None:
        from showcases.clip.model import note  # here: open_clip takes seconds to import

        context.workspace.write_bytes(json.dumps(note(clip)).encode(), "clip", CONFIG_FILE)
        context.say(f"not trained: open_clip's {clip.model} with weights {clip.pretrained}")
        return
    arguments = {
        "root": context.workspace.root,
        "config": context.config.train_clip,
        "device": "cuda" if context.config.cluster.gpu else "cpu",
    }
    metrics = train(context, "clip", work, arguments, "clip", ())
    context.say(f"validation loss {metrics['best_val_loss']:.3f}")
    context.record("clip", metrics={"val_loss": metrics["best_val_loss"]})


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
