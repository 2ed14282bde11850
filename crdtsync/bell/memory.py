"""A bell within one process, for tests and simulations. It touches no file."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import lowlevel

from crdtsync.bell import PAYLOAD_BYTES_MAX, Bell
from crdtsync.bell.folder import WINDOWS_MAX, check_name, name_taken, too_many

__all__ = ["MemoryExchange"]

INBOX_PAYLOADS_MAX = 64
"""Unread payloads of one window; later ones are dropped and leave one b""."""


class MemoryExchange:
    """What the bells of one session have in common; share one object among them."""

    def __init__(self) -> None:
        self._bells: dict[str, _MemoryBell] = {}

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Bell]:
        """Open the bell of one window.

        Raises:
            ValueError: The name is no window id.
            UsageError: A living window has that name, or there are too many.
        """
        check_name(name)
        present = self._bells.get(name)
        if present is not None and present.alive:
            raise name_taken(name)
        if len(self.alive(except_for=name)) >= WINDOWS_MAX:
            raise too_many()
        bell = self._bells[name] = _MemoryBell(name, self)
        try:
            yield bell
        finally:
            bell.alive = False
            if self._bells.get(name) is bell:
                del self._bells[name]

    def kill(self, name: str) -> None:
        """End a window as `kill -9` does: the next ring finds it dead."""
        self._bells[name].alive = False

    def alive(self, *, except_for: str) -> tuple[str, ...]:
        """Names of living windows but one, sorted."""
        return tuple(
            sorted(
                name
                for name, bell in self._bells.items()
                if bell.alive and name != except_for
            )
        )

    def deliver(self, sender: str, payload: bytes) -> tuple[str, ...]:
        """Put a payload into every other inbox; remove and name the dead."""
        dead: list[str] = []
        for name, bell in list(self._bells.items()):
            if name == sender:
                continue
            if bell.alive:
                bell.put(payload)
            else:
                del self._bells[name]
                dead.append(name)
        return tuple(dead)


class _MemoryBell:
    def __init__(self, name: str, exchange: MemoryExchange) -> None:
        self.alive = True
        self._name = name
        self._exchange = exchange
        self._inbox: deque[bytes] = deque()
        self._lost = False
        self._arrived = anyio.Event()

    @property
    def name(self) -> str:
        return self._name

    def ring(self, payload: bytes = b"") -> tuple[str, ...]:
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"payload of {len(payload)} bytes")
        return self._exchange.deliver(self._name, payload)

    def put(self, payload: bytes) -> None:
        if len(self._inbox) < INBOX_PAYLOADS_MAX:
            self._inbox.append(payload)
        else:
            self._lost = True
        self._arrived.set()

    async def wait(self) -> list[bytes]:
        await lowlevel.checkpoint()
        await self._arrived.wait()
        payloads = list(self._inbox)
        if self._lost:
            payloads.append(b"")
        self._inbox.clear()
        self._lost = False
        self._arrived = anyio.Event()
        return payloads

    def others(self) -> tuple[str, ...]:
        return self._exchange.alive(except_for=self._name)
