"""The fields of requests: each reads a value and says in JSON Schema what it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from crdtsync.errors import UsageError
from crdtsync.identity import NAME_CHARS_MAX
from crdtsync.schema import JsonObject, JsonValue

__all__ = [
    "NAME",
    "Field",
    "Fields",
    "Flag",
    "Number",
    "Text",
    "Values",
    "read_fields",
]


@dataclass(frozen=True, slots=True)
class Text:
    """A text.

    Attributes:
        about: For the documentation.
        pattern: What it looks like, from beginning to end; empty for anything.
        choices: All that it may be; empty for anything.
        chars_max: Its length; 0 for any.
        needed: Whether it has to be there; if not, it is "" by default.
        default: Otherwise.
        format: A name for its pattern, for documentation.
    """

    about: str
    pattern: str = ""
    choices: tuple[str, ...] = ()
    chars_max: int = 0
    needed: bool = False
    default: str = ""
    format: str = ""

    def schema(self) -> JsonObject:
        """What it takes, in JSON Schema."""
        found: JsonObject = {"type": "string", "description": self.about}
        if self.pattern:
            found["pattern"] = f"^{self.pattern}$"
        if self.choices:
            found["enum"] = [*self.choices]
        if self.chars_max:
            found["maxLength"] = self.chars_max
        if self.default:
            found["default"] = self.default
        if self.format:
            found["format"] = self.format
        return found

    def read(self, name: str, value: JsonValue) -> str:
        """Check a value.

        Raises:
            UsageError: It is not what the field takes.
        """
        if not isinstance(value, str):
            raise UsageError(f"{name} is no text")
        if self.chars_max and len(value) > self.chars_max:
            raise UsageError(f"{name} has more than {self.chars_max} characters")
        if self.choices and value not in self.choices:
            raise UsageError(f"{name} is none of {', '.join(self.choices)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise UsageError(f"{name} does not look like {self.pattern}")
        return value

    def parse(self, name: str, text: str) -> str:
        """Check a value of a query."""
        return self.read(name, text)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two others."""

    about: str
    lowest: int
    highest: int
    default: int | None = None
    needed: bool = False

    def schema(self) -> JsonObject:
        """What it takes, in JSON Schema."""
        found: JsonObject = {
            "type": "integer",
            "description": self.about,
            "minimum": self.lowest,
            "maximum": self.highest,
        }
        if self.default is not None:
            found["default"] = self.default
        return found

    def read(self, name: str, value: JsonValue) -> int:
        """Check a value.

        Raises:
            UsageError: It is not what the field takes.
        """
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{name} is no whole number")
        if not self.lowest <= value <= self.highest:
            raise UsageError(f"{name} is not between {self.lowest} and {self.highest}")
        return value

    def parse(self, name: str, text: str) -> int:
        """Check a value of a query."""
        if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
            raise UsageError(f"{name} is no whole number")
        return self.read(name, int(text))


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    about: str
    default: bool | None = False
    needed: bool = False

    def schema(self) -> JsonObject:
        """What it takes, in JSON Schema."""
        found: JsonObject = {"type": "boolean", "description": self.about}
        if self.default is not None:
            found["default"] = self.default
        return found

    def read(self, name: str, value: JsonValue) -> bool:
        """Check a value.

        Raises:
            UsageError: It is not what the field takes.
        """
        if not isinstance(value, bool):
            raise UsageError(f"{name} is neither true nor false")
        return value

    def parse(self, name: str, text: str) -> bool:
        """Check a value of a query."""
        if text not in {"true", "false"}:
            raise UsageError(f"{name} is neither true nor false")
        return text == "true"


Field: TypeAlias = Text | Number | Flag
Fields: TypeAlias = Mapping[str, Field]

NAME: Final = Text(
    "How they are called, if nobody knows yet; controls are taken out.",
    chars_max=NAME_CHARS_MAX,
)


class Values:
    """What a request says, checked; what it does not say has its default."""

    def __init__(self, found: Mapping[str, str | int | bool | None]) -> None:
        self._found = found

    def has(self, name: str) -> bool:
        """Whether a field has a value, its default included; an empty text is none."""
        return self._found.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """A text; "" if it has no value."""
        value = self._found.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """A number; 0 if it has no value."""
        value = self._found.get(name)
        return value if isinstance(value, int) else 0

    def flag(self, name: str) -> bool:
        """A flag; false if it has no value."""
        return self._found.get(name) is True


def read_fields(
    fields: Fields, found: Mapping[str, JsonValue], *, of_query: bool = False
) -> Values:
    """Check what a request says; the unknown is refused, lest it be a slip.

    Args:
        fields: What may be said.
        found: What is said.
        of_query: All values are texts.

    Raises:
        UsageError: A value is not what its field takes, missing, or unknown.
    """
    for name in found:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise UsageError(f"{name[:64]!r} is unknown here", hint=f"Known: {known}.")
    values: dict[str, str | int | bool | None] = {}
    for name, field in fields.items():
        if name not in found:
            if field.needed:
                raise UsageError(f"{name} is missing")
            values[name] = field.default
        elif of_query:
            values[name] = field.parse(name, str(found[name]))
        else:
            values[name] = field.read(name, found[name])
    return Values(values)
