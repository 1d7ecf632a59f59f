"""Showcases over HTTP: our service on Ray Serve against the same models in one bare FastAPI process, 1 to 32 clients.

    python -m benchmarks.speed.serve --root workspace [--seconds 20] [--clients 1 8 32]

Both are started here, one after the other, and get the same requests from clients that each send the next request
when the last is answered. The first line compares showcases/s with most clients; the second says what HTTP, gateway and
the two hops cost one client, over calling the two models in this process: alternating, while our service runs.

Use a workspace that nothing was PUT into: a tenant's own rows are read at every request, and the models called here
have no tenant.
"""

import contextlib
import http.client
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import torch

from benchmarks.harness import DEMO, cores, each_ms, parse, print_line
from benchmarks.service import Load, Visit, body_of, load, started, visits
from benchmarks.speed.bare_service import Pair

ALONE = 100  # visits of the one client whose hops are measured
TURN = 10  # of them, before the models are called for as many


def hops(url: str, root: str, workload: Sequence[Visit], seconds: float) -> dict[str, float]:
    """p50 in ms of one client over HTTP ("http"), and of calling the two models in this process: on as many threads as
    PyTorch takes ("models"), as the bare service does, and on one ("one_thread"), as Ray gives our replicas.

    By turns of a few, so that all meet the machine in the same mood; and all have looked everything up once before.
    """
    pair, threads = Pair(root), torch.get_num_threads()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def over_http(visit: Visit) -> None:
        connection.request("POST", "/v1/showcases", json.dumps(body_of(visit)), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"error: POST /v1/showcases got {answer.status}")

    def models(visit: Visit) -> None:
        pair(*visit, 3)

    ways: dict[str, tuple[int, Callable[[Visit], None]]] = {
        "http": (threads, over_http),
        "models": (threads, models),
        "one_thread": (1, models),
    }
    for _, way in ways.values():
        each_ms(way, workload)
    took: dict[str, list[float]] = {name: [] for name in ways}
    ends = time.perf_counter() + seconds
    with contextlib.closing(connection):
        for start in itertools.cycle(range(0, len(workload), TURN)):
            for name, (count, way) in ways.items():
                torch.set_num_threads(count)
                took[name] += each_ms(way, workload[start : start + TURN]).tolist()
            if time.perf_counter() > ends:
                break
    return {name: statistics.median(times) for name, times in took.items()}


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        root=("workspace", DEMO),
        seconds=(20.0, "of load at each number of clients"),
        clients=([1, 8, 32], None),
        seed=(0, "of the workload"),
    )
    found: dict[str, dict[int, Load]] = {"ours": {}, "bare": {}}
    workload: list[Visit] = []
    for name, module in (("ours", "serve_apps.run"), ("bare", "benchmarks.speed.bare_service")):
        with started(module, options.root) as (url, _):
            workload = workload or visits(url, options.seed)
            load(url, workload, 4, 3)  # warms up
            for clients in options.clients:
                found[name][clients] = load(url, workload, clients, options.seconds)
                print(f"{name}, {clients:>2} clients: {found[name][clients]}", flush=True)
            if name == "ours":
                alone = hops(url, options.root, workload[:ALONE], 2 * options.seconds)
    most = max(options.clients)
    ours, bare = found["ours"][most], found["bare"][most]
    print_line("serve", ours.rate / bare.rate, ours.rate, bare.rate, "showcases/s", cores(), clients=float(most))
    over, least = alone["http"] - alone["models"], alone["http"] - alone["one_thread"]
    print(
        f"one client: {alone['http']:.1f} ms over HTTP; by calling the models {alone['models']:.1f} ms, on one thread "
        f"{alone['one_thread']:.1f} ms: {over:.1f} and {least:.1f} ms of hops"
    )
    print_line("serve_overhead", None, over, None, "ms", cores(), over_one_thread=least, **alone)


if __name__ == "__main__":
    main()
