"""What is shown around the input: never too high, never too wide, the rest left out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crdtsync_cli.terminal.ink import Ink
from crdtsync_cli.terminal.links import counts_down, link_words, unsynced
from crdtsync_cli.terminal.painter import Painter
from crdtsync_cli.terminal.region import Region
from crdtsync_cli.terminal.toolbar import toolbar, usage_words
from crdtsync_cli.terminal.widths import ascii_only, cell_len, cut, level
from prompt_toolkit.data_structures import Size
from prompt_toolkit.utils import get_cwidth

from crdtsync.entities import ToolCall
from crdtsync.events import (
    AssistantDelta,
    Body,
    PlanChanged,
    SessionEvent,
    ThoughtDelta,
    ToolChanged,
    TurnStarted,
)
from crdtsync.identity import runner_id
from crdtsync.schema import JsonValue
from crdtsync.session import Session
from crdtsync.session.opening import open_session

from .agentless import start_turn

NOW = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stage:
    """A session with the region of a window around it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.painter = Painter(session, Ink(colors=True))
        self.region = Region(session, self.painter, motion=False)

    def tell(self, body: Body) -> None:
        event = SessionEvent(1, NOW, self.session.id, None, body)
        self.painter.story.take(event)

    def rows(self, columns: int, rows: int) -> list[str]:
        shown = self.region.above(Size(rows=rows, columns=columns))
        text = "".join(fragment[1] for fragment in shown)
        return text.split("\n") if text else []

    def bar(self, columns: int, hint: str = "", *, after_s: int = 0) -> str:
        story, now = self.painter.story, NOW + timedelta(seconds=after_s)
        ink = self.painter.ink
        parts = toolbar(self.session, story, ink, columns - 1, now, hint)
        return "".join(text for text, _ in parts)


@asynccontextmanager
async def stage(data: Path) -> AsyncGenerator[Stage]:
    async with open_session("talk", data=data, name="ana") as session:
        yield Stage(session)


async def busy(stage: Stage) -> None:
    """Everything goes on at once."""
    stage.tell(TurnStarted("t", (), "demo", 1, ""))
    entries: tuple[JsonValue, ...] = (
        {"text": "Look", "status": "completed"},
        {"text": "日本 " * 40},
    )
    stage.tell(PlanChanged("t", entries))
    for number in range(5):
        tool = ToolCall(
            f"t/{number}", "", "pytest 👩‍💻 " * 30, "execute", "in_progress"
        )
        stage.tell(ToolChanged(tool))
    for number in range(9):
        await stage.session.send(f"do {number}, it is a long story {'and so on ' * 20}")
    stage.tell(AssistantDelta("m", "t", "- item\n" * 60))


async def test_nothing_is_shown_where_nothing_goes_on(tmp_path: Path) -> None:
    async with stage(tmp_path) as ui:
        assert ui.rows(80, 24) == []


@pytest.mark.parametrize("rows", [5, 6, 9, 10, 14, 24, 50])
@pytest.mark.parametrize("columns", [29, 30, 40, 80, 200])
async def test_rows_are_bounded(tmp_path: Path, columns: int, rows: int) -> None:
    async with stage(tmp_path) as ui:
        await busy(ui)
        shown = ui.rows(columns, rows)
        assert all(get_cwidth(row) < columns for row in shown)
        if columns < 30 or rows < 6:
            assert shown == []
        elif rows < 10:
            assert len(shown) == 1
            assert "shell" in shown[0]
        else:
            assert 2 <= len(shown) <= max(12, rows - 6)
            assert get_cwidth(ui.bar(columns)) < columns


async def test_three_tools_and_how_many_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as ui:
        await busy(ui)
        shown = ui.rows(80, 40)
        tools = [row for row in shown if "shell" in row]
        assert len(tools) == 3
        assert "  +2 more" in shown
        assert next(r for r in shown if r.startswith("plan")).startswith("plan 1/2")
        assert [row for row in shown if row.startswith("queued: 1 you")]


@pytest.mark.parametrize("here", [True, False])
async def test_a_turn_whose_window_is_gone_is_not_said_to_go_on(
    tmp_path: Path, *, here: bool
) -> None:
    async with stage(tmp_path) as ui:
        session = ui.session
        window = session.place.window if here else "0" * len(session.place.window)
        sent = await session.send("go on")
        start_turn(session, sent.id, runner=runner_id(session.me.id, window))
        ui.tell(TurnStarted("t1", (sent.id,), "demo", 1, ""))
        (row,) = ui.rows(80, 24)
        if here:
            assert row.startswith("• demo is working")
        else:
            assert row.startswith("◷ demo is out of reach")
            assert row.endswith("· /agent NAME")


async def test_a_thought_is_told_and_not_shown(tmp_path: Path) -> None:
    async with stage(tmp_path) as ui:
        ui.tell(TurnStarted("t", (), "demo", 1, ""))
        assert ui.rows(80, 24)[0].startswith("• demo is working")
        ui.tell(ThoughtDelta("h", "t", "secret"))
        (row,) = ui.rows(80, 24)
        assert row.startswith("• demo is thinking")


@pytest.mark.parametrize(
    "table",
    ["| a |\n|---|\n" + "| 1 |\n" * 40, "a | b\n--|:-:\n" + "1 | 2\n" * 40],
)
async def test_a_long_table_says_how_long_it_is(tmp_path: Path, table: str) -> None:
    async with stage(tmp_path) as ui:
        ui.tell(TurnStarted("t", (), "demo", 1, ""))
        ui.tell(AssistantDelta("m", "t", table))
        shown = ui.rows(80, 24)
        assert shown[0] == "table, 40 rows so far"
        assert len(shown) <= 9


async def test_a_fault_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path) as ui:
        ui.tell(TurnStarted("t", (), "demo", 1, ""))
        ui.painter.story.tools["x"] = None  # type: ignore[assignment]
        assert ui.rows(80, 24) == ["render error: see the log"]


async def test_the_toolbar_drops_what_is_to_the_right(tmp_path: Path) -> None:
    async with stage(tmp_path) as ui:
        ui.tell(TurnStarted("t", (), "demo", 1, ""))
        whole = ui.bar(120, after_s=12)
        assert whole == " talk · ● local · 1 here · turn 0 12s · no agent · rev 2"
        assert ui.bar(45, after_s=12) == " talk · ● local · 1 here · turn 0 12s"
        assert ui.bar(20, after_s=12) == " talk · ● local"
        assert ui.bar(30, "Ctrl-C again leaves") == " Ctrl-C again leaves · talk"


@dataclass(frozen=True, slots=True)
class Facts:
    state: str
    unsynced: int | None = 0
    retry_at_s: float | None = None


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "● local"),
        (["live"], "● live"),
        (["read-only"], "● read-only"),
        (["live", "offline"], "● live 1/2"),
        (["syncing"], "◐ syncing"),
        (["connecting", "offline"], "◐ connecting 0/2"),
        (["offline"], "○ offline, edits are kept here"),
        (["refused"], "○ refused"),
    ],
)
def test_the_links_are_one_sign(states: list[str], words: str) -> None:
    assert link_words([Facts(state) for state in states], 0.0)[0] == words


def test_the_next_try_is_counted_down() -> None:
    away = [Facts("offline", 3, 107.2), Facts("offline", 3, 104.2)]
    assert not counts_down([Facts("live")])
    assert counts_down(away)
    assert link_words(away[1:], 100.0)[0] == "◐ reconnecting 5s, edits are kept here"
    assert link_words(away, 103.5)[0].startswith("◐ reconnecting 1s")
    assert link_words(away, 110.0)[0].startswith("◐ reconnecting 0s")
    assert link_words(away[1:], 103.5, 30)[0] == "◐ reconnecting 1s"
    assert link_words([*away, Facts("live")], 103.5)[0] == "● live 1/3"


def test_unsynced_is_what_no_other_end_has() -> None:
    assert unsynced([]) == 0
    assert unsynced([Facts("offline", None)]) == 0
    assert unsynced([Facts("offline", 7), Facts("live", 2)]) == 2


def test_usage_is_said_as_far_as_it_is_known() -> None:
    assert usage_words({}) == ""
    assert usage_words({"used": 12_345, "size": 200_000}) == "12.3k tokens (6%)"
    assert usage_words({"cost": 0.5, "currency": "USD"}) == "$0.50"
    assert usage_words({"used": "many", "cost": 1, "currency": "XYZ"}) == "1.00 XYZ"


@pytest.mark.parametrize("text", ["👩‍💻 a", "⚠️ b", "🇬🇷 c", "日本語", "✅", "e\u0301"])
def test_live_text_is_as_wide_as_everybody_thinks(text: str) -> None:
    shown = level(text)
    assert get_cwidth(shown) == cell_len(shown)


def test_a_row_is_cut_by_cells() -> None:
    assert cut("日本語", 6) == "日本語"
    assert cut("日本語", 5) == "日本…"
    assert cut("abc", 0) == ""


def test_the_windows_signs_have_ascii() -> None:
    assert ascii_only("✓ a … ● ─ ⠋") == "ok a ... * - |"
