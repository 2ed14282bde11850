"""Sessions as files, out and in; it opens no file (docs: reference/exports).

`json`, `jsonl` and `ydoc` are faithful: imported, they give an equal session. `md` and
`html` are for people.
"""

from __future__ import annotations

from crdtsync.export.incoming import IMPORT_BYTES_MAX, Imported, import_session
from crdtsync.export.outgoing import FORMATS, Format, export_session
from crdtsync.export.redaction import Redaction

__all__ = [
    "FORMATS",
    "IMPORT_BYTES_MAX",
    "Format",
    "Imported",
    "Redaction",
    "export_session",
    "import_session",
]
