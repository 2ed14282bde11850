"""Who may write what in whose name, on documents as windows write them."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Array, Doc, Map

from crdtsync import schema
from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import (
    Admitted,
    Authority,
    DocIndex,
    judge,
    without_deletions,
)
from crdtsync.sync.untyped import UntypedDocument
from tests.sync.people import Window

ADA, EVE = "ada-00000001", "eve-00000002"


class Guard:
    """A document at a relay; `take` returns the rule that refuses an update."""

    def __init__(self, *known: bytes) -> None:
        self.document = UntypedDocument(schema.ROOTS, session=True)
        self.document.apply(known)

    def take(
        self,
        update: bytes,
        participant: str = EVE,
        *present: str,
        approves: bool = False,
        notes_only: bool = False,
    ) -> str:
        authority = Authority(participant, approves, notes_only, present)
        (verdict,) = self.document.apply(
            [update], lambda _, update, fits: judge(update, fits, authority)
        ).verdicts
        if isinstance(verdict, UpdateRefused):
            return verdict.rule
        assert isinstance(verdict, Admitted)
        return ""


def asked() -> tuple[Guard, Window]:
    """An open question, at a relay and in a window."""
    runner = Window()
    runner.ask()
    return Guard(runner.all()), Window(runner.doc)


def test_a_vote_needs_the_right_to_approve() -> None:
    guard, eve = asked()
    assert guard.take(eve.vote(EVE)) == "T4-1"
    guard, eve = asked()
    assert guard.take(eve.vote(EVE), approves=True) == ""


def test_nobody_votes_for_another() -> None:
    guard, eve = asked()
    assert guard.take(eve.vote(ADA), approves=True) == "T4-1"
    guard, eve = asked()
    assert guard.take(eve.vote(ADA), ADA, approves=True) == ""


def test_the_owner_of_the_relay_may_say_who_it_is() -> None:
    guard, owner = asked()
    assert guard.take(owner.vote(ADA), "", approves=True) == ""


def test_a_vote_hidden_in_a_new_place_for_votes_is_one() -> None:
    guard, eve = asked()
    eve.approvals["q1"]["votes"] = Map({ADA: "allow"})
    assert guard.take(eve.updates[-1]) == "T4-1"


@pytest.mark.parametrize("knows", [True, False])
def test_a_vote_in_a_question_put_in_place_of_another_is_one(knows: bool) -> None:
    guard, informed = asked()
    eve = informed if knows else Window()
    eve.approvals["q1"] = Map({"title": "rm", "votes": Map({ADA: "allow"})})
    assert guard.take(eve.updates[-1]) == "T4-1"


def test_votes_that_come_with_their_question_or_its_decision_are_history() -> None:
    runner = Window()
    runner.ask()
    runner.vote(ADA)
    assert Guard().take(runner.all()) == ""
    guard, runner = asked()
    before = runner.doc.get_state()
    runner.vote(ADA)
    runner.decide()
    assert guard.take(runner.doc.get_update(before)) == ""


def test_after_the_decision_anybody_brings_votes() -> None:
    guard, runner = asked()
    vote = Window(runner.doc).vote(ADA)
    assert guard.take(vote) == "T4-1"
    assert guard.take(runner.decide()) == ""
    assert guard.take(vote) == ""


def test_a_vote_that_is_known_is_nobodys_claim() -> None:
    guard, ada = asked()
    assert guard.take(ada.vote(ADA), ADA, approves=True) == ""
    assert guard.take(ada.all(), EVE) == ""


def test_a_decision_elsewhere_opens_no_door() -> None:
    guard, eve = asked()
    eve.doc.get(schema.TURNS, type=Map)["q1"] = Map({"decision": "allow"})
    assert guard.take(eve.updates[-1]) == ""
    eve.approvals["q2"] = Map({"decision": "allow", "votes": Map()})
    assert guard.take(eve.updates[-1]) == ""
    assert guard.take(eve.vote(ADA)) == "T4-1"


def test_nobody_writes_a_message_in_the_name_of_somebody_who_is_here() -> None:
    guard, eve = Guard(), Window()
    assert guard.take(eve.say(ADA), EVE, ADA) == "T4-2"
    assert Guard().take(Window().say(EVE), EVE, ADA) == ""
    assert Guard().take(Window().say("claude-00000003", "agent"), EVE, ADA) == ""


def test_of_a_name_given_twice_the_one_that_readers_take_counts() -> None:
    for names in ((EVE, ADA), (ADA, EVE)):
        eve = Window()
        eve.messages.append(dict(zip(("author", "zuthor"), names, strict=True)))
        forged = eve.updates[-1].replace(b"zuthor", b"author")
        read = Window()
        read.doc.apply_update(forged)
        takes = read.messages[0]["author"]
        assert Guard().take(forged, EVE, ADA) == ("T4-2" if takes == ADA else "")


def test_work_of_somebody_who_is_away_is_brought_by_others() -> None:
    ada = Window()
    ada.introduce(ADA)
    ada.say(ADA)
    assert Guard().take(ada.all(), EVE) == ""


def test_what_the_relay_knows_is_refilled_by_anybody() -> None:
    ada = Window()
    first = ada.say(ADA)
    guard, eve = Guard(first), Window(ada.doc)
    eve.say(EVE)
    assert guard.take(eve.all(), EVE, ADA) == ""


def test_of_a_run_of_messages_only_the_new_ones_are_claims() -> None:
    ada = Window()
    with ada.doc.transaction():
        ada.messages.extend([{"author": ADA}, {"author": EVE}])
    known = Window()
    # The relay has the first of the two values of one run.
    known.doc.apply_update(ada.all())
    guard = Guard(_first_value(ada))
    assert guard.take(ada.all(), EVE, ADA) == ""
    assert Guard().take(ada.all(), EVE, ADA) == "T4-2"


def _first_value(window: Window) -> bytes:
    """The update that holds the first of the two values of a window's only run."""
    other: Doc[Any] = Doc(client_id=window.doc.client_id)
    other.get(schema.MESSAGES, type=Array[Any]).append({"author": ADA})
    return other.get_update()


def test_nobody_changes_the_record_of_somebody_who_is_here() -> None:
    ada = Window()
    guard = Guard(ada.introduce(ADA))
    assert guard.take(Window(ada.doc).introduce(ADA), EVE, ADA) == "T4-2"
    assert guard.take(Window(ada.doc).introduce(EVE), EVE, ADA) == ""


def test_a_viewer_with_notes_writes_own_notes_and_nothing_else() -> None:
    def take(update: bytes) -> str:
        return Guard().take(update, EVE, notes_only=True)

    assert take(Window().say(EVE, "note")) == ""
    assert take(Window().introduce(EVE)) == ""
    assert take(Window().say(EVE, "user")) == "T4-3"
    assert take(Window().say(ADA, "note")) == "T4-3"
    assert take(Window().introduce(ADA)) == "T4-3"
    assert take(Window().ask()) == "T4-3"
    eve = Window()
    eve.messages.append(Map({"author": EVE, "role": "note"}))
    assert take(eve.updates[-1]) == "T4-3"
    eve.messages.append("no header")
    assert take(eve.all()) == "T4-3"


def test_a_viewers_deletions_are_left_out_and_the_rest_stays() -> None:
    ada = Window()
    ada.say(ADA)
    eve = Window(ada.doc)
    del eve.messages[0]
    eve.say(EVE, "note")
    left = without_deletions(eve.all())
    relay = Window(ada.doc)
    relay.doc.apply_update(left)
    assert [m["author"] for m in relay.messages.to_py()] == [ADA, EVE]
    assert without_deletions(b"\1\1") == b"\1\1"


def test_documents_that_are_no_sessions_have_no_rules_of_names() -> None:
    index = DocIndex({}, session=False)
    fits = index.check(index.scan(Window().say(ADA)))
    assert isinstance(fits, Admitted)
    assert fits.growth.claims is None
