"""What a person is shown of presence: changes, and windows folded into people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdtsync.presence.state import PresenceState, Status

__all__ = [
    "Joined",
    "Left",
    "Person",
    "PresenceChange",
    "Updated",
    "age_key",
    "face",
    "fold",
]


@dataclass(frozen=True, slots=True)
class Joined:
    """A window is there."""

    state: PresenceState


@dataclass(frozen=True, slots=True)
class Left:
    """A window is gone; `state` is the last one known."""

    state: PresenceState
    reason: Literal["left", "died", "silent"]


@dataclass(frozen=True, slots=True)
class Updated:
    """A window shows something else than before."""

    old: PresenceState
    new: PresenceState


PresenceChange: TypeAlias = Joined | Left | Updated


@dataclass(frozen=True, slots=True)
class Person:
    """A participant with all windows; an agent is one too.

    Attributes:
        status: The liveliest of the windows'.
        typing: Whether in any of the windows somebody types.
        windows: Their states, the one that opened last first; never empty.
    """

    participant: str
    name: str
    kind: Literal["person", "agent"]
    role: Literal["owner", "editor", "viewer"]
    status: Status
    typing: bool
    windows: tuple[PresenceState, ...]


def face(state: PresenceState) -> tuple[object, ...]:
    """What of a state can be seen: two states with one face need no redrawing."""
    return (
        state.participant,
        state.name,
        state.kind,
        state.role,
        state.status,
        state.typing,
        state.viewing,
        state.following,
        state.info,
    )


def fold(states: Iterable[PresenceState]) -> list[Person]:
    """Make every participant appear once, by name; the newest window names it."""
    windows: dict[str, list[PresenceState]] = {}
    newest_first = sorted(states, key=age_key)
    for state in newest_first:
        windows.setdefault(state.participant, []).append(state)
    people = [_person(own) for own in windows.values()]
    return sorted(people, key=lambda person: (person.name, person.participant))


def age_key(state: PresenceState) -> tuple[int, str]:
    """What to sort windows by, the newest first."""
    return -state.started, state.window


def _person(windows: list[PresenceState]) -> Person:
    newest = windows[0]
    liveliness: tuple[Status, ...] = ("active", "idle", "away")
    return Person(
        participant=newest.participant,
        name=newest.name,
        kind=newest.kind,
        role=newest.role,
        status=min((state.status for state in windows), key=liveliness.index),
        typing=any(state.typing for state in windows),
        windows=tuple(windows),
    )
