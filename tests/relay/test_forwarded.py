"""Addresses that a proxy names."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from crdtsync_relay.forwarded import Forwarded
from crdtsync_relay.server import Listening, run_relay
from crdtsync_relay.settings import Settings
from starlette.types import Message, Receive, Scope, Send

JOIN = b'{"invite": "7-otter-otter-otter", "participant": "eve"}'


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["unknown"], "10.0.0.1"),
        (["203.0.113.7, <script>"], "10.0.0.1"),
    ],
)
async def test_the_last_address_is_taken_if_it_is_one(
    named: list[str], taken: str
) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        pass

    headers = [(b"x-forwarded-for", value.encode()) for value in named]
    scope = {"type": "http", "client": ("10.0.0.1", 5000), "headers": headers}
    await Forwarded(app)(scope, receive, send)
    assert seen[0]["client"][0] == taken


async def _join(port: int, address: str) -> int:
    head = (
        f"POST /api/v1/join HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        f"x-forwarded-for: {address}\r\ncontent-length: {len(JOIN)}\r\n"
        "content-type: application/json\r\n\r\n"
    )
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(head.encode() + JOIN)
        answer = b"".join([chunk async for chunk in stream])
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("proxy", "statuses"), [(True, [403, 429, 403]), (False, [403, 429, 429])]
)
async def test_tries_are_counted_per_address_behind_a_proxy_that_was_announced(
    tmp_path: Path, proxy: bool, statuses: list[int]
) -> None:
    settings = Settings(tmp_path, port=0, insecure_http=proxy, tokens=True)
    told: list[Listening] = []
    stop, started = anyio.Event(), anyio.Event()

    def tell(listening: Listening) -> None:
        told.append(listening)
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run_relay, settings, tell, stop)
        await started.wait()
        port = int(told[0].url.rpartition(":")[2])
        first = [await _join(port, "203.0.113.7") for _ in range(11)]
        other = await _join(port, "203.0.113.8")
        assert [first[0], first[-1], other] == statuses
        stop.set()
