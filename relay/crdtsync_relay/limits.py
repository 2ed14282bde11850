"""Every bound of the relay (I-4, X-5); `Limits` carries those that may be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FRAME_BYTES_MAX: Final = 128 * 1024 * 1024
"""Largest frame from a peer: all of a session of 250,000 messages."""

MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Largest WebSocket message; larger frames come in parts, and only from layer 2."""

PEERS_PER_ROOM_MAX: Final = 500
"""Peers of one room."""

ROOMS_MAX: Final = 10_000
"""Rooms in memory; the one idle for longest makes place."""

VISITED_MAX: Final = 20_000
"""Rooms noted as used between two looks at what is idle."""

GIVE_BACK_ROOMS: Final = 200
"""After so many rooms have ended, their memory is given back to the system."""

IDLE_ROOM_S: Final = 60.0
"""A room without peers is unloaded after so long."""

INBOX_UPDATES_MAX: Final = 512
"""Updates applied in one transaction, so that other rooms get their turn."""

INBOX_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes applied in one transaction; one larger update gets its own."""

DIGEST_BYTES_MIN: Final = 256 * 1024
"""So much in one transaction is applied in a thread, so that other rooms go on."""

UNCOMMITTED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of a room on their way to the disk; beyond it, its readers wait."""

OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
"""What one peer may leave unread beyond one first synchronisation; then 4409."""

OUTBOX_PRESENCE_BYTES_MAX: Final = 256 * 1024
"""With so much unread, presence is dropped; only the latest states count anyway."""

FRAMES_PER_S: Final = 2_000
"""Frames that a participant may send in the long run, over all connections."""

FRAMES_BURST_MAX: Final = 40_000
"""Frames at once: an agent's stream kept back by a sleeping laptop."""

BYTES_PER_S: Final = 8 * 1024 * 1024
"""Bytes that a participant may send in the long run."""

BYTES_BURST_MAX: Final = 256 * 1024 * 1024
"""Bytes at once: a few long sessions brought back to an emptied relay."""

PRESENCE_STATE_BYTES_MAX: Final = 4096
"""One client's presence (R-6)."""

PRESENCE_PER_S: Final = 10
"""Presence updates passed on per client; of more, the latest."""

PRESENCE_CLIENTS_PER_PEER_MAX: Final = 8
"""Client ids that one connection may introduce."""

PRESENCE_GONE_S: Final = 60.0
"""So long a departed client's old states, echoed by others, are recognised."""

PRESENCE_GONE_MAX: Final = 1_000
"""Departed clients remembered per room."""

LEASES_WAITING_MAX: Final = 16
"""Lease requests of one connection that wait for its updates to be on disk."""

LEASE_TTL_S: Final = 15.0
"""Life of a grant of a lease; so long a new relay grants nothing (T-3)."""

FLOOD_RETRY_S: Final = 2.0
"""Who sent too much is told to wait at least so long before it comes back."""

SILENT_RETRY_S: Final = 1.0
"""Who was taken for dead is told to wait so long before it comes back."""

RESYNC_S: Final = 2.0
"""A peer whose updates wait for others is asked for what it has, this often."""

DIGESTS_AT_ONCE_MAX: Final = 2
"""Large batches that are applied at the same time."""

TRIALS_AT_ONCE_MAX: Final = 2
"""Processes that try large updates at the same time."""

LOADS_AT_ONCE_MAX: Final = 4
"""Rooms read from disk at the same time; each holds its bytes in memory."""

DRAIN_SPREAD_S: Final = 10.0
"""Peers of a relay that stops come back within so long, spread out (R-7)."""

DRAIN_S: Final = 8.0
"""Longest wait for the last commits and farewells when the relay stops."""

PING_S: Final = 5.0
"""A beat: after two without a word the connection is taken for dead."""

ACCESS_CHECK_S: Final = 2.0
"""How often open connections are checked against revocation and expiry."""

TOKENS_PER_SESSION_MAX: Final = 1_000
"""Tokens of one session, revoked ones not counted."""

INVITES_PER_SESSION_MAX: Final = 100
"""Open invites of one session."""

INVITE_USES_MAX: Final = 100
"""People that one invite lets in."""

INVITE_LIFE_S_MAX: Final = 30 * 24 * 3600
"""Longest life of an invite's link."""

CODE_LIFE_S: Final = 15 * 60.0
"""Life of a short code."""

CODE_TRIES_MAX: Final = 5
"""Wrong tries with a number after which the codes of that number are burnt."""

CODE_TRIES_PER_MINUTE_MAX: Final = 10
"""Tries per address and minute."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose tries are remembered."""

BODY_BYTES_MAX: Final = 64 * 1024
"""Largest body of an HTTP request."""

API_IDLE_S: Final = 30.0
"""The HTTP API leaves a session that nobody reads or writes there after so long."""

STREAM_BEAT_S: Final = 15.0
"""An event stream without events carries a comment so often."""

STREAM_STALLED_S: Final = 20.0
"""An event stream whose reader takes nothing for so long is broken off."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that an operator may set, and peers are told."""

    frame_bytes_max: int = FRAME_BYTES_MAX
    peers_per_room_max: int = PEERS_PER_ROOM_MAX
    rooms_max: int = ROOMS_MAX
    idle_room_s: float = IDLE_ROOM_S
    outbox_bytes_max: int = OUTBOX_BYTES_MAX
    frames_per_s: int = FRAMES_PER_S
    bytes_per_s: int = BYTES_PER_S
    lease_ttl_s: float = LEASE_TTL_S
    api_idle_s: float = API_IDLE_S
    stream_beat_s: float = STREAM_BEAT_S
    stream_stalled_s: float = STREAM_STALLED_S
