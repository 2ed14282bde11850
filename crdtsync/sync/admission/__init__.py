"""Admission: what an update from outside must satisfy before it is applied.

This module only names the public parts (docs: how-it-works/admission).
"""

from __future__ import annotations

from crdtsync.sync.admission.authority import Authority, judge
from crdtsync.sync.admission.index import (
    Admission,
    Admitted,
    DocIndex,
    Pending,
    Roots,
)
from crdtsync.sync.admission.parking import Parked, Parking
from crdtsync.sync.admission.rules import INLINE_BYTES_MAX, RULES
from crdtsync.sync.admission.scan import Scanned, scan, without_deletions

__all__ = [
    "INLINE_BYTES_MAX",
    "RULES",
    "Admission",
    "Admitted",
    "Authority",
    "DocIndex",
    "Parked",
    "Parking",
    "Pending",
    "Roots",
    "Scanned",
    "judge",
    "scan",
    "without_deletions",
]
