"""Presence across a link: payloads of windows to awareness states, and back (R-6).

A window shows itself under its own Yjs client id. Plain Yjs clients see a name, and
are seen as windows of guests. It sends nothing and keeps no time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from crdtsync.errors import ProtocolError
from crdtsync.presence import Asking, Leaving, PresenceState, decode, encode
from crdtsync.sync.messages import ClientState

__all__ = ["Bridge", "Brought"]

CLIENTS_MAX: Final = 1024
"""Clients of others that are remembered; presence of further ones is ignored."""


@dataclass(slots=True)
class Brought:
    """What presence from the link comes to here.

    Attributes:
        payloads: As the bell would have brought them.
        gone: Windows that are no longer there.
    """

    payloads: list[bytes] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Bridge:
    """One link's presence.

    Args:
        client: The Yjs client id of this window's document.
        clock: Above what any former holder of that id has used; seconds will do.
    """

    def __init__(self, client: int, clock: int) -> None:
        self._client = client
        self._clock = clock
        self._windows: dict[int, str] = {}

    def outgoing(self, payload: bytes) -> ClientState | None:
        """Turn what this window says of itself into an awareness state.

        None for a question: the relay tells who is there without being asked.
        """
        message = decode(payload)
        if isinstance(message, Asking):
            return None
        self._clock += 1
        if isinstance(message, Leaving):
            return ClientState(self._client, self._clock, None)
        said: dict[str, Any] = json.loads(payload)
        # What editors of other makers show beside a cursor.
        said["user"] = {"name": message.name}
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return ClientState(self._client, self._clock, text)

    def incoming(self, states: Iterable[ClientState]) -> Brought:
        """Turn awareness states of others into what the presence table takes."""
        brought = Brought()
        for entry in states:
            if entry.client == self._client:
                # Somebody remembers the last window with this id.
                self._clock = max(self._clock, entry.clock)
            elif entry.state is None:
                self._forget(entry.client, brought)
            else:
                self._bring(entry, entry.state, brought)
        return brought

    def _forget(self, client: int, brought: Brought) -> None:
        window = self._windows.pop(client, None)
        if window is not None:
            brought.gone.append(window)

    def _bring(self, entry: ClientState, text: str, brought: Brought) -> None:
        known = entry.client in self._windows
        if not known and len(self._windows) >= CLIENTS_MAX:
            return
        payload = text.encode()
        try:
            message = decode(payload)
            if isinstance(message, Asking):
                return
        except ProtocolError:
            found = _guest(entry, text)
            if found is None:
                return
            message, payload = found, encode(found)
        self._windows[entry.client] = message.window
        brought.payloads.append(payload)


def _guest(entry: ClientState, text: str) -> PresenceState | None:
    """Make a window of what a plain Yjs client shows; None if it shows no name."""
    try:
        said = json.loads(text)
        user = said.get("user")
        name = user.get("name") if isinstance(user, dict) else said.get("name")
        vouched = str(said.get("participant") or "")
        return PresenceState(
            window=f"y{entry.client}",
            participant=vouched or f"guest-{entry.client}",
            name=str(name or "")[:64],
            clock=entry.clock,
        )
    except (ValueError, AttributeError):
        return None
