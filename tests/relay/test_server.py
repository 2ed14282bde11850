"""The real relay on loopback: what it keeps, whom it sends away, how it stops."""

from __future__ import annotations

import shutil
import signal
import ssl
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from crdtsync_relay.limits import Limits
from crdtsync_relay.server import Listening, run_relay
from crdtsync_relay.settings import Settings

from crdtsync.sync.closing import CloseCode
from crdtsync.sync.conduct import window_hello
from crdtsync.sync.messages import (
    Ack,
    Check,
    Evict,
    Nack,
    Ping,
    Pong,
    SyncStep1,
    Update,
)
from crdtsync.sync.vectors import digest
from tests.relay.process import relay_process
from tests.relay.wire_client import LAYER_2, Replica, ask, connect, relay

LETTERS = "abcdefghijklmnopqrstuvwxyz"


async def test_two_clients_converge_and_a_third_gets_it_all(tmp_path: Path) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port) as ada,
        connect(port) as bob,
        connect(port) as eve,
    ):
        await ada.join()
        await bob.join()
        await ada.write("from ada ")
        await bob.follow_until(lambda: "from ada" in str(bob.text))
        await bob.write("from bob")
        await ada.follow_until(lambda: "from bob" in str(ada.text))
        await eve.join()
        assert str(eve.text) == "from ada from bob"


async def test_a_check_of_the_same_content_agrees_and_another_starts_the_sync_anew(
    tmp_path: Path,
) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port, subprotocols=LAYER_2) as ada,
        connect(port, subprotocols=LAYER_2) as bob,
    ):
        await ada.join(layer_2=True)
        await bob.join(layer_2=True)
        await ada.write("from ada")
        await bob.follow_until(lambda: "from ada" in str(bob.text))
        await bob.write(" and bob")
        await ada.follow_until(lambda: "and bob" in str(ada.text))
        for client, agrees in ((ada, True), (bob, True), (ada, False)):
            vector = client.doc.get_state() if agrees else b"\0"
            await client.send(Check(digest(vector)), Ping(7))
            await client.until(lambda: bool(client.take(Pong)))  # noqa: B023
            assert bool(client.take(SyncStep1)) is not agrees


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port, subprotocols=LAYER_2) as ada,
    ):
        assert ada.subprotocol == "crdtsync.v1"
        await ada.join(layer_2=True)
        await ada.write("kept")
        await ada.until(lambda: Ack(2) in ada.messages)
    async with (
        relay(tmp_path) as (port, _),
        connect(port, subprotocols=LAYER_2) as bob,
    ):
        await bob.join(layer_2=True)
        assert str(bob.text) == "kept"


async def test_a_relay_that_stops_says_when_to_come_back(tmp_path: Path) -> None:
    async with (
        relay(tmp_path) as (port, stop),
        connect(port, subprotocols=LAYER_2) as ada,
        connect(port) as bob,
    ):
        await ada.join(layer_2=True)
        await bob.join()
        stop.set()
        assert (await ada.until_closed())[0] == CloseCode.RESTART
        assert (await bob.until_closed())[0] == CloseCode.RESTART
        (evict,) = ada.take(Evict)
        assert isinstance(evict, Evict)
        assert evict.reconnect
        assert 0 < evict.retry_after_ms <= 10_000


async def test_a_malformed_frame_ends_its_own_connection_only(tmp_path: Path) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port) as bad,
        connect(port) as good,
    ):
        await good.join()
        await bad.send_bytes(b"\xff" * 20)
        assert (await bad.until_closed())[0] == CloseCode.PROTOCOL_ERROR
        await good.write("still here")
        await good.send(SyncStep1(b"\0"))
        await good.follow()


async def test_a_frame_beyond_the_limit_ends_its_own_connection(tmp_path: Path) -> None:
    limits = Limits(frame_bytes_max=10_000)
    async with (
        relay(tmp_path, limits=limits) as (port, _),
        connect(port) as bad,
    ):
        await bad.send_bytes(bytes(10_500))
        assert (await bad.until_closed())[0] == CloseCode.TOO_LARGE


async def test_a_reader_that_is_too_slow_is_sent_away_and_loses_nothing(
    tmp_path: Path,
) -> None:
    limits = Limits(outbox_bytes_max=500_000)
    async with (
        relay(tmp_path, limits=limits) as (port, _),
        connect(port) as writer,
        connect(port) as slow,
    ):
        await writer.join()
        await slow.join()
        # Whatever the kernel buffers, the relay's own queue overflows at some time.
        for _ in range(50):
            await writer.write("x" * 200_000)
        await writer.write("end")
        code, _ = await slow.until_closed()
        assert code in {CloseCode.SLOW_CONSUMER, 1006}
        # What still comes may be too much for it once more.
        doc = slow.doc
        while not str(slow.text).endswith("end"):
            async with connect(port) as again:
                again.use(doc)
                await again.send(SyncStep1(doc.get_state()))
                while again.closed is None and not str(again.text).endswith("end"):
                    await again.read()
                    await again.follow()
        assert len(slow.text) == 50 * 200_000 + 3


async def test_a_web_page_from_elsewhere_gets_nothing(tmp_path: Path) -> None:
    page = [(b"origin", b"https://elsewhere.example")]
    async with (
        relay(tmp_path) as (port, _),
        connect(port, headers=page) as client,
    ):
        assert (await client.until_closed())[0] == CloseCode.FORBIDDEN


@pytest.mark.parametrize("room", ["a.b", "%2e%2e", "a" * 129])
async def test_a_name_that_is_no_id_is_no_session(tmp_path: Path, room: str) -> None:
    async with relay(tmp_path) as (port, _), connect(port, room) as client:
        assert (await client.until_closed())[0] == CloseCode.NO_SUCH_SESSION


async def test_a_session_keeps_its_kind_and_a_document_is_no_session(
    tmp_path: Path,
) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port, "board") as plain,
        connect(port, "board", subprotocols=LAYER_2) as window,
    ):
        await plain.join()
        assert (await window.until_closed())[0] == CloseCode.NO_SUCH_SESSION


async def test_whoever_offers_layer_two_has_to_say_hello(tmp_path: Path) -> None:
    async with (
        relay(tmp_path) as (port, _),
        connect(port, subprotocols=LAYER_2) as client,
    ):
        await client.send(SyncStep1(b"\0"))
        assert (await client.until_closed())[0] == CloseCode.PROTOCOL_ERROR


async def test_nobody_comes_in_without_a_token_where_tokens_are_asked_for(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        for items in ((), ("token.cs1_wrong",)):
            async with connect(port, subprotocols=items) as client:
                assert (await client.until_closed())[0] == CloseCode.UNAUTHORISED
        assert (await ask(port, "GET", "/metrics"))[0] == 401


async def test_an_invite_lets_a_viewer_in_who_cannot_write(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = (tmp_path / "owner-token").read_text().strip()
        assert (tmp_path / "owner-token").stat().st_mode & 0o777 == 0o600
        status, made = await ask(
            port, "POST", "/api/v1/sessions/room/invites", owner, {"role": "viewer"}
        )
        assert status == 201
        who = {"invite": made["code"], "participant": "vic", "name": "Vic"}
        status, joined = await ask(port, "POST", "/api/v1/join", "", who)
        assert status == 201
        assert (joined["role"], joined["session"]) == ("viewer", "room")
        assert (await ask(port, "POST", "/api/v1/join", "", who))[0] == 403
        async with connect(
            port, subprotocols=(*LAYER_2, f"token.{joined['token']}")
        ) as vic:
            await vic.join(layer_2=True)
            await vic.write("no")
            await vic.until(lambda: any(isinstance(m, Nack) for m in vic.messages))
        async with connect(
            port, "other", subprotocols=(f"token.{joined['token']}",)
        ) as c:
            assert (await c.until_closed())[0] == CloseCode.FORBIDDEN


async def test_a_revoked_token_ends_its_connections_within_five_seconds(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = (tmp_path / "owner-token").read_text().strip()
        path = "/api/v1/sessions/room"
        _, made = await ask(port, "POST", f"{path}/invites", owner, {})
        secret = str(made["link"]).partition("#")[2]
        who = {"invite": secret, "participant": "eve"}
        _, joined = await ask(port, "POST", "/api/v1/join", "", who)
        async with connect(port, subprotocols=(f"token.{joined['token']}",)) as eve:
            assert eve.subprotocol == f"token.{joined['token']}"
            await eve.join()
            status, _ = await ask(
                port, "DELETE", f"{path}/tokens/{joined['id']}", owner
            )
            assert status == 204
            with anyio.fail_after(5):
                assert (await eve.until_closed())[0] == CloseCode.UNAUTHORISED


async def test_only_owners_invite_and_nobody_takes_anothers_place(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = (tmp_path / "owner-token").read_text().strip()
        path = "/api/v1/sessions/room/invites"
        _, made = await ask(port, "POST", path, owner, {"uses": 3, "role": "editor"})
        who = {"invite": str(made["link"]).partition("#")[2], "participant": "ada"}
        _, ada = await ask(port, "POST", "/api/v1/join", "", who)
        assert (await ask(port, "POST", path, str(ada["token"]), {}))[0] == 403
        status, said = await ask(port, "POST", "/api/v1/join", "", who)
        assert status == 403
        assert "already" in str(said["error"])


async def test_tries_of_codes_are_counted_per_address(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        who = {"invite": "7-otter-otter-otter", "participant": "eve"}
        statuses = [
            (await ask(port, "POST", "/api/v1/join", "", who))[0] for _ in range(11)
        ]
        assert statuses == [403] * 10 + [429]


async def test_health_readiness_and_numbers(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _), connect(port) as ada:
        await ada.join()
        assert (await ask(port, "GET", "/healthz"))[0] == 200
        assert (await ask(port, "GET", "/readyz"))[0] == 200
        status, said = await ask(port, "GET", "/metrics")
        assert status == 200
        assert "crdtsync_relay_peers 1.0" in str(said["text"])


async def _send_all(client: Replica, count: int) -> None:
    for number in range(count):
        before = client.doc.get_state()
        client.text += LETTERS[number % 26]
        await client.send(Update(client.doc.get_update(before)))


async def test_a_relay_killed_in_a_burst_loses_nothing_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with (
        relay_process(data) as (port, process),
        connect(port, subprotocols=LAYER_2) as ada,
        anyio.create_task_group() as group,
    ):
        await ada.send(window_hello(""), SyncStep1(b"\0"))
        group.start_soon(_send_all, ada, 100_000)
        acked = 0
        while acked < 300:
            await ada.read()
            acked = max(
                [acked, *(m.count for m in ada.take(Ack) if isinstance(m, Ack))]
            )
        process.kill()
        group.cancel_scope.cancel()
    async with (
        relay(data) as (port, _),
        connect(port, subprotocols=LAYER_2) as bob,
    ):
        await bob.join(layer_2=True)
        assert len(bob.text) >= acked
        assert str(ada.text).startswith(str(bob.text))


async def test_the_relay_speaks_tls_with_a_given_certificate(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = await anyio.run_process(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "1"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ]
    )
    assert made.returncode == 0
    settings = Settings(
        tmp_path / "data", port=0, tokens=True, certfile=cert, keyfile=key
    )
    context = ssl.create_default_context(cafile=str(cert))
    stop, started, told = anyio.Event(), anyio.Event(), list[Listening]()

    def tell(listening: Listening) -> None:
        told.append(listening)
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run_relay, settings, tell, stop)
        with anyio.fail_after(40):
            await started.wait()
            assert told[0].url.startswith("https://127.0.0.1:")
            assert told[0].owner_token.startswith("cs1_")
            port = int(told[0].url.rpartition(":")[2])
            async with await anyio.connect_tcp(
                "127.0.0.1",
                port,
                tls_hostname="localhost",
                ssl_context=context,
                tls_standard_compatible=False,
            ) as stream:
                await stream.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert b" 200 " in await stream.receive()
        stop.set()


async def test_the_command_runs_a_relay_and_ends_in_peace(tmp_path: Path) -> None:
    command = ["crdtsync", "--data", str(tmp_path), "relay", "--bind", ":0"]
    program = [
        sys.executable,
        "-c",
        "import sys; from crdtsync_cli.entry import main; sys.exit(main(sys.argv[1:]))",
        *command[1:],
    ]
    async with await anyio.open_process(program, stderr=None) as process:
        assert process.stdout is not None
        url = (await process.stdout.receive()).decode().strip()
        port = int(url.rpartition(":")[2])
        async with connect(port) as ada:
            await ada.join()
            process.send_signal(signal.SIGTERM)
            assert (await ada.until_closed())[0] == CloseCode.RESTART
        assert await process.wait() == 0
    assert (tmp_path / "relay" / "relay.db").stat().st_mode & 0o777 == 0o600
