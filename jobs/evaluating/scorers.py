"""Creates the text metrics' scorers from the config."""

from collections.abc import Sequence

import torch

from jobs.runner.step import StepContext
from showcases.distillation import PairClassifier
from showcases.evaluation.systems import Yardsticks
from showcases.metrics.bert_score import BertScorer
from showcases.metrics.coverage import ContentWords, TaggedWords
from showcases.metrics.meteor import MeteorScorer


def make_scorers(
    context: StepContext, classifier: PairClassifier, meteor: MeteorScorer, explanations: Sequence[str]
) -> Yardsticks:
    """The configured scorers; features are mined from all explanations of the corpus, as for PETER."""
    from showcases.generator.lexicon import mine_phrases  # local import: spaCy takes seconds

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
