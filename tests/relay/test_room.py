"""One room as a dialogue: who says what, and what everybody hears then."""

from __future__ import annotations

import json

import pytest
from crdtsync_relay.effects import AskArbiter, Commit, Send, Try
from crdtsync_relay.limits import Limits
from crdtsync_relay.presence import Stamp
from crdtsync_relay.room import State
from pycrdt import Doc, Text

from crdtsync.sync.closing import CloseCode
from crdtsync.sync.leasing import LeaseRequest, request_to_json
from crdtsync.sync.messages import (
    Ack,
    AuthDenied,
    Awareness,
    ClientState,
    Evict,
    Hello,
    Lease,
    Message,
    Nack,
    SyncStep1,
    SyncStep2,
    Update,
)
from crdtsync.turns.arbiter import Granted
from tests.relay.dialogue import Scene, Writer
from tests.sync.people import Window


def live(*peers: int, layer_2: bool = False) -> Scene:
    scene = Scene()
    scene.load()
    for peer in peers:
        scene.join(peer, layer_2=layer_2)
        scene.sync(peer)
        scene.flush()
    scene.commit()
    for peer in peers:
        scene.heard(peer)
    return scene


def of(kind: type[Message], messages: list[Message]) -> list[Message]:
    return [message for message in messages if isinstance(message, kind)]


def text_of(log: list[bytes]) -> str:
    doc: Doc[Text] = Doc()
    text = doc.get("t", type=Text)
    for update in log:
        doc.apply_update(update)
    return str(text)


def test_a_hundred_first_joins_make_one_load_and_a_hundred_peers() -> None:
    scene = Scene()
    for peer in range(1, 101):
        scene.join(peer)
    assert scene.loads == 1
    scene.load()
    assert scene.room.peers == 100
    assert all(of(SyncStep1, scene.heard(peer)) for peer in range(1, 101))


def test_a_load_failure_reaches_every_waiter_and_is_no_empty_room() -> None:
    scene = Scene()
    for peer in (1, 2, 3):
        scene.join(peer)
    scene.room.failed("the file is damaged", now=scene.now)
    scene.work()
    assert {p: c.code for p, c in scene.closed.items()} == dict.fromkeys(
        (1, 2, 3), CloseCode.LOAD_ERROR
    )
    assert scene.room.state is State.DEAD
    with pytest.raises(ValueError, match="ends"):
        scene.join(4)


def test_updates_of_one_batch_are_logged_once_and_sent_once() -> None:
    scene, writer, other = live(1, 2, 3), Writer(7), Writer(8)
    scene.say(1, Update(writer.write("a")))
    scene.say(2, Update(other.write("x")))
    scene.say(1, Update(writer.write("b")))
    scene.flush()
    assert len(scene.uncommitted) == 1
    sent = scene.heard(3)
    assert len(sent) == 1
    reader = Writer(9)
    reader.take(sent)
    assert sorted(str(reader.text)) == ["a", "b", "x"]


def test_a_frame_is_encoded_once_for_all_who_get_it() -> None:
    scene = live(1, 2, 3, 4)
    scene.effects.clear()
    scene.say(1, Update(Writer(7).write("a")))
    scene.flush()
    sends = [effect for effect in scene.effects if isinstance(effect, Send)]
    assert [send.peers for send in sends] == [(2, 3, 4)]


def test_passing_on_does_not_wait_for_the_disk_and_the_ack_does() -> None:
    scene = live(1, 2, layer_2=True)
    scene.say(1, Update(Writer(7).write("a")))
    scene.flush()
    assert of(Update, scene.heard(2))
    assert not of(Ack, scene.heard(1))
    scene.commit()
    assert scene.heard(1) == [Ack(2)]


def test_a_known_update_is_acknowledged_only_with_the_commit_that_holds_it() -> None:
    scene = live(1, 2, layer_2=True)
    update = Writer(7).write("a")
    scene.say(1, Update(update))
    scene.flush()
    scene.say(2, Update(update))
    scene.flush()
    assert not of(Ack, scene.heard(2))
    scene.commit()
    assert of(Ack, scene.heard(2)) == [Ack(2)]


def test_an_update_that_says_nothing_is_acknowledged_at_once() -> None:
    scene = live(1, layer_2=True)
    scene.say(1, Update(b"\0\0"))
    scene.flush()
    assert scene.heard(1) == [Ack(2)]
    assert not scene.uncommitted


def test_an_update_that_comes_too_early_waits_and_is_not_acknowledged() -> None:
    scene, writer = live(1, 2, layer_2=True), Writer(7)
    first, second = writer.write("a"), writer.write("b")
    scene.say(1, Update(second))
    scene.flush()
    scene.commit()
    assert of(Ack, scene.heard(1)) == []
    assert of(Update, scene.heard(2)) == []
    scene.say(2, Update(first))
    scene.flush()
    scene.commit()
    assert of(Ack, scene.heard(1)) == [Ack(2)]
    assert text_of(scene.log) == "ab"


def test_whoever_sends_too_early_is_asked_for_the_rest() -> None:
    scene, writer = live(1), Writer(7)
    writer.write("a")
    scene.say(1, Update(writer.write("b")))
    scene.flush()
    assert of(SyncStep1, scene.heard(1))
    scene.sync(1, writer.doc)
    scene.flush()
    scene.commit()
    assert text_of(scene.log) == "ab"
    assert not scene.room.hall.intake.parked()


def test_a_poisoned_update_is_refused_and_nobody_else_notices() -> None:
    scene = live(1, 2, layer_2=True)
    scene.say(1, Update(bytes.fromhex("0101010004010161")))
    scene.flush()
    (nack,) = of(Nack, scene.heard(1))
    assert isinstance(nack, Nack)
    assert (nack.number, nack.code) == (2, "invalid")
    assert "T1-1" in nack.reason
    assert scene.heard(2) == []
    assert not scene.uncommitted


def test_later_updates_are_acknowledged_behind_a_refused_one() -> None:
    scene = live(1, layer_2=True)
    scene.say(1, Update(b"\1\1\1"), Update(Writer(7).write("a")))
    scene.flush()
    scene.commit()
    assert of(Ack, scene.heard(1))[-1] == Ack(3)


@pytest.mark.parametrize(
    "frame", [b"", b"\0\7\0", b"\0\0\xff\xff\x7f", b"\0\0\1\5", b"\1\1\5", b"\2\1"]
)
def test_a_malformed_frame_closes_its_own_connection_only(frame: bytes) -> None:
    scene = live(1, 2)
    scene.say_bytes(1, frame)
    assert scene.closed[1].code == CloseCode.PROTOCOL_ERROR
    assert 2 not in scene.closed
    scene.say(2, Update(Writer(7).write("a")))
    scene.flush()
    assert len(scene.uncommitted) == 1


def test_a_frame_that_is_too_large_closes_its_connection() -> None:
    scene = Scene(Limits(frame_bytes_max=100))
    scene.load()
    scene.join(1)
    scene.say_bytes(1, bytes(101))
    assert scene.closed[1].code == CloseCode.TOO_LARGE


def test_a_flood_closes_its_connection_and_says_when_to_come_back() -> None:
    scene = live(1, layer_2=True)
    for _ in range(40_001):
        scene.say_bytes(1, b"\3")
        if scene.closed:
            break
    assert scene.closed[1].code == CloseCode.RATE_LIMITED
    (evict,) = of(Evict, scene.heard(1))
    assert isinstance(evict, Evict)
    assert evict.reconnect


def test_a_viewer_gets_everything_and_cannot_write() -> None:
    scene = live(1)
    scene.join(2, writes=False, layer_2=True)
    scene.join(3, writes=False)
    scene.sync(2)
    scene.sync(3)
    scene.heard(2), scene.heard(3)
    intruder = Writer(8).write("no")
    scene.say(2, Update(intruder))
    scene.say(3, Update(intruder))
    (nack,) = of(Nack, scene.heard(2))
    assert isinstance(nack, Nack)
    assert nack.code == "read-only"
    assert of(AuthDenied, scene.heard(3))
    assert not scene.room.has_work
    scene.say(1, Update(Writer(7).write("yes")))
    scene.flush()
    assert of(Update, scene.heard(2))
    assert of(Update, scene.heard(3))


def test_a_late_joiner_gets_the_document_and_everybodys_presence() -> None:
    scene = live(1)
    scene.say(1, Update(Writer(7).write("hello")))
    scene.say(1, Awareness((ClientState(7, 1, '{"name":"ada"}'),)))
    scene.flush()
    scene.join(2)
    assert Awareness((ClientState(7, 1, '{"name":"ada"}'),)) in scene.heard(2)
    scene.say(2, SyncStep1(b"\0"))
    reader = Writer(9)
    reader.take(scene.heard(2))
    assert str(reader.text) == "hello"


def test_presence_is_stamped_and_nobody_speaks_for_another_client() -> None:
    scene = Scene()
    scene.load()
    for peer, name in ((1, "ada"), (2, "eve")):
        scene.join(peer, stamp=Stamp(name, "editor"))
        scene.sync(peer)
        scene.heard(1), scene.heard(2)
    scene.say(1, Awareness((ClientState(7, 1, '{"participant":"eve"}'),)))
    (said,) = of(Awareness, scene.heard(2))
    assert isinstance(said, Awareness)
    assert json.loads(said.states[0].state or "") == {
        "participant": "ada",
        "role": "editor",
    }
    scene.say(2, Awareness((ClientState(7, 2, '{"name":"fake"}'),)))
    scene.say(2, Awareness((ClientState(7, 2, None),)))
    assert of(Awareness, scene.heard(1)) == []


def test_presence_ends_with_its_connection_and_echoes_do_not_revive_it() -> None:
    scene = live(1, 2, 3)
    scene.say(1, Awareness((ClientState(7, 5, "{}"),)))
    scene.room.leave(1, now=scene.now)
    scene.work()
    assert of(Awareness, scene.heard(2))[-1] == Awareness((ClientState(7, 5, None),))
    scene.heard(3)
    scene.say(2, Awareness((ClientState(7, 5, "{}"),)))
    assert scene.heard(3) == []


def test_presence_beyond_ten_a_second_is_held_back_and_the_latest_passed_on() -> None:
    scene = live(1, 2)
    for clock in range(1, 6):
        scene.say(1, Awareness((ClientState(7, clock, f'{{"n":{clock}}}'),)))
    assert of(Awareness, scene.heard(2)) == [Awareness((ClientState(7, 1, '{"n":1}'),))]
    scene.now += 0.11
    scene.room.release_presence(now=scene.now)
    scene.work()
    assert of(Awareness, scene.heard(2)) == [Awareness((ClientState(7, 5, '{"n":5}'),))]


def test_presence_that_was_held_back_ends_with_its_connection() -> None:
    scene = live(1, 2)
    for clock in (1, 2):
        scene.say(1, Awareness((ClientState(7, clock, "{}"),)))
    scene.room.leave(1, now=scene.now)
    scene.now += 0.11
    scene.room.release_presence(now=scene.now)
    scene.work()
    ended = Awareness((ClientState(7, 2, None),))
    assert of(Awareness, scene.heard(2))[-1] == ended


def test_a_lease_question_waits_until_the_claim_is_on_disk() -> None:
    scene = live(1, layer_2=True)
    request = LeaseRequest(1, "begin", "ada_0123456789ab", 1, 3, "turn")
    scene.effects.clear()
    scene.say(1, Update(Writer(7).write("claim")), Lease(request_to_json(request)))
    scene.flush()
    assert not [e for e in scene.effects if isinstance(e, AskArbiter)]
    scene.commit()
    assert scene.effects[-1] == AskArbiter(1, request)


def test_lease_questions_of_a_connection_that_is_gone_are_dropped() -> None:
    scene = live(1, layer_2=True)
    request = LeaseRequest(1, "acquire", "ada_0123456789ab", 1, 0)
    scene.effects.clear()
    scene.say(1, Update(Writer(7).write("x")), Lease(request_to_json(request)))
    scene.flush()
    scene.room.leave(1, now=scene.now)
    scene.commit()
    assert not [e for e in scene.effects if isinstance(e, AskArbiter)]


def test_a_grant_comes_behind_the_updates_that_were_there_before_it() -> None:
    scene = live(1, 2, layer_2=True)
    request = LeaseRequest(1, "acquire", "bob_0123456789ab", 1, 0)
    scene.say(1, Update(Writer(7).write("last words")))
    scene.flush()
    scene.room.arbitrated(2, request, Granted("arb", 1, 15.0, None), now=scene.now)
    scene.work()
    assert [type(message) for message in scene.heard(2)] == [Update, Lease]


def test_when_a_lease_has_run_out_everybody_is_told_once() -> None:
    scene = live(1, 2, layer_2=True)
    began, now = scene.now, scene.now
    acquire = LeaseRequest(1, "acquire", "ada_0123456789ab", 1, 0)
    renew = LeaseRequest(2, "renew", "ada_0123456789ab", 1, 1)
    scene.room.arbitrated(1, acquire, Granted("arb", 1, 15.0, None), now=began)
    scene.room.arbitrated(1, renew, True, now=began + 4)
    scene.work()
    scene.inboxes.clear()
    told: list[float] = []
    while now < began + 40:
        now += 1.0
        scene.room.is_alive(2, now=now)
        scene.room.tick(now=now)
        scene.work()
        if Lease({"id": 0, "answer": "freed"}) in scene.heard(2):
            told.append(now - began)
    assert told == [19.0]


def test_when_a_lease_is_free_the_others_are_told() -> None:
    scene = live(1, 2, layer_2=True)
    request = LeaseRequest(4, "release", "ada_0123456789ab", 1, 1)
    scene.room.arbitrated(1, request, True, now=scene.now)
    scene.work()
    assert scene.heard(1) == [Lease({"id": 4, "answer": "ok"})]
    assert scene.heard(2) == [Lease({"id": 0, "answer": "freed"})]


def test_nobody_asks_for_a_lease_under_another_name() -> None:
    scene = Scene()
    scene.load()
    scene.join(1, layer_2=True, stamp=Stamp("ada", "editor"))
    scene.sync(1)
    scene.flush()
    request = LeaseRequest(1, "acquire", "eve_0123456789ab", 1, 0)
    scene.say(1, Lease(request_to_json(request)))
    assert scene.closed[1].code == CloseCode.FORBIDDEN


def test_a_large_update_is_tried_elsewhere_and_what_follows_it_waits() -> None:
    scene, writer = live(1, 2, layer_2=True), Writer(7)
    large, small = writer.write("x" * 300_000), writer.write("y")
    scene.say(1, Update(large), Update(small))
    scene.flush()
    assert not scene.uncommitted
    assert isinstance(scene.effects[-1], Try)
    scene.room.tried(1, large, None, now=scene.now)
    scene.work()
    scene.flush()
    scene.commit()
    assert text_of(scene.log) == "x" * 300_000 + "y"
    reader = Writer(9)
    reader.take(scene.heard(2))
    assert len(reader.text) == 300_001


def test_while_a_large_batch_is_applied_elsewhere_its_room_waits() -> None:
    scene, writer, other = live(1, 2, layer_2=True), Writer(7), Writer(8)
    large = writer.write("x" * 300_000)
    scene.say(1, Update(large))
    scene.room.tried(1, large, None, now=scene.now)
    scene.room.flush(now=scene.now)
    scene.work()
    assert scene.digests
    assert scene.room.is_congested
    assert not scene.room.is_settled
    scene.say(2, Update(other.write("y")))
    scene.join(3)
    scene.say(3, SyncStep1(b"\0"))
    assert not scene.room.has_work
    assert not of(SyncStep2, scene.heard(3))
    scene.digest()
    assert not scene.room.is_congested
    assert of(SyncStep2, scene.heard(3))
    scene.flush()
    scene.commit()
    assert len(text_of(scene.log)) == 300_001


def test_a_peer_that_leaves_while_its_batch_is_applied_leaves_its_work() -> None:
    scene, writer = live(1, layer_2=True), Writer(7)
    large = writer.write("x" * 300_000)
    scene.say(1, Update(large))
    scene.room.tried(1, large, None, now=scene.now)
    scene.room.flush(now=scene.now)
    scene.work()
    scene.room.leave(1, now=scene.now)
    assert not scene.room.is_idle
    scene.flush()
    scene.commit()
    assert len(text_of(scene.log)) == 300_000


def test_everybody_is_sent_away_when_the_relay_drains_spread_over_time() -> None:
    scene = live(1, 2, 3, layer_2=True)
    scene.room.evict(CloseCode.RESTART, "the relay stops", spread_s=9.0, now=scene.now)
    scene.work()
    waits = []
    for peer in (1, 2, 3):
        (evict,) = of(Evict, scene.heard(peer))
        assert isinstance(evict, Evict)
        assert (evict.code, evict.reconnect) == (1012, True)
        waits.append(evict.retry_after_ms)
        assert scene.closed[peer].code == CloseCode.RESTART
    assert waits == [3000, 6000, 9000]


def test_what_was_received_before_a_connection_broke_is_still_applied() -> None:
    scene = live(1)
    scene.say(1, Update(Writer(7).write("a")))
    scene.room.leave(1, now=scene.now)
    assert not scene.room.is_idle
    scene.flush()
    scene.commit()
    assert scene.room.is_idle
    assert text_of(scene.log) == "a"


def test_a_guest_that_is_silent_for_two_beats_is_taken_for_dead() -> None:
    scene = live(1, layer_2=True)
    scene.now += 10.1
    scene.room.tick(now=scene.now)
    scene.work()
    assert scene.closed[1].code == CloseCode.SILENT


def test_a_guest_hears_first_who_the_relay_is_and_what_it_takes() -> None:
    scene = Scene()
    scene.load()
    scene.join(1, layer_2=True, stamp=Stamp("ada", "viewer"), writes=False)
    hello = scene.heard(1)[0]
    assert isinstance(hello, Hello)
    assert (hello.end, hello.role, hello.participant) == ("relay", "viewer", "ada")
    assert hello.limits.frame_bytes == 128 * 1024 * 1024


def test_a_room_takes_no_more_peers_than_its_limit() -> None:
    scene = Scene(Limits(peers_per_room_max=2))
    scene.load()
    for peer in (1, 2, 3):
        scene.join(peer)
    assert scene.closed[3].code == CloseCode.RATE_LIMITED
    assert scene.room.peers == 2


def test_commits_are_numbered_in_order() -> None:
    scene, writer = live(1), Writer(7)
    for letter in "abc":
        scene.say(1, Update(writer.write(letter)))
        scene.flush()
    numbers = [e.number for e in scene.effects if isinstance(e, Commit)]
    assert numbers == sorted(set(numbers))
    assert text_of([commit.update for commit in scene.uncommitted]) == "abc"


def test_a_step_two_of_all_that_is_known_costs_no_row() -> None:
    scene, writer = live(1, 2), Writer(7)
    scene.say(1, Update(writer.write("a")))
    scene.flush()
    scene.commit()
    scene.say(2, SyncStep2(writer.doc.get_update()))
    scene.flush()
    assert not scene.uncommitted


def session_of(*guests: tuple[int, Stamp]) -> Scene:
    """A session's room in which everybody has told what they have."""
    scene = Scene(session=True)
    scene.load()
    for peer, stamp in guests:
        scene.join(peer, layer_2=True, stamp=stamp, writes=stamp.role != "viewer")
        scene.sync(peer)
        scene.flush()
        scene.commit()
    for peer, _ in guests:
        scene.heard(peer)
    return scene


ADA = Stamp("ada-00000001", "owner", approves=True)
EVE = Stamp("eve-00000002", "editor")


def denied(scene: Scene, peer: int) -> str:
    """Why the last update of a peer was refused."""
    scene.flush()
    scene.commit()
    (nack,) = of(Nack, scene.heard(peer))
    assert isinstance(nack, Nack)
    assert nack.code == "denied"
    return nack.reason


def test_a_vote_without_the_right_to_approve_is_denied_and_stays_unapplied() -> None:
    scene, runner = session_of((1, ADA), (2, EVE)), Window()
    scene.say(1, Update(runner.ask()))
    scene.flush()
    eve = Window(runner.doc)
    scene.say(2, Update(eve.vote(EVE.participant)))
    assert "T4-1" in denied(scene, 2)
    ada = Window(runner.doc)
    scene.say(1, Update(ada.vote(ADA.participant)))
    scene.flush()
    assert of(Update, scene.heard(2))


def test_nobody_writes_as_somebody_who_is_here_and_work_of_the_absent_comes_in() -> (
    None
):
    scene = session_of((1, ADA), (2, EVE))
    forged = Window().say(ADA.participant)
    scene.say(2, Update(forged))
    assert "T4-2" in denied(scene, 2)
    scene.room.leave(1, now=scene.now)
    scene.say(2, Update(forged))
    scene.flush()
    assert scene.uncommitted


def test_an_emptied_relay_is_filled_by_whoever_comes_first() -> None:
    ada, eve = Window(), Window()
    ada.say(ADA.participant)
    eve.say(EVE.participant)
    for window, other in ((ada, eve), (eve, ada)):
        window.doc.apply_update(other.all())
    scene = Scene(session=True)
    scene.load()
    for peer, stamp in ((1, ADA), (2, EVE)):
        scene.join(peer, layer_2=True, stamp=stamp)
        scene.say(peer, SyncStep1(b"\0"))
    # Each tells everything, of the other as well, before the relay has any of it.
    scene.say(1, SyncStep2(ada.all()))
    scene.say(2, SyncStep2(eve.all()))
    scene.flush()
    scene.commit()
    assert not of(Nack, scene.heard(1) + scene.heard(2))
    assert Window(loaded(scene.log)).messages.to_py()


def loaded(log: list[bytes]) -> Doc[Text]:
    doc: Doc[Text] = Doc()
    for update in log:
        doc.apply_update(update)
    return doc


def test_a_viewer_writes_notes_where_that_is_allowed_and_deletes_nothing() -> None:
    viewer = Stamp("vic-00000003", "viewer", notes=True)
    scene, ada = session_of((1, ADA), (2, viewer)), Window()
    scene.say(1, Update(ada.say(ADA.participant)))
    scene.flush()
    scene.commit()
    vic = Window(ada.doc)
    del vic.messages[0]
    scene.say(2, Update(vic.say(viewer.participant, "note")))
    scene.say(2, Update(vic.updates[0]))
    scene.flush()
    scene.commit()
    kept = Window(loaded(scene.log)).messages.to_py()
    assert [header["role"] for header in kept] == ["user", "note"]
    scene.heard(2)
    scene.say(2, Update(vic.say(viewer.participant, "user")))
    assert "T4-3" in denied(scene, 2)
