"""SSRF protection: allowed hosts and addresses. The checked address is the one that is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from showcases.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # its last 32 bits are an IPv4 address


class BlockedError(Exception):
    """A URL that must not be requested."""


class Guard:
    """Checks URLs and addresses.

    Args:
        hosts: allowed hosts, including subdomains: example.com allows a.example.com, but not badexample.com.
        allow_private: non-public networks to allow, e.g. 10.1.0.0/16.

    Raises:
        ConfigError: a network is invalid.
    """

    def __init__(self, hosts: Sequence[str], allow_private: Sequence[str] = ()) -> None:
        self.hosts = tuple(host.strip(".").lower() for host in hosts)
        try:
            self.networks = [ipaddress.ip_network(network) for network in allow_private]
        except ValueError as error:
            raise ConfigError(f"fetch_images.http.allow_private: {error}; a network is e.g. 10.1.0.0/16") from error

    def check_url(self, url: URL) -> None:
        """Check a URL before it is requested, and each redirect target.

        Raises:
            BlockedError: its scheme, host or (if it contains one) address is not allowed.
        """
        if url.scheme not in ("http", "https"):
            raise BlockedError(f"scheme {url.scheme or 'missing'}: must be http or https")
        host = (url.raw_host or "").rstrip(".").lower()
        if not any(host == allowed or host.endswith(f".{allowed}") for allowed in self.hosts):
            raise BlockedError(f"host {host or 'missing'} is not allowed")
        if _address(host) is not None:
            self.check_address(host)

    def check_address(self, text: str) -> None:
        """Check an address before connecting to it.

        Raises:
            BlockedError: private, loopback, link-local, reserved or multicast, and not in `allow_private`.
        """
        address = _address(text)
        if address is None:
            raise BlockedError(f"{text} is not an IP address")
        inner = _embedded(address)
        if not is_public(inner) and not any(inner in network for network in self.networks):
            raise BlockedError(f"address {text} is not public")


class GuardedResolver(AbstractResolver):
    """DNS resolver whose answers are checked before they are connected to.

    Args:
        known: addresses by host, in place of DNS.
    """

    def __init__(self, guard: Guard, known: Mapping[str, str], inner: AbstractResolver | None = None) -> None:
        self.guard, self.known = guard, {host.lower(): address for host, address in known.items()}
        self.inner = inner or ThreadedResolver(asyncio.get_running_loop())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses that may be connected to.

        Raises:
            BlockedError: none of the host's addresses is allowed.
        """
        name = self.known.get(host.rstrip(".").lower())
        found = [_result(host, name, port)] if name else await self.inner.resolve(host, port, family)
        allowed, refusal = [], None
        for result in found:
            try:
                self.guard.check_address(result["host"])
            except BlockedError as error:
                refusal = error
            else:
                allowed.append(result)
        if refusal is not None and not allowed:
            raise BlockedError(f"{host}: {refusal}")
        return allowed

    async def close(self) -> None:
        await self.inner.close()


def is_public(address: Address) -> bool:
    """Whether the address is on the public internet."""
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (odd or site_local)


def _embedded(address: Address) -> Address:
    """The IPv4 address embedded in an IPv6 address, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
