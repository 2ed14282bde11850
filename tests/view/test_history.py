from __future__ import annotations

from crdtsync.entities import Message
from crdtsync.schema import JsonValue
from crdtsync.view.history import History


def headers() -> list[JsonValue]:
    return [{"id": f"m{n}", "role": "user", "text": str(n)} for n in range(5)]


def test_headers_are_parsed_when_asked_for() -> None:
    history = History(headers())
    assert len(history) == 5
    assert history[-1] == Message("m4", "user", "", "", "4")
    assert [m.id for m in history[1:3]] == ["m1", "m2"]
    assert [m.text for m in history] == ["0", "1", "2", "3", "4"]


def test_messages_are_put_in_the_middle() -> None:
    history = History(headers())
    history.insert(2, [Message("new", "note", "ana", "")])
    assert [m.id for m in history] == ["m0", "m1", "new", "m2", "m3", "m4"]
    assert history.positions()["m2"] == 3


def test_what_is_no_header_counts_as_an_empty_message() -> None:
    history = History([7, {"id": "m"}])
    assert history.positions() == {"": 0, "m": 1}
    assert history[0] == Message("", "", "", "")


def test_histories_are_compared_as_sequences() -> None:
    one, two = History(headers()), History(headers())
    _ = one[0]
    assert one == two
    assert one == list(two)
    two.insert(0, [Message("x", "user", "", "")])
    assert one != two
    assert one != 5
