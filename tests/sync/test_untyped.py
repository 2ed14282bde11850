"""What a document that nobody reads says of the updates of others."""

from __future__ import annotations

from collections.abc import Sequence

from pycrdt import Doc, Text

from crdtsync.sync.admission import Admitted, Pending
from crdtsync.sync.untyped import UntypedDocument


class Author:
    """A replica that keeps what each of its edits came to."""

    def __init__(self) -> None:
        self.doc: Doc[Text] = Doc()
        self.text = self.doc.get("text", type=Text)
        self.updates: list[bytes] = []
        self.doc.observe(lambda event: self.updates.append(event.update))

    def write(self, word: str) -> bytes:
        self.text += word
        return self.updates[-1]

    def delete_all(self) -> bytes:
        self.text.clear()
        return self.updates[-1]


def text_of(updates: Sequence[bytes]) -> str:
    doc: Doc[Text] = Doc()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get("text", type=Text))


def document() -> UntypedDocument:
    return UntypedDocument({"text": "text"}, session=False)


def test_an_update_of_which_all_is_new_is_passed_on_as_it_came() -> None:
    relay, ana = document(), Author()
    for word in ("one ", "two"):
        update = ana.write(word)
        assert relay.apply([update]).update == update
    assert text_of([relay.state()]) == "one two"


def test_of_an_update_that_is_known_in_part_only_the_rest_is_passed_on() -> None:
    relay, ana = document(), Author()
    first = ana.write("a" * 1000)
    relay.apply([first])
    ana.write("b")
    told = relay.apply([ana.doc.get_update()]).update
    assert len(told) < 100
    assert text_of([first, told]) == "a" * 1000 + "b"


def test_a_deletion_is_passed_on_once() -> None:
    relay, ana = document(), Author()
    first = ana.write("gone")
    relay.apply([first])
    deletion = ana.delete_all()
    told = relay.apply([deletion]).update
    assert text_of([first, told]) == ""
    assert relay.apply([deletion]).update == b""


def test_nothing_is_passed_on_of_what_is_known() -> None:
    relay, ana = document(), Author()
    update = ana.write("known")
    relay.apply([update])
    outcome = relay.apply([update])
    assert outcome.update == b""
    assert [type(verdict) for verdict in outcome.verdicts] == [Admitted]


def test_several_updates_are_passed_on_as_one() -> None:
    relay, ana, ben = document(), Author(), Author()
    updates = [ana.write("a"), ben.write("b"), ana.write("c")]
    told = relay.apply(updates).update
    assert text_of([told]) == text_of(updates)


def test_an_update_that_comes_too_early_changes_nothing() -> None:
    relay, ana = document(), Author()
    ana.write("first")
    outcome = relay.apply([ana.write("second")])
    assert outcome.update == b""
    assert [type(verdict) for verdict in outcome.verdicts] == [Pending]
