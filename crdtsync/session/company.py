"""Presence of this session's windows: the shell between the presence core and the bell.

Presence never enters the log (D-1); it travels on the bell alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import anyio

from crdtsync.bell import Bell
from crdtsync.clock import Clock
from crdtsync.errors import ProtocolError
from crdtsync.events import (
    Happening,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    PresenceChanged,
    TypingChanged,
)
from crdtsync.policies import policy_in_words
from crdtsync.presence import (
    Asking,
    InfoValue,
    Joined,
    Left,
    Person,
    PresenceChange,
    PresenceState,
    PresenceTable,
    Updated,
    decode,
)

PRESENT = b"p"
"""First byte of the bell payload that carries a presence state."""

WAKE_MIN_S = 0.1
"""Presence is looked after at most so often."""

GONE_MAX = 256
"""People whose names are remembered after they left."""


class Company:
    """Who is here, kept up to date over the bell.

    Args:
        bell: This window's.
        clock: For its boottime.
        own: This window's first state; None to watch without being seen.
        tell: Receives what changed.

    Attributes:
        typed: Set, and replaced, when somebody types in this window.
        payload: What this window last said of itself; empty if nothing yet.
        spoke: Set, and replaced, when it said something.
    """

    def __init__(
        self,
        bell: Bell,
        clock: Clock,
        own: PresenceState | None,
        tell: Callable[[list[Happening]], None],
    ) -> None:
        self.table = PresenceTable(bell.name)
        self.typed = anyio.Event()
        self.payload = b""
        self.spoke = anyio.Event()
        self._bell = bell
        self._clock = clock
        self._own = own
        self._tell = tell
        self._due = anyio.Event()
        self._windows: dict[str, set[str]] = {}
        self._opened_ms = int(clock.boottime() * 1000)
        self._left: set[str] = set()
        self._brought: dict[str, bytes] = {}
        self._gone: dict[str, tuple[str, Literal["person", "agent"]]] = {}
        if own is not None:
            self._windows[own.participant] = {own.window}
            self.table.set_local(own, clock.boottime())

    def people(self) -> list[Person]:
        """Everybody with a window here, by name."""
        return self.table.people()

    def newest(self, participant: str) -> PresenceState | None:
        """The newest window of somebody who is here."""
        return self.table.newest(participant)

    def gone(self, participant: str) -> tuple[str, Literal["person", "agent"]] | None:
        """Name and kind of somebody who has left; a viewer is written down nowhere."""
        return self._gone.get(participant)

    def _remember(self, state: PresenceState) -> None:
        self._gone[state.participant] = (state.name, state.kind)
        while len(self._gone) > GONE_MAX:
            del self._gone[next(iter(self._gone))]

    def receive(self, payload: bytes) -> None:
        """Take in a payload of the bell, without its first byte."""
        now = self._clock.boottime()
        try:
            self._changed(self.table.receive(payload, now))
            asked = isinstance(decode(payload), Asking)
        except ProtocolError:
            # A window of another version: it will be unseen, and that is all.
            return
        if asked:
            self._show_brought()
        self._due.set()

    def bring(self, payload: bytes) -> None:
        """Take in a payload that came through a link of this window."""
        self.receive(payload)
        with suppress(ProtocolError):
            self._brought[decode(payload).window] = payload

    def _show_brought(self) -> None:
        """Tell a window that asks who is on other machines, as it may have no link."""
        there = {state.window for state in self.table.windows()}
        self._brought = {w: p for w, p in self._brought.items() if w in there}
        for payload in self._brought.values():
            self._bell.ring(PRESENT + payload)

    def dead(self, windows: Sequence[str]) -> None:
        """Take windows for gone whose sockets were found dead."""
        now = self._clock.boottime()
        for window in windows:
            self._changed(self.table.drop(window, now))

    def note_input(self, *, typing: bool) -> None:
        """Note a key press, or that what was typed is sent or cleared."""
        if self._own is not None:
            self.table.note_input(self._clock.boottime(), typing=typing)
            self._due.set()
        if typing:
            self.typed.set()
            self.typed = anyio.Event()

    def set_info(self, info: Mapping[str, InfoValue]) -> None:
        """Show short facts beside this window, such as the agent it runs."""
        if self._own is not None:
            self._show(replace(self._own, info=dict(info)))

    def set_name(self, name: str) -> None:
        """Show another name for who sits at this window."""
        if self._own is not None:
            self._show(replace(self._own, name=name))

    def set_following(self, participant: str) -> None:
        """Show whose work this window follows; "" for nobody's."""
        if self._own is not None:
            self._show(replace(self._own, following=participant))

    def _show(self, own: PresenceState) -> None:
        self._own = own
        self.table.set_local(own, self._clock.boottime())
        self._due.set()

    def leave(self) -> None:
        """Say goodbye, so that others need not wait for the silence."""
        if self._own is not None:
            self._own = None
            self._say(self.table.leave_payload())

    async def attend(self) -> None:
        """Send what is due and let time pass; run it in a task of its own."""
        if self._own is None:
            # Who is not seen is not answered unasked.
            self._bell.ring(PRESENT + self.table.ask_payload())
        while True:
            now = self._clock.boottime()
            self._changed(self.table.tick(now))
            if self._own is not None and self.table.is_due(now):
                self.dead(self._say(self.table.local_payload(now)))
            self._due = anyio.Event()
            pause_s = max(WAKE_MIN_S, self.table.next_wakeup(now) - now)
            with anyio.move_on_after(pause_s):
                await self._due.wait()

    def _say(self, payload: bytes) -> tuple[str, ...]:
        """Tell the windows here, and links; returns windows found dead."""
        self.payload = payload
        self.spoke.set()
        self.spoke = anyio.Event()
        return self._bell.ring(PRESENT + payload)

    def _changed(self, changes: list[PresenceChange]) -> None:
        happenings = [h for change in changes for h in self._happenings(change)]
        if changes:
            # Also if it is no event: an agent may have come or gone.
            self._tell(happenings)

    def _happenings(self, change: PresenceChange) -> list[Happening]:
        match change:
            case Joined(state):
                if self._count(state, there=True) > 1:
                    return []
                return [Happening(self._welcome(state), state.participant)]
            case Left(state, _):
                if self._count(state, there=False) > 0:
                    return []
                self._left.add(state.participant)
                self._remember(state)
                left = ParticipantLeft(state.window, len(self._windows))
                return [Happening(left, state.participant)]
            case Updated(old, new):
                return self._differences(old, new)

    @staticmethod
    def _differences(old: PresenceState, new: PresenceState) -> list[Happening]:
        found = []
        if old.status != new.status:
            changed = PresenceChanged(new.window, new.status)
            found.append(Happening(changed, new.participant))
        if old.typing != new.typing:
            typing = TypingChanged(new.window, new.typing)
            found.append(Happening(typing, new.participant))
        return [*found, *Company._policy(old, new)]

    @staticmethod
    def _policy(old: PresenceState | None, new: PresenceState) -> list[Happening]:
        """What everybody has to know of an agent that does things unasked."""
        before = policy_in_words(old.name, old.info) if old is not None else ""
        words = policy_in_words(new.name, new.info)
        if not words or words == before:
            return []
        return [Happening(Notice("agent.policy", words), new.participant)]

    def _welcome(self, state: PresenceState) -> ParticipantJoined | PresenceChanged:
        """Tell apart who comes from who was here before this window opened."""
        here_before = state.started < self._opened_ms
        if here_before and state.participant not in self._left:
            return PresenceChanged(state.window, state.status)
        return ParticipantJoined(state.window, len(self._windows))

    def _count(self, state: PresenceState, *, there: bool) -> int:
        """Note a window that came or went; how many its participant has now.

        Several may go at once, so the table cannot tell who was the last.
        """
        windows = self._windows.setdefault(state.participant, set())
        if there:
            windows.add(state.window)
        else:
            windows.discard(state.window)
        if not windows:
            del self._windows[state.participant]
        return len(windows)
