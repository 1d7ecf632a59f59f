"""Three times as much load as the service can take, for five minutes: what is answered, what memory does, and after.

    python -m benchmarks.faults.overload --root workspace [--seconds 300] [--times 3]

Starts the service, measures how many showcases/s it makes for 32 clients that wait for their answers, then sends times
as many whether answered or not. Holds where every answer is 200 (whole, or photos without text), or 429 or 503 with a
Retry-After, by its deadline; where no process grows; and where one client is answered as fast afterwards as before.
"""

import statistics
import time
from collections.abc import Sequence

from benchmarks.faults.open_loop import Answer, open_load, statuses
from benchmarks.harness import DEMO, Verdicts, parse, print_line
from benchmarks.processes import sampled
from benchmarks.service import load, quantile, started, visits
from serve_apps.args import ShowcaseArgs

CLIENTS = 32
GRACE_S = 1.0  # beyond the deadline: the way there and back on a machine that is busy throughout
GROWTH = 3.0  # MiB/min of one part, at most
SLOWER = 1.25  # p50 afterwards over p50 before, at most
SETTLE_S = 5


def proper(answer: Answer, deadline_s: float) -> bool:
    """Whether that is how an overloaded service may answer."""
    has_retry_after = (answer.retry_after or "").isdigit()
    return (
        answer.status == 200 or (answer.status in (429, 503) and has_retry_after)
    ) and answer.took <= deadline_s + GRACE_S


def judge(answers: list[Answer], growth: dict[str, tuple[float, float]], before: float, after: float) -> Verdicts:
    """Print what came of it; p50s are in ms."""
    deadline, verdicts = ShowcaseArgs().access.limits.deadline_s, Verdicts()
    wrong = [answer for answer in answers if not proper(answer, deadline)]
    print(f"{len(answers)} requests; {statuses(answers)}")
    for status in sorted({answer.status for answer in answers}):
        took = [1000 * answer.took for answer in answers if answer.status == status]
        print(
            f"{status}: p50 {quantile(took, 0.5):.0f} ms, p99 {quantile(took, 0.99):.0f} ms, longest {max(took):.0f} ms"
        )
    for answer in wrong[:5]:
        print(f"  {answer.status} after {answer.took:.1f} s, Retry-After {answer.retry_after}: {answer.said[:120]}")
    verdicts.demand(
        not wrong, f"{len(wrong)} answers are none of 200, 429 or 503 with Retry-After within {deadline:g} s"
    )
    for part, (mib, slope) in sorted(growth.items()):
        verdicts.demand(slope <= GROWTH, f"{part}: {mib:.0f} MiB, {slope:+.2f} MiB/min (at most {GROWTH:g})")
    latency = f"one client: p50 {before:.1f} ms before, {after:.1f} ms after"
    verdicts.demand(after <= SLOWER * before, f"{latency} (at most {SLOWER:g} times)")
    return verdicts


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        root=("workspace", DEMO),
        seconds=(300.0, "of overload: the memory of a minute or two tells nothing"),
        times=(3.0, "of the measured capacity"),
        measure=(20.0, "seconds of each other measurement"),
        seed=(0, None),
    )
    with started("serve_apps.run", options.root) as (url, pid):
        workload = visits(url, options.seed)
        before = load(url, workload, 1, options.measure, warm_up=3)
        capacity = load(url, workload, CLIENTS, options.measure)
        rate = options.times * capacity.rate
        print(f"capacity: {capacity}; now {rate:.1f} requests/s for {options.seconds:g} s", flush=True)
        with sampled(pid) as samples, open_load(url, rate, options.seconds, options.seed) as answers:
            pass
        time.sleep(SETTLE_S)
        after = load(url, workload, 1, options.measure)
    verdicts = judge(answers, samples.growth(), before.p50, after.p50)
    whole = [answer for answer in answers if answer.status == 200 and not answer.degraded]
    steepest = max(slope for _, slope in samples.growth().values())
    figures = {
        "capacity": capacity.rate,
        "asked": rate,
        "whole": len(whole) / options.seconds,
        "answers": statuses(answers),
        "p50_whole_ms": 1000 * statistics.median(answer.took for answer in whole) if whole else None,
        "growth_mib_per_min": steepest,
    }
    print_line("overload", before.p50 / after.p50, after.p50, before.p50, "ms", None, **figures)
    verdicts.end()


if __name__ == "__main__":
    main()
