"""A discrete-event simulation of one step on a cluster: units of rows pass through stages on nodes that may be lost.

What it knows: slots and rates, back-pressure between stages, spot losses with the time that a new node takes, a store
that admits so many requests a second and refuses some. What it takes to be so, on the slow side: whatever a lost node
had in progress or had finished for a later stage restarts from the first stage.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Nodes:
    """Nodes of one type.

    Args:
        count: how many are held.
        lost_per_hour: spot losses of one node an hour.
        boot_s: from asking for a node until it works; it is paid for.
    """

    count: int
    lost_per_hour: float = 0.0
    boot_s: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One stage of a step.

    Args:
        slots: units at a time on one node, by node type.
        rows_per_s: of one slot.
        requests: to the object store a unit.
        limit_rows_per_s: of all slots together, e.g. what a photo host allows; none for no limit.
    """

    name: str
    slots: Mapping[str, int]
    rows_per_s: float
    requests: float = 0.0
    limit_rows_per_s: float | None = None


@dataclass(frozen=True)
class Store:
    """The object store.

    Args:
        requests_per_s: that it admits; none for no limit.
        refused: share of the requests that are throttled, 0 to below 1.
        backoff_s: mean wait before a refused request is sent again.
    """

    requests_per_s: float | None = None
    refused: float = 0.0
    backoff_s: float = 1.0


@dataclass
class Outcome:
    """What came of a step.

    Attributes:
        seconds: from asking for the nodes until the last unit is done.
        finished: how often each unit came out of the last stage; all 1, or the simulation is wrong.
        busy_s: slot-seconds by stage that led to something; `wasted_s`, that a loss undid.
        redone: units that restarted.
        lost: nodes lost, by type.
        throttled_s: slot-seconds of waiting for the store or a stage's limit.
    """

    seconds: float = 0.0
    finished: Counter[int] = field(default_factory=Counter)
    busy_s: Counter[str] = field(default_factory=Counter)
    wasted_s: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    redone: int = 0
    throttled_s: float = 0.0


@dataclass
class _Node:
    kind: str
    life: int = 0  # grows by 1 when it is lost: what was begun in an earlier life never ends
    running: dict[int, tuple[int, int, float]] = field(default_factory=dict)  # job -> stage, unit, began


class Gate:
    """Lets so many a second through, in order."""

    def __init__(self, per_s: float | None) -> None:
        self.per_s, self.free_at = per_s, 0.0

    def pass_at(self, now: float, count: float) -> float:
        """When `count` that come now may begin: at once where nobody waits."""
        if not self.per_s or not count:
            return now
        begins = max(self.free_at, now)
        self.free_at = begins + count / self.per_s
        return begins


class Step:
    """The simulation of one step.

    Args:
        rows: in all, cut into units of `unit` rows.
        stages: in order.
        nodes: by type; every type that a stage has slots on.
        store: the object store.
        seed: of losses and refusals.
    """

    def __init__(
        self, rows: int, unit: int, stages: Sequence[Stage], nodes: Mapping[str, Nodes], store: Store, seed: int = 0
    ) -> None:
        self.sizes = [min(unit, rows - start) for start in range(0, rows, unit)]
        self.stages, self.types, self.store = list(stages), nodes, store
        self.random, self.now, self.jobs = random.Random(seed), 0.0, 0
        self.events: list[tuple[float, int, str, int, int, int]] = []  # time, tie, what, node, life, job
        self.queues: list[deque[tuple[int, int, int]]] = [deque() for _ in stages]  # unit, node and life it lies on
        self.queues[0].extend((number, -1, 0) for number in range(len(self.sizes)))
        self.free: list[deque[int]] = [deque() for _ in stages]  # nodes, once a free slot
        self.most = [2 * self._slots(s) + 2 * self._slots(s + 1) for s in range(len(stages) - 1)]
        self.gates = [Gate(stage.limit_rows_per_s) for stage in stages]
        self.gate, self.outcome = Gate(store.requests_per_s), Outcome()
        self.nodes = [_Node(kind) for kind, type_ in nodes.items() for _ in range(type_.count)]

    def run(self) -> Outcome:
        """Simulate until every unit is through."""
        for number, node in enumerate(self.nodes):
            self._push(self.types[node.kind].boot_s, "up", number)
        while len(self.outcome.finished) < len(self.sizes):
            self.now, _, what, number, life, job = heapq.heappop(self.events)
            if life == self.nodes[number].life:
                getattr(self, f"_{what}")(number, job)
                self._dispatch()
        self.outcome.seconds = self.now
        return self.outcome

    def _slots(self, stage: int) -> int:
        return sum(count * self.types[kind].count for kind, count in self.stages[stage].slots.items())

    def _push(self, delay: float, what: str, number: int, job: int = 0) -> None:
        self.jobs += 1
        heapq.heappush(self.events, (self.now + delay, self.jobs, what, number, self.nodes[number].life, job))

    def _up(self, number: int, _: int) -> None:
        kind = self.nodes[number].kind
        for stage, free in zip(self.stages, self.free, strict=True):
            free.extend([number] * stage.slots.get(kind, 0))
        if self.types[kind].lost_per_hour:
            self._push(self.random.expovariate(self.types[kind].lost_per_hour / 3600), "lost", number)

    def _lost(self, number: int, _: int) -> None:
        node = self.nodes[number]
        self.outcome.lost[node.kind] += 1
        for stage, unit, began in node.running.values():
            self.outcome.wasted_s[self.stages[stage].name] += self.now - began
            self._again(unit)
        for later in range(1, len(self.stages)):
            gone = [unit for unit, where, life in self.queues[later] if (where, life) == (number, node.life)]
            self.queues[later] = deque(x for x in self.queues[later] if x[1:] != (number, node.life))
            for unit in gone:
                self._again(unit)
        node.running, node.life = {}, node.life + 1
        self.free = [deque(where for where in free if where != number) for free in self.free]
        self._push(self.types[node.kind].boot_s, "up", number)

    def _again(self, unit: int) -> None:
        self.outcome.redone += 1
        self.queues[0].appendleft((unit, -1, 0))

    def _dispatch(self) -> None:
        for stage in reversed(range(len(self.stages))):
            last = stage == len(self.stages) - 1
            while self.free[stage] and self.queues[stage]:
                if not last and len(self.queues[stage + 1]) >= self.most[stage]:
                    break
                self._begin(stage, self.queues[stage].popleft()[0], self.free[stage].popleft())

    def _begin(self, stage: int, unit: int, number: int) -> None:
        work, rows = self.stages[stage], self.sizes[unit]
        ready = self.gates[stage].pass_at(self.now, rows if work.limit_rows_per_s else 0)
        ready = max(ready, self.gate.pass_at(self.now, work.requests)) + self._refusals(work.requests)
        self.outcome.throttled_s += ready - self.now
        self._push(ready - self.now + rows / work.rows_per_s, "done", number, self.jobs + 1)
        self.nodes[number].running[self.jobs] = (stage, unit, self.now)

    def _refusals(self, requests: float) -> float:
        """Seconds that a unit waits as some of its requests, one after the other, are refused, some of them again."""
        waited = 0.0
        for _ in range(round(requests)):
            while self.random.random() < self.store.refused:
                waited += self.random.expovariate(1 / self.store.backoff_s)
        return waited

    def _done(self, number: int, job: int) -> None:
        node = self.nodes[number]
        stage, unit, began = node.running.pop(job)
        self.outcome.busy_s[self.stages[stage].name] += self.now - began
        self.free[stage].append(number)
        if stage + 1 < len(self.stages):
            self.queues[stage + 1].append((unit, number, node.life))
        else:
            self.outcome.finished[unit] += 1
