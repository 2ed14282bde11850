"""A session as one HTML page without scripts and without anything to load.

Everything that came from outside is escaped (X-2).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from crdtsync.export.commonmark import render
from crdtsync.export.markers import HTML_MARK
from crdtsync.export.moments import day_of, moment, time_of
from crdtsync.export.toolshow import Detail
from crdtsync.export.transcript import Asked, Block, Said, Summary, Used

__all__ = ["write_page"]

NAME_COLOURS: Final = 8
"""Of the palette in page.css."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
_ANSWERS: Final = {True: ("yes", "✓"), False: ("no", "✗"), None: ("", "?")}
_DIFF_LINES: Final = {"+": "add", "-": "del", "@": "at"}


def write_page(summary: Summary, blocks: Iterator[Block]) -> str:
    """Write a whole page."""
    title = escape(summary.title)
    parts = [
        "<!doctype html>",
        '<html lang="und"><head><meta charset="utf-8">',
        HTML_MARK,
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title><style>{_style()}</style></head><body>",
        f"<header><h1>{title}</h1>{_facts(summary)}</header><main>",
    ]
    day = ""
    for block in blocks:
        if isinstance(block, Said) and (found := day_of(block.at)) != day:
            day = found
            if day:
                parts.append(f'<h2 class="day">{escape(day)}</h2>')
        parts.append(_block(block))
    session = escape(summary.session)
    parts.append(f"</main><footer>Session <code>{session}</code>. Times are UTC.")
    parts.append("Written by crdtsync.</footer></body></html>")
    return "\n".join(parts) + "\n"


@cache
def _style() -> str:
    return files("crdtsync.export").joinpath("page.css").read_text("utf-8")


def _facts(summary: Summary) -> str:
    made = moment(summary.created_at)
    rows = (
        ("Started", f"{made} by {summary.created_by}" if summary.created_by else made),
        ("People", ", ".join(summary.people)),
        ("Agents", ", ".join(summary.agents)),
        ("Messages", f"{summary.messages:,}"),
    )
    shown = (f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    return f"<dl>{''.join(shown)}</dl>"


def _block(block: Block) -> str:
    match block:
        case Said():
            return _said(block)
        case Used():
            return _used(block)
        case Asked():
            kind, sign = _ANSWERS[block.allowed]
            return (
                f'<div class="asked"><span class="{kind}">{sign}</span>'
                f"<span>{escape(block.title)}</span>"
                f'<span class="words">{escape(block.words)}</span></div>'
            )
        case _:
            return f'<div class="ran">Turn: {escape("; ".join(block.words))}</div>'


def _said(said: Said) -> str:
    who = _who(said)
    text = render(said.text, breaks=said.voice != "agent")
    if not said.text.strip():
        text = '<p class="empty">empty</p>'
    if said.voice == "thought":
        return (
            f'<section class="said thought">{who}'
            f"{_folded('Thinking', _body(text))}</section>"
        )
    late = ""
    if said.late:
        head = "Late: the agent of the next turn did not see this"
        late = _folded(head, _body(render(said.late)))
    return f'<section class="said {said.voice}">{who}{_body(text)}{late}</section>'


def _who(said: Said) -> str:
    colour = f"var(--name-{said.slot % NAME_COLOURS})"
    shown = f'<b style="color:{colour}">{escape(said.author)}</b>'
    if said.at:
        at = escape(said.at)
        shown += f'<time datetime="{at}">{escape(time_of(said.at))}</time>'
    shown += "".join(f'<span class="mark">{escape(m)}</span>' for m in said.marks)
    return f'<h3 class="who">{shown}</h3>'


def _used(used: Used) -> str:
    bad = " bad" if used.failed else ""
    kind = used.kind if used.kind != "other" else ""
    head = (
        f'<span class="end{bad}">{escape(used.words)}</span>'
        f'<span class="kind">{escape(kind)}</span> {escape(used.title)}'
    )
    if not used.details:
        return f'<details class="plain"><summary>{head}</summary></details>'
    return _folded_raw(head, "".join(map(_detail, used.details)))


def _detail(detail: Detail) -> str:
    if "\n" not in detail.text and not detail.language:
        label, text = escape(detail.label), escape(detail.text)
        return f"<p><b>{label}:</b> <code>{text}</code></p>"
    text = _diff(detail.text) if detail.language == "diff" else escape(detail.text)
    return f"<h4>{escape(detail.label)}</h4><pre>{text}</pre>"


def _diff(text: str) -> str:
    shown = []
    for line in text.split("\n"):
        kind = _DIFF_LINES.get(line[:1], "")
        inner = escape(line)
        shown.append(f'<span class="{kind}">{inner}</span>' if kind else inner)
    return "\n".join(shown)


def _body(inner: str) -> str:
    return f'<div class="body">{inner}</div>'


def _folded(head: str, inner: str) -> str:
    return _folded_raw(escape(head), inner)


def _folded_raw(head: str, inner: str) -> str:
    return (
        f'<details><summary>{head}</summary><div class="inside">{inner}</div></details>'
    )
