"""Turns and questions as a runner writes them, without one; for tests of windows."""

from __future__ import annotations

from crdtsync.schema import JsonObject, JsonValue
from crdtsync.session import Session

__all__ = ["ask", "decide", "end_turn", "run_tool", "start_turn"]

AT = "2026-11-21T09:00:00Z"
OPTIONS: list[JsonValue] = [
    {"id": "yes", "label": "Allow", "kind": "allow_once"},
    {"id": "always", "label": "Always", "kind": "allow_always"},
    {"id": "no", "label": "Reject", "kind": "reject_once"},
]


def start_turn(
    session: Session, prompt: str, turn: str = "t1", *, runner: str = "runner"
) -> None:
    claim: JsonObject = {
        "epoch": 1 + len(session.view.turns),
        "arb": "arb",
        "grant": "local",
        "runner": runner,
        "machine": "m",
        "agent": "demo",
        "prompts": [prompt],
        "after": {},
        "closes": {},
    }
    with session.replica.edit() as (edit, _):
        edit.set_turn(turn, {"claim": claim})
        edit.set_turn(turn, {"started": True, "started_at": AT})
        edit.withdraw(prompt)


def end_turn(session: Session, turn: str = "t1", reason: str = "end_turn") -> None:
    with session.replica.edit() as (edit, _):
        edit.set_turn(turn, {"ended": True, "stop_reason": reason, "ended_at": AT})


def ask(
    session: Session, number: int, title: str = "rm -r build/", turn: str = "t1"
) -> None:
    question: JsonObject = {
        "number": number,
        "turn": turn,
        "tool": f"{turn}/c{number}",
        "title": title,
        "input": {"command": title},
        "input_hash": f"hash-{number}",
        "options": OPTIONS,
        "asked_at": AT,
    }
    with session.replica.edit() as (edit, _):
        edit.ask(f"q{number}", question)


def decide(session: Session, number: int, option: str) -> None:
    with session.replica.edit() as (edit, _):
        edit.decide(f"q{number}", option, session.me.id)


def run_tool(session: Session, key: str, title: str, output: str) -> None:
    tool: JsonObject = {"title": title, "kind": "execute", "started_at": AT}
    with session.replica.edit() as (edit, _):
        edit.set_tool(key, {**tool, "phase": "in_progress"})
        edit.append_output(key, output)
        done: JsonObject = {"phase": "completed", "ended_at": AT, "exit_code": 0}
        edit.set_tool(key, done)
