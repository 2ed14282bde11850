"""What a runner asks for, and what it tells people; the rules are in `runner`.

Every `sent_s` is the runner's boottime at which it asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtsync.log import Holding
from crdtsync.turns.claim import Claim
from crdtsync.turns.signals import Side


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask an arbiter for the lease.

    Attributes:
        side: Which arbiter.
        attempt: Grows with each request.
        min_epoch: The highest epoch in the document.
        sent_s: See above.
        take: On a person's word, over a living holder.
    """

    side: Side
    attempt: int
    min_epoch: int
    sent_s: float
    take: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """Confirm the lease for a claimed turn; for a relay after the claim's update."""

    side: Side
    epoch: int
    attempt: int
    turn: str
    sent_s: float


@dataclass(frozen=True, slots=True)
class Renew:
    """Prolong the lease."""

    side: Side
    epoch: int
    attempt: int
    sent_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """Give the lease back; for a relay after all updates on the same connection."""

    side: Side
    epoch: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RaiseEpoch:
    """Let the local lease go on under the relay's higher epoch."""

    epoch: int
    attempt: int
    raised: int


@dataclass(frozen=True, slots=True)
class WriteClaim:
    """Create the turn with its claim, in one transaction, through the door."""

    turn: str
    claim: Claim
    holding: Holding


@dataclass(frozen=True, slots=True)
class WriteStarted:
    """Set `started`, through the door; the queue entries go when the turn has ended."""

    turn: str
    prompts: tuple[str, ...]
    holding: Holding


@dataclass(frozen=True, slots=True)
class WriteEnded:
    """Flush or drop what the agent said last, then set `ended` and its reason.

    Attributes:
        turn: The turn.
        stop_reason: "end_turn", "cancelled", "error", "lost_lease", "refused", ...
        holding: For the door; None to append without a lease.
        error: For people.
        usage: As the agent said.
    """

    turn: str
    stop_reason: str
    holding: Holding | None
    error: str | None = None
    usage: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class WriteVoid:
    """Set `void`; an ordinary append."""

    turn: str


@dataclass(frozen=True, slots=True)
class WriteDetached:
    """Set `detached_at` to what is written of the turn now; an ordinary append.

    Output that the door has refused counts as not written before.
    """

    turn: str


@dataclass(frozen=True, slots=True)
class WriteHeld:
    """Set `held` on these queue entries; an ordinary append."""

    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flush:
    """Append what the door has refused as ordinary updates."""


@dataclass(frozen=True, slots=True)
class RunAgent:
    """Prompt the agent and write its output while `Runner.may_write` says so."""

    turn: str
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopAgent:
    """Cancel the agent, kill it if it goes on; `AgentEnded` within this time.

    Nothing to do if it has ended by itself.
    """

    turn: str
    within_s: float


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Hand in a `Tick` at this boottime; replaces the former one. None: no need."""

    at_s: float | None


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is held any more; the shell may end."""


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Another runner has the lease.

    Attributes:
        holder: The runner that has it.
        turn: The turn it has begun, if any.
        remaining_s: Unless it renews, the lease is free after so long.
    """

    holder: str
    turn: str | None
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The arbiter is new or restored and does not know whether a turn is running."""

    remaining_s: float


@dataclass(frozen=True, slots=True)
class RelayAway:
    """The relay that grants is out of reach, and the policy is to wait."""


@dataclass(frozen=True, slots=True)
class AskApart:
    """The relay that grants is out of reach: run apart? Answered by `RunApart`."""


@dataclass(frozen=True, slots=True)
class Proceeding:
    """Whatever was waited for is over, or nothing is left to wait for."""


@dataclass(frozen=True, slots=True)
class NeedRelease:
    """These prompts run only after a person released them; empty: none any more."""

    prompts: tuple[str, ...]


Notice = WaitingFor | Quarantine | RelayAway | AskApart | Proceeding | NeedRelease


@dataclass(frozen=True, slots=True)
class Tell:
    """Show a notice."""

    notice: Notice


Effect = (
    Acquire
    | Begin
    | Renew
    | Release
    | RaiseEpoch
    | WriteClaim
    | WriteStarted
    | WriteEnded
    | WriteVoid
    | WriteDetached
    | WriteHeld
    | Flush
    | RunAgent
    | StopAgent
    | WakeAt
    | Done
    | Tell
)
