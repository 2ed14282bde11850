"""Under which addresses others reach this machine; it asks nobody but the system."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

import ifaddr

from crdtsync.links.addresses import PLACES_MAX

__all__ = ["ALL", "ALL_IPV4", "reachable"]

ALL: Final = "::"
"""Stands for all addresses of this machine."""

ALL_IPV4: Final = "0.0.0.0"  # noqa: S104 - tokens are asked for, and TLS is spoken


def reachable(host: str) -> tuple[str, ...]:
    """Under which addresses others reach what listens on `host`.

    Those of version 4 come first: they are what most networks have. Without a network
    it is this machine alone.
    """
    if host not in {ALL, ALL_IPV4}:
        return (host,)
    found = sorted(set(_addresses()), key=lambda a: (a.version, not a.is_private, a))
    wanted = [a for a in found if a.version == 4 or host == ALL]  # noqa: PLR2004
    return tuple(map(str, wanted[:PLACES_MAX])) or ("127.0.0.1",)


def _addresses() -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ipaddress.ip_address(
                ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            )
            # Link-local ones need the name that an adapter has on the other machine.
            if not (address.is_loopback or address.is_link_local):
                yield address
