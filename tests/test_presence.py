"""Presence as dialogues between tables; time is a number and nothing is sent."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.errors import ProtocolError
from crdtsync.presence import (
    Joined,
    Left,
    PresenceMessage,
    PresenceState,
    PresenceTable,
    Updated,
    decode,
    encode,
)
from crdtsync.presence.people import face
from crdtsync.presence.table import WINDOWS_MAX

ANA = PresenceState("w-ana", "p-ana", "ana")
BOB = PresenceState("w-bob", "p-bob", "bob")


def table(state: PresenceState, now: float = 1000.0) -> PresenceTable:
    made = PresenceTable(state.window)
    made.set_local(state, now)
    return made


def look(payload: bytes) -> PresenceState:
    state = decode(payload)
    assert isinstance(state, PresenceState)
    return state


def beat(*tables: PresenceTable, now: float) -> None:
    """Let everybody send whatever is due, and everybody hear it."""
    for sender in tables:
        if sender.is_due(now):
            payload = sender.local_payload(now)
            for receiver in tables:
                receiver.receive(payload, now)
    for receiver in tables:
        receiver.tick(now)


# Who is here.


def test_a_first_payload_makes_a_window_join() -> None:
    ana, bob = table(ANA), table(BOB)

    changes = bob.receive(ana.local_payload(1000.0), 1000.0)

    assert [type(change) for change in changes] == [Joined]
    assert [person.name for person in bob.people()] == ["ana", "bob"]


def test_a_hello_is_answered_at_once() -> None:
    ana, bob = table(ANA), table(BOB)
    ana.local_payload(1000.0)
    assert not ana.is_due(1001.0)

    ana.receive(bob.local_payload(1001.0), 1001.0)

    assert ana.is_due(1001.0)
    (joined,) = bob.receive(ana.local_payload(1001.0), 1001.0)
    assert isinstance(joined, Joined)
    assert joined.state.name == "ana"
    assert not ana.is_due(1001.0)


def test_an_answer_is_no_question() -> None:
    ana, bob = table(ANA), table(BOB)
    ana.local_payload(1000.0)
    ana.receive(bob.local_payload(1000.5), 1000.5)
    bob.receive(ana.local_payload(1000.5), 1000.5)

    assert not bob.is_due(1000.7)


def test_a_window_that_only_looks_learns_everybody() -> None:
    ana, onlooker = table(ANA), PresenceTable("w-look")
    ana.local_payload(1000.0)

    ana.receive(onlooker.ask_payload(), 1001.0)
    onlooker.receive(ana.local_payload(1001.0), 1001.0)

    assert [person.name for person in onlooker.people()] == ["ana"]
    assert [person.name for person in ana.people()] == ["ana"]
    assert not onlooker.is_due(1009.0)


def test_leaving_takes_effect_at_once_and_for_good() -> None:
    ana, bob = table(ANA), table(BOB)
    early = ana.local_payload(1000.0)
    late = ana.local_payload(1000.5)
    bob.receive(early, 1000.5)

    (left,) = bob.receive(ana.leave_payload(), 1001.0)

    assert isinstance(left, Left)
    assert left.reason == "left"
    assert bob.receive(late, 1001.5) == []
    assert [person.name for person in bob.people()] == ["bob"]


def test_leaving_before_joining_still_holds() -> None:
    ana, bob = table(ANA), table(BOB)
    state, leave = ana.local_payload(1000.0), ana.leave_payload()

    assert bob.receive(leave, 1000.0) == []
    assert bob.receive(state, 1000.0) == []


def test_a_dead_window_s_late_payload_does_not_bring_it_back() -> None:
    ana, bob = table(ANA), table(BOB)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    late = ana.local_payload(1000.2)

    (left,) = bob.drop("w-ana", 1000.3)

    assert isinstance(left, Left)
    assert left.reason == "died"
    assert bob.drop("w-ana", 1000.3) == []
    assert bob.receive(late, 1000.4) == []


def test_a_restart_under_the_same_id_wins() -> None:
    old, bob = table(ANA, now=1000.0), table(BOB)
    bob.receive(old.local_payload(1000.0), 1000.0)
    for _ in range(5):
        late = old.local_payload(1001.0)
    new = table(replace(ANA, name="ana again"), now=1002.0)

    (change,) = bob.receive(new.local_payload(1002.0), 1002.0)

    assert isinstance(change, Updated)
    assert change.new.name == "ana again"
    assert bob.receive(late, 1002.1) == []
    assert bob.receive(old.leave_payload(), 1002.2) == []
    assert [person.name for person in bob.people()] == ["ana again", "bob"]


def test_a_restart_after_a_kill_is_let_in() -> None:
    old, bob = table(ANA, now=1000.0), table(BOB)
    bob.receive(old.local_payload(1000.0), 1000.0)
    bob.drop("w-ana", 1001.0)

    changes = bob.receive(table(ANA, now=1001.5).local_payload(1001.5), 1001.5)

    assert [type(change) for change in changes] == [Joined]


def test_late_and_repeated_payloads_change_nothing() -> None:
    ana, bob = table(ANA), table(BOB)
    first = ana.local_payload(1000.0)
    ana.set_local(replace(ANA, viewing="m7"), 1000.5)
    second = ana.local_payload(1000.5)

    bob.receive(second, 1001.0)

    assert bob.receive(first, 1001.1) == []
    assert bob.receive(second, 1001.2) == []
    assert bob.windows()[0].viewing == "m7"


def test_a_repeated_payload_does_not_keep_a_ghost_alive() -> None:
    ana, bob = table(ANA), table(BOB)
    payload = ana.local_payload(1000.0)
    changes = []
    for second in range(11):
        changes += bob.receive(payload, 1000.0 + second)
        changes += bob.tick(1000.0 + second)

    assert [type(change) for change in changes] == [Joined, Left]


def test_what_others_say_in_my_name_is_ignored() -> None:
    bob = table(BOB)
    forged = replace(BOB, name="mallory", started=2**52, clock=9)

    assert bob.receive(encode(forged), 1000.0) == []
    assert [person.name for person in bob.people()] == ["bob"]


def test_windows_of_one_participant_are_one_person() -> None:
    bob = table(BOB)
    for window, at_s, away in (("w1", 1000.0, True), ("w2", 1001.0, False)):
        laptop = table(replace(ANA, window=window, away=away), now=at_s)
        bob.receive(laptop.local_payload(at_s), 1001.0)

    ana, _ = bob.people()

    assert ana.participant == "p-ana"
    assert [state.window for state in ana.windows] == ["w2", "w1"]
    assert ana.status == "active"
    assert bob.newest("p-ana") == ana.windows[0]
    assert bob.newest("p-eve") is None


def test_people_of_one_name_stay_two() -> None:
    bob = table(BOB)
    other = replace(BOB, window="w-2", participant="p-2", started=1, clock=1)

    bob.receive(encode(other), 1000.0)

    assert [person.participant for person in bob.people()] == ["p-2", "p-bob"]


def test_more_windows_than_the_bound_are_ignored() -> None:
    bob = table(BOB)
    for number in range(WINDOWS_MAX + 50):
        state = replace(ANA, window=f"w{number}", started=1, clock=1)
        bob.receive(encode(state), 1000.0)

    assert len(bob.windows()) == WINDOWS_MAX + 1


# Time.


def test_typing_ends_six_seconds_after_the_last_key() -> None:
    ana, bob = table(ANA), table(BOB)
    ana.note_input(1000.0)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    assert bob.people()[0].typing
    assert bob.next_wakeup(1000.0) == 1000.0
    bob.local_payload(1000.0)

    bob.receive(ana.local_payload(1004.0), 1004.0)
    assert bob.tick(1005.9) == []
    (change,) = bob.tick(1006.0)

    assert isinstance(change, Updated)
    assert (change.old.typing, change.new.typing) == (True, False)
    assert not bob.people()[0].typing


def test_typing_ends_at_the_very_wakeup_whatever_the_floats() -> None:
    for number in range(1000):
        now = 1000.0 + number / 997
        ana, bob = table(ANA, now), table(BOB, now)
        ana.note_input(now)
        bob.receive(ana.local_payload(now), now)
        bob.local_payload(now)
        bob.tick(now + 3.5)
        bob.local_payload(now + 3.5)

        wakeup = bob.next_wakeup(now + 3.5)

        assert wakeup == pytest.approx(now + 6.0)
        assert [type(change) for change in bob.tick(wakeup)] == [Updated]


def test_typing_that_ends_by_itself_costs_no_payload() -> None:
    ana = table(ANA)
    ana.note_input(1000.0)
    ana.local_payload(1000.0)
    ana.local_payload(1004.0)

    assert not ana.is_due(1006.5)
    assert ana.next_wakeup(1006.5) == 1008.0


def test_keys_in_a_row_cost_one_payload_per_heartbeat() -> None:
    ana = table(ANA)
    ana.local_payload(1000.0)
    sent = 0
    for tenth in range(1, 101):
        now = 1000.0 + tenth / 10
        ana.note_input(now)
        if ana.is_due(now):
            ana.local_payload(now)
            sent += 1

    assert sent == 3


def test_sending_a_message_ends_typing() -> None:
    ana, bob = table(ANA), table(BOB)
    ana.note_input(1000.0)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    ana.note_input(1001.0, typing=False)
    assert ana.is_due(1001.0)

    (change,) = bob.receive(ana.local_payload(1001.0), 1001.0)

    assert isinstance(change, Updated)
    assert not change.new.typing


def test_a_window_falls_idle_after_five_minutes_and_wakes_by_a_key() -> None:
    ana, bob = table(ANA, now=0.0), table(BOB, now=0.0)
    statuses = []
    now = 0.0
    while now < 302.0:
        beat(ana, bob, now=now)
        statuses.append((now, bob.people()[0].status))
        now = min(ana.next_wakeup(now), bob.next_wakeup(now))
    first_idle = next(at_s for at_s, status in statuses if status == "idle")
    assert first_idle == pytest.approx(300.0, abs=0.01)

    ana.note_input(302.0)
    beat(ana, bob, now=302.0)

    assert bob.people()[0].status == "active"


def test_who_goes_away_says_so() -> None:
    ana, bob = table(ANA), table(BOB)
    ana.set_local(replace(ANA, away=True), 1000.0)
    bob.receive(ana.local_payload(1000.0), 1000.0)

    assert bob.people()[0].status == "away"


def test_a_silent_window_is_gone_after_ten_seconds() -> None:
    ana, bob = table(ANA), table(BOB)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    assert bob.tick(1004.0) == []
    assert bob.tick(1009.9) == []

    (change,) = bob.tick(1010.0)

    assert isinstance(change, Left)
    assert change.reason == "silent"


def test_a_lost_heartbeat_is_forgiven() -> None:
    ana, bob = table(ANA), table(BOB)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    bob.tick(1004.0)
    ana.local_payload(1004.0)

    assert bob.receive(ana.local_payload(1008.0), 1008.0) == []
    assert bob.tick(1012.0) == []
    assert len(bob.people()) == 2


def test_a_sleeping_machine_takes_nobody_for_gone() -> None:
    ana, bob = table(ANA), table(BOB)
    beat(ana, bob, now=1000.0)
    beat(ana, bob, now=1000.2)

    changes = bob.tick(5000.0)

    assert [type(change) for change in changes] == [Updated]
    assert look(bob.local_payload(5000.0)).hello
    bob.tick(5004.0)
    bob.tick(5008.0)
    (gone,) = bob.tick(5010.0)
    assert isinstance(gone, Left)


def test_a_heartbeat_is_due_every_four_seconds() -> None:
    ana = table(ANA)
    assert ana.next_wakeup(1000.0) == 1000.0
    ana.local_payload(1000.0)

    assert ana.next_wakeup(1000.0) == 1004.0
    assert not ana.is_due(1003.9)
    assert ana.is_due(1004.0)


def test_changes_are_sent_at_most_ten_times_a_second() -> None:
    ana = table(ANA)
    sent = 0
    for hundredth in range(200):
        now = 1000.0 + hundredth / 100
        ana.set_local(replace(ANA, viewing=f"m{hundredth}"), now)
        if ana.is_due(now):
            ana.local_payload(now)
            sent += 1

    assert 15 <= sent <= 20


def test_time_never_goes_back() -> None:
    ana, bob = table(ANA), table(BOB)
    bob.receive(ana.local_payload(1000.0), 1000.0)
    bob.tick(1003.0)

    assert bob.tick(900.0) == []
    assert bob.next_wakeup(900.0) >= 1003.0


def test_a_window_that_did_not_say_who_it_is_has_nothing_to_send() -> None:
    onlooker = PresenceTable("w-look")

    with pytest.raises(ValueError, match="has not said who it is"):
        onlooker.local_payload(1000.0)
    with pytest.raises(ValueError, match="has not said who it is"):
        onlooker.leave_payload()


def test_who_left_has_nothing_to_send() -> None:
    ana = table(ANA)
    ana.leave_payload()

    assert not ana.is_due(1010.0)
    assert ana.people() == []


# The bytes.


def test_a_state_survives_its_bytes() -> None:
    state = PresenceState(
        window="w1",
        participant="p1",
        name="Ána 🐢",
        kind="agent",
        role="viewer",
        viewing="m1",
        following="p2",
        info={"agent": "demo", "turn.n": 3, "busy": True},
        away=True,
        typing_ms=1500,
        input_age_s=7,
        hello=True,
        started=5,
        clock=6,
    )

    assert decode(encode(state)) == state


def test_controls_and_direction_overrides_are_removed() -> None:
    said = json.loads(encode(ANA))
    said["name"] = "\x1b[31mE\u202evil\u2066\r\n\x9b \u200f"
    said["info"] = {"agent": "a\x07b\u2028c"}

    state = look(json.dumps(said).encode())

    assert state.name == "[31mEvil"
    assert state.info == {"agent": "abc"}


def test_half_a_character_is_removed() -> None:
    said = {"presence": "state", "window": "w", "participant": "p", "name": "a\ud800b"}

    state = look(json.dumps(said).encode())

    assert state.name == "ab"
    assert decode(encode(state)) == state


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults() -> None:
    state = look(
        b'{"presence":"state","window":"w","participant":"p","name":"n",'
        b'"mood":{"deep":[1]},"viewing":null,"clock":3.0}'
    )

    assert state == PresenceState("w", "p", "n", clock=3)


@pytest.mark.parametrize(
    "change",
    [
        {"window": "../x"},
        {"window": 5},
        {"window": None},
        {"participant": ""},
        {"participant": "p" * 129},
        {"name": "\u202e"},
        {"name": "n" * 65},
        {"name": ["n"]},
        {"kind": "robot"},
        {"kind": []},
        {"role": "root"},
        {"away": 1},
        {"typing_ms": 6001},
        {"typing_ms": -1},
        {"typing_ms": True},
        {"clock": 1.5},
        {"clock": 2**53},
        {"clock": 1e300},
        {"started": "1"},
        {"input_age_s": -5},
        {"viewing": "v" * 129},
        {"info": []},
        {"info": {"Bad Key": 1}},
        {"info": {"k": "v" * 513}},
        {"info": {"k": [1]}},
        {"info": {"k": 0.5}},
        {"info": {f"k{n}": n for n in range(17)}},
        {"presence": "dance"},
        {"presence": ["state"]},
    ],
)
def test_a_state_that_breaks_a_rule_is_refused(change: dict[str, object]) -> None:
    said = json.loads(encode(ANA)) | change
    bob = table(BOB)

    with pytest.raises(ProtocolError):
        bob.receive(json.dumps(said).encode(), 1000.0)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 4096,
        b'{"a":' * 600,
        b"NaN",
        b'{"presence":"leaving","window":"w","started":NaN,"clock":1}',
        b'{"presence":"leaving","window":"w"}',
        b'{"presence":"asking"}',
        b"9" * 4096,
        b" " * 4097,
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(garbage)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with suppress(ProtocolError):
        decode(data)


def test_a_state_too_large_to_send_is_refused_when_it_is_set() -> None:
    ana = table(ANA)
    huge = replace(ANA, info={f"k{n}": "x" * 512 for n in range(9)})

    with pytest.raises(ValueError, match="a presence state of"):
        ana.set_local(huge, 1000.0)

    assert look(ana.local_payload(1000.0)).info == {}


# Any order, repetition and loss.

WINDOWS = 4


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Say, send, deliver (to one window, one of all payloads ever sent) or wait."""
    verb = st.sampled_from(["view", "type", "send", "deliver", "deliver", "wait"])
    window, which = st.integers(0, WINDOWS - 1), st.integers(0, 1000)
    return draw(st.lists(st.tuples(verb, window, which), max_size=60))


def play(
    tables: list[PresenceTable], history: list[tuple[str, int, int]]
) -> tuple[float, list[PresenceMessage]]:
    now, sent, messages = 1000.0, list[bytes](), list[PresenceMessage]()
    for verb, index, which in history:
        if verb == "view":
            state = PresenceState(f"w{index}", f"p{index % 2}", f"n{which}")
            tables[index].set_local(replace(state, viewing=f"m{which}"), now)
        elif verb == "type":
            tables[index].note_input(now, typing=which % 3 > 0)
        elif verb == "send":
            sent.append(tables[index].local_payload(now))
            messages.append(decode(sent[-1]))
        elif verb == "deliver" and sent:
            tables[index].receive(sent[which % len(sent)], now)
        elif verb == "wait":
            now += which / 250
            for each in tables:
                each.tick(now)
    return now, messages


def fresh_tables() -> list[PresenceTable]:
    return [table(PresenceState(f"w{n}", f"p{n % 2}", f"n{n}")) for n in range(WINDOWS)]


@settings(deadline=None)
@given(histories())
def test_whatever_was_lost_one_heartbeat_makes_all_agree(
    history: list[tuple[str, int, int]],
) -> None:
    tables = fresh_tables()
    now, _ = play(tables, history)

    now += 4.0
    beat(*tables, now=now)

    faces = [[face(state) for state in each.windows()] for each in tables]
    assert faces == [faces[0]] * WINDOWS
    assert len(faces[0]) == WINDOWS


@settings(deadline=None)
@given(histories(), st.permutations(range(WINDOWS)))
def test_a_window_never_goes_backwards(
    history: list[tuple[str, int, int]], order: list[int]
) -> None:
    tables = fresh_tables()
    _, messages = play(tables, history)
    bob = table(BOB)
    seen: dict[str, int] = {}
    for message in [*reversed(messages), *messages]:
        bob.receive(encode(message), 1000.0)
        for state in bob.windows():
            assert state.clock >= seen.get(state.window, 0)
            seen[state.window] = state.clock


@settings(deadline=None)
@given(histories(), st.integers(0, WINDOWS - 1))
def test_a_window_that_is_gone_is_forgotten_by_all(
    history: list[tuple[str, int, int]], gone: int
) -> None:
    tables = fresh_tables()
    now, _ = play(tables, history)
    left = [each for index, each in enumerate(tables) if index != gone]

    end = now + 10.0
    while now < end:
        now = min(end, *(each.next_wakeup(now) for each in left))
        beat(*left, now=now)

    for each in left:
        assert f"w{gone}" not in [state.window for state in each.windows()]
        assert len(each.windows()) == WINDOWS - 1


@settings(deadline=None)
@given(histories())
def test_a_shell_that_obeys_the_wakeups_never_spins(
    history: list[tuple[str, int, int]],
) -> None:
    tables = fresh_tables()
    now, _ = play(tables, history)
    end, turns = now + 20.0, 0
    while now < end:
        beat(*tables, now=now)
        now = min(each.next_wakeup(now) for each in tables)
        turns += 1

    assert turns < 60
