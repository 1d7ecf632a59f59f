"""What texts are measured with, as the config says."""

from collections.abc import Sequence

import torch

from jobs.step import StepContext
from showcases.distillation import PairClassifier
from showcases.evaluation.bert_score import BertScorer
from showcases.evaluation.coverage import ContentWords, TaggedWords
from showcases.evaluation.meteor import MeteorScorer
from showcases.evaluation.systems import Yardsticks


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
