"""What of a log a relay is not known to have."""

from __future__ import annotations

from pathlib import Path

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.log.untold import count_untold
from tests.log.documents import typed

LINK = "https://relay.example"


async def test_what_came_through_the_link_and_what_was_confirmed_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite_log(path, clock=SystemClock()) as log:
        await log.create("s")
        origins = ("w1", f"w1@{LINK}", "w2", f"w2@{LINK}", "w1@https://other")
        updates = typed(*"abcde")
        for number, (origin, update) in enumerate(zip(origins, updates, strict=True)):
            await log.append("s", [update], origin=origin, after=number)
        assert count_untold(path, "s", 0, LINK) == 3
        assert count_untold(path, "s", 3, LINK) == 1
        assert count_untold(path, "s", 5, LINK) == 0
        assert await log.compact("s")
        assert count_untold(path, "s", 3, LINK) == 2
        assert count_untold(path, "another", 0, LINK) is None
    assert count_untold(tmp_path / "none.db", "s", 0, LINK) is None
