"""Makes text from outside safe to show (X-2); it knows no markup and no encoding.

Every name, message, title and delta passes here before it reaches a terminal. What
could move the cursor, rename the window or reverse the reading order is taken out.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["clean_line", "clean_text", "escape_json"]

# C0 without tab and newline, DEL, C1; bidi embeddings, overrides and isolates.
_UNSAFE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}"
    "\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}"
)
_SURROGATES: Final = "\ud800-\udfff"
_BREAK: Final = re.compile("\r\n?|[\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}]")
_REMOVED: Final = re.compile(f"[{_UNSAFE}]")
_REPLACED: Final = re.compile(f"[{_SURROGATES}]")
_SPACE: Final = re.compile(r"[\n\t]+")
_ESCAPED: Final = re.compile(
    f"[{_UNSAFE}{_SURROGATES}\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}]"
)


def clean_text(text: str) -> str:
    """Return text of several lines without anything a terminal would obey.

    Newlines and tabs stay; other line breaks become newlines, lone surrogates the
    replacement character. Doing it twice changes nothing more.
    """
    text = _BREAK.sub("\n", text)
    return _REPLACED.sub("\N{REPLACEMENT CHARACTER}", _REMOVED.sub("", text))


def clean_line(text: str) -> str:
    """Return text as one line; runs of newlines and tabs become a space."""
    return _SPACE.sub(" ", clean_text(text)).strip()


def escape_json(encoded: str) -> str:
    r"""Write the same characters in a JSON text as \u escapes, so that none is lost."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", encoded)
