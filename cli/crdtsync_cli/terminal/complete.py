"""Completes slash commands in the input line, from memory alone."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from crdtsync_cli.slash import REGISTRY

__all__ = ["SlashCompleter"]


class SlashCompleter(Completer):
    """Proposes commands while the first word of the line is being typed."""

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield the commands that begin like the word before the cursor."""
        typed = document.text_before_cursor
        if not typed.startswith("/") or " " in typed or typed.startswith("//"):
            return
        for slash in REGISTRY:
            if slash.name.startswith(typed[1:].lower()):
                yield Completion(
                    f"/{slash.name}",
                    start_position=-len(typed),
                    display_meta=slash.help,
                )
