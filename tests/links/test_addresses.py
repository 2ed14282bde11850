"""Links taken apart and put together again, and what is no link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.errors import UsageError
from crdtsync.links.addresses import (
    Address,
    SessionLink,
    host_port,
    is_link,
    is_loopback,
    parse_link,
    split_host_port,
)

PIN = "0f" * 32


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (
            "https://relay.example/s/abc#cs1_x",
            SessionLink(("https://relay.example",), "abc", "cs1_x"),
        ),
        (
            "https://relay.example:8443/team/s/abc#cs1_x",
            SessionLink(("https://relay.example:8443/team",), "abc", "cs1_x"),
        ),
        (
            "http://127.0.0.1:8787/s/abc",
            SessionLink(("http://127.0.0.1:8787",), "abc"),
        ),
        (
            "https://relay.example#cs1_x",
            SessionLink(("https://relay.example",), "", "cs1_x"),
        ),
        (
            f"crdtsync://192.0.2.7:4711/s/abc#fp={PIN}&t=cs1_x",
            SessionLink(("https://192.0.2.7:4711",), "abc", "cs1_x", PIN),
        ),
        (
            f"crdtsync://192.0.2.7:4711/s/abc#fp={PIN}&t=cs1_x&a=[2001:db8::7]:4711",
            SessionLink(
                ("https://192.0.2.7:4711", "https://[2001:db8::7]:4711"),
                "abc",
                "cs1_x",
                PIN,
            ),
        ),
    ],
)
def test_a_link_is_read_and_written_the_same(text: str, link: SessionLink) -> None:
    assert parse_link(text) == link
    assert link.text == text


def test_the_address_is_a_websocket_beside_the_link() -> None:
    link = parse_link("https://relay.example/team/s/abc#invite")
    url = "wss://relay.example/team/ws/abc"
    assert link.address("cs1_token") == Address(url, "cs1_token")
    assert parse_link("http://[::1]:8787").address("", "abc").url == (
        "ws://[::1]:8787/ws/abc"
    )


def test_a_websocket_is_read_as_the_session_it_belongs_to() -> None:
    link = parse_link("wss://relay.example/team/ws/abc")
    assert link == SessionLink(("https://relay.example/team",), "abc")
    assert parse_link("ws://localhost:8787/").bases == ("http://localhost:8787",)
    assert link.host == "relay.example/team"


def test_the_secret_of_an_invite_is_no_token() -> None:
    assert parse_link("https://relay.example/s/abc#csi_x").is_invite
    assert not parse_link("https://relay.example/s/abc#cs1_x").is_invite


def test_all_addresses_of_a_listening_window_are_tried() -> None:
    link = SessionLink(
        ("https://192.0.2.7:1", "https://[2001:db8::7]:1"), "s", "t", PIN
    )
    assert link.address("cs1_t") == Address(
        "wss://192.0.2.7:1/ws/s", "cs1_t", PIN, ("wss://[2001:db8::7]:1/ws/s",)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fix-parser",
        "https://",
        "https:///s/abc",
        "https://relay.example/s/a.b#cs1_x",
        "https://relay.example/s/#cs1_x",
        "ws://relay.example/ws/abc",
        "https://relay.example/s/abc#cs1 x",
        "https://relay.example/s/abc?token=cs1_x",
        "https://relay.example:99999/s/abc",
        "https://ana@relay.example/s/abc",
        "https://[::1/s/abc",
        "https://[2001:zz::]/s/abc",
        "https://rel\u0430y.example/s/abc#x",
        "ftp://relay.example/s/abc",
        "http://relay.example/s/abc#cs1_x",
        "crdtsync://192.0.2.7:4711/s/abc#t=cs1_x",
        f"crdtsync://192.0.2.7:4711/s/abc#fp={PIN}",
        f"crdtsync://192.0.2.7/s/abc#fp={PIN}&t=cs1_x",
        f"crdtsync://192.0.2.7:4711/#fp={PIN}&t=cs1_x",
        f"crdtsync://192.0.2.7:4711/s/abc#fp={PIN}&t=cs1_x&a=b c:1",
        "https://relay.example/s/abc#" + "x" * 5000,
    ],
)
def test_what_is_no_link_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_link(text)
    assert refused.value.hint
    assert "cs1_" not in str(refused.value)


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for start in ("", "https://", f"crdtsync://h:1/s/x#fp={PIN}&t=x&a="):
        try:
            link = parse_link(start + text)
        except UsageError:
            continue
        assert parse_link(link.text) == link


def test_secrets_are_in_no_traceback() -> None:
    link = parse_link("https://relay.example/s/abc#cs1_x")
    assert "cs1_x" not in repr(link) + repr(link.address("cs1_x"))


def test_addresses_are_split_and_joined() -> None:
    assert split_host_port("[::1]:8787") == ("::1", 8787)
    assert split_host_port("[::1]") == ("::1", None)
    assert split_host_port(":0") == ("", 0)
    assert split_host_port("10.0.0.7") == ("10.0.0.7", None)
    assert host_port("::1", 80) == "[::1]:80"
    for text in ("here:http", "::1", "[::1]:65536", "here:\u0663"):
        with pytest.raises(UsageError):
            split_host_port(text)


def test_only_this_machine_reaches_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.7", "::1")))
    assert not any(map(is_loopback, ("10.0.0.7", "192.0.2.7", "relay.example", "")))


def test_links_are_told_from_names_ids_and_codes() -> None:
    assert is_link("crdtsync://x")
    assert not is_link("17-otter-maple-sonic")
