"""Listening windows on the same network: announced, looked for, and tried out.

What is announced is a hint for people: a name, and how the certificate's fingerprint
begins. It lets nobody in, and says nothing of the session. It needs the extra `lan`,
and runs on asyncio, as the server of a listening window does.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from crdtsync.agents.tasks import open_tasks
from crdtsync.errors import ConnectionFailed, UsageError
from crdtsync.identity import NAME_CHARS_MAX
from crdtsync.links.addresses import (
    SessionLink,
    host_port,
    is_loopback,
    split_host_port,
)
from crdtsync.links.streams import fingerprint, words
from crdtsync.links.transport import TransportClosed
from crdtsync.sanitize import clean_line

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["Nearby", "announce", "can_announce", "find_nearby", "shown_pin"]

SERVICE: Final = "_crdtsync._tcp.local."

LOOK_S: Final = 2.0
"""How long answers are collected."""

TRY_S: Final = 3.0
"""How long a window may take to answer; those that are gone stay announced."""

FOUND_MAX: Final = 64
"""Windows looked at; more announcements are somebody's joke."""

PLACES_MAX: Final = 8
"""Addresses of one window that are tried."""

CLOSE_S: Final = 1.0
"""How long taking an announcement back may take."""

PIN_CHARS: Final = 16
"""So much of the fingerprint is announced, and shown for comparing: 64 bits."""

_GROUP_CHARS: Final = 4

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Nearby:
    """A window that is announced.

    Attributes:
        name: What the person calls themselves.
        place: Where it is, with the fingerprint it showed; without a session.
        live: Whether it answers, with the certificate that was announced.
    """

    name: str
    place: SessionLink
    live: bool


def _can_look() -> bool:
    """Whether the extra is installed."""
    return find_spec("zeroconf") is not None


def can_announce(place: SessionLink) -> bool:
    """Whether a window there is announced: with the extra, and beyond loopback."""
    return _can_look() and not is_loopback(split_host_port(place.host)[0])


def shown_pin(pin: str) -> str:
    """How a fingerprint begins, for people to compare."""
    starts = range(0, PIN_CHARS, _GROUP_CHARS)
    return " ".join(pin[start : start + _GROUP_CHARS] for start in starts)


@asynccontextmanager
async def announce(person: str, place: SessionLink) -> AsyncGenerator[bool]:
    """Announce a listening window while the block runs, if it can be.

    A network that takes no announcements is no error: it is logged.

    Args:
        person: Whose window it is.
        place: How others reach it.

    Yields:
        Whether it is announced.
    """
    if not can_announce(place):
        yield False
        return
    async with open_tasks() as tasks:
        tasks.start_soon(_keep_announced, person, place)
        yield True


async def find_nearby(look_s: float = LOOK_S) -> list[Nearby]:
    """Look for listening windows, and try whether they answer; the live ones first.

    Raises:
        UsageError: The extra is not installed.
        ConnectionFailed: This machine has no network to look in.
    """
    if not _can_look():
        raise UsageError(
            "looking around needs the extra `lan`",
            hint="Install it: pip install 'crdtsync[lan]'; or join by a link.",
        )
    from zeroconf import ServiceStateChange  # noqa: PLC0415 - optional
    from zeroconf.asyncio import AsyncServiceBrowser  # noqa: PLC0415 - optional

    names: dict[str, None] = {}

    def note(*, name: str, state_change: ServiceStateChange, **_: object) -> None:
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        elif len(names) < FOUND_MAX:
            names[name] = None

    try:
        async with _zeroconf() as network:
            browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[note])
            await anyio.sleep(look_s)
            await browser.async_cancel()
            found = await _try_all(network, list(names))
    except OSError as error:
        raise ConnectionFailed(
            f"this network cannot be looked around in: {words(error)}",
            hint="Ask for a link instead.",
        ) from error
    return sorted(found, key=lambda nearby: (not nearby.live, nearby.name))


@asynccontextmanager
async def _zeroconf() -> AsyncGenerator[AsyncZeroconf]:
    from zeroconf import InterfaceChoice  # noqa: PLC0415 - optional
    from zeroconf.asyncio import AsyncZeroconf  # noqa: PLC0415 - optional

    # The default raises where there is no default route.
    network = AsyncZeroconf(interfaces=InterfaceChoice.All)
    try:
        yield network
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await network.async_close()


async def _keep_announced(person: str, place: SessionLink) -> None:
    from zeroconf.asyncio import AsyncServiceInfo  # noqa: PLC0415 - optional

    hosts = [split_host_port(urlsplit(base).netloc) for base in place.bases]
    port = hosts[0][1]
    addresses = [host for host, _ in hosts if _is_address(host)]
    if not addresses:
        return
    name = place.pin[: PIN_CHARS // 2]
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}-{port}.{SERVICE}",
        port=port,
        properties={"name": person, "fp": place.pin[:PIN_CHARS]},
        server=f"crdtsync-{name}.local.",
        parsed_addresses=addresses,
    )
    try:
        async with _zeroconf() as network:
            sent = await network.async_register_service(info, allow_name_change=True)
            await sent
            await anyio.sleep_forever()
    except OSError as error:
        _logger.warning("this window cannot be found nearby: %s", words(error))


async def _try_all(network: AsyncZeroconf, names: list[str]) -> list[Nearby]:
    found: list[Nearby] = []

    async def look(name: str) -> None:
        timeout_ms = int(TRY_S * 1000)
        info = await network.async_get_service_info(SERVICE, name, timeout_ms)
        if info is not None and (nearby := await _try(info)) is not None:
            found.append(nearby)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(look, name)
    return found


async def _try(info: ServiceInfo) -> Nearby | None:
    """See who answers; what is no announcement of a window is None."""
    said = {key: value or b"" for key, value in info.properties.items()}
    start = said.get(b"fp", b"").decode(errors="replace")
    person = clean_line(said.get(b"name", b"").decode(errors="replace"))
    addresses = [a for a in info.parsed_addresses() if _is_address(a)][:PLACES_MAX]
    if len(start) < PIN_CHARS or not addresses or not info.port:
        return None
    bases = [f"https://{host_port(address, info.port)}" for address in addresses]
    shown: dict[str, str] = {}

    async def ask(base: str) -> None:
        with suppress(TransportClosed):
            shown[base] = await fingerprint(base)

    with anyio.move_on_after(TRY_S):
        async with anyio.create_task_group() as tasks:
            for base in bases:
                tasks.start_soon(ask, base)
    pin = next((p for p in shown.values() if p.startswith(start)), "")
    reached = tuple(base for base in bases if pin and shown.get(base) == pin)
    place = SessionLink(reached or tuple(bases), pin=pin)
    return Nearby(person[:NAME_CHARS_MAX], place, live=bool(pin))


def _is_address(text: str) -> bool:
    try:
        # Those with a scope mean something else on every machine.
        return getattr(ipaddress.ip_address(text), "scope_id", None) is None
    except ValueError:
        return False
