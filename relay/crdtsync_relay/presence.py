"""Presence in one room: who may say what about which client (R-6).

The relay shows nothing of itself. A connection owns the client ids it introduced; what
others say about them is not passed on. It sends nothing and holds no clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from crdtsync.sync.messages import ClientState
from crdtsync_relay.limits import (
    PRESENCE_CLIENTS_PER_PEER_MAX,
    PRESENCE_GONE_MAX,
    PRESENCE_GONE_S,
    PRESENCE_PER_S,
    PRESENCE_STATE_BYTES_MAX,
)

__all__ = ["Presence", "Stamp"]

_INTERVAL_S = 1 / PRESENCE_PER_S


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the relay vouches for of a connection, by its token.

    Participant and role are written into every state of it.

    Attributes:
        participant: The id its token names; empty for the relay's own owner, who
            may say who it is.
        role: The token's role.
        approves: Whether it may answer an agent's questions.
        notes: Whether it may write notes even if it may not write.
    """

    participant: str
    role: str
    approves: bool = False
    notes: bool = False


@dataclass(slots=True)
class _Client:
    owner: int
    state: ClientState
    passed_at_s: float


class Presence:
    """The states of all clients of a room."""

    __slots__ = ("_clients", "_gone", "_held", "ignored")

    def __init__(self) -> None:
        self._clients: dict[int, _Client] = {}
        self._gone: dict[int, tuple[float, int]] = {}
        self._held: dict[int, _Client] = {}
        self.ignored = 0

    def receive(
        self,
        peer: int,
        states: Iterable[ClientState],
        stamp: Stamp | None,
        *,
        now: float,
    ) -> list[ClientState]:
        """Take in what a connection says; returns what to pass on at once.

        Args:
            peer: The connection.
            states: Of its own clients; those of others are ignored and counted.
            stamp: Written into each state; None where nobody has a token.
            now: Boottime, seconds.
        """
        passed = []
        for said in states:
            state = self._accept(peer, said, stamp, now)
            if state is None:
                self.ignored += 1
            elif self._is_due(state, now):
                passed.append(state)
        return passed

    def everybody(self) -> list[ClientState]:
        """Every client that is here, for one who has just come."""
        return [client.state for client in self._clients.values()]

    def leave(self, peer: int, *, now: float) -> list[ClientState]:
        """Remove the clients of a connection; returns their ends, to be passed on."""
        mine = [c for c, client in self._clients.items() if client.owner == peer]
        return [self._remove(client, now) for client in mine]

    def release(self, *, now: float) -> list[ClientState]:
        """Return the latest states that were held back for their rate and are due."""
        released = []
        for number, client in list(self._held.items()):
            if now - client.passed_at_s >= _INTERVAL_S:
                del self._held[number]
                client.passed_at_s = now
                released.append(client.state)
        return released

    @property
    def holds_back(self) -> bool:
        """Whether `release` will have something to return soon."""
        return bool(self._held)

    def _accept(
        self, peer: int, said: ClientState, stamp: Stamp | None, now: float
    ) -> ClientState | None:
        if not self._may_say(peer, said, now):
            return None
        if said.state is None:
            self._remove(said.client, now)
            return said
        text = _stamped(said.state, stamp)
        if text is None:
            return None
        state = ClientState(said.client, said.clock, text)
        if (known := self._clients.get(said.client)) is not None:
            known.state = state
        else:
            self._clients[said.client] = _Client(peer, state, float("-inf"))
        return state

    def _may_say(self, peer: int, said: ClientState, now: float) -> bool:
        """Whether the client is this connection's, or may become so."""
        known = self._clients.get(said.client)
        if known is None:
            return said.state is not None and self._may_introduce(peer, said, now)
        return known.owner == peer and said.clock >= known.state.clock

    def _is_due(self, state: ClientState, now: float) -> bool:
        client = self._clients.get(state.client)
        if client is None:
            return True
        if now - client.passed_at_s < _INTERVAL_S:
            self._held[state.client] = client
            return False
        self._held.pop(state.client, None)
        client.passed_at_s = now
        return True

    def _may_introduce(self, peer: int, said: ClientState, now: float) -> bool:
        """Refuse echoes of those who have left, and too many clients at once."""
        gone = self._gone.get(said.client)
        if gone is not None and now < gone[0] and said.clock <= gone[1]:
            return False
        owned = sum(client.owner == peer for client in self._clients.values())
        return owned < PRESENCE_CLIENTS_PER_PEER_MAX

    def _remove(self, client: int, now: float) -> ClientState:
        state = self._clients.pop(client).state
        self._held.pop(client, None)
        self._gone.pop(client, None)
        if len(self._gone) >= PRESENCE_GONE_MAX:
            del self._gone[next(iter(self._gone))]
        self._gone[client] = (now + PRESENCE_GONE_S, state.clock)
        return ClientState(client, state.clock, None)


def _stamped(text: str, stamp: Stamp | None) -> str | None:
    """Return a state as the relay passes it on; None if it is none."""
    if len(text) > PRESENCE_STATE_BYTES_MAX:
        return None
    try:
        state = json.loads(text, parse_constant=_no_constant)
        if not isinstance(state, dict):
            return None
        if stamp is not None:
            state["role"] = stamp.role
            if stamp.participant:
                state["participant"] = stamp.participant
            text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
        fits = len(text.encode()) <= PRESENCE_STATE_BYTES_MAX
    except (ValueError, RecursionError):
        return None
    return text if fits else None


def _no_constant(text: str) -> None:
    raise ValueError(text)
