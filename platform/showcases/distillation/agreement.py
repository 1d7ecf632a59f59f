"""How far annotators agree beyond chance: labels that people do not agree on cannot teach a classifier."""

from collections.abc import Iterable, Sequence


def krippendorff_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Krippendorff's alpha of yes/no votes, for any number of annotators a unit.

    Args:
        units: the votes (0 or 1) that each pair got. Pairs with fewer than two votes say nothing and are passed over.

    Returns:
        At most 1 (full agreement); 0 is what chance gives, below is worse than chance. None where it is undefined:
        no pair has two votes, or all votes are the same.

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C (nominal data, any number of
        observers, missing data): 1 - observed / expected disagreement.
    """
    ones = zeros = 0
    disagreement = 0.0  # sum over units of (ordered pairs of unlike votes) / (votes - 1)
    for votes in units:
        if len(votes) < 2:
            continue
        yes = sum(votes)
        no = len(votes) - yes
        ones, zeros = ones + yes, zeros + no
        disagreement += 2 * yes * no / (len(votes) - 1)
    if not ones or not zeros:
        return None
    expected = 2 * ones * zeros / (ones + zeros - 1)
    return 1 - disagreement / expected
