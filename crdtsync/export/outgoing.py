"""Turns a session into the bytes of a file; reads and writes no file."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, assert_never

from crdtsync import schema
from crdtsync.document import Document
from crdtsync.export.content import derived_id, object_of, read_content, write_content
from crdtsync.export.files import encode_json, encode_jsonl
from crdtsync.export.markdown import write_markdown
from crdtsync.export.page import write_page
from crdtsync.export.redaction import Redaction, redact_content
from crdtsync.export.transcript import blocks, summary
from crdtsync.schema import as_text
from crdtsync.view import SessionView

__all__ = ["FORMATS", "Format", "export_session"]

Format: TypeAlias = Literal["md", "json", "jsonl", "html", "ydoc"]

FORMATS: Final[tuple[Format, ...]] = ("md", "json", "jsonl", "html", "ydoc")
"""Every form; the name is also the usual ending of the file's name."""


def export_session(
    view: SessionView,
    document: Document,
    format: Format,  # noqa: A002 - the word of the command line
    *,
    redact: Redaction | None = None,
) -> bytes:
    """Write a session in one of the forms; text is UTF-8.

    Args:
        view: The view of the document.
        document: The session's document.
        format: See `FORMATS`.
        redact: Take out secrets. The session is then rebuilt from what is left, so
            that no deleted text and no former update is in the file; a ydoc file gets
            an id of its own, as it no longer is the same document.
    """
    if redact is not None:
        content = redact_content(read_content(document), redact)
        session_id = as_text(object_of(content.get(schema.META)).get("id"))
        if format == "ydoc" or session_id != view.meta.id:
            session_id = derived_id(content)
        document = write_content(content, session_id)
        view = SessionView(document)
    match format:
        case "md":
            return write_markdown(summary(view), blocks(view)).encode()
        case "html":
            return write_page(summary(view), blocks(view)).encode()
        case "json":
            return encode_json(read_content(document))
        case "jsonl":
            return encode_jsonl(read_content(document))
        case "ydoc":
            return document.state()
        case _:
            assert_never(format)
