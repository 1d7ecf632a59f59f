"""Assign texts to judges, in an order balanced over judges, models and positions."""

import numpy as np


def deal(examples: int, models: int, judges: int, per_item: int, random: np.random.Generator) -> np.ndarray:
    """Assign every text to `per_item` different judges.

    All texts of an example go to the same judges, so that a strict judge is strict with every model; a few are moved to
        balance the judges' loads.

    Returns:
        (models, examples, judges) bool. Judges differ by at most one text in all, and by at most one of each model.
    """
    sets = np.zeros((examples, judges), bool)
    for row in sets:
        load = sets.sum(0)
        row[np.lexsort((random.random(judges), load))[:per_item]] = True  # the least loaded; chance breaks ties
    given = np.repeat(sets[None], models, axis=0)
    _even_out(given, random)
    return given


def _even_out(given: np.ndarray, random: np.random.Generator) -> None:
    """Move texts, in place, from the most to the least loaded judge until loads differ by at most one.

    A judge with more texts in all has more of some model, so a move keeps every model's loads within one, too.
    """
    while np.ptp(load := given.sum((0, 1))) > 1:
        most, least = int(load.argmax()), int(load.argmin())
        by_model = given.sum(1)  # (models, judges)
        model = int((by_model[:, most] - by_model[:, least]).argmax())
        movable = np.flatnonzero(given[model, :, most] & ~given[model, :, least])
        example = int(random.choice(movable))
        given[model, example, [most, least]] = False, True


def ordered(mine: np.ndarray, random: np.random.Generator) -> list[tuple[int, int]]:
    """A judge's texts in display order.

    Rounds of one text of each model, in random order within the round: no model comes earlier than another. All
        models use one shuffled order of examples with different offsets: texts of one example are far apart, and each
        comes first equally often.

    Args:
        mine: (models, examples) bool.

    Returns:
        (model, example) pairs.
    """
    models = len(mine)
    examples = random.permutation(np.flatnonzero(mine.any(0)))
    queues = []
    for model in range(models):
        turned = np.roll(examples, -(model * len(examples)) // models)
        queues.append([(model, int(example)) for example in turned if mine[model, example]])
    result = []
    for number in range(max((len(queue) for queue in queues), default=0)):
        result += [queues[m][number] for m in random.permutation(models) if number < len(queues[m])]
    return result
