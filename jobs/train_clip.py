"""train_clip: trains a small CLIP, or records the pretrained model if one is configured."""

from jobs.runner.execute import main
from jobs.runner.needs import clip_needs
from jobs.runner.step import Step, StepContext
from jobs.training.ray_train import train
from showcases.clip.config import CHANCE_CAUSES, CONFIG_FILE, TrainClipConfig
from showcases.training import Session, TrainingJob


def train_on_rank(job: TrainingJob[TrainClipConfig, None], session: Session) -> None:
    # Local import: only workers need open_clip, which takes seconds; Ray Train's controller imports this module too.
    from showcases.clip.train import train_clip

    train_clip(job, session)


def run(context: StepContext) -> None:
    clip = context.config.clip
    if clip.pretrained is not None:
        from showcases.clip.model import note  # local import: open_clip takes seconds

        context.workspace.write_json(note(clip), "clip", CONFIG_FILE)
        context.say(f"not trained: open_clip's {clip.model} with weights {clip.pretrained}")
        return
    config = context.config.train_clip
    job = TrainingJob(
        context.workspace,
        config,
        None,
        seed=config.loop.seed,
        place=("clip",),
        fingerprint=context.fingerprint,
        chance_causes=CHANCE_CAUSES,
    )
    metrics = train(context, job, train_on_rank)
    loss, recall = metrics["best_val_loss"], metrics["best_val_recall_top_tenth"]
    context.say(
        f"validation loss {loss:.3f}; share of photos with their own text in the top tenth of the batch {recall:.2f}"
    )
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
