"""The table of all slash commands: names, arguments, help, rights; it reads no line.

Help, completion, the reference page and every kind of window go by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["BY_NAME", "REGISTRY", "Role", "Slash"]

Role: TypeAlias = Literal["viewer", "editor", "owner"]
"""What somebody may do, each including those before it."""


@dataclass(frozen=True, slots=True)
class Slash:
    """One slash command.

    Attributes:
        name: Without the slash.
        args: As the help shows them.
        help: One sentence.
        aliases: Other names.
        needs: How many words it needs at least.
        role: Who may use it.
        screen: Whether it needs a window on a screen.
        words: What completion proposes for each argument: "command", "person",
            "prompt", "question", "turn", "agent", "format", or words
            joined by "|". The last one counts for all that follow if it ends in "...".
        example: How it may be typed.
    """

    name: str
    args: str
    help: str
    aliases: tuple[str, ...] = ()
    needs: int = 0
    role: Role = "viewer"
    screen: bool = False
    words: tuple[str, ...] = ()
    example: str = ""

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"/{self.name} {self.args}".strip()


REGISTRY: Final = (
    Slash(
        "help", "[COMMAND]", "Show what can be typed here.", ("?",), words=("command",)
    ),
    # Who is here, and what goes on.
    Slash("who", "", "Show who is here.", ("names",)),
    Slash("status", "", "Show the session, the turn and what waits."),
    Slash("role", "", "Show what you may do here, and why."),
    Slash(
        "agent",
        "[NAME | none]",
        "Run turns in this window with that agent, or with none.",
        role="editor",
        words=("agent",),
        example="/agent demo",
    ),
    Slash("agents", "", "Show which agents run here, and which could."),
    Slash(
        "activity",
        "[on | quiet | last | ID | @PERSON | KIND]...",
        "Show what was done lately; with an ID such as 3.2, all that a tool printed.",
        words=(
            "on|quiet|last|shell|read|edit|search|turn|permission|people|person...",
        ),
        example="/activity @bob shell",
    ),
    Slash(
        "follow",
        "[NAME | off]",
        "Show what the tools print in the turns of somebody.",
        words=("person|off",),
    ),
    Slash(
        "mute",
        "[NAME | off]",
        "Hide what somebody writes, in this window; again shows it.",
        words=("person|off",),
    ),
    # The conversation.
    Slash(
        "history",
        "[N | TEXT]",
        "Show the last N messages (20), or those with a text.",
        example="/history 100",
    ),
    Slash("search", "TEXT", "Find messages.", needs=1, example="/search parser"),
    Slash(
        "note",
        "TEXT",
        "Write to the people only; the agent never sees it.",
        needs=1,
        words=("person...",),
        example="/note back in ten minutes",
    ),
    Slash(
        "title",
        "TEXT",
        "Give the session a title.",
        needs=1,
        role="editor",
        example="/title Fix the parser",
    ),
    Slash(
        "nick",
        "NAME",
        "Be called otherwise in this session, by everybody.",
        needs=1,
        role="editor",
        example="/nick anna",
    ),
    # Turns.
    Slash(
        "queue",
        "[show | move FROM TO | drop N | edit N TEXT | clear | run]",
        "Show or change the prompts that wait; clear drops yours, run releases the "
        "held ones.",
        words=("show|move|drop|edit|clear|run", "prompt", "prompt"),
        example="/queue drop 2",
    ),
    Slash("cancel", "[TURN]", "Stop the running turn.", role="editor", words=("turn",)),
    Slash(
        "interrupt",
        "TEXT",
        "Stop the running turn and run this instead.",
        needs=1,
        role="editor",
        example="/interrupt only the lexer, please",
    ),
    Slash(
        "allow",
        "N",
        "Answer permission question N with yes.",
        needs=1,
        role="editor",
        words=("question",),
        example="/allow 1",
    ),
    Slash(
        "deny",
        "N [WHY]",
        "Answer permission question N with no.",
        needs=1,
        role="editor",
        words=("question",),
        example="/deny 1 not on a Friday",
    ),
    Slash(
        "apart",
        "[no]",
        "Run what waits here although the relay is out of reach, until it is back.",
        role="editor",
        words=("yes|no",),
    ),
    Slash(
        "take",
        "",
        "Take over: run the next prompt here, although another machine runs a turn.",
        role="owner",
    ),
    Slash(
        "arbiter",
        "[LINK | none]",
        "Show which relay grants the turns, or have another one do it.",
        role="editor",
        example="/arbiter relay.example.org",
    ),
    Slash(
        "task",
        "[list | add | done | assign]",
        "Tasks are not there yet: they come with the workspace.",
        ("tasks",),
        words=("list|add|done|assign",),
    ),
    # The session as a whole.
    Slash(
        "share",
        "[editor | viewer] [TIME]",
        "Make a link and a code that let somebody in.",
        words=("editor|viewer",),
        example="/share viewer 7d",
    ),
    Slash(
        "join",
        "LINK | CODE [RELAY]",
        "Join another session, to be opened then.",
        needs=1,
        example="/join 17-otter-maple-sonic",
    ),
    Slash(
        "fork",
        "[NAME]",
        "Make a new session that goes on from here.",
        example="/fork another-way",
    ),
    Slash(
        "export",
        "[FORMAT] [PATH]",
        "Write the session to a file (md).",
        words=("format",),
        example="/export html session.html",
    ),
    # This window.
    Slash(
        "copy",
        "[N]",
        "Put the last answer, or the Nth last, into the clipboard of your terminal.",
        screen=True,
    ),
    Slash("clear", "", "Clear the screen; nothing is lost.", screen=True),
    Slash(
        "theme",
        "[NAME]",
        "Choose the colours of this window.",
        screen=True,
        words=("dark|light|none",),
    ),
    Slash("leave", "", "Leave the session; it stays.", ("quit", "exit", "q")),
)
"""Every slash command, in the order /help lists them."""

BY_NAME: Final = {
    name: slash for slash in REGISTRY for name in (slash.name, *slash.aliases)
}
"""Every command by its name and its other names."""
