"""Why a connection is over, and whether another one can help."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.errors import LogDamaged
from crdtsync.links.transport import TransportClosed
from crdtsync.sync.arrivals import Evicted
from crdtsync.sync.closing import CloseCode, is_final, words

__all__ = ["Ending", "Stop", "ending_of", "ending_of_error"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection is over.

    Attributes:
        code: A close code.
        reason: In words, for people.
        reconnect: Whether connecting again can help.
        retry_after_s: Not to be tried again earlier.
    """

    code: int
    reason: str
    reconnect: bool = True
    retry_after_s: float = 0.0


class Stop(Exception):
    """The connection is to end; nothing is wrong with the program."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


def ending_of(closed: TransportClosed, evicted: Evicted | None = None) -> Ending:
    """Tell what a closed transport means, after an EVICT or without one."""
    code, reason = closed.code, closed.reason or words(closed.code)
    if evicted is None:
        return Ending(code, reason, not is_final(code), closed.retry_after_s)
    return Ending(code, reason, evicted.reconnect, evicted.retry_after_s)


def ending_of_error(error: Exception) -> Ending:
    """Tell what an error of this end means for the connection."""
    if isinstance(error, LogDamaged):
        # The document here is half changed.
        reason = f"the session has to be opened anew: {error}"
        return Ending(CloseCode.GOING_AWAY, reason, reconnect=False)
    # A disk that is full, a session that was closed, a worker that would not start.
    return Ending(CloseCode.GOING_AWAY, str(error))
