"""What the load tools conclude from answers, by hand: what is proper under overload, who was champion, what grew."""

import pytest

from benchmarks.faults.kills import Kill, failures, touched
from benchmarks.faults.open_loop import Answer, statuses
from benchmarks.faults.overload import judge, proper
from benchmarks.faults.switches import Reign
from benchmarks.harness import Verdicts
from benchmarks.processes import Samples, part_of, slope
from benchmarks.service import quantile


def answer(status: int, sent: float = 0.0, done: float = 1.0, **more: object) -> Answer:
    return Answer(sent, done, status, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (answer(200), True),
        (answer(200, done=31.5), False),  # the deadline is 30 s, and one more is granted
        (answer(503, retry_after="2"), True),
        (answer(429, retry_after="2"), True),
        (answer(503), False),
        (answer(503, retry_after="soon"), False),
        (answer(500, retry_after="2"), False),
        (answer(504), False),
        (answer(0), False),
    ],
)
def test_what_is_proper_under_overload(one: Answer, holds: bool) -> None:
    assert proper(one, 30) is holds


def test_quantiles_are_values_that_were_seen() -> None:
    assert [quantile([4, 1, 3, 2], share) for share in (0.25, 0.5, 0.99, 1)] == [1, 2, 4, 4]


def test_counts_by_status() -> None:
    text = statuses([answer(200), answer(200, degraded=True), answer(503), answer(0)])
    assert text == "broken: 1, 200: 2 (1 degraded), 503: 1"


def test_a_request_counts_for_the_kills_that_it_was_under_way_at() -> None:
    kills = [Kill("selector", 10, 12), Kill("generator", 20, None)]
    before, during, between, across, after = (
        answer(200, sent, done) for sent, done in ((1, 9), (9, 11), (15, 16), (19, 21), (30, 31))
    )
    found = touched(kills, [before, during, between, across, after])
    assert [some for _, some in found] == [[during, between, across], [across, after]]
    assert [kill.recovery for kill in kills] == ["2.0 s", "not back"]
    assert failures([answer(200), answer(503), answer(429), answer(500), answer(0)]) == [answer(500), answer(0)]


def test_an_answer_may_name_who_was_champion_between_its_start_and_end() -> None:
    reign = Reign("7", moved=10, seen=12, until=20)
    for sent, done, version, holds in (
        (5, 9.9, "7", False),  # answered before the alias was moved
        (5, 10, "7", True),
        (20, 25, "7", True),
        (20.1, 25, "7", False),  # sent when the service had followed to the next one
        (13, 14, "8", False),
    ):
        assert reign.covers(answer(200, sent, done, version=version)) is holds


def test_growth_is_the_slope_after_the_warm_up() -> None:
    warm = [(float(second), 100.0 + 50 * second) for second in range(10)]
    flat = [(10.0 + second, 600.0 + 0.1 * second) for second in range(30)]
    growth = Samples({"gateway": [*warm, *flat]}).growth()
    assert growth["gateway"] == (pytest.approx(602.9), pytest.approx(6.0))  # 0.1 MiB/s
    assert slope([(1.0, 1.0)]) == 0


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ("ray::ServeReplica:showcases:Gateway.handle_request", "gateway"),
        ("ray::ServeReplica:showcases:Generator", "generator"),
        ("ray::ProxyActor", "proxy"),
        ("/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=a", "raylet"),
        ("/x/python -m serve_apps.run --root w", "driver"),
        ("ray::IDLE", None),
        ("/x/python -m pytest", None),
    ],
)
def test_processes_are_known_by_their_titles(told: str, part: str | None) -> None:
    assert part_of(told) == part


def test_a_demand_that_does_not_hold_ends_with_1() -> None:
    verdicts = Verdicts()
    verdicts.demand(True, "this")
    verdicts.end()
    verdicts.demand(False, "that")
    with pytest.raises(SystemExit, match="1"):
        verdicts.end()


@pytest.mark.parametrize(
    ("answer", "slope", "after", "failures"),
    [
        (Answer(0, 1, 503, "2"), 1.0, 12.0, 0),
        (Answer(0, 40, 200), 1.0, 12.0, 1),
        (Answer(0, 1, 500), 1.0, 12.0, 1),
        (Answer(0, 1, 200), 9.0, 12.0, 1),
        (Answer(0, 1, 200), 1.0, 13.0, 1),
    ],
)
def test_overload_demands_proper_answers_flat_memory_and_a_p50_that_is_back(
    answer: Answer, slope: float, after: float, failures: int
) -> None:
    verdicts = judge([Answer(0, 1, 200), answer], {"gateway": (100.0, slope)}, before=10.0, after=after)
    assert len(verdicts.failed) == failures
