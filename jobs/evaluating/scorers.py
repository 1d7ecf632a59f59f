"""What texts are measured with, as the config says."""

from collections.abc import Sequence

import torch

from jobs.runner.step import StepContext
from showcases.distillation import PairClassifier
from showcases.evaluation.systems import Yardsticks
from showcases.metrics.bert_score import BertScorer
from showcases.metrics.coverage import ContentWords, TaggedWords
from showcases.metrics.meteor import MeteorScorer


def yardsticks(
    context: StepContext, classifier: PairClassifier, meteor: MeteorScorer, explanations: Sequence[str]
) -> Yardsticks:
    """What the config asks for; the corpus' features are mined from all its explanations, as PETER's are."""
    from showcases.generator.lexicon import mine_phrases  # here: spaCy takes seconds to import

    config = context.config.evaluate
    device = "cuda" if context.config.cluster.gpu and torch.cuda.is_available() else "cpu"
    return Yardsticks(
        classifier,
        meteor,
        features=mine_phrases(explanations),
        keywords=TaggedWords(config.spacy_model) if config.spacy_model else ContentWords(),
        bert=BertScorer(config.bertscore_model, config.bertscore_layer, device) if config.bertscore_model else None,
        draws=config.bootstrap,
        seed=context.config.seed,
    )
