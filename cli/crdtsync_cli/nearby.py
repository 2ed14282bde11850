"""Joining a window of the same network: listed, chosen, compared, and a code typed.

What is found is a hint: the code is sent only to a certificate that a person compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from crdtsync.errors import OperationFailed, UsageError
from crdtsync.links.addresses import SessionLink, is_link, parse_link
from crdtsync_cli.words import columns

if TYPE_CHECKING:
    from crdtsync_relay.nearby import Nearby

    from crdtsync_cli.calling import Call

__all__ = ["choose_nearby"]


def choose_nearby(call: Call, code: str) -> tuple[SessionLink, str]:
    """Let a person choose a window that listens nearby; outside of any event loop.

    Args:
        call: Asks on stderr; answers are lines of stdin.
        code: The code or link, if it was given already.

    Returns:
        Where to join, and the code.

    Raises:
        OperationFailed: Nobody answers, or nothing was chosen.
        UsageError: The extra is missing, or an answer makes no sense.
        ConnectionFailed: There is no network to look in.
    """
    from crdtsync_relay.nearby import find_nearby, shown_pin  # noqa: PLC0415 - rare

    call.say("looking around ...")
    found = anyio.run(find_nearby)
    _list(call, found)
    live = [nearby for nearby in found if nearby.live]
    if not live:
        raise OperationFailed(
            "nobody nearby lets others join now",
            hint="They open the session with --listen :0. Or ask them for a link.",
        )
    chosen = _choose(call, live)
    call.say(f"their window shows the certificate {shown_pin(chosen.place.pin)}")
    if not code:
        code = _ask(call, "If it is the same, type the code that stands beside it: ")
    elif _ask(call, "Is it the same? [y/N] ").lower() not in {"y", "yes"}:
        raise OperationFailed(
            "then it is somebody else's window; nothing was sent to it",
            hint="Ask for a link, over a way that is safe.",
        )
    return (parse_link(code), "") if is_link(code) else (chosen.place, code)


def _list(call: Call, found: Sequence[Nearby]) -> None:
    rows, number = [], 0
    for nearby in found:
        number += nearby.live
        rows.append(
            (
                str(number) if nearby.live else "-",
                nearby.name or "(no name)",
                nearby.place.host,
                "" if nearby.live else "does not answer",
            )
        )
    for line in columns(rows):
        call.say(f"  {line}")


def _choose(call: Call, live: Sequence[Nearby]) -> Nearby:
    if len(live) == 1:
        return live[0]
    answer = _ask(call, f"Which one? [1-{len(live)}] ")
    if not (answer.isascii() and answer.isdecimal() and 0 < int(answer) <= len(live)):
        raise UsageError(f"there is no number {answer[:8]!r}", hint="Try again.")
    return live[int(answer) - 1]


def _ask(call: Call, question: str) -> str:
    answer = call.ask(question)
    if not answer:
        raise OperationFailed("nothing was typed, so nothing was joined")
    return answer
