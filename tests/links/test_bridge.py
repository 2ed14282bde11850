"""Presence between the bell's payloads and the link's awareness states."""

from __future__ import annotations

import json

from crdtsync.links.bridge import CLIENTS_MAX, Bridge, Brought
from crdtsync.presence import Asking, Leaving, PresenceState, decode, encode
from crdtsync.sync.messages import ClientState

ZOE = PresenceState("w1", "zoe-1", "Zoë 😀", typing_ms=2000, started=5, clock=3)


def test_a_window_shows_itself_under_its_own_client_id() -> None:
    bridge = Bridge(7, 100)
    state = bridge.outgoing(encode(ZOE))
    assert state is not None
    assert (state.client, state.clock) == (7, 101)
    said = json.loads(state.state or "")
    assert said["user"] == {"name": "Zoë 😀"}
    assert decode((state.state or "").encode()) == ZOE


def test_clocks_grow_also_over_those_of_the_last_holder_of_the_id() -> None:
    bridge = Bridge(7, 100)
    bridge.outgoing(encode(ZOE))
    assert bridge.incoming([ClientState(7, 900, None)]) == Brought()
    state = bridge.outgoing(encode(ZOE))
    assert state is not None
    assert state.clock == 901


def test_who_leaves_is_gone_and_who_asks_shows_nothing() -> None:
    bridge = Bridge(7, 0)
    assert bridge.outgoing(encode(Leaving("w1", 5, 4))) == ClientState(7, 1, None)
    assert bridge.outgoing(encode(Asking("w1"))) is None


def test_what_another_window_says_arrives_as_over_the_bell() -> None:
    one, other = Bridge(7, 0), Bridge(8, 0)
    state = one.outgoing(encode(ZOE))
    assert state is not None
    brought = other.incoming([state])
    assert [decode(payload) for payload in brought.payloads] == [ZOE]
    assert other.incoming([ClientState(7, 2, None)]).gone == ["w1"]
    assert other.incoming([ClientState(7, 3, None)]) == Brought()


def test_a_plain_yjs_client_is_a_guest_under_its_name() -> None:
    bridge = Bridge(7, 0)
    text = '{"user":{"name":"Max\\u001b","color":"#fff"},"cursor":null}'
    (payload,) = bridge.incoming([ClientState(9, 2, text)]).payloads
    found = decode(payload)
    assert isinstance(found, PresenceState)
    assert (found.window, found.participant, found.name) == ("y9", "guest-9", "Max")
    stamped = '{"name":"Max","participant":"max-1"}'
    (payload,) = bridge.incoming([ClientState(9, 3, stamped)]).payloads
    found = decode(payload)
    assert isinstance(found, PresenceState)
    assert found.participant == "max-1"


def test_what_names_nobody_is_ignored() -> None:
    bridge = Bridge(7, 0)
    texts = ["{}", '{"user":1}', '{"user":{"name":""}}', '{"presence":"asking"}']
    texts += [encode(Asking("w2")).decode(), '{"cursor":{"x":1}}']
    states = [ClientState(n, 1, text) for n, text in enumerate(texts, 20)]
    assert bridge.incoming(states) == Brought()


def test_a_flood_of_clients_is_bounded() -> None:
    bridge = Bridge(7, 0)
    states = [
        ClientState(n, 1, '{"name":"x"}') for n in range(100, 100 + 2 * CLIENTS_MAX)
    ]
    assert len(bridge.incoming(states).payloads) == CLIENTS_MAX
