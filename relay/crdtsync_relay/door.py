"""Who may come in: what a handshake or a request says, and the tokens (09-security)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from crdtsync.sync.wire import SUBPROTOCOL
from crdtsync_relay.access import Access
from crdtsync_relay.grants import Grant
from crdtsync_relay.presence import Stamp
from crdtsync_relay.settings import is_loopback

__all__ = ["Door", "Offer", "is_from_here", "read_offer"]

_TOKEN_ITEM: Final = "token."  # noqa: S105 - what stands before one


@dataclass(frozen=True, slots=True)
class Offer:
    """What a WebSocket handshake offers.

    Attributes:
        token: Empty without one.
        layer_2: Whether the client speaks `crdtsync.v1`.
        subprotocol: The item to answer with; None without one.
    """

    token: str
    layer_2: bool
    subprotocol: str | None


def read_offer(subprotocols: Sequence[str], headers: Mapping[str, str]) -> Offer:
    """Read a handshake; the token is never in its path or query."""
    item = next((i for i in subprotocols if i.startswith(_TOKEN_ITEM)), "")
    token = item.removeprefix(_TOKEN_ITEM) or bearer_token(headers)
    layer_2 = SUBPROTOCOL in subprotocols
    return Offer(token, layer_2, SUBPROTOCOL if layer_2 else item or None)


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of an Authorization header; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether a request to a relay without tokens comes from no foreign web page.

    A browser lets every page open WebSockets to this machine, and names the page. A
    page can also have its own name point to this machine, and then names that.
    """
    origin = headers.get("origin")
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    page = urlsplit(origin).hostname or "" if origin else host
    return is_loopback(host) and is_loopback(page)


class Door:
    """Lets guests in by their token, or everybody of this machine.

    Args:
        access: The tokens.
        asks: Whether everybody needs one.
    """

    def __init__(self, access: Access, *, asks: bool) -> None:
        self.access = access
        self._used: set[str] = set()
        self.asks = asks

    def grant(self, token: str) -> Grant | None:
        """What a token allows; None if it is none or no longer good."""
        grant = self.access.find(token) if token else None
        if grant is not None:
            self._used.add(grant.id)
        return grant

    def used(self) -> set[str]:
        """The ids of tokens that were shown since this was asked last."""
        used, self._used = self._used, set()
        return used

    def stamp(self, grant: Grant | None, session: str) -> Stamp | None:
        """What the relay vouches for in a session."""
        if grant is None:
            return None
        return Stamp(
            grant.participant,
            grant.role,
            approves=grant.can_approve,
            notes=self.access.rules.of(session).viewers_note,
        )
