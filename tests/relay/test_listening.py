"""Windows that listen: who comes in, what others find, and how they stop."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener, TLSStream
from crdtsync_relay.certificate import load_certificate
from crdtsync_relay.listening import listen
from crdtsync_relay.reach import reachable
from crdtsync_relay.way_in import find_window, last_port

from crdtsync.errors import AccessDenied, ConnectionFailed, CrdtSyncError, UsageError
from crdtsync.links.addresses import SessionLink, parse_link
from crdtsync.links.asking import ask_relay
from crdtsync.links.joining import Joined, join_session
from crdtsync.links.link import Link
from crdtsync.links.remembered import open_remembered
from crdtsync.remotes import Remote, Remotes
from crdtsync.schema import JsonObject
from crdtsync.session import Session
from crdtsync.session.opening import open_session
from tests.host.stage import digest

HERE = "127.0.0.1:0"


@asynccontextmanager
async def listening(data: Path) -> AsyncGenerator[tuple[Session, Link, SessionLink]]:
    """Ana's session in a window that listens, and her own way into it."""
    async with (
        open_session("plan", data=data, name="ana") as session,
        listen(data, session.id, HERE) as window,
        open_remembered(
            session, [Remote.at(window.own, session.id, window.own.secret)]
        ) as links,
    ):
        (link,) = links
        with anyio.fail_after(40):
            await link.wait_for("live")
        yield session, link, window.own


async def invite(own: SessionLink, terms: JsonObject | None = None) -> SessionLink:
    path = f"/api/v1/sessions/{own.session}/invites"
    made = await ask_relay(own, "POST", path, terms or {}, token=own.secret)
    return parse_link(str(made["link"]))


async def join(link: SessionLink, data: Path) -> Joined:
    with anyio.fail_after(40):
        return await join_session(link, data=data, person="bob")


async def test_two_people_meet_without_a_server(tmp_path: Path) -> None:
    async with listening(tmp_path / "a") as (ana, _, own):
        await ana.send("before bob came", note=True)
        link = await invite(own)
        assert (link.pin, link.session) == (own.pin, ana.id)
        joined = await join(link, tmp_path / "b")
        assert (joined.state, joined.remote.role) == ("live", "editor")
        async with (
            open_session(joined.id, data=tmp_path / "b", name="bob") as bob,
            open_remembered(bob) as links,
        ):
            await bob.send("from bob", note=True)
            await ana.send("from ana", note=True)
            with anyio.fail_after(40):
                await ana.wait_for(lambda view: view.message_count == 3)
                await bob.wait_for(lambda view: view.message_count == 3)
                for each in links:
                    await each.wait_synced()
                while digest(ana) != digest(bob):  # noqa: ASYNC110
                    await anyio.sleep(0.02)


async def test_a_viewer_of_a_window_looks_and_cannot_write(tmp_path: Path) -> None:
    async with listening(tmp_path / "a") as (_, _, own):
        link = await invite(own, {"role": "viewer"})
        joined = await join(link, tmp_path / "b")
        assert (joined.state, joined.remote.role) == ("read-only", "viewer")


async def test_nobody_comes_in_without_a_token_or_twice_by_one_invite(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path / "a") as (_, _, own):
        link = await invite(own)
        for secret in ("cs1_guessed", "csi_guessed"):
            with pytest.raises(AccessDenied):
                await join(replace(link, secret=secret), tmp_path / "b")
        await join(link, tmp_path / "b")
        with pytest.raises(AccessDenied):
            await join(link, tmp_path / "c")


async def test_a_window_that_has_moved_is_joined_again_by_its_new_link(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path / "a") as (ana, _, own):
        joined = await join(await invite(own), tmp_path / "b")
        await ana.send("here", note=True)
    with socket.create_server(("127.0.0.1", int(own.host.rpartition(":")[2]))):
        async with listening(tmp_path / "a") as (ana, _, moved):
            await ana.send("there", note=True)
            link = await invite(moved)
            for _ in range(2):
                again = await join(link, tmp_path / "b")
                assert (again.id, again.state, again.new) == (ana.id, "live", False)
                assert again.messages == 2
    (known,) = Remotes(tmp_path / "b").of(joined.id)
    assert known.name == moved.bases[0] != joined.remote.name


async def test_nothing_is_sent_to_who_shows_another_certificate(
    tmp_path: Path,
) -> None:
    certificate = load_certificate(tmp_path / "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path)
    received: list[bytes] = []
    connected = 0

    async def record(stream: TLSStream) -> None:
        nonlocal connected
        connected += 1
        async with stream:
            received.extend([data async for data in stream])

    raw = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = raw.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
    pin = load_certificate(tmp_path / "ana").pin
    link = SessionLink((f"https://127.0.0.1:{port}",), "abc", "", pin)
    async with (
        TLSListener(raw, context, standard_compatible=False) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, record)
        for secret in ("csi_invite", "cs1_token"):
            with pytest.raises(CrdtSyncError, match="certificate"):
                await join(replace(link, secret=secret), tmp_path / "b")
        tasks.cancel_scope.cancel()
    assert connected >= 2
    assert received == []
    assert not (tmp_path / "b" / "sessions").exists()


async def test_a_window_that_is_cancelled_says_goodbye_to_its_guests(
    tmp_path: Path,
) -> None:
    link: list[SessionLink] = []
    ready = anyio.Event()

    async def ana(scope: anyio.CancelScope) -> None:
        with scope:
            async with listening(tmp_path / "a") as (_, _, own):
                link.append(await invite(own))
                ready.set()
                await anyio.sleep_forever()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ana, scope)
        await ready.wait()
        joined = await join(link[0], tmp_path / "b")
        async with (
            open_session(joined.id, data=tmp_path / "b", name="bob") as bob,
            open_remembered(bob) as links,
        ):
            (to_ana,) = links
            with anyio.fail_after(40):
                await to_ana.wait_for("live")
                scope.cancel()
                await to_ana.wait_for("offline")
            assert "restarts" in to_ana.status.reason


async def test_only_one_window_listens_and_others_find_it(tmp_path: Path) -> None:
    async with listening(tmp_path) as (session, _, own):
        assert find_window(tmp_path, session.id) == own
        with pytest.raises(UsageError, match="listens for this session already"):
            async with listen(tmp_path, session.id, HERE):
                pytest.fail("two windows listened")
        async with listen(tmp_path, "another", HERE) as other:
            assert other.own.pin == own.pin
    assert find_window(tmp_path, session.id) is None
    assert find_window(tmp_path, "unknown") is None


async def test_the_port_of_the_last_time_is_taken_again(tmp_path: Path) -> None:
    async with listen(tmp_path, "s", HERE) as window:
        former = window.own.bases
    folder = tmp_path / "listening" / "s"
    assert former == (f"https://127.0.0.1:{last_port(folder)}",)
    for where in (HERE, "127.0.0.1"):
        async with listen(tmp_path, "s", where) as window:
            assert window.own.bases == former
    with socket.create_server(("127.0.0.1", last_port(folder))):
        async with listen(tmp_path, "s", HERE) as window:
            assert window.own.bases != former


async def test_what_only_the_owner_may_know_is_for_the_owner_alone(
    tmp_path: Path,
) -> None:
    async with listen(tmp_path, "s", HERE) as window:
        files = [p for p in (tmp_path / "listening").rglob("*") if p.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert window.own.secret not in repr(window) + repr(window.own)


@pytest.mark.parametrize("where", ["here:http", "wss://here", "127.0.0.1:99999"])
async def test_what_is_no_address_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        async with listen(tmp_path, "s", where):
            pytest.fail("it listened")


async def test_an_address_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host, why in (
            ("127.0.0.1", "address already in use"),
            ("198.51.100.7", "cannot assign requested address"),
        ):
            with pytest.raises(ConnectionFailed, match=f"{host}:{port}: {why}$"):
                async with listen(tmp_path, "s", f"{host}:{port}"):
                    pytest.fail("it listened")


async def test_a_window_on_all_addresses_names_those_that_others_reach(
    tmp_path: Path,
) -> None:
    async with listen(tmp_path, "s", ":0") as window:
        hosts = [base.removeprefix("https://") for base in window.place.bases]
        port = window.own.host.rpartition(":")[2]
        assert all(host.endswith(f":{port}") for host in hosts)
        assert len(hosts) == len(reachable("::"))
        for base in window.place.bases:
            await invite(replace(window.own, bases=(base,)))


def test_who_listens_on_one_address_is_reached_there_alone() -> None:
    assert reachable("192.0.2.7") == ("192.0.2.7",)
    assert not any(":" in host for host in reachable("0.0.0.0"))  # noqa: S104
    assert "::1" not in reachable("::")
