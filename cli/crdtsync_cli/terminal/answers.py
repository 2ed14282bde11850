"""The messages that agents are writing: what of them is finished, under a head.

Pure, as the story whose part it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from crdtsync.entities import Message, ToolCall
from crdtsync.events import AssistantDelta, ThoughtDelta
from crdtsync_cli.terminal.block import Answer, Block, Code, Head, Thought
from crdtsync_cli.terminal.stream import Stream
from crdtsync_cli.words import duration

__all__ = ["Answers", "Writing"]


@dataclass(slots=True)
class Writing:
    """One message that is being written.

    Attributes:
        thought: Whether it is one of the agent's thoughts.
        since: When its first text was seen.
    """

    message: Message
    thought: bool
    since: datetime
    stream: Stream


class Answers:
    """What agents are writing in one session.

    Args:
        make_head: Makes the row above a message, given when its first text was seen.

    Attributes:
        writing: By message, in the order of its beginning.
    """

    def __init__(self, make_head: Callable[[Message, datetime | None], Head]) -> None:
        self.writing: dict[str, Writing] = {}
        self._make_head = make_head
        self._headed = ("", "")

    def interrupt(self) -> None:
        """Note that something came between: what is said next needs a head again."""
        self._headed = ("", "")

    def forget(self, turn: str) -> None:
        """Keep nothing of a turn that is over."""
        writing = self.writing.items()
        self.writing = {k: w for k, w in writing if w.message.turn not in {turn, ""}}

    def commit(self) -> list[Block]:
        """What of the messages being written is finished by now."""
        found: list[Block] = []
        for writing in self.writing.values():
            if not writing.thought:
                found += self._answered(writing.message, writing.stream.take())
        return found

    def head(self, writing: Writing) -> Head | None:
        """The row above what is being written, if it was not printed."""
        message = writing.message
        if self._headed == (message.turn, message.role) and message.turn:
            return None
        return self._make_head(message, writing.since)

    def feed(
        self, delta: AssistantDelta | ThoughtDelta, header: Message | None, at: datetime
    ) -> None:
        """Take more text; `header` is its message, if that is known."""
        writing = self.writing.get(delta.message)
        if writing is None:
            thought = isinstance(delta, ThoughtDelta)
            role = "thought" if thought else "assistant"
            message = header or Message(delta.message, role, "", "", turn=delta.turn)
            writing = Writing(message, thought, at, Stream())
            self.writing[delta.message] = writing
        writing.stream.feed(delta.text)

    def finish(self, message: Message, text: str, at: datetime) -> list[Block]:
        """What is left of a message that is complete."""
        writing = self.writing.pop(message.id, None)
        stream = writing.stream if writing is not None else Stream()
        if message.role == "thought":
            rest = text[stream.taken :]
            return [_thought(rest, writing, at)] if rest.strip() else []
        return self._answered(message, stream.finish(text))

    def before_tool(self, tool: ToolCall, at: datetime) -> list[Block]:
        """What was written before a tool is complete: text after it is another."""
        writing = self.writing.get(tool.message)
        if writing is None:
            return []
        tail, blocks = writing.stream.tail, writing.stream.finish()
        if not writing.thought:
            return self._answered(writing.message, blocks)
        return [_thought(tail, writing, at)] if tail.strip() else []

    def _answered(self, message: Message, blocks: list[Answer | Code]) -> list[Block]:
        """Blocks of an answer, under a head that says whose it is."""
        if not blocks:
            return []
        before, self._headed = self._headed, (message.turn, message.role)
        if message.turn and before == self._headed:
            return [*blocks]
        return [self._make_head(message, None), *blocks]


def _thought(text: str, writing: Writing | None, at: datetime) -> Thought:
    if writing is None:
        return Thought(text)
    return Thought(text, duration(writing.since.isoformat(), at.isoformat()))
