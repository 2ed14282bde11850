"""What one window says about itself, and its bytes; who says it is not checked here.

A payload is one JSON object of at most 4,096 bytes. Unknown keys are ignored, so that
later versions may add some; everything else that breaks a rule is a `ProtocolError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NoReturn, TypeAlias

from crdtsync.errors import ProtocolError

__all__ = [
    "Asking",
    "InfoValue",
    "Leaving",
    "PresenceMessage",
    "PresenceState",
    "Status",
    "decode",
    "encode",
]

STATE_BYTES_MAX = 4096
"""One payload of the bell, and the relay's bound of one state (R-6)."""

NAME_CHARS_MAX = 64
PARTICIPANT_CHARS_MAX = 128
PLACE_CHARS_MAX = 128
INFO_KEYS_MAX = 16
INFO_CHARS_MAX = 512
INTEGER_MAX = 2**53 - 1
"""What every JSON reader keeps exactly."""

TYPING_MS_MAX = 6000
"""How long typing shows after the last key."""

IDLE_AFTER_S = 300
"""A window without input for so long is idle."""

Status: TypeAlias = Literal["active", "idle", "away"]
InfoValue: TypeAlias = str | int | bool

_WINDOW = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_INFO_KEY = re.compile(r"[a-z][a-z0-9_.]{0,31}", re.ASCII)
_KINDS = ("person", "agent")
_ROLES = ("owner", "editor", "viewer")
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls, line separators, direction marks and overrides, halves of characters."""


@dataclass(frozen=True, slots=True)
class PresenceState:
    """One window as others see it.

    Texts lose control characters and direction overrides when a state is made.

    Attributes:
        window: The window's id.
        participant: Id of the participant whose window it is; over a relay the relay
            vouches for it, on one machine the user's own processes do.
        viewing: What the window shows, such as a message id; empty for the newest.
        following: The participant whose view it follows; empty for nobody.
        info: Short facts about an agent or a running turn; treat as read-only.
        away: The person said so, or the window is detached.
        typing_ms: For so long typing still shows; 0 if nobody types.
        input_age_s: Seconds since the last input.
        hello: The window is new and asks for everybody's state.
        started: Boottime in ms at which the window's process began; a later one wins.
        clock: Grows with every state sent by that process.

    Raises:
        ValueError: A field is too long, out of range or of an unknown kind.
    """

    window: str
    participant: str
    name: str
    kind: Literal["person", "agent"] = "person"
    role: Literal["owner", "editor", "viewer"] = "editor"
    viewing: str = ""
    following: str = ""
    info: Mapping[str, InfoValue] = field(default_factory=dict)
    away: bool = False
    typing_ms: int = 0
    input_age_s: int = 0
    hello: bool = False
    started: int = 0
    clock: int = 0

    def __post_init__(self) -> None:
        check_window(self.window)
        cleaned = {
            "participant": _text(self.participant, PARTICIPANT_CHARS_MAX),
            "name": _text(self.name, NAME_CHARS_MAX),
            "viewing": _text(self.viewing, PLACE_CHARS_MAX),
            "following": _text(self.following, PARTICIPANT_CHARS_MAX),
            "info": _info(self.info),
        }
        if not cleaned["participant"] or not cleaned["name"]:
            raise ValueError("participant or name is empty")
        for key, value in cleaned.items():
            object.__setattr__(self, key, value)
        if self.kind not in _KINDS or self.role not in _ROLES:
            raise ValueError("unknown kind or role")
        _integer(self.typing_ms, TYPING_MS_MAX)
        for number in (self.input_age_s, self.started, self.clock):
            _integer(number, INTEGER_MAX)
        if type(self.away) is not bool or type(self.hello) is not bool:
            raise ValueError("away and hello are true or false")

    @property
    def typing(self) -> bool:
        """Whether somebody types in this window."""
        return self.typing_ms > 0

    @property
    def status(self) -> Status:
        """Away if said so, idle after five minutes without input, else active."""
        if self.away:
            return "away"
        return "idle" if self.input_age_s >= IDLE_AFTER_S else "active"

    def aged(self, elapsed_s: float) -> PresenceState:
        """The same state so many seconds later, without news."""
        return replace(
            self,
            typing_ms=max(0, self.typing_ms - round(elapsed_s * 1000)),
            input_age_s=min(INTEGER_MAX, self.input_age_s + whole_seconds(elapsed_s)),
        )


@dataclass(frozen=True, slots=True)
class Leaving:
    """The last words of a window: nothing more comes from this process."""

    window: str
    started: int
    clock: int

    def __post_init__(self) -> None:
        check_window(self.window)
        _integer(self.started, INTEGER_MAX)
        _integer(self.clock, INTEGER_MAX)


@dataclass(frozen=True, slots=True)
class Asking:
    """The question for everybody's state, of a window that shows itself to nobody."""

    window: str

    def __post_init__(self) -> None:
        check_window(self.window)


PresenceMessage: TypeAlias = PresenceState | Leaving | Asking

_TYPES: Mapping[str, type[PresenceMessage]] = {
    "state": PresenceState,
    "leaving": Leaving,
    "asking": Asking,
}
_TAGS = {kind: tag for tag, kind in _TYPES.items()}


def encode(message: PresenceMessage) -> bytes:
    """Give a message its bytes.

    Raises:
        ValueError: The state is larger than `STATE_BYTES_MAX`.
    """
    said: dict[str, object] = {"presence": _TAGS[type(message)]}
    for entry in fields(message):
        said[entry.name] = getattr(message, entry.name)
    data = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > STATE_BYTES_MAX:
        raise ValueError(f"a presence state of {len(data)} bytes")
    return data


def decode(data: bytes) -> PresenceMessage:
    """Read a message that came from outside.

    Raises:
        ProtocolError: The bytes are no message of ours, whatever they are.
    """
    if len(data) > STATE_BYTES_MAX:
        raise ProtocolError(f"a presence payload of {len(data)} bytes")
    try:
        said = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a presence payload that is no JSON") from error
    kind = _TYPES.get(str(said.get("presence"))) if isinstance(said, dict) else None
    if kind is None:
        raise ProtocolError("a presence payload of an unknown kind")
    known: dict[str, Any] = {
        entry.name: _whole(said[entry.name])
        for entry in fields(kind)
        if said.get(entry.name) is not None
    }
    try:
        return kind(**known)
    except (ValueError, TypeError) as error:
        raise ProtocolError(
            f"a presence payload that breaks a rule: {error}"
        ) from error


def whole_seconds(elapsed_s: float) -> int:
    """Round down, but never by the error of a sum of floats."""
    return int(elapsed_s + 0.001)


def check_window(window: object) -> None:
    """Refuse what is no window id.

    Raises:
        ValueError: It does not match `[A-Za-z0-9_-]{1,64}`.
    """
    if not isinstance(window, str) or not _WINDOW.fullmatch(window):
        raise ValueError("not a window id")


def _text(value: object, chars_max: int) -> str:
    if not isinstance(value, str) or len(value) > chars_max:
        raise ValueError(f"no text of at most {chars_max} characters")
    return _HARMFUL.sub("", value).strip()


def _info(value: object) -> dict[str, InfoValue]:
    if not isinstance(value, Mapping) or len(value) > INFO_KEYS_MAX:
        raise ValueError(f"info is no object of at most {INFO_KEYS_MAX} keys")
    info: dict[str, InfoValue] = {}
    for key, item in value.items():
        if not isinstance(key, str) or not _INFO_KEY.fullmatch(key):
            raise ValueError("a key of info is no short name")
        whole = _whole(item)
        if isinstance(whole, bool):
            info[key] = whole
        elif isinstance(whole, int):
            info[key] = _integer(whole, INTEGER_MAX)
        else:
            info[key] = _text(whole, INFO_CHARS_MAX)
    return info


def _integer(value: object, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"no number from 0 to {largest}")
    return value


def _whole(value: object) -> object:
    """Take 1.0 for 1, as writers without integers mean it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
