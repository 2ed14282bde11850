"""Who is here, as one window knows it: a core that is told bytes and the time.

A shell calls `receive` with what the bell or a link brings, `tick` when `next_wakeup`
has come, and sends `local_payload` when `is_due`. All times are boottime seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from crdtsync.presence.people import (
    Joined,
    Left,
    Person,
    PresenceChange,
    Updated,
    age_key,
    face,
    fold,
)
from crdtsync.presence.state import (
    INTEGER_MAX,
    TYPING_MS_MAX,
    Asking,
    Leaving,
    PresenceState,
    check_window,
    decode,
    encode,
)
from crdtsync.presence.window import HEARTBEAT_S, SILENT_S, Heard, Local

__all__ = ["PresenceTable"]

ASLEEP_S = 6.0
"""A pause of the caller beyond a heartbeat and a half: this process was asleep, and
the silence of the others says nothing."""

WINDOWS_MAX = 256
"""Windows a table holds: every machine's; states of further ones are ignored."""

DEPARTED_MAX = 512
"""Windows whose end is remembered against late payloads, for `SILENT_S` each."""


class PresenceTable:
    """The windows of a session that are there now.

    Args:
        own: This window's id; what others say under it is ignored.
    """

    def __init__(self, own: str) -> None:
        check_window(own)
        self._own = own
        self._now = float("-inf")
        self._local: Local | None = None
        self._windows: dict[str, Heard] = {}
        self._departed: dict[str, tuple[float, int, int]] = {}

    def set_local(self, state: PresenceState, now: float) -> None:
        """Say what this window shows from now on; the first call counts as input.

        The table itself keeps the state's window, typing, input age, hello, started
        and clock.

        Raises:
            ValueError: The state is too large to send.
        """
        now = self._advance(now)
        local = self._local
        started = local.state.started if local else int(now * 1000)
        clock = local.state.clock if local else 0
        kept = replace(state, window=self._own, started=started, clock=clock)
        widest = replace(kept, hello=True, typing_ms=TYPING_MS_MAX, clock=INTEGER_MAX)
        encode(replace(widest, input_age_s=INTEGER_MAX))
        if local is None:
            self._local = Local(kept, input_s=now)
        else:
            local.state = kept

    def note_input(self, now: float, *, typing: bool = True) -> None:
        """Note a key: it ends idling, and starts six seconds of typing or ends them."""
        now = self._advance(now)
        if self._local is not None:
            self._local.input_s = now
            ahead_s = TYPING_MS_MAX / 1000 if typing else 0.0
            self._local.typing_until_s = now + ahead_s

    def is_due(self, now: float) -> bool:
        """Whether `local_payload` is to be sent now."""
        now = self._advance(now)
        return self._local is not None and self._local.due_s(now) <= now

    def local_payload(self, now: float) -> bytes:
        """The payload to send now, to everybody.

        Raises:
            ValueError: `set_local` was never called, or this window has left.
        """
        now = self._advance(now)
        local = self._required_local()
        local.state = replace(local.state, clock=local.state.clock + 1)
        state = replace(local.at(now), hello=local.hello)
        local.sent_s, local.said = now, state
        local.hello = local.asked = False
        return encode(state)

    def leave_payload(self) -> bytes:
        """The last words to send; with them this window has left.

        Raises:
            ValueError: `set_local` was never called, or this window has left.
        """
        state = self._required_local().state
        self._local = None
        return encode(Leaving(self._own, state.started, state.clock + 1))

    def ask_payload(self) -> bytes:
        """The question for everybody's state, for a window that only looks."""
        return encode(Asking(self._own))

    def receive(self, payload: bytes, now: float) -> list[PresenceChange]:
        """Take in a payload; repeated, late and forged ones change nothing.

        Raises:
            ProtocolError: The bytes are no presence payload.
        """
        message = decode(payload)
        now = self._advance(now)
        if message.window == self._own:
            return []
        if isinstance(message, Asking):
            self._note_question()
            return []
        if not self._is_news(message):
            return []
        if isinstance(message, Leaving):
            return self._remove(message.window, message.started, "left")
        if message.hello:
            self._note_question()
        return self._put(message, now)

    def drop(self, window: str, now: float) -> list[PresenceChange]:
        """Take a window for dead, because its bell or its connection is gone."""
        self._advance(now)
        heard = self._windows.get(window)
        if heard is None:
            return []
        return self._remove(window, heard.state.started, "died")

    def tick(self, now: float) -> list[PresenceChange]:
        """Let time pass: typing ends, windows fall idle or silent."""
        now = self._advance(now)
        changes: list[PresenceChange] = []
        for window, heard in list(self._windows.items()):
            if now >= heard.gone_s:
                del self._windows[window]
                self._depart(window, heard.state.started, heard.state.clock)
                changes.append(Left(heard.shown, "silent"))
            elif now >= heard.next_change_s():
                changes += _show(heard, now)
        for window, (until_s, _, _) in list(self._departed.items()):
            if now >= until_s:
                del self._departed[window]
        return changes

    def next_wakeup(self, now: float) -> float:
        """The boottime at which `tick` or `local_payload` is due; not before `now`.

        Never more than a heartbeat away, so that a longer pause means sleep.
        """
        now = self._advance(now)
        at_s = now + HEARTBEAT_S
        if self._local is not None:
            at_s = min(at_s, self._local.due_s(now))
        for heard in self._windows.values():
            at_s = min(at_s, heard.next_change_s())
        return max(now, at_s)

    def windows(self) -> list[PresenceState]:
        """Every window as last shown, one's own included, by window id."""
        return sorted(self._shown(), key=lambda state: state.window)

    def people(self) -> list[Person]:
        """Every participant once, by name, with the windows folded into one."""
        return fold(self.windows())

    def newest(self, participant: str) -> PresenceState | None:
        """The newest window of a participant, as `people` would name it."""
        own = (state for state in self._shown() if state.participant == participant)
        return min(own, key=age_key, default=None)

    def _shown(self) -> Iterator[PresenceState]:
        for heard in self._windows.values():
            yield heard.shown
        if self._local is not None:
            yield self._local.at(self._now)

    def _required_local(self) -> Local:
        if self._local is None:
            raise ValueError("this window has not said who it is")
        return self._local

    def _note_question(self) -> None:
        if self._local is not None:
            self._local.asked = True

    def _advance(self, now: float) -> float:
        """Take the time, which never goes back; forgive a silence slept through."""
        gap_s = now - self._now
        if ASLEEP_S < gap_s < float("inf"):
            for heard in self._windows.values():
                heard.gone_s += gap_s
            if self._local is not None:
                self._local.hello = True
        self._now = max(self._now, now)
        return self._now

    def _is_news(self, message: PresenceState | Leaving) -> bool:
        order = (message.started, message.clock)
        heard = self._windows.get(message.window)
        if heard is not None and order <= (heard.state.started, heard.state.clock):
            return False
        departed = self._departed.get(message.window)
        return departed is None or order > departed[1:]

    def _put(self, state: PresenceState, now: float) -> list[PresenceChange]:
        heard = self._windows.get(state.window)
        if heard is not None:
            heard.state, heard.at_s, heard.gone_s = state, now, now + SILENT_S
            return _show(heard, now)
        if len(self._windows) >= WINDOWS_MAX:
            return []
        self._departed.pop(state.window, None)
        self._windows[state.window] = Heard(state, now, now + SILENT_S, state)
        return [Joined(state)]

    def _remove(
        self, window: str, started: int, reason: Literal["left", "died"]
    ) -> list[PresenceChange]:
        # Its process is over, so that no later word of it can be true.
        self._depart(window, started, INTEGER_MAX)
        heard = self._windows.pop(window, None)
        return [] if heard is None else [Left(heard.shown, reason)]

    def _depart(self, window: str, started: int, clock: int) -> None:
        self._departed.pop(window, None)
        if len(self._departed) >= DEPARTED_MAX:
            del self._departed[next(iter(self._departed))]
        self._departed[window] = (self._now + SILENT_S, started, clock)


def _show(heard: Heard, now: float) -> list[PresenceChange]:
    old, heard.shown = heard.shown, heard.state.aged(now - heard.at_s)
    return [] if face(old) == face(heard.shown) else [Updated(old, heard.shown)]
