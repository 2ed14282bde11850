"""Share one AI-agent session across terminals, machines and teams.

The names below are the public interface (docs: reference/api); the rest may change.
A name is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crdtsync.agents import AgentSpec
    from crdtsync.agents.presets import agent_spec
    from crdtsync.catalog import Catalog, Entry
    from crdtsync.document import Document
    from crdtsync.entities import Approval, Message, Option, Participant, ToolCall
    from crdtsync.errors import (
        AccessDenied,
        ConnectionFailed,
        CrdtSyncError,
        DataError,
        LogDamaged,
        LogUnwritable,
        NewerFormat,
        NotASession,
        OperationFailed,
        ProtocolError,
        SessionNotFound,
        UpdateRefused,
        UsageError,
    )
    from crdtsync.events import Actor, QueuedPrompt, SessionEvent
    from crdtsync.export import Imported, Redaction, export_session, import_session
    from crdtsync.forking import Forked, fork_session
    from crdtsync.host import Host, HostSettings, run_agent
    from crdtsync.merging import Brought, Merge, import_file, merge_from
    from crdtsync.presence import Person, PresenceState
    from crdtsync.session import Sent, Session
    from crdtsync.session.opening import default_data_folder, open_session
    from crdtsync.session.prompts import Prompts
    from crdtsync.turns.claim import Claim, TurnRecord
    from crdtsync.turns.order import Reading
    from crdtsync.view import SessionMeta, SessionView

__all__ = [
    "AccessDenied",
    "Actor",
    "AgentSpec",
    "Approval",
    "Brought",
    "Catalog",
    "Claim",
    "ConnectionFailed",
    "CrdtSyncError",
    "DataError",
    "Document",
    "Entry",
    "Forked",
    "Host",
    "HostSettings",
    "Imported",
    "LogDamaged",
    "LogUnwritable",
    "Merge",
    "Message",
    "NewerFormat",
    "NotASession",
    "OperationFailed",
    "Option",
    "Participant",
    "Person",
    "PresenceState",
    "Prompts",
    "ProtocolError",
    "QueuedPrompt",
    "Reading",
    "Redaction",
    "Sent",
    "Session",
    "SessionEvent",
    "SessionMeta",
    "SessionNotFound",
    "SessionView",
    "ToolCall",
    "TurnRecord",
    "UpdateRefused",
    "UsageError",
    "agent_spec",
    "default_data_folder",
    "export_session",
    "fork_session",
    "import_file",
    "import_session",
    "merge_from",
    "open_session",
    "run_agent",
]

_HOMES = {
    "crdtsync.agents": ("AgentSpec",),
    "crdtsync.agents.presets": ("agent_spec",),
    "crdtsync.catalog": ("Catalog", "Entry"),
    "crdtsync.document": ("Document",),
    "crdtsync.entities": ("Approval", "Message", "Option", "Participant", "ToolCall"),
    "crdtsync.errors": (
        *("AccessDenied", "ConnectionFailed", "CrdtSyncError", "DataError"),
        *("LogDamaged", "LogUnwritable", "NewerFormat", "NotASession"),
        *("OperationFailed", "ProtocolError", "SessionNotFound", "UpdateRefused"),
        "UsageError",
    ),
    "crdtsync.events": ("Actor", "QueuedPrompt", "SessionEvent"),
    "crdtsync.export": ("Imported", "Redaction", "export_session", "import_session"),
    "crdtsync.forking": ("Forked", "fork_session"),
    "crdtsync.host": ("Host", "HostSettings", "run_agent"),
    "crdtsync.merging": ("Brought", "Merge", "import_file", "merge_from"),
    "crdtsync.session.opening": ("default_data_folder", "open_session"),
    "crdtsync.presence": ("Person", "PresenceState"),
    "crdtsync.session.prompts": ("Prompts",),
    "crdtsync.session": ("Sent", "Session"),
    "crdtsync.turns.claim": ("Claim", "TurnRecord"),
    "crdtsync.turns.order": ("Reading",),
    "crdtsync.view": ("SessionMeta", "SessionView"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
