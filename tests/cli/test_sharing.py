"""Sharing from the command line: a relay's process, and people with folders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import Cli, Outcome
from .test_processes import MAIN, started, until, until_says

pytestmark = pytest.mark.timeout(180)

CODE = r"\d{1,2}-[a-z]+-[a-z]+-[a-z]+"


@dataclass(frozen=True)
class Relay:
    """A relay that asks for tokens."""

    data: Path
    url: str

    @property
    def owner(self) -> str:
        token = (self.data / "relay" / "owner-token").read_text().strip()
        return f"{self.url}/#{token}"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    data = tmp_path_factory.mktemp("relay")
    command = [sys.executable, "-c", MAIN, "--data", str(data), "relay"]
    with subprocess.Popen(
        [*command, "--bind", ":0", "--tokens"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Relay(data, process.stdout.readline().strip())
        process.kill()


class Somebody:
    """A person with a data folder of their own, as on another machine."""

    def __init__(self, cli: Cli, home: Path, name: str) -> None:
        self._cli = cli
        self.data = home / name
        self.who = ("--data", str(self.data), "--name", name)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        return self._cli(*self.who, *arguments, stdin=stdin)


@pytest.fixture
def ana(cli: Cli, home: Path) -> Somebody:
    return Somebody(cli, home, "ana")


@pytest.fixture
def bob(cli: Cli, home: Path) -> Somebody:
    return Somebody(cli, home, "bob")


def put_on(relay: Relay, ana: Somebody) -> None:
    done = ana("open", "plan", "--relay", relay.owner, "--plain", stdin=b"/note hi\n")
    assert done.code == 0, done.err


def shared(ana: Somebody, *options: str) -> tuple[str, str]:
    """Share the plan; returns link and code."""
    made = ana("share", "plan", *options)
    assert made.code == 0, made.err
    found = re.search(CODE, made.err)
    assert found, made.err
    return made.lines[0], found[0]


def test_a_session_is_shared_by_code_and_everybody_writes(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    _, code = shared(ana)
    joined = bob("join", code, "--relay", relay.url, "--as", "theirs")
    assert (joined.code, joined.out) == (0, "theirs\n"), joined.err
    assert f"joined theirs at {relay.url.partition('//')[2]}: 1 message" in joined.err
    sent = bob("send", "theirs", "from bob", "--note", "--json")
    assert json.loads(sent.out)["at_relay"] is True
    with started(*ana.who, "open", "plan", "--plain") as window:
        until_says(window, "<bob> (note) from bob")
        bob("send", "theirs", "live", "--note")
        until_says(window, "<bob> (note) live")
        until(lambda: "ana" in ana("who", "plan").out)
        settled = {
            "name": relay.url,
            "state": "live",
            "reason": "",
            "unsynced": 0,
        }

        def status() -> dict[str, object]:
            (link,) = json.loads(ana("status", "plan", "--json").out)["links"]
            assert isinstance(link, dict)
            return link

        until(lambda: settled.items() <= status().items())


def test_the_link_of_a_session_is_a_name_of_it_everywhere(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    link, _ = shared(ana, "--ttl", "7d", "--uses", "2")
    shown = bob("show", link)
    assert (shown.code, shown.out.count("hi")) == (0, 1), shown.err
    sent = bob("send", link, "by link", "--note")
    assert (sent.code, sent.err) == (0, "sent to plan\n")
    read = bob("open", link, "--plain")
    assert "by link" in read.out
    assert len(bob("list", "--json").lines) == 1


def test_who_looks_on_is_told_so_and_writes_nothing(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    link, _ = shared(ana, "--role", "viewer")
    opened = bob("open", link, "--plain", stdin=b"me too\n")
    assert opened.code == 4
    assert "read-only here: you may only look" in opened.err
    assert "you are a viewer" in opened.err
    sent = bob("send", "plan", "me too", "--note")
    assert sent.code == 4
    assert "you can look, not write" in sent.err
    assert "me too" not in ana("open", "plan", "--plain").out
    windows = [(*each.who, "open", "plan", "--plain") for each in (ana, bob)]
    with started(*windows[0]), started(*windows[1]):
        until(lambda: "viewer" in ana("who", "plan").out)


def test_wrong_links_codes_and_tokens_are_told_apart(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    link, code = shared(ana)
    session, _, _ = link.partition("#")
    assert bob("join", code).code == 2
    assert bob("join", "https://relay.example").code == 2
    assert bob("join", "http://relay.example/s/x#cs1_x").code == 2
    assert bob("join", "1-no-such-code", "--relay", relay.url).code == 4
    assert bob("join", f"{session}#cs1_wrong").code == 4
    assert bob("join", session).code == 4
    assert bob("join", link.replace(relay.url, "http://127.0.0.1:9")).code == 3
    assert bob("join", f"{session}x#{link.partition('#')[2]}").code != 0
    assert bob("list", "--json").out == ""
    assert bob("join", code, "--relay", relay.url).code == 0
    again = bob("join", code, "--relay", relay.url)
    assert again.code == 4
    assert "wrong, used up or expired" in again.err
    refused = bob("share", "plan")
    assert refused.code == 4
    assert "only an owner" in refused.err


def test_a_name_that_is_taken_uses_no_invite_up(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    bob("open", "mine", "--plain")
    link, code = shared(ana)
    for invite in ((link,), (code, "--relay", relay.url)):
        assert bob("join", *invite, "--as", "mine").code == 2
    assert bob("join", link, "--as", "theirs").out == "theirs\n"


def test_a_session_on_no_relay_cannot_be_shared_and_says_how(ana: Somebody) -> None:
    ana("open", "plan", "--plain")
    refused = ana("share", "plan")
    assert refused.code == 2
    assert "crdtsync open plan --relay URL" in refused.err
    assert ana("share", "plan", "--ttl", "soon").code == 2
    assert ana("leave", "plan").code == 2


def test_what_is_written_offline_is_counted_and_goes_out_later(
    relay: Relay, ana: Somebody
) -> None:
    put_on(relay, ana)
    assert ana("send", "plan", "alone", "--note", "--offline").code == 0
    (entry,) = [json.loads(line) for line in ana("list", "--json").lines]
    assert (entry["relays"], entry["unsynced"]) == ([relay.url[7:]], 1)
    assert "1 update not there yet" in ana("status", "plan").out
    ana("open", "plan", "--plain")
    (entry,) = [json.loads(line) for line in ana("list", "--json").lines]
    assert entry["unsynced"] == 0
    assert ana("open", "plan", "--offline", "--relay", relay.url).code == 2


def test_a_relay_that_is_away_is_no_error_for_a_session_that_is_here(
    ana: Somebody,
) -> None:
    ana("open", "plan", "--plain")
    away = "http://127.0.0.1:9"
    sent = ana("send", "plan", "kept", "--note", "--relay", away)
    assert sent.code == 0
    assert "kept here; it goes out with the next connection" in sent.err
    said = ana("send", "plan", "kept too", "--note", "--json")
    assert json.loads(said.out)["at_relay"] is False
    opened = ana("open", "plan", "--json")
    states = [
        event["data"]["state"]
        for event in map(json.loads, opened.lines)
        if event["type"] == "connection"
    ]
    assert "offline" in states


def test_leaving_gives_the_token_up_and_keeps_the_session(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    bob("join", shared(ana)[0])
    assert bob("leave", "plan").code == 0
    assert "hi" in bob("show", "plan").out
    (entry,) = [json.loads(line) for line in bob("list", "--json").lines]
    assert entry["relays"] == []
    # The place in the session is free again.
    assert bob("join", shared(ana)[0]).code == 0
    assert ana("leave", "plan").code == 0


def test_an_operator_makes_lists_and_revokes_here_and_elsewhere(
    relay: Relay, cli: Cli, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    (entry,) = [json.loads(line) for line in ana("list", "--json").lines]
    session = entry["id"]

    def operate(*words: str) -> Outcome:
        return cli("--data", str(relay.data), "relay", *words)

    for_eve = ("--session", session, "--participant", "eve", "--role", "viewer")
    token = operate("token", *for_eve, "--ttl", "1d").lines[0]
    assert token.startswith("cs1_")
    assert operate("token", *for_eve).code == 4
    opened = bob("open", f"{relay.url}/s/{session}#{token}", "--plain")
    assert opened.code == 0, opened.err
    (found,) = [json.loads(line) for line in operate("tokens", session, "--json").lines]
    assert (found["participant"], found["role"]) == ("eve", "viewer")
    with started(*bob.who, "open", session, "--plain") as window:
        until_says(window, "read-only")
        assert operate("tokens", "--revoke", found["id"]).code == 0
        until_says(window, "refused: the token was revoked or has expired")
    elsewhere = ("--relay", relay.owner)
    made = ana("relay", "token", *for_eve[:4], "--role", "editor", *elsewhere)
    assert made.lines[0].startswith("cs1_")
    shared(ana)
    (open_invite,) = [
        json.loads(line)
        for line in ana("relay", "invites", "plan", *elsewhere, "--json").lines
    ]
    assert open_invite["id"] in operate("invites").out
    withdraw = ("invites", session, "--withdraw", open_invite["id"])
    assert operate(*withdraw).code == 0
    assert operate(*withdraw).code == 1
    assert ana("relay", *withdraw, *elsewhere).code == 1
    kept = [json.loads(line) for line in operate("sessions", "--json").lines]
    assert (session, "session") in [(each["id"], each["kind"]) for each in kept]
    listed = ana("relay", "sessions", "--json", *elsewhere)
    assert session in [json.loads(line)["id"] for line in listed.lines]
    nowhere = ana("relay", "sessions")
    assert nowhere.code == 2
    assert "there is no relay's data" in nowhere.err


def test_share_and_join_are_slash_commands(
    relay: Relay, ana: Somebody, bob: Somebody
) -> None:
    put_on(relay, ana)
    made = ana("open", "plan", "--plain", stdin=b"/share viewer 7d\n")
    found = re.search(rf"{relay.url}/s/\S+", made.out)
    assert found, made.out
    bob("open", "mine", "--plain")
    line = f"/join {found[0]}\n"
    joined = bob("open", "mine", "--plain", stdin=line.encode())
    assert "joined plan" in joined.out
    assert "open it: crdtsync plan" in joined.out
