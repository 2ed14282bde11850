"""Takes secrets out of a session's content; it changes no document.

What was found anywhere is taken out everywhere, in every text and every key, so that a
password named once in a command is also gone from the output that repeats it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final
from urllib.parse import quote

from crdtsync import schema
from crdtsync.entities import Approval, Message, Option, Participant, ToolCall
from crdtsync.errors import UsageError
from crdtsync.export.content import Content
from crdtsync.export.secrets import Secret, find_secrets, names_secret
from crdtsync.schema import JsonValue
from crdtsync.turns.claim import GRANTS, Claim, TurnRecord
from crdtsync.turns.queue import QueueEntry
from crdtsync.view import SessionMeta

__all__ = ["STRING_CHARS_MIN", "Redaction", "redact_content"]

STRING_CHARS_MIN: Final = 4
"""A shorter configured string would be found inside of ordinary words."""

# "pin: 123" is the shortest that tells of a secret.
_SEARCHED_CHARS_MIN: Final = 8
_REPEATED_CHARS_MIN: Final = 6
_ANYWHERE_CHARS_MIN: Final = 8

# Words by which this program itself reads a session; they are no secrets.
_WORDS: Final = frozenset(
    {
        *schema.ROOTS,
        *schema.ROLES,
        *schema.TERMINAL_PHASES,
        *GRANTS,
        *("pending", "in_progress", "person", "agent", "final", "open"),
        *("end_turn", "cancelled", "error", "lost_lease", "refused", "expired"),
    }
)

_FIELDS: Final = frozenset(
    {"resume", "version", "decision", "decided_by", "body", "path", "line"}.union(
        *(
            {field.name for field in fields(entity)}
            for entity in (
                *(Approval, Claim, Message, Option, Participant),
                *(QueueEntry, SessionMeta, ToolCall, TurnRecord),
            )
        )
    )
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """What to take out of an export, besides the known patterns of keys.

    Attributes:
        strings: Texts of your own that must not appear, such as a customer's name.
            They are found in any case, also as part of a word.

    Raises:
        UsageError: A string is too short to be looked for.
    """

    strings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.strings:
            if len(text.strip()) < STRING_CHARS_MIN:
                raise UsageError(
                    f"a string to redact needs {STRING_CHARS_MIN} characters",
                    hint="Shorter ones are part of ordinary words.",
                )


def redact_content(content: Content, redaction: Redaction) -> Content:
    """Return the content with every secret replaced by a numbered mark.

    The same secret gets the same mark, so that what belongs together still does.
    """
    marks = _Marks(redaction)
    for root in schema.ROOTS:
        marks.collect(content.get(root))
    marks.settle()
    return {root: marks.replace(content.get(root)) for root in schema.ROOTS}


class _Marks:
    """The secrets of one export and the mark of each."""

    def __init__(self, redaction: Redaction) -> None:
        self._searched: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._anywhere: set[str] = set()
        self._words: set[str] = set()
        # Values too much like ordinary words to be looked for elsewhere, by text.
        self._here: dict[str, list[str]] = {}
        for text in redaction.strings:
            self._number(text)
            self._anywhere.update(_forms(text))
        self._pattern = re.compile("(?!)")

    def collect(self, value: JsonValue) -> None:
        """Note every secret in a value; call `settle` after the last one."""
        match value:
            case str():
                self._collect_text(value)
            case dict():
                for key, item in value.items():
                    self._collect_text(key)
                    self.collect(item)
                for secret in _named(value):
                    self._note(secret, Secret(secret, sure=True))
            case list():
                for item in value:
                    self.collect(item)
                for secret in _after_options(value):
                    self._note(secret, Secret(secret, sure=True))

    def settle(self) -> None:
        """Make the one pattern that finds every secret."""
        # The longest first: one secret may be the beginning of another.
        anywhere = sorted(self._anywhere, key=len, reverse=True)
        words = sorted(self._words, key=len, reverse=True)
        parts = [re.escape(text) for text in anywhere]
        parts += [rf"(?<!\w){re.escape(text)}(?!\w)" for text in words]
        if parts:
            self._pattern = re.compile("|".join(parts), re.IGNORECASE)

    def replace(self, value: JsonValue) -> JsonValue:
        """Replace every secret in a value, keys included."""
        match value:
            case str():
                return self._replace_text(value)
            case dict():
                return {
                    key if key in _FIELDS else self._replace_text(key): self.replace(v)
                    for key, v in value.items()
                }
            case list():
                return [self.replace(item) for item in value]
            case _:
                return value

    def _collect_text(self, text: str) -> None:
        if len(text) >= _SEARCHED_CHARS_MIN and text not in self._searched:
            self._searched.add(text)
            for secret in find_secrets(text):
                self._note(text, secret)

    def _note(self, where: str, secret: Secret) -> None:
        text = secret.text
        if not text.strip() or text in _WORDS:
            return
        self._number(text)
        if not secret.sure or len(text) < _REPEATED_CHARS_MIN:
            self._here.setdefault(where, []).append(text)
        elif len(text) < _ANYWHERE_CHARS_MIN:
            self._words.update(_forms(text))
        else:
            self._anywhere.update(_forms(text))

    def _number(self, text: str) -> None:
        number = len(self._numbers) + 1
        for form in _forms(text):
            self._numbers.setdefault(form.casefold(), number)

    def _replace_text(self, text: str) -> str:
        if text in _WORDS:
            return text
        found = self._pattern.sub(self._mark, text)
        for secret in self._here.get(text, ()):
            found = found.replace(secret, self._mark_of(secret))
        return found

    def _mark(self, found: re.Match[str]) -> str:
        return self._mark_of(found.group())

    def _mark_of(self, secret: str) -> str:
        return f"[redacted-{self._numbers.get(secret.casefold(), 0)}]"


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as it stands in JSON, and as in an address."""
    yield secret
    for form in (json.dumps(secret)[1:-1], quote(secret, safe="")):
        if form != secret:
            yield form


def _named(value: dict[str, JsonValue]) -> Iterator[str]:
    """Yield what stands under the name of a secret, in both common layouts."""
    for key, item in value.items():
        if isinstance(item, str) and names_secret(key):
            yield item
    name, item = value.get("name"), value.get("value")
    if isinstance(name, str) and isinstance(item, str) and names_secret(name):
        yield item


def _after_options(values: list[JsonValue]) -> Iterator[str]:
    """Yield what follows an option such as `--token` in a list of arguments."""
    texts = (value if isinstance(value, str) else "" for value in values)
    for option, value in pairwise(texts):
        if option.startswith("-") and names_secret(option):
            yield value
