"""The times of turns and the inequalities between them; it keeps no time."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timing:
    """How long everything takes, in seconds; the rules T-1 to T-4 are checked.

    Attributes:
        ttl_s: Life of a grant at the arbiter.
        heartbeat_s: Renew period of the holder; poll period of a waiter.
        rpc_timeout_s: A request to a relay counts as lost after that.
        stop_time_s: From "stop" to "the agent writes nothing any more".
        margin_s: A runner stops so long before the lease ends.
        quarantine_s: A new, emptied or restored arbiter denies everything so long.
        offline_after_s: A link is down so long before one may run without the relay.
        settle_s: Courtesy wait of an offline claim; no safety rests on it.
        hold_after_s: A prompt is "just typed" or "just arrived" for so long (Q3, Q5).
        idle_hold_s: After so long without a turn, old prompts ask again (Q5).
        beat_s: Period of a link's beats; two missed beats mean it is down.
        drift: Largest difference of the rates of two clocks, as a fraction.
        tick_s: Largest delay between a deadline and the runner noticing it.

    Raises:
        UsageError: A rule is broken; the message names it.
    """

    ttl_s: float = 15.0
    heartbeat_s: float = 4.0
    rpc_timeout_s: float = 2.0
    stop_time_s: float = 2.0
    margin_s: float = 3.0
    quarantine_s: float = 15.0
    offline_after_s: float = 5.0
    settle_s: float = 0.5
    hold_after_s: float = 60.0
    idle_hold_s: float = 600.0
    beat_s: float = 5.0
    drift: float = 0.001
    tick_s: float = 0.25

    def __post_init__(self) -> None:
        usable_s = self.ttl_s - self.margin_s
        _rule(
            "T-1",
            "margin >= stop_time + drift * ttl + tick",
            holds=self.margin_s
            >= self.stop_time_s + self.drift * self.ttl_s + self.tick_s,
        )
        _rule(
            "T-2",
            "2 * heartbeat + rpc_timeout < ttl - margin",
            holds=2 * self.heartbeat_s + self.rpc_timeout_s < usable_s,
        )
        _rule("T-3", "quarantine >= ttl", holds=self.quarantine_s >= self.ttl_s)
        _rule("T-4", "2 * beat < ttl - margin", holds=2 * self.beat_s < usable_s)


def _rule(name: str, text: str, *, holds: bool) -> None:
    if not holds:
        raise UsageError(
            f"the times of turns break rule {name}: {text}",
            hint="Use the default times, or change them together.",
        )
