"""Turns the bytes of an exported file into a new document; reads and writes no file.

The form is recognised by what is in the file, never by its name. Nothing of the file is
trusted: an update goes through admission before it is applied (X-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.errors import (
    DataError,
    LogDamaged,
    NewerFormat,
    NotASession,
    UpdateRefused,
)
from crdtsync.export.content import read_content, write_content
from crdtsync.export.files import decode_json, decode_jsonl, is_jsonl
from crdtsync.export.markers import HTML_MARK, MARKDOWN_MARK
from crdtsync.sync.admission import DocIndex
from crdtsync.turns.queue import pending
from crdtsync.view import SessionView

__all__ = ["IMPORT_BYTES_MAX", "Imported", "import_session"]

IMPORT_BYTES_MAX: Final = 512 * 1024 * 1024
"""Larger files are refused: reading one takes some ten times its size in memory."""

_HEAD_BYTES: Final = 1024

_HINT: Final = "Import what `crdtsync export --format json`, jsonl or ydoc wrote."
_DAMAGED_HINT: Final = "Copy the file again, or export the session again."

_FOREIGN: Final = {
    b"SQLite format 3\0": (
        "this is a database",
        "A session's own .db file belongs into the folder `sessions` of a data folder; "
        "`crdtsync merge` takes such a folder.",
    ),
    b"\x1f\x8b": ("this is a compressed file", "Unpack it first."),
    b"PK\x03\x04": ("this is a zip archive", "Unpack it first."),
    b"%PDF": ("this is a PDF", _HINT),
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A document made from a file.

    Attributes:
        format: The form that was recognised.
        session_id: The session's id: the file's own for a ydoc file, which holds the
            very document, and the `copy_id` for the others, which hold a copy.
        source_id: The id of the session that was exported.
        title: The session's title; "" without one.
        messages: Number of messages.
        held: Prompts that now wait for a person's release (Q4).
        update: The whole document as one Yjs update.
    """

    format: Literal["json", "jsonl", "ydoc"]
    session_id: str
    source_id: str
    title: str
    messages: int
    held: tuple[str, ...]
    update: bytes


def import_session(data: bytes, *, copy_id: str, as_copy: bool = False) -> Imported:
    """Read an exported file of any form but md and html.

    Nothing pending comes out of it: prompts that waited are held until a person
    releases them. It blocks: some 10 MB take a second.

    Args:
        data: The whole file.
        copy_id: The id to give to a document that is no longer the exported one.
        as_copy: Make such a copy of a ydoc file too, without its former updates.

    Raises:
        NotASession: The file is something else, or an export for people.
        NewerFormat: A later version of the program wrote it.
        DataError: It is damaged, cut short or too large.
    """
    if len(data) > IMPORT_BYTES_MAX:
        raise DataError(
            f"the file has {len(data):,} bytes; {IMPORT_BYTES_MAX:,} can be imported"
        )
    data = data.removeprefix(b"\xef\xbb\xbf")
    found = _recognise(data)
    if found == "ydoc":
        document = _load(data)
        source_id = SessionView(document).meta.id
        if as_copy:
            document = write_content(read_content(document), copy_id)
    else:
        content = decode_json(data) if found == "json" else decode_jsonl(data)
        document = write_content(content, copy_id)
        meta = content[schema.META]
        source_id = str(meta.get("id", "")) if isinstance(meta, dict) else ""
        _check_schema(document)
    held = _hold(document)
    view = SessionView(document)
    return Imported(
        format=found,
        session_id=view.meta.id,
        source_id=source_id,
        title=view.meta.title,
        messages=view.message_count,
        held=held,
        update=document.state(),
    )


def _recognise(data: bytes) -> Literal["json", "jsonl", "ydoc"]:
    head = data[:_HEAD_BYTES].lstrip()
    if not head:
        raise NotASession("the file is empty", hint=_HINT)
    if MARKDOWN_MARK.encode() in head or HTML_MARK.encode() in head:
        raise NotASession(
            "this export is for people; a session cannot be made from it",
            hint="Export the session again with --format json, jsonl or ydoc.",
        )
    # An update of a whole document has a zero near its start, which no JSON has.
    if b"\0" in head or not head.startswith(b"{"):
        return "ydoc"
    return "jsonl" if is_jsonl(head) else "json"


def _load(data: bytes) -> Document:
    """Load the document that a ydoc file is, after admission."""
    try:
        DocIndex.from_update(data, schema.ROOTS)
        document = Document.load([data])
    except (UpdateRefused, LogDamaged) as error:
        raise _unreadable(data, error) from error
    if not SessionView(document).meta.id:
        raise NotASession("this is a Yjs document, but no session", hint=_HINT)
    _check_schema(document)
    return document


def _unreadable(data: bytes, error: UpdateRefused | LogDamaged) -> DataError:
    for magic, (what, hint) in _FOREIGN.items():
        if data.startswith(magic):
            return NotASession(f"{what}, not an exported session", hint=hint)
    # The root's name stands in every whole session, behind its length.
    if b"\x04meta" in data:
        return DataError(
            f"the file is damaged or cut short: {error}", hint=_DAMAGED_HINT
        )
    return NotASession("this is not an exported session", hint=_HINT)


def _check_schema(document: Document) -> None:
    if document.read_only:
        raise NewerFormat(
            f"the session has schema {document.schema_version}; "
            f"this program reads up to {schema.SCHEMA}",
            hint="Update crdtsync and import the file again.",
        )


def _hold(document: Document) -> tuple[str, ...]:
    """Hold every prompt that would run (Q4), also one that somebody had released.

    A release was given for the session that was exported, not for this one.
    """
    view = SessionView(document)
    found = pending(view.queue.values(), view.turns.values())
    if found:
        with document.edit() as edit:
            for prompt in found:
                edit.set_queue(prompt, {"held": True})
                if view.queue[prompt].released_by is not None:
                    edit.set_queue(prompt, {"released_by": None})
    return found
