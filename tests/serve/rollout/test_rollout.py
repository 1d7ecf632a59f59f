"""The candidate's share, the statistics that end it, and the switch itself, without Ray and without MLflow."""

import asyncio
import logging
import statistics
from collections.abc import Iterator

import numpy as np
import pytest

from serve_apps.args import RolloutConfig
from serve_apps.deployments.model_cache import ModelCache, group_by_model
from serve_apps.rollout.canary import Window, takes_candidate, verdict
from serve_apps.rollout.champions import Champions, align_of
from serve_apps.rollout.models import Bundle, ModelRef, RegistryAwayError
from serve_apps.rollout.registry import Found
from tests.waiting import other_tasks_end

CONFIG = RolloutConfig(candidate_share=0.2, candidate_least=50, window=200)


def ref(name: str, version: str, alias: str = "champion") -> ModelRef:
    return ModelRef(name, version, alias, f"file:///{name}/{version}", "sqlite:///none")


def bundle(version: str, alias: str = "champion") -> Bundle:
    return Bundle(ref("s", version, alias), ref("g", version, alias), "space", ref("bundle", version, alias))


class Aliases:
    """A registry that says what the test wrote."""

    def __init__(self, champion: str, candidate: str | None = None) -> None:
        self.champion, self.candidate, self.away = champion, candidate, False
        self.tags: dict[str, str] = {}

    def look(self) -> Found:
        if self.away:
            raise RegistryAwayError("MLflow does not answer")
        named = bundle(self.candidate, "candidate") if self.candidate else None
        return Found(bundle(self.champion), named)

    def remember_rollback(self, bundle: ModelRef, reason: str) -> None:
        self.tags[bundle.version] = reason


class Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def told() -> Iterator[Told]:
    handler, logger = Told(), logging.getLogger("ray.serve")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_the_share_is_kept_and_a_user_stays_on_one_side() -> None:
    users = [f"user-{number}" for number in range(20_000)]
    for share in (0.0, 0.05, 0.5, 1.0):
        sides = [takes_candidate(user, "7", share) for user in users]
        expected, deviation = share * len(users), (len(users) * share * (1 - share)) ** 0.5
        assert abs(sum(sides) - expected) <= 4 * deviation  # binomial
        assert sides == [takes_candidate(user, "7", share) for user in users]
    both = sum(takes_candidate(user, "7", 0.5) and takes_candidate(user, "8", 0.5) for user in users)
    assert abs(both - 5000) <= 4 * (20_000 * 0.25 * 0.75) ** 0.5  # the next candidate meets other people
    small, large = ({user for user in users if takes_candidate(user, "7", share)} for share in (0.1, 0.3))
    assert small < large  # a share that grows keeps whom it had


def test_a_window_forgets_and_its_figures_are_the_textbooks() -> None:
    window, aligned = Window(4), [0.9, 0.2, 0.4, 0.6, 0.7]
    for value in aligned:
        window.add(False, value)
    window.add(True)
    assert window.align == pytest.approx(statistics.mean(aligned[1:]))
    assert window.align_variance == pytest.approx(statistics.variance(aligned[1:]) / 4)
    assert (window.calls, window.texts, window.errors) == (4, 4, 0.25)
    assert align_of([0.25, 0.75]) == 0.5 and align_of([]) is None


def answers_until_verdict(
    rng: np.random.Generator, factor: float, errors: tuple[float, float], most: int
) -> int | None:
    """Simulated calls of the candidate until it is told to go; four of the champion's come with each."""
    champion, candidate = Window(CONFIG.window), Window(CONFIG.window)
    for number in range(1, most + 1):
        for window, scale, rate, calls in ((champion, 1.0, errors[0], 4), (candidate, factor, errors[1], 1)):
            for align, failed in zip(scale * rng.beta(3, 2, calls), rng.random(calls) < rate, strict=True):
                window.add(bool(failed), None if failed else float(align))
        if verdict(champion, candidate, CONFIG):
            return number
    return None


@pytest.mark.parametrize(
    ("factor", "errors", "goes"),
    [
        (1.0, (0.0, 0.0), False),
        (0.95, (0.0, 0.0), False),  # a little worse is allowed: candidate_floor is 0.9
        (0.6, (0.0, 0.0), True),
        (1.0, (0.0, 0.3), True),
        (1.0, (0.01, 0.01), False),
        (1.0, (0.3, 0.3), False),  # what ails both is not the candidate's doing
    ],
)
def test_worse_candidates_go_and_good_ones_stay(factor: float, errors: tuple[float, float], goes: bool) -> None:
    rng = np.random.default_rng(0)
    ends = [answers_until_verdict(rng, factor, errors, 300) for _ in range(20)]
    gone = [end for end in ends if end is not None]
    if goes:
        assert len(gone) == 20 and min(gone) >= CONFIG.candidate_least
    else:
        assert len(gone) <= 1  # though it is looked at after each of 300 calls


def test_a_champion_is_warm_before_it_answers_and_one_that_fails_to_load_never_does() -> None:
    aliases, warmed = Aliases("1"), []

    async def warm(wanted: Bundle) -> None:
        assert champions.champion == bundle("1")
        if wanted.selector.version == "2":
            raise RuntimeError("no such file")
        warmed.append(wanted)

    champions = Champions(bundle("1"), CONFIG, aliases, warm)

    async def run() -> None:
        for version, expected in (("2", "1"), ("3", "3")):
            aliases.champion = version
            await champions.follow()
            assert champions.answering("anybody") == bundle(expected)

    asyncio.run(run())
    assert warmed == [bundle("3")]


def test_a_registry_that_is_away_changes_nothing_and_is_told_once(told: Told) -> None:
    aliases = Aliases("1")

    async def run() -> list[Bundle]:
        champions, seen = Champions(bundle("1"), CONFIG, aliases, loads), []
        for away, champion in ((True, "2"), (True, "2"), (False, "2"), (True, "3"), (False, "3")):
            aliases.away, aliases.champion = away, champion
            await champions.follow()
            seen.append(champions.answering("anybody"))
        return seen

    assert asyncio.run(run()) == [bundle(version) for version in "11223"]
    assert sum("still using" in line for line in told.lines) == 2


async def loads(wanted: Bundle) -> None:
    """Everything can be loaded."""


def test_a_candidate_that_fails_goes_back_by_itself_and_says_so(told: Told) -> None:
    aliases = Aliases("1", "2")
    users = [f"user-{number}" for number in range(2000)]

    async def run() -> Champions:
        champions = Champions(bundle("1"), CONFIG, aliases, loads)
        await champions.follow()
        answered = [champions.answering(user) for user in users]
        assert 300 < sum(one == bundle("2", "candidate") for one in answered) < 500
        for one in answered:
            champions.record_call(one, failed=one != champions.champion)
        assert {champions.answering(user) for user in users} == {bundle("1")}
        await other_tasks_end()  # the tag is written beside
        await champions.follow()  # the alias still names it
        assert champions.candidate is None
        aliases.candidate = "3"
        await champions.follow()
        assert champions.candidate == bundle("3", "candidate")
        return champions

    reason = asyncio.run(run()).rolled_back["2"]
    assert "100.0% of its last 50 calls failed" in reason and aliases.tags == {"2": reason}
    assert any("is rolled back" in line and reason in line for line in told.lines)


def test_versions_load_once_while_others_answer_and_the_oldest_leaves() -> None:
    started: list[str] = []

    def load(model: ModelRef) -> str:
        started.append(model.version)
        if model.version == "broken":
            raise OSError("no such file")
        return f"model {model.version}"

    async def run() -> None:
        versions = ModelCache(load, size=2)
        many = [versions.get(ref("s", "1", alias)) for alias in ("champion", "candidate", "")]
        assert set(await asyncio.gather(*many)) == {"model 1"} and started == ["1"]
        for _ in range(2):
            with pytest.raises(OSError):
                await versions.get(ref("s", "broken"))
        for version in ("2", "1", "3", "1", "2"):  # 3 drives out 2, which was not asked for since
            await versions.get(ref("s", version))
        assert started == ["1", "broken", "broken", "2", "3", "2"]

    asyncio.run(run())


def test_a_mixed_batch_runs_by_model_and_one_that_fails_takes_nobody_along() -> None:
    def run(factor: int, items: list[int]) -> list[int]:
        if factor == 0:
            raise RuntimeError("broken weights")
        return [factor * item for item in items]

    first, second, broken = 10, 1000, 0
    found = group_by_model([(first, 1), (second, 2), (broken, 3), (first, 4)], run)
    assert [str(one) for one in found] == ["10", "2000", "broken weights", "40"]
