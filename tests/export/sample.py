"""Sessions to export: a rich one that people would read, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from crdtsync.document import Document, Edit
from crdtsync.entities import Message, Participant
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.view import SessionView

SESSION = "01936f00-0000-7000-8000-000000000001"

ANSWER = """The parser stops at the **first** error. I would:

1. read `parser.py` once more,
2. collect errors in a list,
3. return them with their *line*.

```python
def parse(text: str) -> list[Error]:
    return [check(line) for line in text.splitlines() if line and not line.isspace()]
```

| case | before | after |
|---|---|---|
| one error | reported | reported |
| two errors | one | **both** |

> It keeps the old function for callers.

See [the style guide](https://example.org/style) for more.
"""


def claim(epoch: int, prompt: str, **more: JsonValue) -> JsonObject:
    return {
        "epoch": epoch,
        "arb": "arb-1",
        "grant": "local",
        "runner": f"runner-{epoch}",
        "machine": "machine-1",
        "agent": "demo",
        "prompts": [prompt],
        "after": {},
        "closes": {},
        **more,
    }


def rich_document() -> Document:
    """A session with everything in it, as two people would have made it."""
    document = Document(7)
    with document.edit() as edit:
        edit.seed(
            {
                "id": SESSION,
                "title": "Report every error of a file",
                "created_at": "2026-11-20T14:01:58.000Z",
                "created_by": "p-ana",
                "agent": {"name": "demo", "version": "1"},
                "later_key": {"kept": [1, 2.5, None]},
            }
        )
        edit.add_participant(
            Participant("p-ana", "ana", "person", "2026-11-20T14:01:58.000Z", 0)
        )
        edit.add_participant(
            Participant("p-bob", "Bob Ünal", "person", "2026-11-20T14:02:30.000Z", 1)
        )
        edit.add_participant(
            Participant("a-demo", "demo", "agent", "2026-11-20T14:02:00.000Z", 2)
        )
        _first_turn(edit)
        _second_turn(edit)
        edit.add_message(
            Message("m-8", "user", "p-bob", "2026-11-21T09:00:05.000Z", "Write a test")
        )
        edit.enqueue("m-8", "U0000008")
        edit.add_message(
            Message(
                "m-9",
                "dance",
                "p-ana",
                "2026-11-21T09:01:00.000Z",
                "a later role",
                extra={"steps": [1, 2]},
            )
        )
        edit.set_lease({"holder": "r", "epoch": 2, "turn": "t-2", "grant": "local"})
        edit.set_draft("p-ana", {"text": "what if"})
    return document


def _first_turn(edit: Edit) -> None:
    edit.add_message(
        Message(
            "m-1",
            "user",
            "p-ana",
            "2026-11-20T14:02:11.000Z",
            "Why does the parser report only one error?\nIt should tell all of them.",
        )
    )
    edit.enqueue("m-1", "U0000001")
    edit.add_message(
        Message(
            "m-2", "note", "p-bob", "2026-11-20T14:02:40.000Z", "I saw this as well"
        )
    )
    edit.set_turn("t-1", {"claim": claim(1, "m-1"), "started": True})
    edit.add_message(
        Message("m-3", "thought", "a-demo", "2026-11-20T14:02:13.000Z", turn="t-1")
    )
    edit.append_text("m-3", "The parser raises at once. Look at parser.py.")
    edit.set_tool(
        "t-1/1",
        {
            "message": "m-3",
            "title": "Read src/parser.py",
            "kind": "read",
            "phase": "completed",
            "input": {"path": "src/parser.py"},
            "locations": [{"path": "src/parser.py", "line": 12}],
            "started_at": "2026-11-20T14:02:14.000Z",
            "ended_at": "2026-11-20T14:02:14.100Z",
            "later": {"field": True},
        },
    )
    edit.append_output(
        "t-1/1", "def parse(text):\n    for line in text:\n        check(line)\n"
    )
    edit.add_message(
        Message("m-4", "assistant", "a-demo", "2026-11-20T14:02:16.000Z", turn="t-1")
    )
    edit.append_text("m-4", ANSWER)
    edit.set_tool(
        "t-1/2",
        {
            "message": "m-4",
            "title": "Edit src/parser.py",
            "kind": "edit",
            "phase": "completed",
            "input": {"path": "src/parser.py"},
            "content": [
                {
                    "type": "diff",
                    "path": "src/parser.py",
                    "oldText": "def parse(text):\n    check(text)\n",
                    "newText": "def parse(text):\n  return [check(x) for x in text]\n",
                }
            ],
            "started_at": "2026-11-20T14:02:20.000Z",
        },
    )
    edit.ask(
        "ask-1",
        {
            "number": 1,
            "turn": "t-1",
            "tool": "t-1/2",
            "title": "Edit src/parser.py",
            "input": {"path": "src/parser.py"},
            "input_hash": "abc",
            "options": [
                {"id": "y", "label": "Allow", "kind": "allow_once"},
                {"id": "n", "label": "Deny", "kind": "reject_once"},
            ],
            "asked_at": "2026-11-20T14:02:19.000Z",
            "expires_at": "2026-11-20T14:12:19.000Z",
        },
    )
    edit.vote("ask-1", "p-bob", "y")
    edit.decide("ask-1", "y", "p-bob")
    edit.set_tool(
        "t-1/3",
        {
            "message": "m-4",
            "title": "Run the tests",
            "kind": "execute",
            "phase": "failed",
            "exit_code": 1,
            "input": {"command": "pytest -q"},
            "started_at": "2026-11-20T14:02:25.000Z",
        },
    )
    edit.append_output(
        "t-1/3", "E   assert 1 == 2\n1 failed, 41 passed in 0.52s\n" + "x" * 300
    )
    edit.set_turn(
        "t-1",
        {"ended": True, "stop_reason": "end_turn", "usage": {"output_tokens": 812}},
    )


def _second_turn(edit: Edit) -> None:
    edit.add_message(
        Message("m-5", "user", "p-bob", "2026-11-21T08:58:00.000Z", "And the `lexer`?")
    )
    edit.set_turn(
        "t-2", {"claim": claim(2, "m-5", after={"t-1": "final"}), "started": True}
    )
    edit.add_message(
        Message("m-6", "assistant", "a-demo", "2026-11-21T08:58:03.000Z", turn="t-2")
    )
    seen = "The lexer is fine"
    edit.append_text("m-6", seen + " except for one thing: it reads\n\n```sh\ncat file")
    edit.set_turn(
        "t-3",
        {
            "claim": claim(
                3, "m-7", after={"t-2": "open"}, closes={"t-2": [1, len(seen)]}
            ),
            "started": True,
            "ended": True,
            "stop_reason": "error",
            "error": "agent exited with code 3: no <model>",
        },
    )
    edit.add_message(
        Message("m-7", "user", "p-ana", "2026-11-21T08:59:30.000Z", "Go on, please")
    )


NAMES = st.text(min_size=1, max_size=6)
TEXTS = st.text(max_size=30)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(
    allow_nan=False, allow_infinity=False
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS: st.SearchStrategy[JsonObject] = st.dictionaries(NAMES, VALUES, max_size=3)
ROLES = st.sampled_from(
    ["user", "assistant", "thought", "agent", "note", "system", "of-a-later-version"]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Any session a client could have written, known things and unknown ones."""
    document = Document(draw(st.integers(1, 2**32 - 1)))
    with document.edit() as edit:
        edit.seed({**draw(OBJECTS), "id": "s-1", "title": draw(TEXTS)})
        for number in range(draw(st.integers(0, 5))):
            key = f"{number}-{draw(NAMES)}"
            role = draw(ROLES)
            header = {**draw(OBJECTS), "id": key, "role": role, "turn": draw(NAMES)}
            edit.add_message(Message.from_json(header))
            if role == "of-a-later-version" and draw(st.booleans()):
                edit.open_text(key)
                edit.append_text(key, draw(TEXTS))
            if role == "assistant":
                edit.append_text(key, draw(TEXTS))
            if role == "user":
                edit.enqueue(key, draw(NAMES))
                edit.set_queue(key, draw(OBJECTS))
        _any_entries(draw, edit)
    return document


def _any_entries(draw: st.DrawFn, edit: Edit) -> None:
    for key in draw(st.sets(NAMES, max_size=2)):
        edit.set_turn(key, {"claim": claim(1, "0-x"), **draw(OBJECTS)})
        edit.set_tool(f"{key}/1", {"title": draw(TEXTS), **draw(OBJECTS)})
        edit.append_output(f"{key}/1", draw(TEXTS))
        edit.ask(f"a-{key}", {"number": 1, **draw(OBJECTS)})
        edit.vote(f"a-{key}", draw(NAMES), draw(TEXTS))
        edit.add_participant(Participant(key, draw(NAMES)))
        edit.set_draft(key, draw(VALUES))
        edit.set_lease({"holder": key, "epoch": 3, **draw(OBJECTS)})


def rich_view() -> tuple[SessionView, Document]:
    document = rich_document()
    return SessionView(document), document
