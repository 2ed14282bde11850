"""What people choose for one window: whom to follow and mute, what to see, copy, clear.

Nothing here changes the session, but for whom a window follows, which others see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.sanitize import clean_line, clean_text
from crdtsync_cli.activity import Deed, activity_lines
from crdtsync_cli.attention import Attention
from crdtsync_cli.naming import find_participant
from crdtsync_cli.printed import output_lines
from crdtsync_cli.reply import Reply
from crdtsync_cli.settings import THEMES
from crdtsync_cli.slash import Command, whole
from crdtsync_cli.words import plural

if TYPE_CHECKING:
    from crdtsync.session import Session

__all__ = ["choose"]

COPY_BYTES_MAX: Final = 74_994
"""What terminals take at least for their clipboard, before base64."""


def choose(session: Session, command: Command, attention: Attention) -> Reply:
    """Do what a line asks of the window it was typed into.

    Raises:
        UsageError: It names nobody, or nothing there is.
        OperationFailed: There is nothing to copy, or too much.
    """
    match command.slash.name:
        case "follow":
            return Reply(tuple(_follow(session, command.rest, attention)))
        case "mute":
            return Reply(tuple(_mute(session, command.rest, attention)))
        case "activity":
            return _activity(session, command.words, attention)
        case "copy":
            return _copy(session, command.words)
        case "theme":
            return _theme(command.rest)
    return Reply(clear=True)


def _follow(session: Session, word: str, attention: Attention) -> list[str]:
    if word == "off":
        attention.following = None
        session.company.set_following("")
        return ["you follow nobody"]
    if word:
        attention.following = find_participant(session, word)
        session.company.set_following(attention.following[0])
    if attention.following is None:
        return ["you follow nobody: /follow NAME shows what their tools print"]
    name = attention.following[1]
    return [f"you follow {name}: what the tools print in their turns is shown here"]


def _mute(session: Session, word: str, attention: Attention) -> list[str]:
    muted = attention.muted
    if word == "off":
        muted.clear()
    elif word:
        participant, name = find_participant(session, word)
        if participant == session.me.id:
            raise UsageError("you cannot mute yourself")
        if muted.pop(participant, None) is None:
            muted[participant] = name
    names = ", ".join(muted.values())
    return [f"muted in this window: {names}" if names else "nobody is muted here"]


def _activity(session: Session, words: list[str], attention: Attention) -> Reply:
    match words:
        case ["on" | "quiet" as how]:
            attention.quiet = how == "quiet"
            said = "hidden: /activity shows them" if attention.quiet else "shown"
            return Reply((f"finished tools are {said}",))
        case [wanted] if wanted == "last" or wanted[0].isdigit():
            return Reply(tuple(output_lines(session, wanted)), long=True)
    deeds = attention.activity.deeds(session)
    for word in words:
        deeds = _filtered(session, deeds, word)
    return Reply(tuple(activity_lines(deeds, session)), long=True)


def _filtered(session: Session, deeds: list[Deed], word: str) -> list[Deed]:
    """The deeds of a person or of a kind."""
    if word.startswith("@"):
        participant, _ = find_participant(session, word)
        return [deed for deed in deeds if deed.who == participant]
    found = [deed for deed in deeds if deed.kind.casefold() == word.casefold()]
    if not found:
        kinds = ", ".join(sorted({clean_line(deed.kind) for deed in deeds})) or "none"
        raise UsageError(
            f"nothing of the kind {clean_line(word)!r} was done",
            hint=f"Kinds so far: {kinds}. For a person, type @NAME.",
        )
    return found


def _copy(session: Session, words: list[str]) -> Reply:
    """The last answer, or the so-manieth before the end."""
    wanted = whole(words[0], "number") if words else 1
    view = session.view
    for message in reversed(view.messages):
        if message.role == "assistant":
            wanted -= 1
            if not wanted:
                return _copied(clean_text(view.text(message.id)))
    raise OperationFailed("there is no such answer to copy")


def _copied(text: str) -> Reply:
    size = len(text.encode())
    if size > COPY_BYTES_MAX:
        raise OperationFailed(
            f"the answer has {size:,} bytes; a terminal's clipboard takes "
            f"{COPY_BYTES_MAX:,}",
            hint="/export writes it to a file.",
        )
    lines = plural(text.count("\n") + 1, "line")
    return Reply((f"{lines} sent to your terminal's clipboard",), copy=text)


def _theme(word: str) -> Reply:
    if not word:
        return Reply((f"themes: {', '.join(THEMES)}",))
    if word not in THEMES:
        raise UsageError(
            f"there is no theme {clean_line(word)!r}",
            hint=f"Choose one of {', '.join(THEMES)}.",
        )
    return Reply((f"theme {word} from now on",), theme=word)
