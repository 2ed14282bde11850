"""An exported session, imported, is the same session; and nothing of it runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings

from crdtsync.document import Document
from crdtsync.entities import Message
from crdtsync.errors import DataError, NewerFormat, NotASession
from crdtsync.export import Format, Imported, export_session, import_session
from crdtsync.export.content import read_content
from crdtsync.schema import JsonValue
from crdtsync.view import SessionView
from tests.export.sample import SESSION, documents, rich_document, rich_view

COPY = "01936f00-0000-7000-8000-00000000c0b1"
FAITHFUL: list[Format] = ["json", "jsonl", "ydoc"]


def come_back(document: Document, form: Format, copy: str) -> SessionView:
    data = export_session(SessionView(document), document, form)
    found = import_session(data, copy_id=copy)
    assert found.format == form
    return SessionView(Document.load([found.update]))


def without_queue(document: Document) -> dict[str, JsonValue]:
    return {**read_content(document), "queue": None}


@pytest.mark.parametrize("form", FAITHFUL)
@given(document=documents())
@settings(max_examples=40, deadline=None)
def test_an_import_gives_an_equal_session(form: Format, document: Document) -> None:
    back = come_back(document, form, "s-1")
    with document.edit() as edit:
        for waiting in SessionView(document).pending:
            if not waiting.held:
                edit.set_queue(waiting.prompt, {"held": True})
                edit.set_queue(waiting.prompt, {"released_by": None})
    assert back == SessionView(document)


@pytest.mark.parametrize("form", FAITHFUL)
@given(document=documents())
@settings(max_examples=25, deadline=None)
def test_keys_and_roles_of_later_versions_are_kept(
    form: Format, document: Document
) -> None:
    data = export_session(SessionView(document), document, form)
    found = Document.load([import_session(data, copy_id="s-1").update])
    assert without_queue(found) == without_queue(document)


@pytest.mark.parametrize("form", FAITHFUL)
def test_nothing_pending_comes_out_of_an_import(form: Format) -> None:
    document = rich_document()
    with document.edit() as edit:
        edit.enqueue("m-x", "U0000009")
        edit.set_queue("m-x", {"held": True, "released_by": "p-ana"})
    back = come_back(document, form, COPY)
    assert [(p.prompt, p.held) for p in back.pending] == [("m-8", True), ("m-x", True)]


def test_a_json_import_is_a_session_of_its_own() -> None:
    view, document = rich_view()
    for form in ("json", "jsonl"):
        found = import_session(export_session(view, document, form), copy_id=COPY)
        assert found == Imported(
            format=form,
            session_id=COPY,
            source_id=SESSION,
            title="Report every error of a file",
            messages=9,
            held=("m-8",),
            update=found.update,
        )
        assert (
            replace(SessionView(Document.load([found.update])).meta, id=SESSION)
            == view.meta
        )


def test_a_ydoc_import_is_the_same_document_unless_a_copy_is_asked_for() -> None:
    view, document = rich_view()
    data = export_session(view, document, "ydoc")
    same = import_session(data, copy_id=COPY)
    copy = import_session(data, copy_id=COPY, as_copy=True)
    assert same.session_id == SESSION
    assert copy.session_id == COPY
    document.apply([same.update])
    assert document.message_count == 9
    assert list(SessionView(Document.load([copy.update])).messages) == list(
        view.messages
    )


def test_importing_one_file_twice_gives_one_document() -> None:
    view, document = rich_view()
    data = export_session(view, document, "json")
    first = import_session(data, copy_id=COPY)
    again = import_session(data, copy_id=COPY)
    assert Document.load([first.update, again.update]).message_count == 9


def test_a_plain_yjs_reader_takes_a_ydoc_file() -> None:
    from pycrdt import Array, Doc  # noqa: PLC0415 - stands for another program

    view, document = rich_view()
    doc: Doc[Array[object]] = Doc()
    doc.apply_update(export_session(view, document, "ydoc"))
    assert len(doc.get("messages", type=Array)) == 9


@pytest.mark.parametrize("form", FAITHFUL)
def test_a_file_cut_short_anywhere_is_refused(form: Format) -> None:
    view, document = rich_view()
    data = export_session(view, document, form)
    for end in range(0, len(data) - 1, max(1, len(data) // 150)):
        with pytest.raises(DataError) as refused:
            import_session(data[:end], copy_id=COPY)
        assert refused.value.hint


FOREIGN = [
    (b"", "the file is empty"),
    (b"   \n", "the file is empty"),
    (b"SQLite format 3\0" + bytes(84), "this is a database"),
    (b"PK\x03\x04rest", "this is a zip archive"),
    (b"\x1f\x8b\x08rest", "this is a compressed file"),
    (b"%PDF-1.7", "this is a PDF"),
    (b"\x89PNG\r\n\x1a\n", "not an exported session"),
    (b"Dear diary", "not an exported session"),
    (b'{"a": 1}', "no exported session"),
    (b'{"a": 1}\n{"a": 2}\n', "no exported session"),
    (b"{nonsense", "no exported session"),
    (b"[1, 2]", "not an exported session"),
    (b"\0\0", "a Yjs document, but no session"),
]


@pytest.mark.parametrize(("data", "said"), FOREIGN)
def test_foreign_files_are_told_from_sessions(data: bytes, said: str) -> None:
    with pytest.raises(NotASession, match=said) as refused:
        import_session(data, copy_id=COPY)
    assert refused.value.hint


@pytest.mark.parametrize("form", ["md", "html"])
def test_exports_for_people_cannot_be_imported(form: Format) -> None:
    view, document = rich_view()
    with pytest.raises(NotASession, match="for people") as refused:
        import_session(export_session(view, document, form), copy_id=COPY)
    assert "--format json" in refused.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b'{"format":"crdtsync-session","version":2}',
        b'{"type":"session","format":"crdtsync-session","version":2}\n',
        b'{"format":"crdtsync-session","version":1,"meta":{"schema":2}}',
    ],
)
def test_files_of_later_versions_are_named_so(data: bytes) -> None:
    with pytest.raises(NewerFormat) as refused:
        import_session(data, copy_id=COPY)
    assert "Update crdtsync" in refused.value.hint


def test_a_document_of_a_later_schema_is_named_so() -> None:
    document = Document(1)
    with document.edit() as edit:
        edit.seed({"id": "s", "schema": 2})
    with pytest.raises(NewerFormat):
        import_session(document.state(), copy_id=COPY)


HEAD = '{"format":"crdtsync-session","version":1,"drafts":{"a":'


@pytest.mark.parametrize(
    "bad",
    [
        "NaN",
        "Infinity",
        "1e999",
        "9223372036854775808",
        '"\\ud800"',
        '{"\\udfff": 1}',
        "[" * 80 + "]" * 80,
        "[" * 200_000 + "]" * 200_000,
        "1" * 5000,
    ],
)
def test_values_no_document_can_hold_are_refused(bad: str) -> None:
    with pytest.raises(DataError, match="damaged or cut short"):
        import_session(f"{HEAD}{bad}}}}}".encode(), copy_id=COPY)


def test_roots_of_a_wrong_kind_are_refused() -> None:
    data = b'{"format":"crdtsync-session","version":1,"messages":{}}'
    with pytest.raises(DataError, match="`messages`"):
        import_session(data, copy_id=COPY)
    with pytest.raises(DataError, match="does not say its version"):
        import_session(b'{"format":"crdtsync-session"}', copy_id=COPY)


def test_entries_of_wrong_types_do_no_harm() -> None:
    content = {
        "format": "crdtsync-session",
        "version": 1,
        "meta": {"id": 5},
        "messages": [1, "x", None, {"id": "a", "body": 3}, {"id": "b", "body": "t"}],
        "texts": {"b": "own"},
        "turns": {"t": 1},
        "tools": {"t/1": [], "t/2": {"output": 4}},
        "approvals": {"a": None, "b": {"votes": 3}},
        "queue": {"q": 1, "r": {"rank": 2}},
    }
    found = import_session(json.dumps(content).encode(), copy_id=COPY)
    view = SessionView(Document.load([found.update]))
    assert view.message_count == 5
    assert view.text("b") == "own"
    assert found.source_id == "5"


def test_a_file_beyond_the_limit_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crdtsync.export.incoming.IMPORT_BYTES_MAX", 10)
    with pytest.raises(DataError, match="can be imported"):
        import_session(b"{" * 11, copy_id=COPY)


def test_a_document_of_123_clients_is_not_taken_for_json() -> None:
    document = Document(1)
    with document.edit() as edit:
        edit.seed({"id": SESSION})
    for client in range(2, 124):
        other = Document(client)
        other.apply([document.state()])
        with other.edit() as edit:
            edit.set_draft(f"p-{client}", client)
        document.apply([other.state()])
    data = document.state()
    assert data[:1] == b"{"
    assert import_session(data, copy_id=COPY).format == "ydoc"


def test_a_byte_order_mark_is_no_harm() -> None:
    view, document = rich_view()
    data = b"\xef\xbb\xbf" + export_session(view, document, "json")
    assert import_session(data, copy_id=COPY).messages == 9


def test_json_carries_bodies_beside_their_headers() -> None:
    view, document = rich_view()
    found = json.loads(export_session(view, document, "json"))
    assert list(found)[:3] == ["format", "version", "meta"]
    assert found["messages"][3]["body"].startswith("The parser stops")
    assert found["messages"][0]["text"].startswith("Why does")


def test_jsonl_has_one_thing_per_line_and_an_end() -> None:
    view, document = rich_view()
    lines = export_session(view, document, "jsonl").splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds[:5] == ["session", *["participant"] * 3, "message"]
    assert json.loads(lines[-1]) == {"type": "end", "lines": len(lines)}


def test_lines_of_types_not_known_yet_are_skipped() -> None:
    lines = [
        {"type": "session", "format": "crdtsync-session", "version": 1, "meta": {}},
        {"type": "hologram", "id": "x", "value": 1},
        {"type": "end", "lines": 3},
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    assert import_session(data, copy_id=COPY).format == "jsonl"


@pytest.mark.parametrize("form", FAITHFUL)
def test_keys_that_the_files_use_themselves_are_kept(form: Format) -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s-1"})
        for key in ("body", "verbatim"):
            edit.add_message(Message(key, "assistant", "p", "", extra={key: "own"}))
            edit.append_text(key, f"text of {key}")
        edit.add_message(Message("m", "note", "p", "", extra={"body": None}))
    assert come_back(document, form, "s-1") == SessionView(document)
