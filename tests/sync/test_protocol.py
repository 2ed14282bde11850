"""One connection's protocol: W-20 to W-28."""

from __future__ import annotations

import pytest

from crdtsync.document import Document
from crdtsync.errors import ProtocolError
from crdtsync.sync.arrivals import (
    Acked,
    Asked,
    Came,
    Closed,
    Denied,
    Evicted,
    Greeted,
    LeaseCame,
    Mismatch,
    PresenceAsked,
    PresenceCame,
    Refused,
    Synced,
)
from crdtsync.sync.closing import NackCode
from crdtsync.sync.conduct import PROTOCOL, Conduct
from crdtsync.sync.protocol import FrameTooLarge, Peer, Stage
from crdtsync.sync.vectors import EMPTY_VECTOR, digest, lacks, read_vector, write_vector
from crdtsync.sync.wire import (
    Ack,
    AuthDenied,
    Awareness,
    Check,
    ClientState,
    Evict,
    Hello,
    Lease,
    Limits,
    Message,
    Nack,
    Part,
    Ping,
    Pong,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Unknown,
    Update,
    decode,
    encode,
)
from tests.sync.dialogue import (
    SESSION,
    End,
    carry,
    pair,
    relay_conduct,
    say,
    talk,
    window_conduct,
)

NOTHING = b"\0\0"


def live(
    relay: Conduct | None = None, window: Conduct | None = None
) -> tuple[End, End]:
    """Two ends that have told each other everything, which was nothing."""
    one, other = pair(relay, window)
    for end in (one, other):
        end.peer.open(0.0)
    talk(one, other)
    for end in (one, other):
        if any(isinstance(each, Asked) for each in end.news()):
            end.arrived += end.peer.answer(NOTHING, 0.0)
    talk(one, other)
    for end in (one, other):
        end.arrived.clear()
        end.said.clear()
    return one, other


def types(messages: list[Message]) -> list[type[Message]]:
    return [type(message) for message in messages]


def receive(end: End, *messages: Message, now: float = 0.0) -> list[object]:
    return [*end.peer.receive(encode(*messages), now)]


# The handshake.


def test_each_end_begins_with_hello_and_what_it_has() -> None:
    """W-20, W-21"""
    relay, window = pair()
    say(window.document, "m1")
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    assert types(relay.said) == [Hello, SyncStep1]
    assert types(window.said) == [Hello, SyncStep1]
    assert relay.said[1] == SyncStep1(EMPTY_VECTOR)
    vector = write_vector(read_vector(window.document.state_vector()))
    assert [type(each) for each in relay.arrived] == [Greeted, Asked]
    assert relay.arrived[1] == Asked(vector)
    assert window.peer.hello is not None
    assert window.peer.hello.participant == "ana-1"
    assert relay.peer.stage is Stage.SYNCING


def test_both_are_live_once_both_were_answered() -> None:
    """W-21"""
    relay, window = pair()
    update = say(window.document, "m1")
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    window.news()
    assert window.peer.answer(update, 0.0) == []
    talk(relay, window)
    assert relay.arrived[-1] == Came(update, 1, whole=True)
    assert relay.peer.stage is Stage.SYNCING
    assert relay.peer.answer(NOTHING, 0.0) == [Synced()]
    talk(relay, window)
    assert window.news() == [Came(NOTHING, 1, whole=True), Synced()]
    assert (relay.peer.stage, window.peer.stage) == (Stage.LIVE, Stage.LIVE)


def test_an_update_that_overtakes_the_answer_comes_before_live() -> None:
    relay, window = pair()
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    relay.news()
    relay.peer.answer(NOTHING, 0.0)
    update = say(relay.document, "m1")
    relay.peer.send_update(update, 0.0)
    talk(relay, window)
    assert window.news()[-2:] == [
        Came(NOTHING, 1, whole=True),
        Came(update, 2, whole=False),
    ]
    assert window.peer.answer(NOTHING, 0.0) == [Synced()]


def test_a_viewer_that_is_not_asked_is_live_all_the_same() -> None:
    """W-21"""
    _, window = pair()
    window.peer.open(0.0)
    receive(window, relay_conduct(role="viewer").hello)
    assert receive(window, SyncStep2(NOTHING))[-1] == Synced()
    assert not window.peer.wants_updates
    with pytest.raises(ValueError, match="first answer"):
        window.peer.send_update(NOTHING, 0.0)


def test_another_document_is_refused_before_anything_is_said() -> None:
    """W-20"""
    relay, window = pair(window=window_conduct("other"))
    for end in (relay, window):
        end.peer.open(0.0)
    carry(relay, window, 0.0)
    (closed,) = window.news()
    assert closed == Closed(4412, f"this is session other, not {SESSION}")
    carry(window, relay, 0.0)
    assert [type(each) for each in relay.arrived] == [Closed]
    assert SyncStep2 not in types(relay.said + window.said)


def test_an_empty_room_takes_any_document() -> None:
    relay, window = pair(relay_conduct(document=""))
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    assert isinstance(relay.arrived[0], Greeted)
    assert isinstance(window.arrived[0], Greeted)


@pytest.mark.parametrize(
    ("protocol", "oldest", "reason"),
    [
        (0, 0, "the other side has to be updated"),
        (PROTOCOL + 2, PROTOCOL + 1, "crdtsync here has to be updated"),
    ],
)
def test_versions_that_cannot_talk_say_who_is_too_old(
    protocol: int, oldest: int, reason: str
) -> None:
    """W-20"""
    relay, _ = pair()
    assert receive(relay, Hello(protocol, oldest)) == [Closed(4406, reason)]


def test_a_newer_version_that_still_speaks_ours_is_welcome() -> None:
    relay, _ = pair()
    hello = Hello(PROTOCOL + 1, PROTOCOL, features=frozenset({"telepathy"}))
    assert receive(relay, hello) == [Greeted(hello)]


@pytest.mark.parametrize("message", [SyncStep1(b"\0"), Ping(1), Part(0, b"x")])
def test_nothing_comes_before_hello(message: Message) -> None:
    """W-20"""
    relay, _ = pair()
    assert receive(relay, message) == [
        Closed(4400, "W-20: the first message was no HELLO")
    ]


def test_a_second_hello_ends_the_connection() -> None:
    """W-20"""
    relay, _ = live()
    found = receive(relay, window_conduct().hello)
    assert found == [Closed(4400, "W-20: a second HELLO")]


def test_who_never_says_hello_is_closed() -> None:
    """W-20"""
    relay, _ = pair()
    relay.peer.open(0.0)
    assert relay.peer.next_tick_s <= 10.0
    assert relay.peer.tick(9.9) == []
    assert relay.peer.tick(10.0) == [Closed(4408, "no HELLO came")]


def test_after_the_end_nothing_is_taken() -> None:
    relay, _ = live()
    relay.peer.close(1000, "bye")
    assert receive(relay, Update(NOTHING)) == []
    assert relay.peer.tick(1e9) == []
    relay.peer.acknowledge(0, 0.0)
    relay.peer.refuse(1, NackCode.INVALID, "no", 0.0)
    relay.peer.resync(0.0)
    assert relay.peer.answer(NOTHING, 0.0) == []
    assert relay.peer.frames() == []
    assert not relay.peer.wants_updates


# Updates and what became of them.


def test_acknowledgements_count_what_was_sent() -> None:
    """W-23"""
    relay, window = live()
    assert window.peer.unsettled == 1
    for number in (2, 3, 4):
        assert window.peer.send_update(say(window.document, "x"), 0.0) == number
    talk(relay, window)
    numbers = [each.number for each in relay.news() if isinstance(each, Came)]
    assert numbers == [2, 3, 4]
    assert window.peer.unsettled == 4
    relay.peer.acknowledge(3, 0.0)
    talk(relay, window)
    assert window.news() == [Acked(3)]
    assert window.peer.unsettled == 1


def test_a_refused_update_is_settled_once() -> None:
    """W-23"""
    relay, window = live()
    window.peer.send_update(NOTHING, 0.0)
    window.peer.send_update(NOTHING, 0.0)
    talk(relay, window)
    relay.peer.refuse(2, NackCode.TOO_LARGE, "at most 4 MiB", 0.0)
    talk(relay, window)
    assert window.news() == [Refused(2, "too-large", "at most 4 MiB")]
    assert window.peer.unsettled == 2
    relay.peer.acknowledge(1, 0.0)
    talk(relay, window)
    assert window.peer.unsettled == 1
    relay.peer.acknowledge(3, 0.0)
    talk(relay, window)
    assert window.peer.unsettled == 0


@pytest.mark.parametrize(
    "messages",
    [[Ack(2)], [Ack(1), Ack(0)], [Nack(2, "x", "")], [Nack(0, "x", "")]],
    ids=str,
)
def test_settling_what_was_never_sent_ends_the_connection(
    messages: list[Message],
) -> None:
    """W-23"""
    _, window = live()
    closed = receive(window, *messages)[-1]
    assert isinstance(closed, Closed)
    assert closed.code == 4400
    assert closed.reason.startswith("W-23")


def test_what_a_viewer_writes_is_refused_and_what_it_lacks_is_not() -> None:
    """W-23"""
    relay, window = pair(relay_conduct(role="viewer"))
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    window.peer.answer(b"\0\x01\x05\x01\0\x01", 0.0)
    talk(relay, window)
    assert window.news()[-1] == Acked(1)
    window.peer.send_update(say(window.document, "m1"), 0.0)
    talk(relay, window)
    reason = "viewers cannot change the session"
    assert window.news() == [Refused(2, "read-only", reason)]
    assert not any(isinstance(each, Came) for each in relay.arrived)
    assert window.peer.unsettled == 0


def test_a_viewer_of_layer_1_is_told_once() -> None:
    relay, _ = pair(relay_conduct(role="viewer", layer_2=False))
    relay.peer.open(0.0)
    relay.peer.frames()
    for _ in range(3):
        assert receive(relay, Update(b"\x01")) == []
    assert receive(relay, SyncStep2(b"\0\0")) == []
    (frame,) = relay.peer.frames()
    assert decode(frame) == [AuthDenied("viewers cannot change the session")]


# Layer 1.


def test_a_client_of_layer_1_is_served_without_a_word_of_layer_2() -> None:
    relay, _ = pair(relay_conduct(layer_2=False))
    relay.peer.open(0.0)
    assert receive(relay, SyncStep1(EMPTY_VECTOR)) == [Asked(EMPTY_VECTOR)]
    assert relay.peer.answer(NOTHING, 0.0) == []
    came = receive(relay, SyncStep2(NOTHING))
    assert came == [Came(NOTHING, 1, whole=True), Synced()]
    relay.peer.acknowledge(1, 0.0)
    relay.peer.evict(1012, "restart", 0.0, retry_after_s=1.0)
    said = [message for frame in relay.peer.frames() for message in decode(frame)]
    assert types(said) == [SyncStep1, SyncStep2]


def test_layer_2_from_a_client_of_layer_1_is_counted_and_ignored() -> None:
    """W-6"""
    relay, _ = pair(relay_conduct(layer_2=False))
    assert receive(relay, Ping(1), Part(0, b"\x03"), QueryAwareness()) == [
        PresenceAsked()
    ]
    assert relay.peer.counts.unknown == 2
    assert relay.peer.frames() == []


def test_a_silent_room_says_something_to_clients_of_layer_1() -> None:
    """W-24"""
    relay, _ = pair(relay_conduct(layer_2=False))
    relay.peer.open(0.0)
    relay.peer.frames()
    assert relay.peer.next_tick_s == 15.0
    assert relay.peer.tick(14.9) == []
    assert relay.peer.frames() == []
    relay.peer.tick(15.0)
    assert relay.peer.frames() == [bytes.fromhex("010100")]
    assert relay.peer.next_tick_s == 30.0
    relay.peer.tick(1e6)
    assert relay.peer.stage is Stage.SYNCING


# Signs of life.


def test_a_silent_peer_is_dead_after_two_beats() -> None:
    """W-24"""
    relay, window = live()
    for end in (relay, window):
        assert end.peer.tick(9.9) == []
        assert end.peer.next_tick_s == 10.0
        assert end.peer.tick(10.0) == [Closed(4499, "nothing was heard for two beats")]


def test_an_idle_connection_costs_a_ping_and_a_pong_a_beat() -> None:
    """W-24"""
    relay, window = live()
    for beat in range(1, 11):
        now = beat * 5.0
        for end in (window, relay):
            assert end.peer.tick(now) == []
            talk(relay, window, now)
    assert types(window.said) == [Ping] * 10
    assert types(relay.said) == [Pong] * 10
    assert window.peer.round_trip_s == 0.0


def test_the_round_trip_is_measured() -> None:
    relay, window = live()
    window.peer.tick(5.0)
    carry(window, relay, 5.1)
    carry(relay, window, 5.25)
    assert window.peer.round_trip_s == 0.25
    assert relay.peer.round_trip_s is None
    receive(window, Pong(99), now=9.0)
    assert window.peer.round_trip_s == 0.25


def test_a_relay_pings_who_says_nothing() -> None:
    """W-24"""
    relay, _ = live()
    assert relay.peer.next_tick_s == 6.25
    relay.peer.tick(6.25)
    assert [decode(frame) for frame in relay.peer.frames()] == [[Ping(1)]]


def test_who_is_too_busy_to_read_declares_nobody_dead() -> None:
    _, window = live()
    window.peer.heard(9.0)
    assert window.peer.tick(18.9) == []
    assert window.peer.tick(19.0) != []


def test_a_step_1_that_is_never_answered_ends_the_connection() -> None:
    relay, window = pair()
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    for now in range(5, 60, 5):
        assert window.peer.tick(float(now)) == []
        receive(window, Pong(0), now=float(now))
    assert window.peer.tick(60.0) == [Closed(4499, "a step 1 was never answered")]


# Noticing a divergence.


def test_equal_documents_pass_the_check_in_silence() -> None:
    """W-27"""
    relay, window = live()
    relay.peer.acknowledge(1, 0.0)
    update = say(window.document, "m1")
    relay.document.apply([update])
    talk(relay, window)
    window.peer.heard(59.0)
    relay.peer.heard(59.0)
    window.peer.tick(60.0)
    talk(relay, window, 60.0)
    assert Check in types(window.said)
    assert [type(each) for each in relay.arrived] == []
    assert relay.peer.counts.mismatches == 0


def test_different_documents_are_noticed_and_synced_anew_both_ways() -> None:
    """W-22, W-27"""
    relay, window = live()
    relay.peer.acknowledge(1, 0.0)
    talk(relay, window)
    here, there = say(window.document, "m1"), say(relay.document, "m2")
    window.peer.heard(59.0)
    window.peer.tick(60.0)
    window.arrived.clear()
    talk(relay, window, 60.0)
    assert relay.news() == [Mismatch(), Asked(window_vector(window))]
    assert [type(each) for each in window.news()] == [Asked]
    assert relay.peer.counts.mismatches == 1
    assert window.peer.answer(here, 60.0) == []
    assert relay.peer.answer(there, 60.0) == []
    talk(relay, window, 60.0)
    assert relay.news() == [Came(here, 2, whole=True)]
    assert window.news() == [Came(there, 2, whole=True)]
    talk(relay, window, 60.0)
    assert types(window.said).count(SyncStep1) == 1
    assert types(relay.said).count(SyncStep1) == 1


def window_vector(end: End) -> bytes:
    return write_vector(read_vector(end.document.state_vector()))


def test_both_ends_may_start_anew_at_once() -> None:
    """W-22"""
    relay, window = live()
    relay.peer.resync(1.0)
    window.peer.resync(1.0)
    for _ in range(5):
        talk(relay, window, 1.0)
        for end in (relay, window):
            if any(isinstance(each, Asked) for each in end.news()):
                end.peer.answer(NOTHING, 1.0)
    assert types(relay.said) == types(window.said) == [SyncStep1, SyncStep2]


def test_the_check_waits_for_a_pause_but_not_for_ever() -> None:
    """W-27"""
    relay, window = live()
    talk(relay, window)
    checks = []
    for second in range(1, 620):
        now = float(second)
        window.peer.send_update(NOTHING, now)
        window.peer.heard(now)
        window.peer.tick(now)
        said = [m for frame in window.peer.frames() for m in decode(frame)]
        checks += [now for message in said if isinstance(message, Check)]
    assert checks == [300.0, 600.0]


def test_the_next_tick_is_never_at_once_again() -> None:
    """A shell that waits for it must not spin."""
    relay, window = live()
    now = 0.0
    for _ in range(200):
        now = max(now, min(relay.peer.next_tick_s, window.peer.next_tick_s))
        for end in (relay, window):
            assert end.peer.tick(now) == []
            assert end.peer.next_tick_s > now
        talk(relay, window, now)
        if now > 100.0:
            relay.peer.acknowledge(window.peer.sent, now)
    assert now > 400.0
    assert Check in types(window.said)


def test_digests_do_not_depend_on_the_order_of_clients() -> None:
    """W-11, W-27"""
    one = bytes.fromhex("02 05 01 03 02")
    other = bytes.fromhex("03 03 02 09 00 05 01")
    assert digest(one) == digest(other)
    assert digest(one) != digest(EMPTY_VECTOR)
    assert digest(one).hex() == "2b0cbfd220f42ec07dec729a1ec2e286"


@pytest.mark.parametrize(
    "vector",
    ["", "01", "02 01 01", "01 01 01 00", "02 01 01 01 02", "01 01 80 80 80 80 08"],
)
def test_what_is_no_state_vector_never_reaches_native_code(vector: str) -> None:
    """W-11"""
    relay, _ = live()
    closed = receive(relay, SyncStep1(bytes.fromhex(vector)))[-1]
    assert isinstance(closed, Closed)
    assert closed.code == 4400
    with pytest.raises(ProtocolError):
        read_vector(bytes.fromhex(vector))


def test_a_state_vector_tells_what_another_lacks() -> None:
    some, more = bytes.fromhex("01 05 01"), bytes.fromhex("02 05 01 06 01")
    assert lacks(some, more)
    assert lacks(EMPTY_VECTOR, some)
    assert not lacks(more, some)
    assert not lacks(some, some)


# Large frames.


def test_a_large_step_2_comes_in_parts() -> None:
    """W-10"""
    relay, window = pair()
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    window.news()
    large = bytes(600_000)
    relay.peer.answer(large, 0.0)
    frames = relay.peer.frames()
    assert len(frames) == 3
    assert window.peer.receive(frames[0], 3.0) == []
    assert window.peer.receive(frames[1], 6.0) == []
    assert window.peer.receive(encode(Ping(1)), 6.0) == []
    assert window.peer.receive(frames[2], 9.0) == [Came(large, 1, whole=True)]


def test_parts_are_not_sent_to_who_does_not_know_them() -> None:
    relay, window = pair(relay_conduct(features=frozenset()))
    for end in (relay, window):
        end.peer.open(0.0)
    talk(relay, window)
    window.peer.answer(bytes(600_000), 0.0)
    assert len(window.peer.frames()) == 1


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([Part(1000, b"x")], 4413),
        ([Part(3, b"x"), Part(3, b"x")], 4400),
        ([Part(3, b"x"), Part(2, b"xy")], 4400),
        ([Part(3, b"")], 4400),
        ([Part(0, encode(Part(0, b"x")))], 4400),
        ([Part(0, b"\xff")], 4400),
    ],
    ids=str,
)
def test_bad_parts_end_the_connection(parts: list[Message], code: int) -> None:
    """W-10"""
    relay, _ = live(relay_conduct(frame_bytes=1000))
    closed = receive(relay, *parts)[-1]
    assert isinstance(closed, Closed)
    assert closed.code == code


def test_a_frame_beyond_the_limit_ends_the_connection() -> None:
    """W-1"""
    relay, _ = live(relay_conduct(frame_bytes=1000))
    closed = receive(relay, Update(bytes(1000)))[-1]
    assert closed == Closed(4413, "a frame of 1004 bytes")


def test_what_the_other_end_does_not_take_is_not_sent() -> None:
    """W-1"""
    _, window = live(relay_conduct(frame_bytes=2 << 20))
    with pytest.raises(FrameTooLarge, match="3 MiB are to be sent, 2 MiB are taken"):
        window.peer.send_update(bytes(3 << 20), 0.0)
    assert window.peer.sent == 1
    assert window.peer.frames() == []


# The rest.


def test_presence_that_nobody_could_read_is_dropped() -> None:
    """W-12"""
    relay, window = live()
    good, gone = ClientState(1, 1, '{"a":1}'), ClientState(2, 1, None)
    bad = [
        ClientState(n, 1, text)
        for n, text in enumerate(['{"a":', "[]", "1", '{"a":"' + "x" * 4096 + '"}'], 3)
    ]
    window.peer.send_presence([good, *bad, gone], 0.0)
    window.peer.ask_presence(0.0)
    window.peer.send_presence([], 0.0)
    talk(relay, window)
    assert relay.news() == [PresenceCame((good, gone)), PresenceAsked()]
    assert relay.peer.counts.presence_dropped == 4
    assert types(window.said) == [Awareness, QueryAwareness]
    assert receive(relay, Awareness((bad[0],))) == []


def test_lease_messages_travel_only_while_live() -> None:
    """W-26"""
    relay, window = live()
    window.peer.send_lease({"id": 1}, 0.0)
    talk(relay, window)
    assert relay.news() == [LeaseCame({"id": 1})]
    early, _ = pair()
    with pytest.raises(ValueError, match="live"):
        early.peer.send_lease({}, 0.0)
    receive(early, window_conduct().hello)
    assert receive(early, Lease({})) == [
        Closed(4400, "W-26: a lease message before the connection is live")
    ]


def test_who_is_evicted_knows_when_to_come_back() -> None:
    """W-28"""
    relay, window = live()
    closed = relay.peer.evict(1012, "the relay restarts", 0.0, retry_after_s=2.5)
    assert closed == Closed(1012, "the relay restarts")
    carry(relay, window, 0.0)
    assert window.news() == [Evicted(1012, 2.5, reconnect=True)]
    relay, window = live()
    relay.peer.evict(4403, "kicked", 0.0, retry_after_s=None)
    carry(relay, window, 0.0)
    assert window.news() == [Evicted(4403, 0.0, reconnect=False)]


def test_unknown_messages_are_counted() -> None:
    """W-6"""
    relay, _ = live()
    assert relay.peer.receive(bytes.fromhex("c8 01 01 61") + b"\x63rest", 0.0) == []
    assert relay.peer.counts.unknown == 2


def test_a_denial_of_layer_1_is_passed_on() -> None:
    _, window = live()
    assert receive(window, AuthDenied("no")) == [Denied("no")]


def test_what_came_before_a_fault_in_a_later_frame_counts() -> None:
    relay, _ = live()
    frame = encode(Update(b"\x01\x02"), Lease({}), SyncStep1(b""))
    found = relay.peer.receive(frame, 0.0)
    assert [type(each) for each in found] == [Came, LeaseCame, Closed]


def test_a_peer_reads_only_the_state_vector_of_its_document() -> None:
    document = Document()
    peer = Peer(relay_conduct(), document, now=0.0)
    peer.open(0.0)
    hello, step = [decode(frame)[0] for frame in peer.frames()]
    assert isinstance(hello, Hello)
    assert hello.limits == Limits(128 << 20, 4096)
    assert step == SyncStep1(document.state_vector())
    assert {Evict, Nack, Unknown} & {type(hello), type(step)} == set()
