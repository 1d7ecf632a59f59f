"""Hosts on this machine that share nothing but a network: each has namespaces of its own, and a wire to one bridge.

A host sees the machine's software, read only; its /tmp, /dev/shm, home folder, processes and address are its own. They
all live in namespaces without names, which are gone with the host's first process, whichever way that ends.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = ("ip", "tc", "unshare", "setpriv")
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # however we end
LOSS = 0.1  # of the packets, each way
HOME = "/tmp/home"  # within a host

# The first process of a host: $1 its address, $2 the bridge's, $3 folders to hide, and then what it runs.
# As on Debian, its own name stands for 127.0.1.1; there is no DNS.
SETUP = """
set -e
address=$1 bridge=$2 hidden=$3
shift 3
for folder in $hidden; do mount -t tmpfs -o ro tmpfs "$folder"; done
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
mkdir /tmp/home
name="host-${address##*.}"
printf '127.0.0.1 localhost\\n127.0.1.1 %s\\n' "$name" >/tmp/hosts
mount --bind /tmp/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mount -o remount,bind,ro /
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "$bridge"
hostname "$name"
cd /tmp/home
exec "$@"
"""

# tc's classifier in BPF: a random number below the threshold drops the packet (2), any other leaves it be (-1).
DROP = f"4,32 0 0 4294963256,53 1 0 {int(LOSS * 2**32)},6 0 0 2,6 0 0 4294967295"


def run(*command: str) -> str:
    """What the command prints.

    Raises:
        RuntimeError: it failed, with what it says.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass
class Host:
    """One of them.

    Attributes:
        wire: the outer end of its wire.
        process: whose end, even by SIGKILL, ends all others of the host.
        log: what it prints.
    """

    address: str
    wire: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def first(self) -> int:
        """The number, out here, of the first process within; it is there a moment after the host is made."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while not (found := children.read_text().split()):
            if not self.alive():
                raise RuntimeError(f"the host at {self.address} has ended with {self.process.returncode}: {self.said}")
            time.sleep(0.01)
        return int(found[0])

    @property
    def said(self) -> str:
        """The end of what its first process printed."""
        return self.log.read_text(errors="replace")[-2000:]

    def path(self, within: str) -> Path:
        """A path of the host's as it is reached from out here."""
        return Path(f"/proc/{self.first}/root{within}")

    def titles(self) -> list[str]:
        """Of its processes, e.g. ray::IDLE."""
        space, found = os.readlink(f"/proc/{self.first}/ns/pid"), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(folder / "ns/pid") == space:
                    words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found.append(words.decode(errors="replace").strip())
        return found

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def cut(self) -> None:
        run("ip", "link", "set", self.wire, "down")

    def join(self) -> None:
        if self.alive():  # else its wire is gone with it
            run("ip", "link", "set", self.wire, "up")

    def lose_packets(self) -> None:
        run("tc", "qdisc", "add", "dev", self.wire, "clsact")
        for way in ("ingress", "egress"):
            run("tc", "filter", "add", "dev", self.wire, way, "bpf", "direct-action", "bytecode", DROP)

    def keep_packets(self) -> None:
        if self.alive():
            run("tc", "qdisc", "del", "dev", self.wire, "clsact")


@dataclass
class Network:
    """A bridge, this machine's address on it, and the hosts.

    Attributes:
        subnet: the first three numbers of every address.
    """

    bridge: str
    subnet: str
    logs: Path
    hosts: list[Host] = field(default_factory=list)

    @property
    def address(self) -> str:
        """This machine's, where servers for the hosts listen."""
        return f"{self.subnet}.1"

    def next_address(self) -> str:
        return f"{self.subnet}.{len(self.hosts) + 2}"

    def add(self, command: Sequence[str], environment: Mapping[str, str], hidden: Sequence[Path] = ()) -> Host:
        """A new host at `next_address`, whose first process is the command."""
        address, wire = self.next_address(), f"{self.bridge}-{len(self.hosts) + 2}"
        spaces = ("--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc", "--fork", "--kill-child=SIGKILL")
        folders = " ".join(str(folder) for folder in hidden if folder.is_dir())
        with (self.logs / f"{address}.log").open("wb") as log:
            process = subprocess.Popen(
                [*ENDS_WITH_US, "unshare", *spaces, "sh", "-c", SETUP, "sh", address, self.address, folders, *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={**environment, "HOME": HOME},
            )  # fmt: skip
        host = Host(address, wire, process, self.logs / f"{address}.log")
        self.hosts.append(host)
        _wait_for_spaces(process)
        run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        run("ip", "link", "set", wire, "master", self.bridge, "up")
        return host


def _wait_for_spaces(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Until the process has a network of its own."""
    ours, deadline = os.readlink("/proc/self/ns/net"), time.monotonic() + seconds
    while os.readlink(f"/proc/{process.pid}/ns/net") == ours:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"unshare ended with {process.returncode}")
        time.sleep(0.02)


def forget_dead_runs() -> None:
    """Remove the bridges of runs that were killed; their hosts ended with them."""
    for line in run("ip", "-brief", "link", "show", "type", "bridge").splitlines():
        name = line.split()[0]
        if name.removeprefix("sc").isdecimal() and not Path(f"/proc/{name.removeprefix('sc')}").exists():
            run("ip", "link", "del", name)


@contextlib.contextmanager
def network(logs: Path) -> Iterator[Network]:
    """A network without hosts; all that is added ends with the block."""
    bridge = f"sc{os.getpid()}"
    forget_dead_runs()
    subnet = next(f"10.77.{n}" for n in range(256) if not run("ip", "route", "show", f"10.77.{n}.0/24"))
    run("ip", "link", "add", bridge, "type", "bridge")
    made = Network(bridge, subnet, logs)
    try:
        run("ip", "address", "add", f"{made.address}/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        yield made
    finally:
        for host in made.hosts:
            host.kill()
            with contextlib.suppress(RuntimeError):  # gone with the host's namespace, sooner or later
                run("ip", "link", "del", host.wire)
        run("ip", "link", "del", bridge)


def why_not() -> str | None:
    """Why no such hosts can be had here, if so."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} here (Debian: iproute2, util-linux)"
    if Path(sys.prefix).is_relative_to("/tmp"):
        return f"hosts have a /tmp of their own, and so no Python of {sys.prefix}"
    try:
        with tempfile.TemporaryDirectory() as logs, network(Path(logs)) as made:
            host = made.add(["sleep", "60"], os.environ)
            run("ip", "link", "show", host.wire)
    except (RuntimeError, OSError) as error:
        return f"no namespaces can be had here: {error}"
    return None


def why_no_loss(made: Network) -> str | None:
    """Why no packets can be lost on purpose here, if so."""
    try:
        made.add(["sleep", "1000"], os.environ).lose_packets()
    except RuntimeError as error:
        return f"no packets can be lost on purpose here: {error}"
    return None
