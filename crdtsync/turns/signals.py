"""What a runner is told: news, answers and orders; the rules are in `runner`.

A shell hands `attempt` and `sent_s` of an effect back as they came: a lease counts
from the time at which it was asked for, never from the arrival of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from crdtsync.turns.arbiter import Denied, Granted
from crdtsync.turns.claim import Cut, TurnRecord
from crdtsync.turns.queue import QueueEntry

Side = Literal["local", "relay"]
Part = Literal["claim", "started", "output", "ended"]
Offline = Literal["deny", "ask", "allow"]
Lost = Literal["abort", "finish"]


@dataclass(frozen=True, slots=True)
class Who:
    """The runner itself.

    Attributes:
        runner: Unique per process.
        machine: Names the data folder on this machine; see `Claim.machine`.
        agent: The agent's name, for people.
    """

    runner: str
    machine: str
    agent: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner of the window wants.

    Attributes:
        offline: What to do while the relay that grants is out of reach.
        lost: What to do with a running turn whose lease is lost.
        collect_max: So many waiting prompts become one turn; 1 is one turn each.
    """

    offline: Offline = "deny"
    lost: Lost = "abort"
    collect_max: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What the document says; told after every change of queue, turns or arbiter.

    Attributes:
        entries: The queue.
        turns: Every turn.
        cuts: How much of each unfinished turn is in the document.
        arrived_s: Boottime at which this replica saw a prompt arrive live: typed
            here, or in a single new row. Loaded, merged and handshaken prompts
            are absent. Entries older than `hold_after_s` may be dropped.
        arbiter: `meta.arbiter`, the relay that grants; None for the local arbiter.
        beyond: Prompts of agents beyond a limit on loops, to be held for a person.
    """

    entries: tuple[QueueEntry, ...] = ()
    turns: tuple[TurnRecord, ...] = ()
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    arrived_s: Mapping[str, float] = field(default_factory=dict)
    arbiter: str | None = None
    beyond: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; nothing else happened."""


@dataclass(frozen=True, slots=True)
class LinkLive:
    """Both steps of the handshake with the arbiter's relay are done."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link to the arbiter's relay is gone."""


@dataclass(frozen=True, slots=True)
class Freed:
    """An arbiter says, or a bell hints, that the lease is free."""


News = Facts | Tick | LinkLive | LinkDown | Freed


@dataclass(frozen=True, slots=True)
class Given:
    """The arbiter granted an `Acquire`.

    Attributes:
        side: Which arbiter.
        attempt: As in the request.
        sent_s: As in the request.
        granted: The grant.
        facts: The document after every row of the log (for a relay: every update of
            the link) from before the grant was applied.
        fresh_turn: A new UUIDv7, for the turn that may come of it.
    """

    side: Side
    attempt: int
    sent_s: float
    granted: Granted
    facts: Facts
    fresh_turn: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The arbiter denied an `Acquire`."""

    side: Side
    attempt: int
    denied: Denied


@dataclass(frozen=True, slots=True)
class Failed:
    """An `Acquire` or `Begin` brought no answer: an error, or the link went."""

    side: Side
    attempt: int


@dataclass(frozen=True, slots=True)
class Begun:
    """The arbiter answered a `Begin`."""

    side: Side
    attempt: int
    sent_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class Renewed:
    """The arbiter answered a `Renew`."""

    side: Side
    attempt: int
    sent_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A part of a turn is durable in the log."""

    part: Part
    turn: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The log's door refused a part of a turn (`LeaseRefused`); nothing is logged.

    The replica has the update already. The shell keeps it, and puts it before the
    next write that shows no `holding`, or before `Flush`, in the same append.
    """

    part: Part
    turn: str


Answer = Given | Withheld | Failed | Begun | Renewed | Written | Refused


@dataclass(frozen=True, slots=True)
class AgentEnded:
    """The agent is done with a turn and writes nothing more; told exactly once.

    Attributes:
        turn: The turn of the `RunAgent`.
        stop_reason: As the agent said, such as "end_turn".
        error: What went wrong, for people.
        usage: What the agent says it used.
    """

    turn: str
    stop_reason: str
    error: str | None = None
    usage: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person wants a turn to stop; it names the turn, lest it hits the next one."""

    turn: str


@dataclass(frozen=True, slots=True)
class RunApart:
    """A person answers `AskApart`; it counts until the link is back."""

    yes: bool


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A person wants the next prompt to run here, whoever holds the lease.

    It counts for one request: a quarantine is not overruled, and a runner that runs a
    turn already has what is wanted.
    """


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop, give everything back and answer with `Done`."""


Order = AgentEnded | Cancel | RunApart | TakeOver | Leave
Signal = News | Answer | Order
