"""How the relay behaves to one guest, and what it says first; nothing else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from crdtsync.sync.conduct import APPROVE, FEATURES, NOTES, Conduct, relay_hello
from crdtsync.sync.messages import Limits as PeerLimits
from crdtsync_relay.limits import PRESENCE_STATE_BYTES_MAX, Limits
from crdtsync_relay.member import Guest

__all__ = ["conduct_for"]

_PROGRAM: Final = f"crdtsync relay {version('crdtsync')}"


def conduct_for(guest: Guest, document: str, limits: Limits, arb: str) -> Conduct:
    """Make the conduct of the relay's end of a connection.

    It vouches for prompts (Q3): the windows that brought them have held what was typed
    apart. If who joins held them again, a queue would stop whenever somebody came back.
    """
    stamp = guest.stamp
    hello = relay_hello(
        document,
        role=stamp.role if stamp else "editor",
        participant=stamp.participant if stamp else "",
        limits=PeerLimits(
            frame_bytes=limits.frame_bytes_max,
            presence_bytes=PRESENCE_STATE_BYTES_MAX,
            messages_per_s=limits.frames_per_s,
            bytes_per_s=limits.bytes_per_s,
        ),
        features=_features(guest),
        program=_PROGRAM,
        relay=arb,
    )
    return Conduct(
        hello=hello,
        layer_2=guest.layer_2,
        others_write=guest.writes or guest.notes_only,
        frame_bytes_max=limits.frame_bytes_max,
        presence_bytes_max=PRESENCE_STATE_BYTES_MAX,
    )


def _features(guest: Guest) -> frozenset[str]:
    """What the relay speaks, and what this guest may do beyond its role."""
    features = FEATURES
    if guest.writes and (guest.stamp is None or guest.stamp.approves):
        features |= {APPROVE}
    return features | {NOTES} if guest.notes_only else features
