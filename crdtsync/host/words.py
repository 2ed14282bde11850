"""What a runner has to tell people, in words, and when it is worth saying."""

from __future__ import annotations

from typing import Final

from crdtsync.events import Notice
from crdtsync.session import Session
from crdtsync.turns import effects as fx


class Announcer:
    """Turns a runner's notices into what people are told, each wait once.

    That another living window runs a turn is no news: the queue and the turn show it.
    What people cannot see otherwise is a wait for a window that is gone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told = ""

    def tell(self, notice: fx.Notice) -> None:
        """Tell it, unless it is no news."""
        match notice:
            case fx.Proceeding():
                self._told = ""
            case fx.WaitingFor(holder, _, remaining_s):
                if not self._is_here(holder) and self._told != holder:
                    self._told = holder
                    self._say("lease.waiting", self._gone(holder, remaining_s))
            case fx.Quarantine(remaining_s):
                if self._told != "quarantine":
                    self._told = "quarantine"
                    self._say("lease.quarantine", _QUARANTINE.format(remaining_s))
            case fx.NeedRelease(prompts) if prompts:
                waits = "prompt is" if len(prompts) == 1 else "prompts are"
                self._say("queue.held", f"{len(prompts)} {waits} waiting. Run?")
            case _:
                self._say(*_FIXED[type(notice)])

    def _say(self, code: str, text: str) -> None:
        self._session.notify(Notice(code, text))

    def _is_here(self, runner: str) -> bool:
        window = runner.rpartition("_")[2]
        states = self._session.company.table.windows()
        return any(state.window == window for state in states)

    def _gone(self, runner: str, remaining_s: float) -> str:
        actor = self._session.actor(runner)
        who = f"{actor.name}'s window" if actor is not None else "a window"
        return f"{who} is gone in mid-turn; its turn ends in {remaining_s:.0f} s"


_QUARANTINE: Final = (
    "who grants turns here is new and cannot know whether one is running: "
    "waiting {:.0f} s"
)

_FIXED: Final[dict[type[fx.Notice], tuple[str, str]]] = {
    fx.RelayAway: ("lease.relay_away", "the relay is out of reach: turns wait for it"),
    fx.AskApart: (
        "lease.ask_apart",
        "the relay is out of reach: run apart? /apart does, until it is back; another "
        "machine may run a turn too, and both are shown side by side",
    ),
    fx.NeedRelease: ("queue.released", "no prompt waits for a release any more"),
}
