"""The errors a caller can meet; each says what to do. It raises none itself.

CrdtSyncError
 +- UsageError            the request makes no sense as it is
 |   +- SessionNotFound   no session of that name or id in this data folder
 +- OperationFailed       a turn or another operation ended badly
 +- ConnectionFailed      a relay or a peer cannot be reached
 +- AccessDenied          the role does not allow it
 +- DataError             a file is damaged, foreign, too new or unwritable
 |   +- LogDamaged        the log cannot be read; `crdtsync doctor` can salvage
 |   +- NotASession       the file is something else
 |   +- NewerFormat       written by a newer version of the program
 |   +- LogUnwritable     disk full, read-only folder, no permission
 +- ProtocolError         bytes from outside that break a rule
     +- UpdateRefused     a document update that admission does not let in
"""

from __future__ import annotations

from typing import ClassVar


class CrdtSyncError(Exception):
    """Any error of this package.

    Attributes:
        hint: What a person can do about it, one sentence; empty if unknown.
        exit_code: The process exit status of a command that ends with it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(CrdtSyncError):
    """The request makes no sense as it is: a bad name, a missing argument."""

    exit_code = 2


class SessionNotFound(UsageError):
    """No session of that name or id in this data folder."""


class OperationFailed(CrdtSyncError):
    """A turn or another operation ended badly."""


class ConnectionFailed(CrdtSyncError):
    """A relay or a peer cannot be reached."""

    exit_code = 3


class AccessDenied(CrdtSyncError):
    """The participant's role does not allow it."""

    exit_code = 4


class DataError(CrdtSyncError):
    """A file is damaged, foreign, too new or unwritable; nothing was changed."""

    exit_code = 5


class LogDamaged(DataError):
    """The log cannot be read; the file was left untouched."""


class NotASession(DataError):
    """The file is not a session of this program."""


class NewerFormat(DataError):
    """The file or document was written by a newer version of the program."""


class LogUnwritable(DataError):
    """The log cannot be written: disk full, read-only folder, no permission."""


class ProtocolError(CrdtSyncError):
    """Bytes from outside that break a rule of the protocol."""


class UpdateRefused(ProtocolError):
    """A document update that admission does not let in.

    Attributes:
        rule: The rule of docs/how-it-works/admission.md that it breaks, such as "T2-4".
    """

    def __init__(self, message: str, *, rule: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
