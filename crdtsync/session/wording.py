"""Checks what people write before it reaches the document; it writes nothing."""

from __future__ import annotations

from crdtsync.errors import UsageError
from crdtsync.identity import ID
from crdtsync.limits import MESSAGE_BYTES_MAX, TITLE_CHARS_MAX


def check_text(text: str) -> str:
    """Return a message's text if it can be sent.

    Raises:
        UsageError: It is empty, too long or holds lone surrogates.
    """
    if not text.strip():
        raise UsageError("the message is empty", hint="Nothing was sent.")
    size = _bytes(text, "the message")
    if size > MESSAGE_BYTES_MAX:
        raise UsageError(
            f"the message has {size} bytes, more than {MESSAGE_BYTES_MAX}",
            hint="Put it into a file and name its path.",
        )
    return text


def check_title(title: str) -> str:
    """Return a title in one line, without space around it.

    Raises:
        UsageError: It is empty, too long or holds lone surrogates.
    """
    title = " ".join(title.split())
    if not title or len(title) > TITLE_CHARS_MAX:
        raise UsageError(f"a title has 1 to {TITLE_CHARS_MAX} characters")
    _bytes(title, "the title")
    return title


def check_ids(*ids: str) -> None:
    """Accept ids of messages; "" stands for none.

    Raises:
        UsageError: One cannot be an id (X-3).
    """
    if any(i and not ID.fullmatch(i) for i in ids):
        raise UsageError("an id has 1 to 128 letters, digits, '-' and '_'")


def _bytes(text: str, what: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} is not valid UTF-8 text",
            hint="Send text; put binary data into a file and name its path.",
        ) from error
