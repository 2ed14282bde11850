"""A document that nobody uses any more is freed: relays open and leave thousands."""

from __future__ import annotations

import gc
import weakref

from crdtsync.document import BULK_BYTES, Document
from crdtsync.entities import Message
from crdtsync.view import SessionView
from crdtsync.view.fold import Folder
from tests.export.sample import rich_document


def test_a_document_that_nobody_has_is_freed() -> None:
    document = Document.load([rich_document().state()])
    view = SessionView(document)
    folder = Folder(document, view)
    with document.edit() as edit:
        edit.add_message(Message("m-10", "note", "p-ana", "", "by the way"))
    assert folder.fold(edit.change)
    gone = weakref.ref(document)
    del document, view, folder, edit
    gc.collect()
    assert gone() is None


def test_one_that_took_much_at_once_is_freed_as_well() -> None:
    other = rich_document()
    with other.edit() as edit:
        edit.add_message(Message("m-10", "note", "p-ana", "", "x" * BULK_BYTES))
    document = Document.load([rich_document().state()])
    assert document.apply([other.state()]).bulk
    with document.edit() as edit:
        edit.set_meta({"title": "another one"})
    assert edit.change.parts
    gone = weakref.ref(document)
    del document, edit
    gc.collect()
    assert gone() is None
