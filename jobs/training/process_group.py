"""Process group for training: each worker listens at its node's address in the cluster.

Gloo's default is the address of the host name, often loopback (127.0.1.1 on Debian), so that workers on different nodes
would never connect.
"""

import contextlib
import fcntl
import os
import socket
import struct

import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend

SWITCH = "GLOO_SOCKET_IFNAME"  # torch's setting for the network interface
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface


def interface_of(address: str) -> str | None:
    """The network interface with this IPv4 address, e.g. eth0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                address_bytes = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(address_bytes[20:24]) == address:
                    return name
    return None


def choose_interface() -> None:
    """Make gloo use the node's address in the cluster, unless the user has set an interface."""
    found = interface_of(ray.util.get_node_ip_address())
    if found is not None:
        os.environ.setdefault(SWITCH, found)


class _Backend(_TorchBackend):
    def on_start(self, worker_group, backend_config) -> None:  # type: ignore[no-untyped-def] # as Ray Train declares it
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)


class ProcessGroup(TorchConfig):
    """Ray Train's TorchConfig that chooses the interface first."""

    @property
    def backend_cls(self) -> type[_Backend]:
        return _Backend
