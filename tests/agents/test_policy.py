"""Which questions are answered without people."""

from __future__ import annotations

import pytest

from crdtsync.agents import Permission, PermissionOption, Tool
from crdtsync.agents.policy import Answer, Policy, decide, offered, option_for

ALL = tuple(
    PermissionOption(f"{kind}-id", kind, kind)
    for kind in ("allow_always", "allow_once", "reject_always", "reject_once", "odd")
)


def question(kind: str, path: str = "/w/a.py", **options: object) -> Permission:
    tool = Tool("t", kind=kind, locations=({"path": path},) if path else ())
    given = options.get("options", ALL)
    assert isinstance(given, tuple)
    return Permission("p1", tool, given)


@pytest.mark.parametrize(
    ("policy", "kind", "answer"),
    [
        ("ask", "read", None),
        ("allow-reads", "read", Answer("allow_once-id")),
        ("allow-reads", "search", Answer("allow_once-id")),
        ("allow-reads", "edit", None),
        ("allow-reads", "fetch", None),
        ("allow-reads", "execute", None),
        ("allow-reads", "", None),
        ("deny-all", "read", Answer("reject_once-id")),
        ("yolo", "execute", Answer("allow_once-id")),
    ],
)
def test_a_policy_answers(policy: Policy, kind: str, answer: Answer | None) -> None:
    assert decide(policy, question(kind), cwd="/w") == answer


@pytest.mark.parametrize("path", ["/etc/passwd", "/w/../etc/passwd", "/wide/a", "../a"])
def test_a_read_outside_of_the_folder_is_asked(path: str) -> None:
    assert decide("allow-reads", question("read", path), cwd="/w") is None


def test_a_path_that_only_the_input_tells_counts_too() -> None:
    tool = Tool("t", kind="read", input={"file_path": "/home/ana/.ssh/id"})
    assert decide("allow-reads", Permission("p", tool, ALL), cwd="/w") is None


def test_nothing_lasting_is_ever_chosen() -> None:
    lasting = tuple(option for option in ALL if "always" in option.kind)
    assert decide("yolo", question("read", options=lasting)) is None
    assert decide("deny-all", question("read", options=lasting)) == Answer(None)


def test_lasting_and_unknown_options_are_for_the_owner_of_the_host() -> None:
    people = offered(question("edit"), host_owner=False)
    assert [option.kind for option in people] == ["allow_once", "reject_once"]
    assert offered(question("edit"), host_owner=True) == ALL


def test_yes_and_no_are_found_by_kind() -> None:
    assert option_for(question("edit"), allow=True) == "allow_once-id"
    assert option_for(question("edit"), allow=False) == "reject_once-id"
    assert option_for(question("edit", options=()), allow=True) is None
