"""Random edits of sessions, by typed writes and by foreign clients, and who gets what.

Everything drawn is plain data, so that a failing example can be read and shrunk. Ids
come from small pools: edits are meant to meet.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from crdtsync import schema
from crdtsync.document import Change, Document, Edit
from crdtsync.entities import Message, Participant
from crdtsync.errors import UsageError
from crdtsync.schema import JsonObject, JsonValue

PROMPTS = ["p0", "p1", "p2"]
ANSWERS = ["s0", "s1", "s2"]
TURNS = ["t0", "t1", "t2"]
TOOLS = ["t0/a", "t0/b", "t1/a"]
APPROVALS = ["a0", "a1"]
PEOPLE = ["ana", "bob"]
CUTS: list[JsonValue] = [[1, 2], [0, 0]]

# Sampled, not composed: drawing is most of the time that these tests take.
texts = st.sampled_from(["", "a", "b c", "é€", "𝄞\n", "\0", "\u202etxt", "later"])
VALUES: list[JsonValue] = [
    None,
    True,
    0,
    -1,
    2.0,
    0.5,
    2**53 + 1,
    2.0**60,
    1e300,
    float("inf"),
    "",
    "text é",
    [],
    [1, [2.0, {}]],
    {},
    {"id": "p0", "role": "user", "n": {"deep": [None, 1.0]}},
    {"id": "s0", "role": "assistant", "turn": "t0", "text": 3},
    {"claim": 1, "started": True, "votes": [], "text": "x"},
]
json_values = st.sampled_from(VALUES)


@dataclass(frozen=True)
class Write:
    """A call of `Edit`: the method's name and its arguments."""

    method: str
    args: tuple[Any, ...]

    def __call__(self, edit: Edit) -> None:
        # What it builds on may not be here yet.
        with suppress(UsageError):
            getattr(edit, self.method)(*self.args)


def write(document: Document, writes: list[Write]) -> Change:
    """Make typed writes in one transaction."""
    with document.edit() as edit:
        for one in writes:
            one(edit)
    return edit.change


def claims(turns: st.SearchStrategy[str]) -> st.SearchStrategy[JsonObject]:
    """Claims of few arbiters, runners and epochs, mostly readable."""
    return st.fixed_dictionaries(
        {
            "epoch": st.integers(1, 3),
            "arb": st.sampled_from(["x", "y"]),
            "grant": st.sampled_from(["local", "relay", "offline"]),
            "runner": st.sampled_from(["r1", "r2"]),
            "machine": st.sampled_from(["m1", "m2"]),
            "agent": st.just("demo"),
            "prompts": st.lists(st.sampled_from(PROMPTS), max_size=2),
            "after": st.dictionaries(
                turns, st.sampled_from(["final", "open"]), max_size=2
            ),
            "closes": st.dictionaries(turns, st.sampled_from(CUTS), max_size=1),
        }
    )


def _messages() -> st.SearchStrategy[Message]:
    said = st.builds(
        Message,
        id=st.sampled_from(PROMPTS),
        role=st.sampled_from(["user", "note", "system", "dance"]),
        author=st.sampled_from(PEOPLE),
        at=st.just("2026-11-21T09:00:00Z"),
        text=texts,
        extra=st.dictionaries(st.just("later"), json_values, max_size=1),
    )
    streamed = st.builds(
        Message,
        id=st.sampled_from(ANSWERS),
        role=st.sampled_from(["assistant", "thought"]),
        author=st.just("demo"),
        at=st.just("2026-11-21T09:00:01Z"),
        turn=st.sampled_from(TURNS),
    )
    return said | streamed


def _turn_values() -> st.SearchStrategy[JsonObject]:
    one_of: dict[str, st.SearchStrategy[JsonObject]] = {
        "claim": st.fixed_dictionaries({"claim": claims(st.sampled_from(TURNS))}),
        "begin": st.fixed_dictionaries(
            {"claim": claims(st.sampled_from(TURNS)), "started": st.just(True)}
        ),
        "started": st.just({"started": True}),
        "ended": st.just({"ended": True, "stop_reason": "end_turn"}),
        "void": st.just({"void": True}),
        "detached": st.just({"detached_at": [1, 0]}),
        "plan": st.fixed_dictionaries({"plan": st.lists(json_values, max_size=2)}),
        "usage": st.fixed_dictionaries({"usage": st.just({"used": 1.0, "size": 2})}),
    }
    often = [one_of["begin"], one_of["begin"], one_of["ended"]]
    return st.one_of(*one_of.values(), *often)


def _calls() -> dict[str, st.SearchStrategy[tuple[Any, ...]]]:
    tools: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
        {"phase": st.sampled_from(["pending", "completed", "dreaming"])},
        optional={
            "title": texts,
            "input": json_values,
            "content": st.lists(json_values, max_size=1),
            "exit_code": st.integers(0, 1),
            "started_at": st.sampled_from(["1", "2"]),
        },
    )
    question = st.fixed_dictionaries(
        {
            "number": st.integers(1, 2),
            "turn": st.sampled_from(TURNS),
            "options": st.just([{"id": "y", "label": "yes", "kind": "allow_once"}]),
        }
    )
    turns, people = st.sampled_from(TURNS), st.sampled_from(PEOPLE)
    asked, prompts = st.sampled_from(APPROVALS), st.sampled_from(PROMPTS)
    answers, called = st.sampled_from(ANSWERS), st.sampled_from(TOOLS)
    held = st.sampled_from([{"held": True}, {"rank": "U0000009"}, {"released_by": "b"}])
    return {
        "seed": st.tuples(st.just({"id": "session", "title": "one"})),
        "set_meta": st.tuples(
            st.dictionaries(st.just("title") | texts, json_values, max_size=2)
        ),
        "add_participant": st.tuples(st.builds(Participant, people, texts)),
        "add_message": st.tuples(_messages()),
        "open_text": st.tuples(answers),
        "append_text": st.tuples(answers, texts),
        "enqueue": st.tuples(prompts, st.sampled_from(["U0000001", "U0000002", "?"])),
        "set_queue": st.tuples(prompts, held),
        "withdraw": st.tuples(prompts),
        "set_turn": st.tuples(turns, _turn_values()),
        "set_lease": st.tuples(st.just({"holder": "r", "epoch": 1}) | st.just({})),
        "set_tool": st.tuples(called, tools),
        "append_output": st.tuples(called, texts),
        "ask": st.tuples(asked, question),
        "vote": st.tuples(asked, people, st.just("y")),
        "decide": st.tuples(asked, st.sampled_from(["y", "expired"]), people),
        "set_draft": st.tuples(people, json_values),
        "set_entry": st.tuples(
            st.sampled_from([schema.TOOLS, schema.QUEUE, schema.TURNS]),
            st.sampled_from([*TOOLS, *PROMPTS, *TURNS]),
            json_values,
        ),
    }


_CALLS = _calls()
# Most of the rules are about these, and most need two of them to meet.
_OFTEN = [*["set_turn"] * 4, *["add_message", "append_text", "ask", "decide"] * 2]


_WRITES = {name: st.builds(Write, st.just(name), args) for name, args in _CALLS.items()}


def writes(*, without: frozenset[str] = frozenset()) -> st.SearchStrategy[Write]:
    """One typed write, of any method of `Edit`."""
    names = [name for name in [*_CALLS, *_OFTEN] if name not in without]
    return st.one_of([_WRITES[name] for name in names])


@dataclass(frozen=True)
class Foreign:
    """An edit by a client that keeps to no rule: a name of `FOREIGN` and numbers."""

    kind: str
    root: str
    key: str
    at: int
    value: Any

    def __call__(self, doc: Doc[Any]) -> None:
        FOREIGN[self.kind](doc, self)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "map": lambda value: Map({"id": "f", "role": "user", "text": value}),
    "array": lambda value: Array([value]),
    "text": lambda value: Text(str(value)),
    "bytes": lambda value: str(value).encode(),
    "plain": lambda value: value,
}


def _map(doc: Doc[Any], foreign: Foreign) -> Map[Any]:
    root = foreign.root if foreign.root != schema.MESSAGES else "later"
    shared: Map[Any] = doc.get(root, type=Map)
    return shared


def _set(doc: Doc[Any], foreign: Foreign) -> None:
    _map(doc, foreign)[foreign.key] = _made(foreign)


def _made(foreign: Foreign) -> Any:
    kinds = list(_KINDS.values())
    return kinds[foreign.at % len(kinds)](foreign.value)


def _delete(doc: Doc[Any], foreign: Foreign) -> None:
    shared = _map(doc, foreign)
    if foreign.key in shared:
        del shared[foreign.key]


def _nested(doc: Doc[Any], foreign: Foreign) -> None:
    """Write into what is there, whatever it is."""
    target = _map(doc, foreign).get(foreign.key)
    messages = doc.get(schema.MESSAGES, type=Array)
    if foreign.root == schema.MESSAGES and len(messages):
        target = messages[foreign.at % len(messages)]
    fields = ["claim", "started", "ended", "votes", "output", "input", "x", "decision"]
    match target:
        case Map():
            target[fields[foreign.at % len(fields)]] = _made(foreign)
        case Array():
            target.append(foreign.value)
        case Text():
            target.insert(0, "m")


def _insert(doc: Doc[Any], foreign: Foreign) -> None:
    messages = doc.get(schema.MESSAGES, type=Array)
    messages.insert(foreign.at % (len(messages) + 1), _made(foreign))


def _cut(doc: Doc[Any], foreign: Foreign) -> None:
    messages = doc.get(schema.MESSAGES, type=Array)
    if len(messages):
        del messages[foreign.at % len(messages)]


def _scribble(doc: Doc[Any], foreign: Foreign) -> None:
    body = doc.get(schema.TEXTS, type=Map).get(ANSWERS[foreign.at % len(ANSWERS)])
    if not isinstance(body, Text):
        return
    match foreign.at % 5:
        case 0 | 1:
            body.insert(0, "new")
        case 2:
            del body[:]
        case 3:
            body.format(0, len(body), {"bold": True})
        case _:
            body.insert_embed(len(body), {"embed": True})


def _as_text(doc: Doc[Any], foreign: Foreign) -> None:
    doc.get(foreign.root, type=Text).insert(0, "text")


def _as_array(doc: Doc[Any], foreign: Foreign) -> None:
    doc.get(foreign.root, type=Array).append(foreign.value)


FOREIGN: dict[str, Callable[[Doc[Any], Foreign], None]] = {
    "set": _set,
    "delete": _delete,
    "nested": _nested,
    "insert": _insert,
    "cut": _cut,
    "scribble": _scribble,
    "text": _as_text,
    "array": _as_array,
}


def foreign_edits() -> st.SearchStrategy[Foreign]:
    """One edit by a raw document: unknown roots and keys, wrong types, deletions."""
    return st.builds(
        Foreign,
        kind=st.sampled_from(sorted(FOREIGN)),
        root=st.sampled_from([*schema.ROOTS, "later"]),
        key=st.sampled_from(
            [*PROMPTS, *ANSWERS, *TURNS, *TOOLS, *APPROVALS, "turn", "title", "schema"]
        ),
        at=st.integers(0, 59),
        value=json_values,
    )


@dataclass(frozen=True)
class Deliver:
    """Updates of one replica that reach another, by number; repeats and gaps too."""

    source: int
    target: int
    which: tuple[int, ...]
    together: bool


def deliveries(replicas: int, updates_max: int = 12) -> st.SearchStrategy[Deliver]:
    """Some updates, in any order, one by one or together."""
    return st.builds(
        Deliver,
        source=st.integers(0, replicas - 1),
        target=st.integers(0, replicas - 1),
        which=st.lists(st.integers(0, updates_max), min_size=1, max_size=8).map(tuple),
        together=st.booleans(),
    )
