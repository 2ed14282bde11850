"""A change of half a megabyte is told as one reset; small ones before and after not."""

from __future__ import annotations

from crdtsync.document import BULK_BYTES, Document
from crdtsync.entities import Message
from crdtsync.events import MessageAdded, Reset
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder


def said(document: Document, key: str, text: str) -> bytes:
    with document.edit() as edit:
        edit.add_message(Message(key, "user", "ana", "", text))
    return edit.change.update


def test_a_bulk_of_changes_is_one_reset_and_the_view_is_right() -> None:
    there, here = Document(), Document()
    view = SessionView(here)
    folder = Folder(here, view)
    assert len(view.messages) == 0
    first = said(there, "m0", "small")
    [told] = folder.fold(here.apply([first]))
    assert isinstance(told.body, MessageAdded)
    many = [said(there, f"m{n}", "x" * 20_000) for n in range(1, 30)]
    assert sum(map(len, many)) > BULK_BYTES
    change = here.apply(many)
    assert change.bulk
    [told] = folder.fold(change)
    assert told.body == Reset("merged", 30)
    assert view == SessionView(Document.load([here.state()]))
    assert Document.load([first, change.update]).state_vector() == here.state_vector()
    [told] = folder.fold(here.apply([said(there, "last", "small again")]))
    assert isinstance(told.body, MessageAdded)
    assert view.message_count == len(view.messages) == 31


def test_a_bulk_that_is_known_already_changes_nothing() -> None:
    there, here = Document(), Document()
    many = [said(there, f"m{n}", "x" * 20_000) for n in range(30)]
    here.apply(many)
    again = here.apply(many)
    assert (again.update, again.parts, again.bulk) == (b"", [], False)
