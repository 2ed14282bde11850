"""Completes commands, their arguments and @names in the line, from memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from crdtsync.agents.presets import preset_names
from crdtsync.sanitize import clean_line
from crdtsync_cli.scene import SessionScene
from crdtsync_cli.slashes import BY_NAME, REGISTRY, Slash
from crdtsync_cli.words import excerpt

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = [
    "LineCompleter",
    "Proposal",
    "as_completions",
    "completes",
    "proposals",
]

PROPOSALS_MAX: Final = 50
"""More are not proposed; typing on narrows them down."""

_FORMATS: Final = ("md", "html", "json", "jsonl", "ydoc")


class Proposal(NamedTuple):
    """One word that may be meant, and what stands beside it."""

    word: str
    about: str = ""


class LineCompleter(Completer):
    """Proposes what the word before the cursor may become.

    Args:
        session: Knows people, prompts and questions.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield what begins like the word, then what has its letters in order."""
        found = proposals(self._session, document.text_before_cursor)
        yield from as_completions(document, found)


def as_completions(document: Document, found: Iterable[Proposal]) -> list[Completion]:
    """Proposals for the word before the cursor, as the terminal takes them."""
    start = -len(_word(document.text_before_cursor))
    return [
        Completion(proposal.word, start_position=start, display_meta=proposal.about)
        for proposal in found
    ]


def completes(typed: str) -> bool:
    """Whether Tab completes here: in a command, or in an @name."""
    command = typed.startswith("/") and not typed.startswith("//")
    return command or _word(typed).startswith("@")


def proposals(session: Session, typed: str) -> list[Proposal]:
    """What the word at the end of a typed text may become, the likeliest first."""
    word = _word(typed)
    if typed.startswith("/") and not typed.startswith("//"):
        head = typed[: len(typed) - len(word)].split()
        if not head:
            return _matching(_commands("/"), word)
        slash = BY_NAME.get(head[0][1:].lower())
        if slash is not None and not word.startswith("@"):
            return _matching(_arguments(session, slash, len(head) - 1), word)
    if word.startswith("@"):
        return _matching(_people(session, "@"), word)
    return []


def _word(typed: str) -> str:
    return "" if typed[-1:].isspace() else (typed.split() or [""])[-1]


def _matching(found: Iterable[Proposal], word: str) -> list[Proposal]:
    wanted = word.casefold()
    known = list(dict.fromkeys(found))
    first = [p for p in known if p.word.casefold().startswith(wanted)]
    if first and [p.word for p in first] == [word]:
        return []
    fuzzy = [p for p in known if p not in first and _has(p.word.casefold(), wanted)]
    return [*first, *fuzzy][:PROPOSALS_MAX]


def _has(text: str, letters: str) -> bool:
    """Whether a text has these letters in this order."""
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _arguments(session: Session, slash: Slash, at: int) -> Iterator[Proposal]:
    """What may stand as a command's argument, counted from 0."""
    words = slash.words
    if not words or (at >= len(words) and not words[-1].endswith("...")):
        return
    for kind in words[min(at, len(words) - 1)].removesuffix("...").split("|"):
        yield from _of_kind(session, kind)


def _of_kind(session: Session, kind: str) -> Iterator[Proposal]:
    match kind:
        case "command":
            return _commands("")
        case "person":
            return _people(session, "@")
        case "prompt":
            return _prompts(session)
        case "question" | "turn":
            return _open(session, kind)
    words = {"agent": (*preset_names(), "none"), "format": _FORMATS}
    return map(Proposal, words.get(kind, (kind,)))


def _open(session: Session, kind: str) -> Iterator[Proposal]:
    view = session.view
    if kind == "question":
        for approval in view.open_approvals():
            yield Proposal(str(approval.number), clean_line(approval.title))
    elif view.running is not None:
        number = SessionScene(session).turn_number(view.running.id)
        yield Proposal(str(number), "the running turn")


def _commands(prefix: str) -> Iterator[Proposal]:
    yield from (Proposal(f"{prefix}{slash.name}", slash.help) for slash in REGISTRY)


def _people(session: Session, prefix: str) -> Iterator[Proposal]:
    """Everybody who is here, then everybody who ever wrote; names without spaces."""
    here = {person.participant: person.name for person in session.presence}
    known = {p.id: p.name for p in session.view.participants.values()}
    for participant, name in {**here, **known}.items():
        if participant != session.me.id and " " not in name:
            about = "here" if participant in here else ""
            yield Proposal(f"{prefix}{clean_line(name)}", about)


def _prompts(session: Session) -> Iterator[Proposal]:
    scene = SessionScene(session)
    for waiting in session.view.pending:
        message = session.view.message(waiting.prompt)
        if message is not None:
            name = clean_line(scene.name_of(message.author))
            yield Proposal(str(waiting.position), f"{name} {excerpt(message.text)}")
