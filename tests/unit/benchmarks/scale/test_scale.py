"""The simulation against the arithmetic where nothing fails, and against what must hold where much does."""

import copy
import json
from collections import Counter
from typing import Any

import pytest
import yaml

from benchmarks.scale.check import simulated_seconds
from benchmarks.scale.plan import ROOT, InputError, no_fault_seconds, node_hours, put, read_plan, report, simulate
from benchmarks.scale.simulation import Nodes, Outcome, Stage, Step, Store

DECODE, ENCODE = Stage("decode", {"cpu": 4, "gpu": 2}, 10.0), Stage("encode", {"gpu": 1}, 100.0)


def run(rows: int, unit: int, stages: list[Stage], nodes: dict[str, Nodes], seed: int = 0, **store: float) -> Outcome:
    step = Step(rows, unit, stages, nodes, Store(**store), seed)
    outcome = step.run()
    assert outcome.finished == Counter(range(len(step.sizes)))  # each unit once, whatever was lost
    return outcome


def test_one_stage_without_faults_takes_rows_over_rate() -> None:
    found = run(12_000, 10, [Stage("encode", {"gpu": 2}, 50.0)], {"gpu": Nodes(3, boot_s=60.0)})
    assert found.seconds == pytest.approx(60 + 12_000 / (3 * 2 * 50.0))
    assert found.busy_s["encode"] == pytest.approx(12_000 / 50.0) and not found.wasted_s


@pytest.mark.parametrize("cpu_nodes, slowest", [(1, "decode"), (8, "encode")])
def test_two_stages_go_at_the_pace_of_the_slower_one(cpu_nodes: int, slowest: str) -> None:
    nodes = {"cpu": Nodes(cpu_nodes), "gpu": Nodes(2)}
    rates = {"decode": (4 * cpu_nodes + 2 * 2) * 10.0, "encode": 2 * 100.0}
    assert min(rates, key=rates.__getitem__) == slowest
    found = run(40_000, 10, [DECODE, ENCODE], nodes)
    filling = 10 / 10.0 + 10 / 100.0  # seconds of the first unit's way through, or of the last one's
    assert 40_000 / rates[slowest] <= found.seconds <= 40_000 / rates[slowest] + 2 * filling + 1
    assert found.busy_s == pytest.approx({"decode": 4000.0, "encode": 400.0}) and found.redone == 0


def test_what_is_lost_is_done_again_and_nothing_twice() -> None:
    nodes = {"cpu": Nodes(4, lost_per_hour=60.0, boot_s=30.0), "gpu": Nodes(2, lost_per_hour=40.0, boot_s=30.0)}
    quiet = {kind: Nodes(node.count, boot_s=node.boot_s) for kind, node in nodes.items()}
    undisturbed = run(60_000, 50, [DECODE, ENCODE], quiet)
    for seed in range(5):
        found = run(60_000, 50, [DECODE, ENCODE], nodes, seed)
        assert found.lost.total() > 5 and found.redone > 5 and found.seconds > undisturbed.seconds
        # encoding is never of use twice; decoding is where its product lay on the lost node, in hand or waiting
        assert found.busy_s["encode"] == pytest.approx(60_000 / 100.0)
        decoded_again = found.busy_s["decode"] / (50 / 10.0) - 60_000 / 50
        assert decoded_again == pytest.approx(round(decoded_again), abs=1e-6) and 0 <= decoded_again <= found.redone
        assert found.wasted_s.total() <= found.redone * 50 / 10.0
    again = run(60_000, 50, [DECODE, ENCODE], nodes, 3)
    assert again == run(60_000, 50, [DECODE, ENCODE], nodes, 3)  # the seed decides


def test_more_losses_take_longer() -> None:
    def seconds(lost: float) -> float:
        nodes = {"gpu": Nodes(4, lost_per_hour=lost, boot_s=120.0)}
        return sum(run(80_000, 100, [Stage("encode", {"gpu": 1}, 10.0)], nodes, s).seconds for s in range(6))

    assert seconds(0) < seconds(2) < seconds(10)


def test_a_store_that_admits_few_requests_sets_the_pace() -> None:
    stage = Stage("score", {"cpu": 4}, 1000.0, requests=2)
    found = run(40_000, 100, [stage], {"cpu": Nodes(2)}, requests_per_s=20.0)  # 400 units, 800 requests
    assert found.seconds == pytest.approx(800 / 20.0, rel=0.01) and found.throttled_s > 100
    free = run(40_000, 100, [stage], {"cpu": Nodes(2)}, requests_per_s=1e6)
    assert free.seconds == pytest.approx(40_000 / 8000.0, rel=0.01)


def test_refused_requests_wait_as_long_as_their_odds_say() -> None:
    stage = Stage("score", {"cpu": 1}, 100.0, requests=1)
    found = run(200_000, 100, [stage], {"cpu": Nodes(1)}, refused=0.5, backoff_s=3.0)
    waited = found.seconds - 2000.0  # 2,000 units, each refused once on average: p / (1 - p)
    assert waited == pytest.approx(2000 * 3.0, rel=0.1)


def test_a_limit_on_all_slots_together_is_kept() -> None:
    stage = Stage("fetch", {"cpu": 16}, 50.0, limit_rows_per_s=100.0)
    assert run(20_000, 10, [stage], {"cpu": Nodes(4)}).seconds == pytest.approx(200.0, rel=0.01)


@pytest.fixture
def inputs() -> dict[str, Any]:
    """docs/scale-gpu.json with every missing figure made up: 5 rows a second, USD 2 an hour, and so on."""
    inputs = json.loads((ROOT / "docs" / "scale-gpu.json").read_text())
    inputs["photos"], inputs["head_usd_per_hour"] = 20_000, 1.0
    for node in inputs["nodes"].values():
        node.update(lost_per_hour=0.0, boot_s=90.0, usd_per_hour=2.0)
    for step in inputs["steps"]:
        step.update(rows_per_photo=2.0, unit=50)
        for stage in step["stages"]:
            stage["rows_per_s"] = 5.0
    return inputs


def test_the_plan_of_the_docs_without_faults_is_the_arithmetic(inputs: dict[str, Any]) -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    plan = read_plan(inputs, cluster)
    assert set(plan.nodes) < set(cluster["available_node_types"])
    for step in plan.steps:
        assert step.rows == 40_000
        outcome = simulate(plan, step, seed=0)
        slack = sum(step.unit / stage.rows_per_s for stage in step.stages)  # a unit's way through
        assert no_fault_seconds(plan, step) <= outcome.seconds + 1e-6
        assert outcome.seconds <= no_fault_seconds(plan, step) + 3 * slack
    photos = plan.steps[1]
    hours = node_hours(plan, photos, 3600.0)
    held = 1 + cluster["idle_timeout_minutes"] / 60
    assert hours == pytest.approx({"head": 1.0, "decode": 8 * held, "gpu": 4 * held})


def test_figures_that_nobody_measured_are_asked_for(inputs: dict[str, Any]) -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    changed = copy.deepcopy(inputs)
    put(changed, "steps.embed photos.decode.rows_per_s=null")
    with pytest.raises(InputError, match=r"embed photos.*decode\.rows_per_s.*docs/scale\.md"):
        read_plan(changed, cluster)
    put(changed, "steps.embed photos.decode.rows_per_s=7.5")
    assert read_plan(changed, cluster).steps[1].stages[0].rows_per_s == 7.5
    put(changed, "nodes.gpu.count=99")
    with pytest.raises(InputError, match="cluster.yaml allows"):
        read_plan(changed, cluster)
    with pytest.raises(InputError, match="no 'embed'"):
        put(changed, "steps.embed.decode.rows_per_s=1")


def test_the_plan_of_the_docs_says_what_it_only_assumes(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = json.loads((ROOT / "docs" / "scale.json").read_text())
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    put(inputs, "photos=20000")
    report(read_plan(inputs, cluster), seeds=1)
    said = capsys.readouterr().out.splitlines()[-1]
    assert inputs["assumed"] and all(f"{path} = " in said for path in inputs["assumed"])
    put(inputs, "nodes.decode.usd_per_hour=0.5")
    plan = read_plan(inputs, cluster)
    assert "nodes.decode.usd_per_hour" not in plan.assumed and plan.prices["decode"] == 0.5
    with pytest.raises(InputError, match="no such figure"):
        read_plan({**inputs, "assumed": ["nodes.decode.weight"]}, cluster)


@pytest.mark.parametrize("decode_cpu_s, encode_s, expected", [(400.0, 50.0, 200.0), (40.0, 150.0, 150.0)])
def test_a_run_whose_stages_are_known_is_given_its_own_time(
    decode_cpu_s: float, encode_s: float, expected: float
) -> None:
    """On two cores: bound by 400 s of decoding, that is 200; or by 150 s of encoding."""
    figures = {"rows": 10_000.0, "seconds": 100.0, "cpu_seconds": 200.0, "loading_s": 7.0}
    figures |= {"decode_cpu_s": decode_cpu_s, "encode_s": encode_s}
    filling = 100 / 10_000 * (decode_cpu_s + encode_s)
    assert expected + 7 <= simulated_seconds(figures, unit=100, encoders=1) <= expected + 7 + filling
