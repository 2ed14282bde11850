"""The command send: one message from a script; with --wait also the answer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import anyio
import typer

from crdtsync.agents.environment import origin
from crdtsync.errors import OperationFailed, UsageError
from crdtsync.limits import MESSAGE_BYTES_MAX
from crdtsync.links.addresses import is_link
from crdtsync.schema import JsonObject
from crdtsync.session import Sent, Session
from crdtsync.turns.claim import TurnRecord
from crdtsync_cli import facts
from crdtsync_cli.calling import Call
from crdtsync_cli.commands.options import AsJson, Offline, Relays, SessionName
from crdtsync_cli.input_lines import decode
from crdtsync_cli.jsonl import json_line
from crdtsync_cli.link_facts import link_line
from crdtsync_cli.linking import Linking, linked, reach
from crdtsync_cli.plain import Plain
from crdtsync_cli.scene import SessionScene

if TYPE_CHECKING:
    from crdtsync.links.link import Link

__all__ = ["send_command"]

TOLD_S: Final = 5.0
"""How long a relay that can be reached gets to say that it has the message."""


def send_command(  # noqa: PLR0913 - one parameter per option
    ctx: typer.Context,
    session: SessionName,
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="The message; - reads stdin.")
    ],
    as_agent: Annotated[
        str, typer.Option(metavar="NAME", help="Send it in the name of an agent.")
    ] = "",
    identity: Annotated[
        str,
        typer.Option("--id", metavar="UUID", help="Sending it again changes nothing."),
    ] = "",
    relay: Relays = None,
    *,
    note: Annotated[
        bool, typer.Option("--note", help="For people only; the agent never sees it.")
    ] = False,
    interrupt: Annotated[
        bool, typer.Option("--interrupt", help="Stop the running turn and run this.")
    ] = False,
    offline: Offline = False,
    prompt: Annotated[
        bool, typer.Option("--prompt", help="With --as-agent: ask for a turn.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the turn and print the answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a message to a session; it is on disk when this returns.

    If the session is on a relay that can be reached, it is on the relay's disk too.
    What an agent's tools send is the agent's message, and no prompt unless --prompt
    says so.
    """
    call = ctx.ensure_object(Call)
    within = origin(os.environ)
    as_agent = as_agent or (within.agent if within else "")
    asks = not note and (prompt or not as_agent)
    if wait and not asks:
        raise UsageError(
            "--wait needs a prompt; notes and agents' messages ask for no turn",
            hint="An agent's message is one with --prompt.",
        )
    body = _stdin() if text == ["-"] else " ".join(text)

    linking = Linking(tuple(relay or ()), offline)

    async def main() -> int:
        if not is_link(session):
            call.find(session)
        found = await reach(call, session, linking) or session
        async with (
            call.open(found, "writer") as opened,
            linked(opened, linking, leave_s=1.0 if wait else 0.0) as links,
        ):
            if wait and within and opened.id == os.environ.get("CRDTSYNC_SESSION"):
                raise UsageError(
                    "a turn cannot wait for the next turn of its own session",
                    hint="Send it without --wait; it runs when this turn is over.",
                )
            if opened.place.viewer:
                # Whether a viewer may write notes is the relay's to say.
                await _settled(links)
            sent = await opened.send(
                body,
                note=note,
                as_agent=as_agent,
                prompt=asks,
                id=identity,
                steer="interrupt" if interrupt else "follow-up",
            )
            if not wait:
                told = await _told(links)
                _report(call, opened, sent, told, as_json=as_json)
                return 0
            await _told(links)
            turn = await _wait(opened, sent)
            _answer(call, opened, sent, turn, as_json=as_json)
            return 0 if turn.ended and turn.stop_reason == "end_turn" else 1

    raise typer.Exit(anyio.run(main))


def _stdin() -> str:
    """The whole of stdin as text.

    Raises:
        UsageError: It is too long, or no text.
    """
    data = sys.stdin.buffer.read(MESSAGE_BYTES_MAX + 2)
    if len(data) > MESSAGE_BYTES_MAX + 1:
        raise UsageError(
            f"stdin has more than {MESSAGE_BYTES_MAX:,} bytes, the most of one message",
            hint="Put it into a file and send the file's name. Nothing was sent.",
        )
    return decode(data).removesuffix("\n")


async def _settled(links: list[Link]) -> None:
    """Wait a while for links to come up."""
    from crdtsync.links.remembered import wait_settled  # noqa: PLC0415 - slow to import

    with anyio.move_on_after(TOLD_S):
        for link in links:
            await wait_settled(link)


async def _told(links: list[Link]) -> bool | None:
    """Whether a relay has it on its disk, too; None if the session is on none."""
    if not links:
        return None
    from crdtsync.links.remembered import wait_told  # noqa: PLC0415 - slow to import

    return await wait_told(links, TOLD_S)


def _report(
    call: Call, session: Session, sent: Sent, told: bool | None, *, as_json: bool
) -> None:
    if as_json:
        found: JsonObject = {"id": sent.id, "seq": sent.seq, "busy": sent.busy}
        if sent.position is not None:
            found["position"] = sent.position
        if told is not None:
            found["at_relay"] = told
        call.out(json_line(found))
    else:
        _say_sent(call, session, sent)
    if told is False:
        states = ", ".join(link_line(link) for link in session.links)
        call.say(f"kept here; it goes out with the next connection ({states})")


def _say_sent(call: Call, session: Session, sent: Sent) -> None:
    if sent.position is None:
        call.say(f"sent to {session.name}")
    elif sent.busy or sent.position > 1:
        call.say(f"sent to {session.name}, number {sent.position} in the queue")
    else:
        call.say(f"sent to {session.name}")


async def _wait(session: Session, sent: Sent) -> TurnRecord:
    """Wait for the turn, but never for an agent that is not there.

    Raises:
        OperationFailed: Nobody runs an agent, and no turn is running.
    """
    if not await facts.answered(session, sent.id):
        raise OperationFailed(
            f"sent, but {facts.NO_AGENT}",
            hint=f"It waits in the queue. {facts.agent_hint(session)}",
        )
    return await session.wait_turn(sent.id)


def _answer(
    call: Call, session: Session, sent: Sent, turn: TurnRecord, *, as_json: bool
) -> None:
    answers = [m for m in session.view.messages if m.turn == turn.id and m.streamed]
    if as_json:
        found: JsonObject = {
            "id": sent.id,
            "turn": turn.id,
            "stop_reason": turn.stop_reason or "",
            "error": turn.error or "",
            "messages": [facts.message_json(session, m) for m in answers],
        }
        call.out(json_line(found))
        return
    plain = Plain(SessionScene(session))
    for message in answers:
        for line in plain.history(message, session.view.text(message.id)):
            call.out(line)
    if not turn.ended:
        call.say("the turn was interrupted; its outcome is unknown")
    elif turn.stop_reason != "end_turn":
        call.say(f"the turn ended: {turn.stop_reason}. {turn.error or ''}".rstrip())
