"""The process group of a training: each worker listens at the address by which the cluster knows its node.

Gloo by itself asks what the machine's own name stands for, which is often the loopback (127.0.1.1 on Debian): workers
on two nodes then never meet.
"""

import contextlib
import fcntl
import os
import socket
import struct

import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend

SWITCH = "GLOO_SOCKET_IFNAME"  # torch's: the interface whose address is taken
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface


def interface_of(address: str) -> str | None:
    """The name of the interface that has this IPv4 address, e.g. eth0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                told = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(told[20:24]) == address:
                    return name
    return None


def choose_interface() -> None:
    """Make gloo take the node's address in the cluster, unless the user has named an interface."""
    found = interface_of(ray.util.get_node_ip_address())
    if found is not None:
        os.environ.setdefault(SWITCH, found)


class _Backend(_TorchBackend):
    def on_start(self, worker_group, backend_config) -> None:  # type: ignore[no-untyped-def] # as Ray Train declares it
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)


class ProcessGroup(TorchConfig):
    """Ray Train's, with the interface chosen first."""

    @property
    def backend_cls(self) -> type[_Backend]:
        return _Backend
