"""A pipeline for tests of the flow."""

from dataclasses import replace

from jobs.runner.config import PipelineConfig


def quick(config: PipelineConfig) -> PipelineConfig:
    """Every model trained for a moment: the flow is tested here, not what is learnt."""
    clip, phi = config.train_clip, config.distill
    selector, generator = config.train_selector, config.train_generator
    return replace(
        config,
        train_clip=replace(
            clip, image_size=32, embed_dim=32, text_width=32, text_layers=1, loop=replace(clip.loop, epochs=2)
        ),
        distill=replace(phi, loop=replace(phi.loop, epochs=3)),
        train_selector=replace(selector, variants=("img+text",), loop=replace(selector.loop, epochs=1, batch_size=32)),
        train_generator=replace(
            generator,
            variants=("img+text",),
            model=replace(
                generator.model,
                n_layer=1,
                n_embd=32,
                n_head=2,
                mma_layers=1,
                mma_heads=2,
                vocab_size=400,
                max_tokens=12,
            ),
            loop=replace(generator.loop, epochs=1),
        ),
        evaluate=replace(config.evaluate, max_examples=10, gallery=3),
    )
