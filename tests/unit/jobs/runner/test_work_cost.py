"""The bill: worked out by hand for a stream of ten minutes."""

import pytest

from jobs.runner.cluster import ClusterConfig
from jobs.runner.stream import Tally
from jobs.runner.work_cost import cost_of, describe_cost

HELD = {"nodes": 3.0, "cpus": 24.0, "gpus": 4.0}


def test_ten_minutes_on_three_nodes_at_twelve_dollars_an_hour() -> None:
    tally = Tally(rows=40_000, amounts={"bytes_in": 8e8, "decode_cpu_s": 210.5}, seconds=600.0)
    figures = cost_of(tally, ClusterConfig(price_per_hour=12.0), HELD)
    assert figures == {
        "rows": 40_000, "seconds": 600, "per_second": pytest.approx(66.666667),
        "node_seconds": 1_800, "cpu_seconds": 14_400, "gpu_seconds": 2_400,
        "bytes_in": 8e8, "decode_cpu_s": 210.5,
        "usd": 2.0, "usd_per_million": 50.0,
    }  # fmt: skip
    assert describe_cost(figures, "photos").endswith("USD 50.00 a million photos")


def test_without_a_price_or_rows_there_is_no_money_and_no_division_by_zero() -> None:
    assert "usd" not in cost_of(Tally(rows=5, seconds=1.0), ClusterConfig(), HELD)
    assert "usd_per_million" not in cost_of(Tally(), ClusterConfig(price_per_hour=1.0), HELD)
