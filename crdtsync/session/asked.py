"""Finds the permission question that a person answers, and the answer; it votes not."""

from __future__ import annotations

from crdtsync.entities import Approval, Option
from crdtsync.errors import OperationFailed, UsageError
from crdtsync.view import SessionView


def open_question(view: SessionView, approval: str | int) -> Approval:
    """Find the open question of a number or an id.

    Raises:
        UsageError: There is no such question.
        OperationFailed: It is not open any more.
    """
    found = (
        view.approval_by_number(approval)
        if isinstance(approval, int)
        else view.approval_table.get(approval)
    )
    if found is None:
        raise UsageError(
            f"there is no permission question {approval}",
            hint="`crdtsync status` lists the open ones.",
        )
    if found not in view.open_approvals():
        how = found.decision or "its turn is over"
        raise OperationFailed(f"question {found.number} is closed: {how}")
    return found


def answer_to(question: Approval, option: str, *, allow: bool) -> Option:
    """Choose among a question's options.

    Args:
        question: Open.
        option: An option's id; "" for a plain yes or no, the once-only kind first.
        allow: Which of the two.

    Raises:
        UsageError: The question offers no such answer.
    """
    chosen = question.option(allow=allow)
    if option:
        chosen = next((o for o in question.options if o.id == option), None)
    if chosen is None:
        raise UsageError(f"question {question.number} has no such answer")
    return chosen
