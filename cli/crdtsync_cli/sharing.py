"""Invites to a session: made at its relay, and shown with how to join by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread

from crdtsync.errors import UsageError
from crdtsync.links.addresses import SessionLink, parse_link
from crdtsync.remotes import Remote, Remotes
from crdtsync.sanitize import clean_line
from crdtsync.schema import JsonObject, as_text
from crdtsync_cli.durations import duration_words, read_duration

__all__ = ["Invitation", "Shared", "chosen_remote", "invite", "share"]


INVITE_TTL: Final = "7d"
"""How long a link is good unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invite allows.

    Attributes:
        role: viewer or editor.
        ttl: For how long, such as 7d.
        uses: For how many people.
        can_approve: Whether they may answer an agent's questions.
    """

    role: str = "editor"
    ttl: str = INVITE_TTL
    uses: int = 1
    can_approve: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """A link for others.

    Attributes:
        link: With the invite's secret.
        lines: What people have to know of it, with the short code.
    """

    link: str
    lines: tuple[str, ...]


def chosen_remote(remotes: list[Remote], wanted: str, session: str) -> Remote:
    """The remote that is meant.

    Args:
        remotes: Of the session.
        wanted: Its address or host; empty if there is only one.
        session: What the session is called here.

    Raises:
        UsageError: There is none, or several.
    """
    if not remotes:
        raise UsageError(
            f"{session} is on no relay yet, so that nobody else can reach it",
            hint=f"Put it on one: crdtsync open {session} --relay URL. "
            "`crdtsync relay` starts one. Without a relay: crdtsync open "
            f"{session} --listen :0",
        )
    name = parse_link(wanted).bases[0] if "://" in wanted else wanted
    found = [r for r in remotes if wanted in {"", r.host} or r.name == name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(remote.host for remote in remotes)
    problem = f"is not on {clean_line(name)}" if not found else "is on several relays"
    raise UsageError(f"{session} {problem}", hint=f"Choose with --relay: {known}")


async def share(
    data: Path, session: str, name: str, wanted: str, invitation: Invitation
) -> Shared:
    """Make an invite to a session.

    Args:
        data: The data folder.
        session: Its id.
        name: What it is called here.
        wanted: The relay that is meant; empty if it is on one only.
        invitation: What it allows.

    Raises:
        UsageError: It is on no relay, or a value makes no sense.
        AccessDenied: Only owners may invite.
        ConnectionFailed: The relay cannot be reached.
    """
    remotes = await anyio.to_thread.run_sync(_places, data, session)
    return await invite(chosen_remote(remotes, wanted, name), session, invitation)


async def invite(remote: Remote, session: str, invitation: Invitation) -> Shared:
    """Make an invite at a relay, or at a window that listens.

    Raises:
        AccessDenied: Only owners may invite.
        UsageError: A value makes no sense.
        ConnectionFailed: It cannot be reached.
    """
    from crdtsync.links.asking import ask_relay  # noqa: PLC0415 - slow to import

    if not remote.token:
        return Shared(
            f"{remote.name}/s/{session}",
            ("that relay asks for no tokens: whoever is on this machine can join",),
        )
    body: JsonObject = {
        "role": invitation.role,
        "uses": invitation.uses,
        "can_approve": invitation.can_approve,
        "life_s": read_duration(invitation.ttl, "--ttl"),
    }
    path = f"/api/v1/sessions/{session}/invites"
    made = await ask_relay(remote.link, "POST", path, body, token=remote.token)
    link, code = as_text(made.get("link")), clean_line(as_text(made.get("code")))
    return Shared(link, (_terms(invitation), *_by_code(remote, parse_link(link), code)))


def _places(data: Path, session: str) -> list[Remote]:
    """The relays of a session, and the window of this data folder that listens."""
    from crdtsync_relay.way_in import find_window  # noqa: PLC0415 - rarely needed

    remotes = Remotes(data).of(session)
    own = find_window(data, session)
    return [*remotes, Remote.at(own, session, own.secret)] if own else remotes


def _terms(invitation: Invitation) -> str:
    count = invitation.uses
    whom = "one person" if count == 1 else f"{count} people"
    rights = " who may answer the agent" if invitation.can_approve else ""
    until = duration_words(invitation.ttl)
    return f"the link lets {whom} in as {invitation.role}{rights}, for {until}"


def _by_code(remote: Remote, link: SessionLink, code: str) -> list[str]:
    """How to come in by a code, if that is possible."""
    if not code:
        return []
    if not remote.pin:
        return [
            f"or by a code, for 15 minutes: {code}",
            f"they type: crdtsync join {code} --relay {remote.name}",
        ]
    from crdtsync_relay.nearby import can_announce, shown_pin  # noqa: PLC0415 - rare

    if not can_announce(link):
        return []
    return [
        f"or nearby, for 15 minutes: crdtsync join {code} --nearby",
        f"there they compare the certificate: {shown_pin(link.pin)}",
    ]
