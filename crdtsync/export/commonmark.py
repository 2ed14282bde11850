"""Parses and renders the Markdown of answers; raw HTML in it stays text (X-2)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

__all__ = ["HEADING_MAX", "LOWER_BY", "parse", "render"]

PARSE_CHARS_MAX: Final = 200_000
"""A longer text is shown as it was typed."""

_NESTING_MAX: Final = 100
# The parser drops what is nested deeper; one block opens at most two levels.
_NESTING_SAFE: Final = _NESTING_MAX - 2

LOWER_BY: Final = 3
"""Headings in an answer rank below those of the page."""

HEADING_MAX: Final = 6


class _Renderer(RendererHTML):
    """Renders links that tell nothing to where they lead, and no images."""

    def image(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Write a link: a page that is opened must not load anything."""
        source = str(tokens[idx].attrs.get("src", ""))
        text = escape(tokens[idx].content or source)
        if not source.startswith(("http://", "https://")):
            return f"[{text}]"
        return f'<a href="{escape(source)}" rel="noopener noreferrer">[{text}]</a>'

    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """Write a link without a referrer."""
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, idx, options, env)


_PARSER: Final = MarkdownIt(
    "commonmark",
    {"html": False, "maxNesting": _NESTING_MAX},
    renderer_cls=_Renderer,
).enable(["table", "strikethrough"])


def parse(text: str) -> list[Token] | None:
    """Parse Markdown; None if the text is too long or too deep to be parsed whole."""
    if len(text) > PARSE_CHARS_MAX:
        return None
    tokens = _PARSER.parse(text)
    deepest = max((token.level for token in tokens), default=0)
    return tokens if deepest < _NESTING_SAFE else None


def render(text: str, *, breaks: bool = False) -> str:
    """Render Markdown as HTML.

    Args:
        text: Safe to show in a terminal, see `crdtsync.sanitize`.
        breaks: Keep line breaks as they are, as in what a person typed.
    """
    tokens = parse(text)
    if tokens is None:
        return f"<pre>{escape(text)}</pre>"
    for token in tokens:
        if token.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            token.tag = f"h{min(HEADING_MAX, int(token.tag[1:]) + LOWER_BY)}"
        for child in token.children or ():
            if breaks and child.type == "softbreak":
                child.type, child.tag = "hardbreak", "br"
    return str(_PARSER.renderer.render(tokens, _PARSER.options, {}))
