"""The hosts that the cluster's test is made of: apart from each other, their wires as bad as they are told to be."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import LOSS, Host, Network, network, why_no_loss, why_not
from tests.waiting import wait_until

pytestmark = pytest.mark.netns

PORT, PACKETS = 7000, 2000
# Says in /tmp/bound that it listens, then in /tmp/count how many packets came until a second went by without one.
COUNTER = f"""
import pathlib, socket, time
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
listening.bind(("", {PORT}))
pathlib.Path("/tmp/bound").touch()
count = 0
try:
    while listening.recv(100):
        count += 1
        listening.settimeout(1)
except TimeoutError:
    pathlib.Path("/tmp/count.part").write_text(str(count))
    pathlib.Path("/tmp/count.part").rename("/tmp/count")
time.sleep(1000)
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Network]:
    if reason := why_not():
        pytest.skip(reason)
    with network(tmp_path) as made:
        yield made


def counter(hosts: Network) -> Host:
    host = hosts.add([sys.executable, "-S", "-c", COUNTER], os.environ)
    wait_until(lambda: host.path("/tmp/bound").exists())
    return host


def send(host: Host, packets: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for _ in range(packets):
            sending.sendto(b"x", (host.address, PORT))
            time.sleep(0.0002)


def received(host: Host) -> int:
    wait_until(lambda: host.path("/tmp/count").exists())
    return int(host.path("/tmp/count").read_text())


def test_hosts_share_neither_files_nor_processes_and_end_whole(hosts: Network, tmp_path: Path) -> None:
    script = "echo mine > /tmp/mine; sleep 1000 & echo x > /etc/x || echo refused > /tmp/refused; sleep 1001"
    one, other = (hosts.add(["sh", "-c", script], os.environ) for _ in range(2))
    wait_until(lambda: all(host.path("/tmp/refused").exists() for host in (one, other)))
    one.path("/tmp/mine").write_text("changed")
    assert other.path("/tmp/mine").read_text() == "mine\n" and not Path("/tmp/mine").exists()
    assert not Path("/etc/x").exists()
    assert not one.path(str(tmp_path)).exists()
    assert sorted(title for title in one.titles() if title.startswith("sleep")) == ["sleep 1000", "sleep 1001"]
    inside = [Path(f"/proc/{pid}") for pid in (one.first, one.process.pid)]
    one.kill()
    wait_until(lambda: not any(folder.exists() for folder in inside))
    assert other.alive() and not one.alive()


def test_a_cut_wire_carries_nothing(hosts: Network) -> None:
    host = counter(hosts)
    host.cut()
    send(host, 50)
    time.sleep(0.5)
    assert not host.path("/tmp/count").exists()  # it still waits for the first
    host.join()
    wait_until(lambda: send(host, 1) or time.sleep(1.5) or host.path("/tmp/count").exists())


def test_a_lossy_wire_loses_its_share(hosts: Network) -> None:
    if reason := why_no_loss(hosts):
        pytest.skip(reason)
    good, bad = counter(hosts), counter(hosts)
    bad.lose_packets()
    for host in (good, bad):
        send(host, PACKETS)
    assert received(good) == PACKETS
    assert abs(received(bad) / PACKETS - (1 - LOSS)) < 0.05  # seven standard deviations
