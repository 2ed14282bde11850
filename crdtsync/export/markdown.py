"""A session as Markdown for a code host; for people, not for import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crdtsync.export.markers import MARKDOWN_MARK
from crdtsync.export.moments import day_of, moment, time_of
from crdtsync.export.quoting import code_block, inline_text, quoted, tame
from crdtsync.export.toolshow import Detail
from crdtsync.export.transcript import Asked, Block, Said, Summary, Used

__all__ = ["write_markdown"]

_SIGNS: Final = {True: "✅", False: "⛔", None: "❔"}


def write_markdown(summary: Summary, blocks: Iterator[Block]) -> str:
    """Write a whole page."""
    parts = [MARKDOWN_MARK, f"# {inline_text(summary.title)}", _facts(summary)]
    day = ""
    for block in blocks:
        if isinstance(block, Said) and (found := day_of(block.at)) != day:
            day = found
            if day:
                parts.append(f"---\n\n## {day}")
        parts.append(_block(block))
    return "\n\n".join(parts) + "\n"


def _facts(summary: Summary) -> str:
    made = moment(summary.created_at)
    rows = [
        ("Started", f"{made} by {summary.created_by}" if summary.created_by else made),
        ("People", ", ".join(summary.people)),
        ("Agents", ", ".join(summary.agents)),
        ("Messages", f"{summary.messages:,}"),
    ]
    lines = [f"- **{name}:** {inline_text(text)}" for name, text in rows if text]
    return "\n".join([*lines, f"- **Session:** {_code_span(summary.session)}"])


def _block(block: Block) -> str:
    match block:
        case Said():
            return _said(block)
        case Used():
            return _used(block)
        case Asked():
            sign = _SIGNS[block.allowed]
            title, words = inline_text(block.title), inline_text(block.words)
            return f"> {sign} **Question {block.number}:** {title}: *{words}*"
        case _:
            return f"> ⚠️ *Turn: {inline_text('; '.join(block.words))}.*"


def _said(said: Said) -> str:
    marks = "".join(f" · *{inline_text(mark)}*" for mark in said.marks)
    time = f" · {inline_text(time_of(said.at))}" if said.at else ""
    head = f"### {inline_text(said.author)}{time}{marks}"
    if said.voice == "thought":
        return f"{head}\n\n{_folded('Thinking', [quoted(tame(said.text))])}"
    body = tame(said.text.rstrip(), breaks=said.voice != "agent")
    if not body.strip():
        body = "*(empty)*"
    parts = [head, body if said.voice == "agent" else quoted(body)]
    if said.late:
        parts.append(
            _folded(
                "Late: the agent of the next turn did not see this",
                [tame(said.late.strip())],
            )
        )
    return "\n\n".join(parts)


def _used(used: Used) -> str:
    kind = f"{_html(used.kind)}: " if used.kind and used.kind != "other" else ""
    head = f"🔧 {kind}<b>{_html(used.title)}</b> ({_html(used.words)})"
    if not used.details:
        return f"<details><summary>{head}</summary></details>"
    return _folded(head, [_detail(detail) for detail in used.details], escaped=True)


def _detail(detail: Detail) -> str:
    label = f"{inline_text(detail.label)}:"
    if "\n" not in detail.text and not detail.language:
        return f"{label} {_code_span(detail.text)}"
    return f"{label}\n\n{code_block(detail.text, detail.language)}"


def _folded(head: str, parts: list[str], *, escaped: bool = False) -> str:
    head = head if escaped else _html(head)
    body = "\n\n".join(parts)
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _html(text: str) -> str:
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("`", "&#96;")):
        text = text.replace(sign, name)
    return text


def _code_span(text: str) -> str:
    ticks = "`"
    while ticks in text:
        ticks += "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"
