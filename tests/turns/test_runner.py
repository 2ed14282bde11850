"""The runner, as dialogues: what it is told, what it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from crdtsync.log import Holding
from crdtsync.turns import effects as fx
from crdtsync.turns import signals as sg
from crdtsync.turns.arbiter import Denied, Granted
from crdtsync.turns.claim import Claim, Cut, TurnRecord
from crdtsync.turns.queue import QueueEntry
from crdtsync.turns.runner import Runner
from crdtsync.turns.timing import Timing

WHO = sg.Who("r1", "m1", "demo")
RANK = "U0000000"
HOLDING = Holding(1, 1)


def facts(
    *prompts: str, turns: tuple[TurnRecord, ...] = (), arbiter: str | None = None
) -> sg.Facts:
    entries = tuple(QueueEntry(p, RANK) for p in prompts)
    return sg.Facts(entries=entries, turns=turns, arbiter=arbiter)


def took(
    turn: str, epoch: int, *prompts: str, machine: str = "m2", ended: bool = True
) -> TurnRecord:
    claim = Claim(epoch, "A", "local", "r2", machine, "demo", prompts)
    return TurnRecord(turn, claim, started=True, ended=ended)


@dataclass
class Dialogue:
    """A runner at a time; alarms are left out unless asked for."""

    policy: sg.Policy = field(default_factory=sg.Policy)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.runner = Runner(WHO, Timing(), self.policy)
        self.alarm_s: float | None = None

    def told(self, signal: sg.Signal, *, after_s: float = 0.0) -> list[fx.Effect]:
        self.now += after_s
        effects = self.runner.handle(signal, self.now)
        for effect in effects:
            if isinstance(effect, fx.WakeAt):
                self.alarm_s = effect.at_s
        return [e for e in effects if not isinstance(e, fx.WakeAt)]

    def given(
        self,
        known: sg.Facts,
        *,
        attempt: int = 1,
        epoch: int = 1,
        idle_s: float | None = 1.0,
        side: sg.Side = "local",
        sent_s: float | None = None,
    ) -> list[fx.Effect]:
        granted = Granted("A" if side == "local" else "R", epoch, 15.0, idle_s)
        sent = self.now if sent_s is None else sent_s
        return self.told(sg.Given(side, attempt, sent, granted, known, "t1"))

    def begun(self, *, ok: bool = True, side: sg.Side = "local") -> list[fx.Effect]:
        attempt = 1 if side == "local" else 2
        return self.told(sg.Begun(side, attempt, self.now, ok))

    def running(self, known: sg.Facts | None = None) -> None:
        known = known or facts("p")
        self.told(known)
        self.given(known)
        self.told(sg.Written("claim", "t1"))
        self.begun()
        assert self.told(sg.Written("started", "t1")) == [fx.RunAgent("t1", ("p",))]


def test_a_turn_from_the_prompt_to_the_release() -> None:
    dialogue = Dialogue()
    known = facts("p", "q")
    assert dialogue.told(known) == [fx.Acquire("local", 1, 0, 1000.0)]
    claim = Claim(1, "A", "local", "r1", "m1", "demo", ("p",))
    assert dialogue.given(known) == [fx.WriteClaim("t1", claim, HOLDING)]
    assert dialogue.told(sg.Written("claim", "t1")) == [
        fx.Begin("local", 1, 1, "t1", 1000.0)
    ]
    assert dialogue.begun() == [fx.WriteStarted("t1", ("p",), HOLDING)]
    assert dialogue.told(sg.Written("started", "t1")) == [fx.RunAgent("t1", ("p",))]
    assert dialogue.runner.turn == "t1"
    assert dialogue.runner.holding == HOLDING
    assert dialogue.runner.may_write("t1", 1001.0)
    assert not dialogue.runner.may_write("t2", 1001.0)
    assert dialogue.told(sg.AgentEnded("t1", "end_turn")) == [
        fx.WriteEnded("t1", "end_turn", HOLDING)
    ]
    mine = TurnRecord("t1", claim, started=True, ended=True)
    dialogue.told(facts("p", "q", turns=(mine,)))
    assert dialogue.told(sg.Written("ended", "t1")) == [
        fx.Release("local", 1, 1),
        fx.Acquire("local", 2, 1, 1000.0),
    ]


def test_nothing_is_asked_for_while_nothing_is_pending() -> None:
    dialogue = Dialogue()
    assert dialogue.told(facts()) == []
    assert dialogue.alarm_s is None
    assert dialogue.told(facts("p", turns=(took("t0", 1, "p"),))) == []


def test_a_denied_runner_tells_whom_it_waits_for_and_asks_again() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    denied = Denied("r2", "t0", 9.0)
    assert dialogue.told(sg.Withheld("local", 1, denied)) == [
        fx.Tell(fx.WaitingFor("r2", "t0", 9.0))
    ]
    assert dialogue.alarm_s == 1004.0
    assert dialogue.told(sg.Tick(), after_s=4.0) == [fx.Acquire("local", 2, 0, 1004.0)]


def test_the_end_of_the_turn_that_is_waited_for_is_heeded_at_once() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.told(sg.Withheld("local", 1, Denied("r2", "t0", 9.0)))
    dialogue.told(facts("p", turns=(took("t0", 1),)))
    assert dialogue.alarm_s == 1000.25
    assert dialogue.told(sg.Freed()) == [fx.Acquire("local", 2, 1, 1000.0)]


def test_a_quarantine_is_told_with_the_seconds_left() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    assert dialogue.told(sg.Withheld("local", 1, Denied(None, None, 2.5))) == [
        fx.Tell(fx.Quarantine(2.5))
    ]
    assert dialogue.alarm_s == 1002.5


def test_a_wait_that_is_over_is_told_too() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.told(sg.Withheld("local", 1, Denied("r2", "t0", 9.0)))
    assert dialogue.told(facts()) == [fx.Tell(fx.Proceeding())]


def test_a_failed_request_is_repeated_after_a_heartbeat() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    assert dialogue.told(sg.Failed("local", 1)) == []
    assert dialogue.alarm_s == 1004.0


def test_the_prompt_is_chosen_after_the_grant() -> None:
    """C2, X3."""
    dialogue = Dialogue()
    dialogue.told(facts("p", "q"))
    now_known = facts("p", "q", turns=(took("t0", 1, "p"),))
    effects = dialogue.given(now_known, epoch=2)
    assert isinstance(effects[0], fx.WriteClaim)
    assert effects[0].claim.prompts == ("q",)
    assert effects[0].claim.after == {"t0": "final"}


def test_a_grant_with_nothing_left_to_run_is_given_back() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    gone = facts("p", turns=(took("t0", 1, "p"),))
    assert dialogue.given(gone, epoch=2) == [fx.Release("local", 2, 1)]


def test_an_epoch_that_is_not_above_the_document_is_given_back() -> None:
    """C1, X6b, X11: and the next request asks for more."""
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    higher = facts("p", turns=(took("t0", 7),))
    assert dialogue.given(higher, epoch=7) == [fx.Release("local", 7, 1)]
    assert dialogue.told(sg.Tick(), after_s=0.25) == [
        fx.Acquire("local", 2, 7, 1000.25)
    ]


def test_the_claim_closes_a_crashed_turn_with_what_was_seen() -> None:
    dialogue = Dialogue()
    crashed = took("t0", 1, "p", machine="m1", ended=False)
    known = replace(facts("q", turns=(crashed,)), cuts={"t0": Cut(2, 30)})
    dialogue.told(known)
    effects = dialogue.given(known, epoch=2)
    assert isinstance(effects[0], fx.WriteClaim)
    assert effects[0].claim.closes == {"t0": Cut(2, 30)}


def test_old_prompts_are_held_after_a_long_idle_time_and_fresh_ones_run() -> None:
    """Q5."""
    dialogue = Dialogue()
    known = replace(facts("fresh", "old"), arrived_s={"fresh": 999.0})
    dialogue.told(known)
    effects = dialogue.given(known, idle_s=None)
    assert effects[0] == fx.WriteHeld(("old",))
    assert isinstance(effects[1], fx.WriteClaim)
    assert effects[1].claim.prompts == ("fresh",)


def test_only_old_prompts_after_a_long_idle_time_give_the_lease_back() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("old"))
    assert dialogue.given(facts("old"), idle_s=601.0) == [
        fx.WriteHeld(("old",)),
        fx.Release("local", 1, 1),
    ]
    held = sg.Facts(entries=(QueueEntry("old", RANK, held=True),))
    assert dialogue.told(held) == [fx.Tell(fx.NeedRelease(("old",)))]
    released = QueueEntry("old", RANK, held=True, released_by="ana")
    assert dialogue.told(sg.Facts(entries=(released,)), after_s=1.0) == [
        fx.Tell(fx.NeedRelease(())),
        fx.Acquire("local", 2, 0, 1001.0),
    ]


def test_several_prompts_become_one_turn_when_collecting() -> None:
    dialogue = Dialogue(sg.Policy(collect_max=2))
    dialogue.told(facts("p", "q", "s"))
    effects = dialogue.given(facts("p", "q", "s"))
    assert isinstance(effects[0], fx.WriteClaim)
    assert effects[0].claim.prompts == ("p", "q")


def test_a_claim_refused_at_the_door_is_void() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    assert dialogue.told(sg.Refused("claim", "t1")) == [
        fx.WriteVoid("t1"),
        fx.Release("local", 1, 1),
    ]
    assert dialogue.alarm_s == 1004.0


def test_without_a_confirmation_the_turn_is_void() -> None:
    """X2."""
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    dialogue.told(sg.Written("claim", "t1"))
    assert dialogue.begun(ok=False) == [fx.WriteVoid("t1"), fx.Release("local", 1, 1)]


def test_a_start_refused_at_the_door_is_void_for_nobody_spoke_to_the_agent() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    dialogue.told(sg.Written("claim", "t1"))
    dialogue.begun()
    assert dialogue.told(sg.Refused("started", "t1")) == [
        fx.WriteVoid("t1"),
        fx.Release("local", 1, 1),
    ]


@pytest.mark.parametrize("part", ["claim", "started"])
def test_a_pause_past_the_deadline_before_the_start_is_void(part: sg.Part) -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    if part == "started":
        dialogue.told(sg.Written("claim", "t1"))
        dialogue.begun()
    assert dialogue.told(sg.Written(part, "t1"), after_s=12.0) == [
        fx.WriteVoid("t1"),
        fx.Release("local", 1, 1),
    ]


def test_a_grant_that_comes_after_its_deadline_is_given_back() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    effects = dialogue.given(facts("p"), sent_s=988.0)
    assert effects == [fx.Release("local", 1, 1), fx.Acquire("local", 2, 0, 1000.0)]


def test_a_grant_to_an_attempt_that_was_given_up_is_given_back() -> None:
    """A2, T0: it frees that attempt alone, never the lease that runs."""
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.given(facts("p"), attempt=7, epoch=9) == [fx.Release("local", 9, 7)]
    assert dialogue.runner.may_write("t1", dialogue.now)


def test_the_lease_is_renewed_and_counts_from_the_asking() -> None:
    """T5."""
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.alarm_s == 1004.0
    assert dialogue.told(sg.Tick(), after_s=4.0) == [fx.Renew("local", 1, 1, 1004.0)]
    dialogue.told(sg.Renewed("local", 1, 1004.0, ok=True), after_s=3.0)
    assert dialogue.runner.may_write("t1", 1015.9)
    assert not dialogue.runner.may_write("t1", 1016.0)


def test_a_lost_renewal_does_not_cost_the_lease() -> None:
    dialogue = Dialogue()
    dialogue.running()
    dialogue.told(sg.Tick(), after_s=4.0)
    assert dialogue.told(sg.Tick(), after_s=4.0) == [fx.Renew("local", 1, 1, 1008.0)]
    dialogue.told(sg.Renewed("local", 1, 1008.0, ok=True))
    assert dialogue.runner.may_write("t1", 1019.9)


def test_an_answer_for_another_attempt_prolongs_nothing() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Renewed("local", 9, 1011.0, ok=True)) == []
    assert dialogue.told(sg.Renewed("local", 9, 1011.0, ok=False)) == []
    assert not dialogue.runner.may_write("t1", 1012.0)


def test_after_a_long_pause_the_first_thing_is_to_stop() -> None:
    """Scenario 11: whatever the signal that wakes it."""
    dialogue = Dialogue()
    dialogue.running()
    late = sg.Renewed("local", 1, 1000.0, ok=True)
    assert dialogue.told(late, after_s=3600.0) == [fx.StopAgent("t1", 2.0)]
    assert dialogue.runner.holding is None
    assert not dialogue.runner.may_write("t1", dialogue.now)
    assert dialogue.told(sg.AgentEnded("t1", "cancelled")) == [
        fx.WriteEnded("t1", "lost_lease", None)
    ]
    assert dialogue.told(sg.Written("ended", "t1"))[0] == fx.Release("local", 1, 1)


def test_output_refused_at_the_door_stops_the_agent() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Refused("output", "t1")) == [fx.StopAgent("t1", 2.0)]
    assert dialogue.told(sg.Refused("output", "t1")) == []


def test_a_lost_lease_stops_the_agent() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Renewed("local", 1, 1000.0, ok=False)) == [
        fx.StopAgent("t1", 2.0)
    ]


def test_with_policy_finish_the_turn_goes_on_detached() -> None:
    dialogue = Dialogue(sg.Policy(lost="finish"))
    dialogue.running()
    assert dialogue.told(sg.Tick(), after_s=12.0) == [fx.WriteDetached("t1")]
    assert dialogue.runner.may_write("t1", 9999.0)
    assert dialogue.runner.holding is None
    assert dialogue.told(sg.AgentEnded("t1", "end_turn"), after_s=60.0) == [
        fx.WriteEnded("t1", "end_turn", None)
    ]


def test_an_end_refused_at_the_door_is_kept_as_an_ordinary_update() -> None:
    dialogue = Dialogue()
    dialogue.running()
    dialogue.told(sg.AgentEnded("t1", "end_turn"))
    effects = dialogue.told(sg.Refused("ended", "t1"))
    assert effects[:2] == [fx.Flush(), fx.Release("local", 1, 1)]


def test_a_cancel_names_its_turn() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Cancel("t0")) == []
    assert dialogue.told(sg.Cancel("t1")) == [fx.StopAgent("t1", 2.0)]
    assert dialogue.runner.may_write("t1", dialogue.now)
    assert dialogue.told(sg.AgentEnded("t1", "end_turn")) == [
        fx.WriteEnded("t1", "cancelled", HOLDING)
    ]


def test_a_cancel_before_the_agent_was_spoken_to_ends_the_turn_unrun() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    assert dialogue.told(sg.Cancel("t1")) == []
    dialogue.told(sg.Written("claim", "t1"))
    dialogue.begun()
    assert dialogue.told(sg.Written("started", "t1")) == [
        fx.WriteEnded("t1", "cancelled", HOLDING)
    ]


def test_leaving_stops_the_turn_gives_the_lease_back_and_says_so() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Leave()) == [fx.StopAgent("t1", 2.0)]
    dialogue.told(sg.AgentEnded("t1", "cancelled"))
    assert dialogue.told(sg.Written("ended", "t1")) == [
        fx.Release("local", 1, 1),
        fx.Done(),
    ]
    assert dialogue.told(facts("q")) == []


def test_leaving_before_the_start_gives_the_prompt_back() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    dialogue.told(sg.Written("claim", "t1"))
    assert dialogue.told(sg.Leave()) == [
        fx.WriteVoid("t1"),
        fx.Release("local", 1, 1),
        fx.Done(),
    ]


def test_leaving_waits_for_the_answer_to_a_request() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    assert dialogue.told(sg.Leave()) == []
    assert dialogue.given(facts("p")) == [fx.Release("local", 1, 1), fx.Done()]


@pytest.mark.parametrize("part", ["claim", "started"])
def test_leaving_during_a_write_waits_for_it_and_is_void(part: sg.Part) -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    if part == "started":
        dialogue.told(sg.Written("claim", "t1"))
        dialogue.begun()
    assert dialogue.told(sg.Leave()) == []
    assert dialogue.told(sg.Written(part, "t1")) == [
        fx.WriteVoid("t1"),
        fx.Release("local", 1, 1),
        fx.Done(),
    ]


def test_a_deadline_before_the_confirmation_is_void() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.given(facts("p"))
    dialogue.told(sg.Written("claim", "t1"))
    effects = dialogue.told(sg.Tick(), after_s=12.0)
    assert effects == [fx.WriteVoid("t1"), fx.Release("local", 1, 1)]


def test_a_detached_turn_can_be_cancelled() -> None:
    dialogue = Dialogue(sg.Policy(lost="finish"))
    dialogue.running()
    dialogue.told(sg.Tick(), after_s=12.0)
    assert dialogue.told(sg.Cancel("t1")) == [fx.StopAgent("t1", 2.0)]
    assert dialogue.told(sg.AgentEnded("t1", "end_turn")) == [
        fx.WriteEnded("t1", "cancelled", None)
    ]
    assert dialogue.told(sg.AgentEnded("t1", "end_turn")) == []


def test_a_lease_that_is_lost_while_a_cancelled_agent_stops_is_lost() -> None:
    dialogue = Dialogue()
    dialogue.running()
    dialogue.told(sg.Cancel("t1"))
    dialogue.told(sg.Refused("output", "t1"))
    assert dialogue.told(sg.AgentEnded("t1", "end_turn")) == [
        fx.WriteEnded("t1", "lost_lease", None)
    ]


def test_nothing_new_is_asked_for_while_an_answer_is_outstanding() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    assert dialogue.told(facts("p", "q")) == []


def test_leaving_while_idle_is_done_at_once() -> None:
    assert Dialogue().told(sg.Leave()) == [fx.Done()]


def test_a_jump_of_nothing_but_time_within_the_lease_changes_nothing() -> None:
    """Scenario 5."""
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.Tick(), after_s=11.9) == [fx.Renew("local", 1, 1, 1011.9)]


RELAY = "relay.example"


def test_with_a_relay_both_leases_are_taken_and_the_relay_counts() -> None:
    dialogue = Dialogue()
    dialogue.told(sg.LinkLive())
    known = facts("p", arbiter=RELAY)
    assert dialogue.told(known) == [fx.Acquire("local", 1, 0, 1000.0)]
    assert dialogue.given(known) == [fx.Acquire("relay", 2, 0, 1000.0)]
    claim = Claim(5, "R", "relay", "r1", "m1", "demo", ("p",))
    assert dialogue.given(known, side="relay", attempt=2, epoch=5) == [
        fx.RaiseEpoch(1, 1, 5),
        fx.WriteClaim("t1", claim, Holding(5, 1)),
    ]
    assert dialogue.told(sg.Written("claim", "t1")) == [
        fx.Begin("relay", 5, 2, "t1", 1000.0)
    ]
    dialogue.begun(side="relay")
    dialogue.told(sg.Written("started", "t1"))
    assert dialogue.told(sg.Tick(), after_s=4.0) == [
        fx.Renew("local", 5, 1, 1004.0),
        fx.Renew("relay", 5, 2, 1004.0),
    ]
    dialogue.told(sg.LinkDown())
    assert dialogue.runner.may_write("t1", dialogue.now)
    dialogue.told(sg.AgentEnded("t1", "end_turn"))
    dialogue.told(facts(arbiter=RELAY))
    assert dialogue.told(sg.Written("ended", "t1")) == [
        fx.Release("relay", 5, 2),
        fx.Release("local", 5, 1),
    ]


def test_a_relay_that_denies_costs_the_local_lease_too() -> None:
    dialogue = Dialogue()
    dialogue.told(sg.LinkLive())
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    dialogue.given(known)
    assert dialogue.told(sg.Withheld("relay", 2, Denied("r9", "t9", 8.0))) == [
        fx.Release("local", 1, 1),
        fx.Tell(fx.WaitingFor("r9", "t9", 8.0)),
    ]


@pytest.mark.parametrize("how", ["silence", "link down"])
def test_a_relay_that_does_not_answer_is_asked_under_a_new_attempt(how: str) -> None:
    dialogue = Dialogue()
    dialogue.told(sg.LinkLive())
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    dialogue.given(known)
    if how == "silence":
        assert dialogue.alarm_s == 1002.0
        effects = dialogue.told(sg.Tick(), after_s=2.0)
        assert effects[1] == fx.Acquire("local", 3, 0, 1002.0)
    else:
        effects = dialogue.told(sg.LinkDown())
        assert len(effects) == 1
    assert effects[0] == fx.Release("local", 1, 1)


@pytest.mark.parametrize("how", ["silence", "link down", "failed"])
def test_a_relay_that_does_not_confirm_makes_the_turn_void(how: str) -> None:
    dialogue = Dialogue()
    dialogue.told(sg.LinkLive())
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    dialogue.given(known)
    dialogue.given(known, side="relay", attempt=2, epoch=1)
    dialogue.told(sg.Written("claim", "t1"))
    signals: dict[str, sg.Signal] = {
        "silence": sg.Tick(),
        "link down": sg.LinkDown(),
        "failed": sg.Failed("relay", 2),
    }
    effects = dialogue.told(signals[how], after_s=2.0 if how == "silence" else 0.0)
    assert effects[:3] == [
        fx.WriteVoid("t1"),
        fx.Release("relay", 1, 2),
        fx.Release("local", 1, 1),
    ]


def test_without_the_relay_policy_deny_waits_and_says_so() -> None:
    dialogue = Dialogue()
    known = facts("p", arbiter=RELAY)
    assert dialogue.told(known) == []
    assert dialogue.alarm_s == 1005.0
    assert dialogue.told(sg.Tick(), after_s=5.0) == [fx.Tell(fx.RelayAway())]
    assert dialogue.told(sg.Tick(), after_s=55.0) == []
    assert dialogue.told(sg.LinkLive()) == [fx.Acquire("local", 1, 0, 1060.0)]


def test_without_the_relay_policy_ask_asks_and_heeds_the_answer() -> None:
    dialogue = Dialogue(sg.Policy(offline="ask"))
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    assert dialogue.told(sg.Tick(), after_s=5.0) == [fx.Tell(fx.AskApart())]
    assert dialogue.told(sg.RunApart(yes=False)) == []
    assert dialogue.told(sg.RunApart(yes=True)) == [fx.Acquire("local", 1, 0, 1005.0)]


def offline(dialogue: Dialogue) -> sg.Facts:
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    assert dialogue.alarm_s == 1005.0
    dialogue.told(sg.Tick(), after_s=5.0)
    [effect] = dialogue.given(known)
    assert isinstance(effect, fx.WriteClaim)
    assert effect.claim.grant == "offline"
    assert dialogue.told(sg.Written("claim", "t1")) == []
    return known


def test_without_the_relay_policy_allow_runs_offline_after_settling() -> None:
    dialogue = Dialogue(sg.Policy(offline="allow"))
    offline(dialogue)
    assert dialogue.alarm_s == 1005.5
    assert dialogue.told(sg.Tick(), after_s=0.5) == [
        fx.Begin("local", 1, 1, "t1", 1005.5)
    ]


def test_an_offline_claim_yields_to_a_better_one_that_shows_in_time() -> None:
    dialogue = Dialogue(sg.Policy(offline="allow"))
    known = offline(dialogue)
    rival = took("t0", 1, ended=False)
    assert dialogue.told(replace(known, turns=(rival,)))[0] == fx.WriteVoid("t1")


def test_a_relay_that_went_away_is_not_replaced_within_five_seconds() -> None:
    dialogue = Dialogue(sg.Policy(offline="allow"))
    dialogue.told(sg.LinkLive())
    known = facts("p", arbiter=RELAY)
    dialogue.told(known)
    dialogue.told(sg.LinkDown())
    assert dialogue.given(known) == [fx.Release("local", 1, 1)]


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    dialogue = Dialogue()
    dialogue.running()
    strays: list[sg.Signal] = [
        sg.Written("claim", "t1"),
        sg.Written("ended", "t1"),
        sg.Written("claim", "t0"),
        sg.Refused("claim", "t1"),
        sg.Refused("ended", "t0"),
        sg.Begun("local", 1, 1000.0, ok=False),
        sg.Failed("local", 1),
        sg.Withheld("local", 1, Denied("r2", None, 3.0)),
        sg.AgentEnded("t0", "end_turn"),
        sg.LinkDown(),
        sg.Freed(),
    ]
    assert [dialogue.told(stray) for stray in strays] == [[]] * len(strays)
    assert dialogue.runner.may_write("t1", dialogue.now)


# Taking over.


def test_a_person_has_the_lease_taken_at_both_arbiters_for_one_turn() -> None:
    dialogue = Dialogue()
    known = facts("p", arbiter="R")
    dialogue.told(sg.LinkLive())
    dialogue.told(known)
    dialogue.given(known)
    denied = Denied("r2", "t0", 9.0)
    dialogue.told(sg.Withheld("relay", 2, denied))
    assert dialogue.told(sg.TakeOver()) == [fx.Acquire("local", 3, 0, 1000.0, True)]
    assert dialogue.given(known, attempt=3) == [
        fx.Acquire("relay", 4, 0, 1000.0, True),
    ]
    effects = dialogue.given(known, attempt=4, side="relay")
    assert any(isinstance(effect, fx.WriteClaim) for effect in effects)
    # The next time it is asked for like any other.
    dialogue.told(sg.Written("claim", "t1"))
    dialogue.told(sg.Refused("claim", "t1"))
    dialogue.told(sg.Begun("relay", 4, dialogue.now, ok=False))
    [asked] = dialogue.told(sg.Freed())
    assert asked == fx.Acquire("local", 5, 0, 1000.0)


def test_to_take_over_is_forgotten_if_nobody_may_have_the_lease() -> None:
    dialogue = Dialogue()
    dialogue.told(facts("p"))
    dialogue.told(sg.Withheld("local", 1, Denied("r2", "t0", 9.0)))
    assert dialogue.told(sg.TakeOver()) == [fx.Acquire("local", 2, 0, 1000.0, True)]
    dialogue.told(sg.Withheld("local", 2, Denied(None, None, 9.0)))
    assert dialogue.told(sg.Freed()) == [fx.Acquire("local", 3, 0, 1000.0)]


def test_who_runs_a_turn_or_has_nothing_to_run_takes_nothing_over() -> None:
    dialogue = Dialogue()
    dialogue.running()
    assert dialogue.told(sg.TakeOver()) == []
    idle = Dialogue()
    idle.told(facts())
    assert idle.told(sg.TakeOver()) == []
    assert idle.told(facts("p")) == [fx.Acquire("local", 1, 0, 1000.0)]


def test_a_word_to_run_apart_counts_only_while_the_relay_is_away() -> None:
    dialogue = Dialogue(sg.Policy(offline="ask"))
    dialogue.told(sg.LinkLive())
    dialogue.told(sg.RunApart(yes=True))
    dialogue.told(sg.LinkDown())
    dialogue.told(facts("p", arbiter="R"), after_s=20.0)
    assert dialogue.told(sg.Tick()) == []
    assert dialogue.told(sg.RunApart(yes=True)) == [
        fx.Acquire("local", 1, 0, dialogue.now)
    ]
