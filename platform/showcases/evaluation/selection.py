"""Run all rankers over the test users: for Table 3, and for the photos of the generated texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from showcases.errors import ConfigError
from showcases.metrics.ranking import RankingFigures
from showcases.selector.data import Protocol, SelectorData, read_splits
from showcases.selector.model import Selector
from showcases.selector.rankers import most_popular, random_ranker, rank_split, selector_ranker
from showcases.storage.artifacts import Place, Workspace
from showcases.storage.embeddings import require_one_space

RANDOM_SEEDS = 5
BATCH = 256


@dataclass(frozen=True)
class Ranked:
    """One ranker's choices for every example of the test split.

    Attributes:
        name: random, most-popular, or the selector's variant.
        chosen: photo ids by review id, in the order of choice.
        liked_more: for each of them, the share of the candidates that are less relevant to the user, 0 to 1; only if
            requested.
        theta: of the selector; None for other rankers.
        by_theta: figures by theta, for the first seed of each variant.
    """

    name: str
    seed: int
    figures: RankingFigures
    chosen: dict[str, list[str]] = field(default_factory=dict)
    liked_more: dict[str, list[float]] = field(default_factory=dict)
    theta: float | None = None
    by_theta: dict[float, RankingFigures] = field(default_factory=dict)


def rank_test_users(
    root: str,
    models: Mapping[tuple[str, int], Place],
    k: int,
    protocol: Protocol,
    thetas: Sequence[float],
) -> list[Ranked]:
    """Rank with random (several seeds), most-popular, then each trained variant, the first one with relevances.

    Args:
        root: of the workspace.
        models: location of each (variant, seed) in the workspace.
        k: photos to choose.
        protocol: of the candidates; without the user's own photos no hits are possible.
        thetas: further thetas to evaluate with the first seed of each variant.

    Raises:
        ConfigError: no test user has a photo.
        ModelError: a selector was trained on other embeddings.
    """
    workspace = Workspace(root)
    data = read_splits(workspace, ("test",))["test"]
    if not len(data):
        raise ConfigError("gest_s1 has no test example with an embedded photo; is the corpus large enough?")
    result = []
    for seed in range(RANDOM_SEEDS):
        figures, _ = rank_split(data, random_ranker(seed), k, protocol=protocol)
        result.append(Ranked("random", seed, figures))
    result.append(Ranked("most-popular", 0, rank_split(data, most_popular, k, protocol=protocol)[0]))
    for number, ((variant, seed), place) in enumerate(models.items()):
        model = _load(workspace, place, data)
        figures, names = rank_split(data, selector_ranker(model), k, profile=model.profile, protocol=protocol)
        chosen = dict(zip(data.review_ids, names, strict=True))
        liked = liked_more(model, data, names, protocol) if number == 0 else []
        theta = model.config.theta
        first = all(entry.name != variant for entry in result)
        curve = turn_dial(model, data, thetas, k, protocol) | {theta: figures} if first and thetas else {}
        result.append(
            Ranked(variant, seed, figures, chosen, dict(zip(data.review_ids, liked, strict=False)), theta, curve)
        )
    return result


def turn_dial(
    model: Selector, data: SelectorData, thetas: Sequence[float], k: int, protocol: Protocol
) -> dict[float, RankingFigures]:
    """Figures of a selector for each further theta."""
    return {
        theta: rank_split(data, selector_ranker(model, theta), k, profile=model.profile, protocol=protocol)[0]
        for theta in thetas
        if theta != model.config.theta
    }


@torch.no_grad()
def liked_more(
    model: Selector, data: SelectorData, names: Sequence[Sequence[str]], protocol: Protocol
) -> list[list[float]]:
    """For each photo of `names` the share of the example's other candidates with a lower relevance, 0 to 1.

    Relevance has no unit, but its rank among the candidates is meaningful.
    """
    result: list[list[float]] = []
    for start in range(0, len(data), BATCH):
        numbers = np.arange(start, min(start + BATCH, len(data)))
        batch = data.batch(numbers, model.profile, protocol)
        relevance = model.relevance(batch.profiles, batch.photos, batch.candidates).numpy()  # (B, N)
        for row, number in enumerate(numbers.tolist()):
            ids = data.candidate_ids[data.business[number]]
            pool = relevance[row][batch.mask[row].numpy()]
            own = relevance[row]
            places = [ids.index(name) for name in names[number]]
            result.append([float((pool < own[place]).sum() / max(1, len(pool) - 1)) for place in places])
    return result


def _load(workspace: Workspace, place: Place, data: SelectorData) -> Selector:
    artifact, *parts = place
    model = workspace.load(Selector.from_pretrained, artifact, *parts)
    spaces = {"/".join(place): model.embedding_space, "the photos": data.pool.images.model_id}
    require_one_space(spaces, "run jobs.train_selector again")
    return model
