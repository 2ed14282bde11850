"""Puts foreign Markdown into a Markdown page without letting it change the page.

Headings are lowered, raw HTML is shown instead of obeyed, and an open code fence is
closed, so that a message can neither forge another author nor swallow what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from markdown_it.token import Token

from crdtsync.export.commonmark import HEADING_MAX, LOWER_BY, parse

__all__ = ["code_block", "inline_text", "quoted", "tame"]

# No line of clean text is this.
_GONE: Final = "\0"
# Without any of these nothing would be changed.
_RISKY: Final = re.compile(r"[<#]|```|~~~|^[ >]*[=-]+[ \t]*$", re.MULTILINE)
_ATX: Final = re.compile(r"#{1,6}(?=\s|$)")
_RUN: Final = re.compile("`+")
_AUTOLINK: Final = re.compile(r"<(?:https?://[^\s<>]*|mailto:[^\s<>]*)>")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|~#])")


def inline_text(text: str) -> str:
    """Write plain text so that it means itself within a line of Markdown."""
    return _SPECIAL.sub(r"\\\1", text)


def code_block(text: str, language: str = "") -> str:
    """Write text as a code block, whatever fences are in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def quoted(text: str) -> str:
    """Write Markdown as a block quote."""
    lines = text.split("\n")
    return "\n".join(f"> {line}" if line else ">" for line in lines)


def tame(text: str, *, breaks: bool = False) -> str:
    """Write foreign Markdown so that it stays within its place.

    Args:
        text: Safe to show in a terminal, see `crdtsync.sanitize`.
        breaks: Keep line breaks as they are, as in what a person typed.
    """
    if not _RISKY.search(text) and not (breaks and "\n" in text):
        return text
    tokens = parse(text)
    if tokens is None:
        return code_block(text)
    lines = text.split("\n")
    for token in tokens:
        match token.type:
            case "heading_open":
                _lower_heading(lines, token)
            case "inline":
                _tame_inline(lines, token, breaks=breaks)
    lines += list(_closing_fences(lines, tokens))
    return "\n".join(line for line in lines if line != _GONE)


def _lower_heading(lines: list[str], token: Token) -> None:
    start, end = _span(token, lines)
    level = min(HEADING_MAX, int(token.tag[1:]) + LOWER_BY)
    if token.markup.startswith("#"):
        lines[start] = _ATX.sub("#" * level, lines[start], count=1)
    else:
        # A line of = or - under the text.
        lines[end - 1] = re.sub(r"[=-]+\s*$", "", lines[end - 1])
        if token.level == 0:
            text = " ".join(line.strip() for line in lines[start : end - 1])
            lines[start] = f"{'#' * level} {text}"
            lines[start + 1 : end] = [_GONE] * (end - start - 1)


def _tame_inline(lines: list[str], token: Token, *, breaks: bool) -> None:
    start, end = _span(token, lines)
    rows = [at for at in range(start, end) if lines[at] != _GONE]
    text = "\n".join(lines[at] for at in rows)
    for at, line in zip(rows, _escape_html(text).split("\n"), strict=False):
        lines[at] = f"{line.rstrip()}  " if breaks and at != rows[-1] else line


def _escape_html(text: str) -> str:
    r"""Write each < outside of code spans as \<, but keep <https://...> links."""
    found: list[str] = []
    at = 0
    for start, end in _code_spans(text):
        # A line that begins with HTML ends a code span before it.
        line_end = text.find("\n", start, end)
        stop = end if line_end < 0 else line_end
        found += [_escape_plain(text[at:start]), text[start:stop]]
        at = stop
    return "".join([*found, _escape_plain(text[at:])])


def _escape_plain(text: str) -> str:
    found: list[str] = []
    at = 0
    for link in _AUTOLINK.finditer(text):
        found += [_escape_signs(text[at : link.start()]), link.group()]
        at = link.end()
    return "".join([*found, _escape_signs(text[at:])])


def _escape_signs(text: str) -> str:
    # A backslash before it would have been spent on the sign itself.
    return re.sub(r"\\?<", "&lt;", text)


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Find code spans: a run of backticks up to the next run of the same length.

    A backslash takes the first backtick out of an opening run, but means nothing
    within a span.
    """
    runs = [found.span() for found in _RUN.finditer(text)]
    later: dict[int, list[int]] = {}
    for number in range(len(runs) - 1, -1, -1):
        start, end = runs[number]
        later.setdefault(end - start, []).append(number)
    number = at = 0
    while number < len(runs):
        start, end = runs[number]
        before = text[at:start]
        start += (len(before) - len(before.rstrip("\\"))) % 2
        closing = later.get(end - start, [])
        while closing and closing[-1] <= number:
            closing.pop()
        if end > start and closing:
            number = closing[-1]
            yield start, runs[number][1]
        at = runs[number][1]
        number += 1


def _closing_fences(lines: list[str], tokens: list[Token]) -> Iterator[str]:
    """Yield the fence that a text leaves open at its end, if it does."""
    if not tokens or tokens[-1].type != "fence" or tokens[-1].level:
        return
    token = tokens[-1]
    start, end = _span(token, lines)
    last = lines[end - 1].strip() if end - 1 > start else ""
    closed = last.startswith(token.markup) and not last.strip(token.markup[0])
    if not closed:
        yield token.markup


def _span(token: Token, lines: list[str]) -> tuple[int, int]:
    start, end = token.map or [0, 0]
    return start, min(end, len(lines))
