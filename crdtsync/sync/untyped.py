"""A Yjs document that is kept and passed on, but read by nobody here.

It admits, applies and encodes updates of others and never writes one of its own. It
opens no root, so that no content of it can make a reader spin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pycrdt import Doc

from crdtsync.errors import CrdtSyncError, LogDamaged, ProtocolError, UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex, Pending, Roots

__all__ = [
    "EMPTY_UPDATE",
    "Broken",
    "Judge",
    "Outcome",
    "UntypedDocument",
    "Verdict",
]

EMPTY_UPDATE: Final = b"\0\0"
"""The update that says nothing."""

Verdict: TypeAlias = Admitted | Pending | UpdateRefused
"""What became of one update: applied, too early, or refused."""

Judge: TypeAlias = Callable[[int, bytes, Admitted], None]
"""Asked before an update is applied, by its place in the batch; it may refuse it."""


class Broken(Exception):
    """The native code raised in the middle: the document is half applied, drop it."""


@dataclass(slots=True)
class Outcome:
    """What applying several updates came to.

    Attributes:
        update: The one update that says all that was new; empty if nothing was.
        verdicts: One per given update, in order.
    """

    update: bytes
    verdicts: list[Verdict]


class UntypedDocument:
    """One document with the index that guards it.

    Args:
        roots: What readers elsewhere read, and as what.
        session: Whether the rules of session documents hold.
    """

    __slots__ = ("_doc", "index")

    def __init__(self, roots: Roots, *, session: bool) -> None:
        self._doc: Doc[Any] = Doc()
        self.index = DocIndex(roots, session=session)

    @classmethod
    def load(
        cls, updates: Iterable[bytes], roots: Roots, *, session: bool
    ) -> UntypedDocument:
        """Build a document from a stored snapshot and updates.

        Raises:
            LogDamaged: They cannot be applied, or break a rule of admission.
        """
        doc: Doc[Any] = Doc()
        try:
            with doc.transaction():
                for update in updates:
                    doc.apply_update(update)
            index = DocIndex.from_update(doc.get_update(), roots, session=session)
        except BaseException as error:
            # A native panic is a BaseException.
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            reason = str(error) if isinstance(error, CrdtSyncError) else "it is damaged"
            raise LogDamaged(f"the stored document cannot be read: {reason}") from error
        document = cls.__new__(cls)
        document._doc, document.index = doc, index  # noqa: SLF001 - of its own class
        return document

    def apply(self, updates: Sequence[bytes], judge: Judge | None = None) -> Outcome:
        """Admit and apply updates of others, all in one transaction (R-1).

        Args:
            updates: Nothing is known of them.
            judge: Has the last word on what fits.

        Raises:
            Broken: The native code raised; drop this document. Nothing of these
                updates may be logged or passed on.
        """
        try:
            if len(updates) == 1:
                return self._apply_alone(updates[0], judge)
            return self._apply_together(updates, judge)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise Broken from error

    def _apply_alone(self, update: bytes, judge: Judge | None) -> Outcome:
        """Apply one update; if all of it is new, it says itself what was (S-1)."""
        verdict = self._admit(0, update, judge)
        if not isinstance(verdict, Admitted):
            return Outcome(b"", [verdict])
        if verdict.is_new:
            self._apply_new(update, verdict)
            return Outcome(update, [verdict])
        with self._watched() as made:
            self._apply(update, verdict)
        return Outcome(b"".join(made), [verdict])

    def _apply_together(self, updates: Sequence[bytes], judge: Judge | None) -> Outcome:
        verdicts: list[Verdict] = []
        with self._watched() as made, self._doc.transaction():
            for number, update in enumerate(updates):
                verdict = self._admit(number, update, judge)
                if isinstance(verdict, Admitted):
                    self._apply(update, verdict)
                verdicts.append(verdict)
        return Outcome(b"".join(made), verdicts)

    @contextmanager
    def _watched(self) -> Iterator[list[bytes]]:
        """Collect what a transaction changes: as one update, or none."""
        made: list[bytes] = []
        watching = self._doc.observe(lambda event: made.append(event.update))
        try:
            yield made
        finally:
            # An observer refers to its document from within the native code, where
            # no collector looks: left there, the document would stay for ever.
            self._doc.unobserve(watching)

    def _admit(self, number: int, update: bytes, judge: Judge | None) -> Verdict:
        index = self.index
        try:
            admission = index.check(index.scan(update))
            if judge is not None and isinstance(admission, Admitted):
                judge(number, update, admission)
        except UpdateRefused as refusal:
            return refusal
        return admission

    def _apply_new(self, update: bytes, admitted: Admitted) -> None:
        """Do what `_apply` does, in half of its time: most updates are so.

        Its own transaction looks after leases, origins and observers. There are none.
        """
        native = self._doc._doc  # noqa: SLF001 - it has no name for it
        transaction = native.create_transaction()
        try:
            native.apply_update(transaction, update)
            transaction.commit()
        finally:
            transaction.drop()
        self.index.commit(admitted)

    def _apply(self, update: bytes, admitted: Admitted) -> None:
        self._doc.apply_update(update)
        self.index.commit(admitted)

    def state_vector(self) -> bytes:
        """What this document holds, as a Yjs state vector."""
        return self._doc.get_state()

    def state(self) -> bytes:
        """The whole document as one update."""
        return self._doc.get_update()

    def diff(self, state_vector: bytes) -> bytes:
        """The update that a replica with this state vector lacks.

        Raises:
            ProtocolError: It is no state vector.
        """
        try:
            return self._doc.get_update(state_vector)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise ProtocolError("the state vector cannot be read") from error
