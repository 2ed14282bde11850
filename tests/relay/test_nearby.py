"""Windows on the same network: found if they live, known as gone if they do not."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from crdtsync_relay.listening import listen
from crdtsync_relay.nearby import Nearby, announce, find_nearby
from crdtsync_relay.reach import reachable

from crdtsync.errors import UsageError
from crdtsync.links.addresses import SessionLink

LOOK_S = 0.7

networked = pytest.mark.skipif(
    reachable("::") == ("127.0.0.1",), reason="this machine is in no network"
)


async def look_for(pin: str, *, live: bool) -> Nearby:
    """Look until a window whose fingerprint begins so is there, or gone."""
    with anyio.fail_after(40):
        while True:
            for found in await find_nearby(LOOK_S):
                if found.live == live and found.name == f"ana {pin[:4]}":
                    return found


@asynccontextmanager
async def announced(data: Path) -> AsyncGenerator[SessionLink]:
    async with (
        listen(data, "s", ":0") as window,
        announce(f"ana {window.place.pin[:4]}", window.place) as done,
    ):
        assert done
        yield window.place


@networked
async def test_a_window_is_found_with_the_fingerprint_it_shows(tmp_path: Path) -> None:
    async with announced(tmp_path) as place:
        found = await look_for(place.pin, live=True)
        assert found.place.pin == place.pin
        assert set(found.place.bases) <= set(place.bases)
        assert found.place.session == found.place.secret == ""


@networked
async def test_who_shows_another_certificate_than_announced_is_not_live(
    tmp_path: Path,
) -> None:
    async with listen(tmp_path, "s", ":0") as window:
        other = replace(window.place, pin="0123456789abcdef" * 4)
        async with announce("ana 0123", other) as done:
            assert done
            found = await look_for(other.pin, live=False)
            assert found.place.pin == ""


@networked
async def test_who_is_gone_is_listed_and_not_live(tmp_path: Path) -> None:
    async with listen(tmp_path, "s", ":0") as window:
        place = window.place
    async with announce(f"ana {place.pin[:4]}", place):
        await look_for(place.pin, live=False)


async def test_a_window_for_this_machine_alone_is_not_announced(tmp_path: Path) -> None:
    async with (
        listen(tmp_path, "s", "127.0.0.1:0") as window,
        announce("ana", window.place) as done,
    ):
        assert not done


async def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(UsageError, match="extra") as refused:
        await find_nearby()
    assert "crdtsync[lan]" in refused.value.hint
    place = SessionLink(("https://192.0.2.7:1",), pin="00" * 32)
    async with announce("ana", place) as done:
        assert not done
