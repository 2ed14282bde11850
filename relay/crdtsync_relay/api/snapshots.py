"""The route that hands out a session as a file, read from the log alone."""

from __future__ import annotations

from functools import partial
from typing import Final, cast

import anyio
from starlette.responses import Response

from crdtsync.document import Document
from crdtsync.export import FORMATS, Format, Redaction, export_session
from crdtsync.log import Log, Stored
from crdtsync.schema import JsonObject
from crdtsync.view import SessionView
from crdtsync_relay.api.answers import HEADERS
from crdtsync_relay.api.apart import run_apart
from crdtsync_relay.api.bounds import ANSWER_S, SNAPSHOTS_AT_ONCE_MAX
from crdtsync_relay.api.desk import Unavailable
from crdtsync_relay.api.fields import Flag, Text
from crdtsync_relay.api.operations import Call, Content, Operation
from crdtsync_relay.api.schemas import MEDIA_TYPES

__all__ = ["Snapshots"]

# A page of the relay's own origin: nothing in it may run or call anything.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Snapshots:
    """The route.

    Args:
        log: The relay's.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._turns = anyio.CapacityLimiter(SNAPSHOTS_AT_ONCE_MAX)

    def operations(self) -> list[Operation]:
        """What to mount."""
        media_types: dict[str, JsonObject] = {
            kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()
        }
        return [
            Operation(
                "GET",
                "/sessions/{session}/snapshot",
                "getSnapshot",
                "Export the session",
                "read",
                self._snapshot,
                {
                    200: Content(
                        "The file.",
                        media_types,
                        {"Content-Disposition": "A name for the file."},
                    )
                },
                more="`json`, `jsonl` and `ydoc` are faithful: imported, they give an "
                "equal session. `md` and `html` are for people.",
                query={
                    "format": Text("The form.", choices=FORMATS, default="json"),
                    "redact": Flag("Whether to take out what looks like a secret."),
                },
            )
        ]

    async def _snapshot(self, call: Call) -> Response:
        form = cast(Format, call.query.text("format"))
        redact = Redaction() if call.query.flag("redact") else None
        with anyio.move_on_after(ANSWER_S):
            async with self._turns:
                stored = await self._log.load(call.session)
                work = partial(_export, stored, form, redact)
                data = await run_apart(work, stored)
            headers = {
                **HEADERS,
                "Content-Disposition": f'attachment; filename="{call.session}.{form}"',
                "Content-Security-Policy": _POLICY,
            }
            return Response(data, headers=headers, media_type=MEDIA_TYPES[form])
        raise Unavailable("the relay took too long")


def _export(stored: Stored, form: Format, redact: Redaction | None) -> bytes:
    updates = [update for update in (stored.snapshot, *stored.updates) if update]
    document = Document.load(updates)
    return export_session(SessionView(document), document, form, redact=redact)
