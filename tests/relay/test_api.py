"""What the HTTP API means: who may do what, and what became of what was sent."""

from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from crdtsync_relay.access import open_access
from crdtsync_relay.api.answers import Refusal
from crdtsync_relay.api.callers import Caller, Callers
from crdtsync_relay.door import Door
from crdtsync_relay.hub import open_hub
from crdtsync_relay.kinds import Kinds
from crdtsync_relay.limits import BODY_BYTES_MAX, BYTES_BURST_MAX, Limits

from crdtsync.clock import SimulatedClock
from crdtsync.document import Document
from crdtsync.entities import Message, Participant
from crdtsync.export import FORMATS, export_session
from crdtsync.limits import MESSAGE_BYTES_MAX
from crdtsync.log.sqlite import open_sqlite_log
from crdtsync.schema import JsonObject, JsonValue, as_object
from crdtsync.view import SessionView
from tests.export.sample import SESSION, claim, rich_document
from tests.links.relays import Place, begin, seat
from tests.relay.http_relay import bring, follow
from tests.relay.process import relay_process
from tests.relay.wire_client import ask, relay

BASE = f"/api/v1/sessions/{SESSION}"
MESSAGES = f"{BASE}/messages"
ANA = {"participant": "ana"}


def texts(page: JsonObject) -> list[str]:
    messages = page["messages"]
    assert isinstance(messages, list)
    return [str(as_object(message).get("text", "")) for message in messages]


async def token_for(
    port: int, owner: str, who: str, session: str = SESSION, **terms: JsonValue
) -> str:
    """Let somebody in by the owner's hand."""
    body: JsonObject = {"participant": who, "name": who.title(), **terms}
    path = f"/api/v1/sessions/{session}/tokens"
    status, made = await ask(port, "POST", path, owner, body)
    assert status == 201, made
    return str(made["token"])


def owner_of(data: Path) -> str:
    return (data / "owner-token").read_text().strip()


def running_document() -> Document:
    """A session whose agent asks for permission in a turn that runs."""
    document = Document(9)
    with document.edit() as edit:
        edit.seed({"id": SESSION, "title": "Running"})
        edit.add_participant(Participant("p-ana", "ana", "person"))
        edit.add_message(Message("m-1", "user", "p-ana", "2026-11-21T09:00:00Z", "go"))
        edit.enqueue("m-1", "U0000001")
        edit.set_turn("turn-1", {"claim": claim(1, "m-1"), "started": True})
        options: list[JsonValue] = [
            {"id": "y", "label": "Allow", "kind": "allow_once"},
            {"id": "n", "label": "Deny", "kind": "reject_once"},
        ]
        question: JsonObject = {
            "number": 1,
            "turn": "turn-1",
            "tool": "turn-1/1",
            "title": "make",
            "options": options,
        }
        edit.ask("turn-1.p1", question)
    return document


async def test_a_posted_prompt_shows_up_in_a_real_window_under_the_callers_name(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "relay")
    async with place.running():
        session = await begin(tmp_path / "ana", place)
        port = int(place.base.rpartition(":")[2])
        async with seat(tmp_path / "ana", session, "ana") as ana:
            await ana.reach("live")
            await ana.synced()
            owner = place.owner.secret
            carl = await token_for(port, owner, "carl", session, role="editor")
            path = f"/api/v1/sessions/{session}"
            body: JsonObject = {"text": "from afar", "name": "Mallory"}
            status, sent = await ask(port, "POST", f"{path}/messages", carl, body)
            assert (status, sent["position"], sent["busy"]) == (201, 1, False)
            await ana.until(lambda: "from afar" in ana.texts())
            view = ana.session.view
            message = view.message(str(sent["id"]))
            assert message is not None
            assert (message.author, view.name_of(message.author)) == ("carl", "Carl")
            assert [(p.prompt, p.held) for p in view.pending] == [(message.id, False)]
            await ana.session.send("from here", note=True)
            await ana.synced()
            async with follow(port, session, carl) as stream:
                opened = await stream.next("session.opened")
                assert opened.data["read_only"] is False
            _, page = await ask(port, "GET", f"{path}/messages", carl)
            assert texts(page) == ["from here", "from afar", "the beginning"]
            _, people = await ask(port, "GET", f"{path}/participants", carl)
            listed = people["participants"]
            assert isinstance(listed, list)
            here = {str(p["name"]): p["windows"] for p in map(as_object, listed)}
            assert here == {"ana": 1, "Carl": 0}


async def test_what_is_acknowledged_survives_a_relay_that_is_killed(
    tmp_path: Path,
) -> None:
    async with relay_process(tmp_path) as (port, process):
        await bring(port, SESSION, rich_document())
        for number in range(5):
            body: JsonObject = {"text": f"kept {number}", **ANA}
            assert (await ask(port, "POST", MESSAGES, "", body))[0] == 201
        process.kill()
        await process.wait()
    async with relay_process(tmp_path) as (port, _):
        _, page = await ask(port, "GET", f"{MESSAGES}?limit=5")
        assert texts(page) == [f"kept {number}" for number in (4, 3, 2, 1, 0)]


async def test_a_full_disk_is_told_and_what_was_acknowledged_is_kept(
    tmp_path: Path,
) -> None:
    async with relay_process(tmp_path, "file_bytes=600000") as (port, process):
        await bring(port, SESSION, rich_document())
        kept, statuses = [], []
        for number in range(40):
            text = f"{number} {'x' * 20_000}"
            body: JsonObject = {"text": text, "note": True, **ANA}
            statuses.append((await ask(port, "POST", MESSAGES, "", body))[0])
            kept += [text] if statuses[-1] == 201 else []
            if statuses[-3:] == [503] * 3:
                break
        assert set(statuses) == {201, 503}
        status, page = await ask(port, "GET", f"{MESSAGES}?limit=200&order=oldest")
        assert (status, texts(page)[9:]) == (200, kept)
        process.kill()
        await process.wait()
    async with relay_process(tmp_path) as (port, _):
        _, page = await ask(port, "GET", f"{MESSAGES}?limit=200&order=oldest")
        assert texts(page)[9:] == kept


async def test_sending_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        body: JsonObject = {"text": "once", "id": str(uuid.uuid4()), **ANA}
        answers: list[tuple[int, JsonObject]] = []

        async def post() -> None:
            answers.append(await ask(port, "POST", MESSAGES, "", body))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(post)
        await post()
        assert sorted(status for status, _ in answers) == [200] * 5 + [201]
        assert {said["id"] for _, said in answers} == {body["id"]}
        assert {said["position"] for _, said in answers} == {2}
        _, page = await ask(port, "GET", MESSAGES)
        assert texts(page).count("once") == 1
        status, said = await ask(
            port, "POST", MESSAGES, "", {**body, "text": "something else"}
        )
        assert (status, said["error"]) == (409, "another message has that id")


async def test_notes_and_remarks_ask_nobody_for_a_turn(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        for more in ({"note": True}, {"prompt": False}):
            body: JsonObject = {"text": "by the way", **more, **ANA}
            _, sent = await ask(port, "POST", MESSAGES, "", body)
            assert sent["position"] is None
        _, found = await ask(port, "GET", f"{MESSAGES}/{sent['id']}")
        assert (found["role"], found["author"]) == ("user", "ana")


async def test_a_viewer_reads_everything_and_changes_nothing(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, running_document(), owner)
        vic = await token_for(port, owner, "vic", role="viewer", can_approve=True)
        _, seen = await ask(port, "GET", BASE, vic)
        assert seen["read_only"] == "viewers cannot change the session"
        assert as_object(seen["turn"])["id"] == "turn-1"
        for path, body in (
            ("messages", {"text": "no"}),
            ("approvals/turn-1.p1/vote", {"allow": True}),
            ("turns/turn-1/cancel", {}),
        ):
            status, said = await ask(port, "POST", f"{BASE}/{path}", vic, dict(body))
            assert status == 403, said
        async with follow(port, SESSION, vic) as stream:
            opened = await stream.next("session.opened")
            assert opened.data["read_only"] is True
        _, page = await ask(port, "GET", MESSAGES, vic)
        assert texts(page) == ["go"]


async def test_a_viewer_writes_notes_where_the_owner_allows_it(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, rich_document(), owner)
        vic = await token_for(port, owner, "vic", role="viewer")
        note: JsonObject = {"text": "nice", "note": True}
        assert (await ask(port, "POST", MESSAGES, vic, note))[0] == 403
        rules: JsonObject = {"viewers_note": True}
        assert (await ask(port, "PATCH", f"{BASE}/rules", owner, rules))[0] == 200
        assert (await ask(port, "POST", MESSAGES, vic, note))[0] == 201
        assert (await ask(port, "POST", MESSAGES, vic, {"text": "go"}))[0] == 403


async def test_a_prompt_posted_while_nobody_was_there_runs_when_somebody_comes(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "relay")
    async with place.running():
        session = await begin(tmp_path / "ana", place)
        async with seat(tmp_path / "ana", session, "ana") as ana:
            await ana.reach("live")
            await ana.synced()
        port = int(place.base.rpartition(":")[2])
        path = f"/api/v1/sessions/{session}/messages"
        body: JsonObject = {"text": "meanwhile", "participant": "bot"}
        assert (await ask(port, "POST", path, place.owner.secret, body))[0] == 201
        async with seat(tmp_path / "ana", session, "ana") as ana:
            await ana.until(lambda: "meanwhile" in ana.texts())
            assert [prompt.held for prompt in ana.session.view.pending] == [False]


async def test_the_session_of_others_is_like_one_that_is_not(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, rich_document(), owner)
        eve = await token_for(port, owner, "eve", "elsewhere", role="owner")
        routes: list[tuple[str, str, JsonObject | None]] = [
            ("GET", "", None),
            ("GET", "/messages", None),
            ("GET", "/messages/m-1", None),
            ("GET", "/events", None),
            ("GET", "/queue", None),
            ("GET", "/participants", None),
            ("GET", "/approvals", None),
            ("GET", "/snapshot", None),
            ("GET", "/invites", None),
            ("GET", "/tokens", None),
            ("POST", "/messages", {"text": "hello"}),
            ("POST", "/approvals/ask-1/vote", {"allow": True}),
            ("POST", "/turns/t-1/cancel", {}),
            ("POST", "/invites", {}),
        ]
        for method, rest, body in routes:
            answers = [
                await ask(port, method, f"/api/v1/sessions/{name}{rest}", eve, body)
                for name in (SESSION, "not-there", "no%20id")
            ]
            assert answers[0][0] == 404, (method, rest, answers[0])
            assert answers[0] == answers[1] == answers[2]
            status, _ = await ask(port, method, f"{BASE}{rest}", "cs1_wrong", body)
            assert status == 401
        _, listed = await ask(port, "GET", "/api/v1/sessions", eve)
        assert listed == {"sessions": [], "next": None}
        _, listed = await ask(port, "GET", "/api/v1/sessions", owner)
        assert listed == {"sessions": [{"id": SESSION}], "next": None}


async def test_nobody_writes_under_the_name_of_somebody_else(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, rich_document(), owner)
        eve = await token_for(port, owner, "eve", role="editor")
        body: JsonObject = {"text": "I am Ana", "participant": "p-ana"}
        assert (await ask(port, "POST", MESSAGES, eve, body))[0] == 403
        assert (await ask(port, "POST", MESSAGES, owner, {"text": "who?"}))[0] == 403
        status, sent = await ask(port, "POST", MESSAGES, eve, {"text": "I am Eve"})
        assert status == 201
        _, found = await ask(port, "GET", f"{MESSAGES}/{sent['id']}", eve)
        assert found["author"] == "eve"


async def test_only_who_may_approve_answers_the_agent(tmp_path: Path) -> None:
    async with relay(tmp_path, tokens=True) as (port, _):
        owner = owner_of(tmp_path)
        await bring(port, SESSION, running_document(), owner)
        eve = await token_for(port, owner, "eve", role="editor")
        bob = await token_for(port, owner, "bob", role="editor", can_approve=True)
        path = f"{BASE}/approvals/turn-1.p1/vote"
        assert (await ask(port, "POST", path, eve, {"allow": True}))[0] == 403
        none: JsonObject = {"allow": True, "option": "always"}
        assert (await ask(port, "POST", path, bob, none))[0] == 404
        body: JsonObject = {"allow": False, "why": "not on a Friday"}
        status, question = await ask(port, "POST", path, bob, body)
        assert (status, question["votes"]) == (200, {"bob": "n"})
        _, listed = await ask(port, "GET", f"{BASE}/approvals", eve)
        assert listed["approvals"] == [question]
        _, page = await ask(port, "GET", f"{MESSAGES}?limit=1", eve)
        assert texts(page) == ["Deny (1): not on a Friday"]


async def test_cancelling_stops_the_named_turn_and_no_other(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, running_document())
        for turn, expected in (("turn", 404), ("turn-2", 404), ("turn-1", 202)):
            path = f"{BASE}/turns/{turn}/cancel"
            assert (await ask(port, "POST", path, "", ANA))[0] == expected
        _, page = await ask(port, "GET", f"{MESSAGES}?limit=1")
        (asked,) = page["messages"] if isinstance(page["messages"], list) else []
        request = as_object(asked)
        assert (request["action"], request["turn"]) == ("cancel", "turn-1")
        await bring(port, "other", rich_document())
        path = "/api/v1/sessions/other/turns/t-1/cancel"
        assert (await ask(port, "POST", path, "", ANA))[0] == 409


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff{}", 400),
        (b"[" * 50_000, 400),
        (b'{"text": 1}', 400),
        (b'{"text": " \\n "}', 400),
        (b'{"text": "\\ud800"}', 400),
        (b'{"text": "x", "txet": "y"}', 400),
        (b'{"text": "x", "note": "yes"}', 400),
        (b'{"text": "x", "id": "../../etc"}', 400),
        (b'{"text": "' + b"x" * (7 << 20) + b'"}', 413),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_bad_body_is_refused_and_nothing_else_happens(
    tmp_path: Path, body: bytes, expected: int
) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        head = f"POST {MESSAGES} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        length = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            with anyio.move_on_after(20):
                await stream.send((head + length).encode() + body)
            answer = (await stream.receive()).decode()
        assert answer.split()[1] == str(expected), answer
        _, page = await ask(port, "GET", MESSAGES)
        assert len(texts(page)) == 9


async def test_a_large_message_fits_and_a_large_request_of_others_does_not(
    tmp_path: Path,
) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        long = "é" * (MESSAGE_BYTES_MAX // 2)
        status, _ = await ask(port, "POST", MESSAGES, "", {"text": long, **ANA})
        assert status == 201
        _, page = await ask(port, "GET", f"{MESSAGES}?limit=1")
        assert texts(page) == [long]
        body: JsonObject = {"participant": "x" * BODY_BYTES_MAX}
        path = f"{BASE}/turns/t-1/cancel"
        assert (await ask(port, "POST", path, "", body))[0] == 413


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_hold_each_message_once_while_others_arrive(
    tmp_path: Path, order: str
) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        first = list(rich_document().headers())
        known = [str(as_object(header)["id"]) for header in first]
        seen: list[str] = []
        cursor = ""
        while True:
            path = f"{MESSAGES}?limit=2&order={order}&cursor={cursor}".rstrip("&=")
            path = path.removesuffix("&cursor")
            _, page = await ask(port, "GET", path)
            messages = page["messages"]
            assert isinstance(messages, list)
            seen += [str(as_object(message)["id"]) for message in messages]
            if page["next"] is None:
                break
            cursor = str(page["next"])
            if len(seen) < len(known):
                body: JsonObject = {"text": f"after {cursor}", **ANA}
                assert (await ask(port, "POST", MESSAGES, "", body))[0] == 201
        assert len(seen) == len(set(seen))
        if order == "newest":
            assert seen == known[::-1]
        else:
            assert seen[: len(known)] == known
            assert len(seen) > len(known)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_snapshot_is_the_export_of_the_session(
    tmp_path: Path, form: str
) -> None:
    async with relay(tmp_path) as (port, _):
        document = rich_document()
        await bring(port, SESSION, document)
        head = f"GET {BASE}/snapshot?format={form} HTTP/1.0\r\n"
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(f"{head}host: 127.0.0.1\r\n\r\n".encode())
            answer = b"".join([chunk async for chunk in stream])
        data = answer.partition(b"\r\n\r\n")[2]
        if form == "ydoc":
            assert SessionView(Document.load([data])) == SessionView(document)
        else:
            (known,) = [one for one in FORMATS if one == form]
            assert data == export_session(SessionView(document), document, known)


async def test_a_page_of_another_site_gets_nothing(tmp_path: Path) -> None:
    async with relay(tmp_path) as (port, _):
        await bring(port, SESSION, rich_document())
        for header in ("origin: https://elsewhere.example", "host: elsewhere.example"):
            host = "" if header.startswith("host") else f"host: 127.0.0.1:{port}\r\n"
            request = f"GET {BASE} HTTP/1.1\r\n{host}{header}\r\n\r\n"
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(request.encode())
                answer = (await stream.receive()).decode()
            assert answer.split()[1] == "403"
            assert "access-control" not in answer.lower()


async def test_who_gets_too_much_has_to_wait(tmp_path: Path) -> None:
    clock, path = SimulatedClock(), tmp_path / "relay.db"
    async with (
        open_sqlite_log(path, clock=clock) as log,
        open_access(path, clock=clock) as access,
        open_hub(log, Kinds(access, clock), clock=clock, limits=Limits()) as hub,
    ):
        callers = Callers(Door(access, asks=False), Kinds(access, clock), hub, clock)
        ana, bob = Caller("ana", None), Caller("bob", None)
        callers.spend(ana, 100)
        callers.charge(ana, BYTES_BURST_MAX)
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                callers.spend(ana, 0)
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
        callers.spend(bob, 0)
        clock.advance(1)
        callers.spend(ana, 0)


async def test_a_session_that_nobody_uses_any_more_is_left(tmp_path: Path) -> None:
    limits = Limits(api_idle_s=0.2, idle_room_s=0.2)
    async with relay(tmp_path, limits=limits) as (port, _):
        await bring(port, SESSION, rich_document())
        async with follow(port, SESSION) as stream:
            await stream.next("session.opened")
            assert "crdtsync_relay_rooms 1.0" in await numbers(port)
        with anyio.fail_after(40):
            while "crdtsync_relay_rooms 0.0" not in await numbers(port):
                await anyio.lowlevel.checkpoint()
        body: JsonObject = {"text": "again", **ANA}
        assert (await ask(port, "POST", MESSAGES, "", body))[0] == 201


async def numbers(port: int) -> str:
    return str((await ask(port, "GET", "/metrics"))[1]["text"])
