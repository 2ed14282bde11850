"""Tokens, and codes short enough to be said aloud; made and recognised, not kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Final

from crdtsync.links.addresses import INVITE_PREFIX

__all__ = [
    "is_code",
    "make_code",
    "make_invite",
    "make_token",
    "number_of",
    "secret_hash",
    "words",
]

TOKEN_BYTES: Final = 32
"""Random bytes of a token: nobody guesses one, so that a plain hash is enough."""

NUMBERS: Final = 100
"""Codes open at the same time; each has a number of its own."""

WORDS: Final = 256
"""Words to choose from: three of them and the number make 31 bits."""

_CODE: Final = re.compile(r"([0-9]{1,2})-[a-z]{2,12}-[a-z]{2,12}-[a-z]{2,12}")


def make_token() -> str:
    """Make a token."""
    return f"cs1_{secrets.token_urlsafe(TOKEN_BYTES)}"


def make_invite() -> str:
    """Make the secret of an invite's link; it cannot be mistaken for a token."""
    return f"{INVITE_PREFIX}{secrets.token_urlsafe(TOKEN_BYTES)}"


def secret_hash(secret: str) -> bytes:
    """What is kept of a token or a code."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def make_code(taken: Collection[int]) -> tuple[int, str] | None:
    """Make a code whose number is not among those taken; None if all are."""
    free = [number for number in range(NUMBERS) if number not in taken]
    if not free:
        return None
    number = secrets.choice(free)
    chosen = (secrets.choice(words()) for _ in range(3))
    return number, "-".join([str(number), *chosen])


def is_code(text: str) -> bool:
    """Whether a text has the form of a short code."""
    return _CODE.fullmatch(text) is not None


def number_of(code: str) -> int:
    """The number of what `is_code` says is a code."""
    return int(code.partition("-")[0])


@cache
def words() -> tuple[str, ...]:
    """The words of codes: short, plain, and spelt as they sound."""
    text = files("crdtsync_relay").joinpath("words.txt").read_text(encoding="ascii")
    return tuple(text.split())
