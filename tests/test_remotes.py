"""What a data folder remembers of relays."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crdtsync.errors import DataError, LogUnwritable
from crdtsync.links.addresses import parse_link
from crdtsync.remotes import Remote, Remotes, Seen

SESSION = "01936"
TOKEN = "cs1_secret"  # noqa: S105
REMOTE = Remote.at(parse_link("https://relay.example/s/01936"), SESSION, TOKEN)


def test_a_remote_is_where_its_link_leads() -> None:
    assert REMOTE.name == "https://relay.example"
    assert REMOTE.host == "relay.example"
    assert REMOTE.url == "wss://relay.example/ws/01936"
    assert REMOTE.address.token == TOKEN
    assert REMOTE.link.text == f"https://relay.example/s/01936#{TOKEN}"
    assert TOKEN not in repr(REMOTE)


def test_what_was_added_is_there_until_it_is_removed(tmp_path: Path) -> None:
    remotes = Remotes(tmp_path / "data")
    assert remotes.of(SESSION) == []
    other = replace(REMOTE, name="https://a.example", also=("wss://b/ws/01936",))
    remotes.add(SESSION, REMOTE)
    remotes.add(SESSION, other)
    remotes.add(SESSION, replace(REMOTE, role="viewer"))
    assert remotes.of(SESSION) == [other, replace(REMOTE, role="viewer")]
    assert remotes.remove(SESSION, REMOTE.name)
    assert not remotes.remove(SESSION, REMOTE.name)
    assert Remotes(tmp_path / "data").of(SESSION) == [other]
    assert remotes.of("another") == []


def test_nobody_else_can_read_a_token(tmp_path: Path) -> None:
    Remotes(tmp_path / "data").add(SESSION, REMOTE)
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_what_windows_know_is_kept_apart_and_tidied(tmp_path: Path) -> None:
    remotes = Remotes(tmp_path)
    remotes.note_seen(SESSION, REMOTE.name, Seen("aa", "live", "", 7, 0.01))
    assert remotes.seen(SESSION, REMOTE.name) == []
    remotes.add(SESSION, REMOTE)
    for window, seq in (("aa", 7), ("bb", 9)):
        remotes.note_seen(SESSION, REMOTE.name, Seen(window, "live", "", seq))
    assert {seen.window for seen in remotes.seen(SESSION, REMOTE.name)} == {"aa", "bb"}
    assert remotes.tidy(SESSION, REMOTE.name, ["aa"]) == 9
    assert [seen.window for seen in remotes.seen(SESSION, REMOTE.name)] == ["aa"]
    remotes.remove(SESSION, REMOTE.name)
    assert list((tmp_path / "remotes").iterdir()) == []


def test_a_damaged_file_is_said_to_be(tmp_path: Path) -> None:
    remotes = Remotes(tmp_path)
    remotes.add(SESSION, REMOTE)
    (path,) = (tmp_path / "remotes" / SESSION).iterdir()
    for text in ("", "{", "[]", '{"name": 1}'):
        path.write_text(text)
        with pytest.raises(DataError, match="cannot be read"):
            remotes.of(SESSION)
    path.write_text(json.dumps({"name": "n", "url": "u", "later": 1}))
    assert remotes.of(SESSION) == [Remote("n", "u")]


def test_ids_never_become_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"):
        Remotes(tmp_path).of("../elsewhere")


def test_a_folder_that_cannot_be_written_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "remotes").write_text("in the way")
    with pytest.raises(LogUnwritable, match="cannot be written"):
        Remotes(tmp_path).add(SESSION, REMOTE)


def test_several_processes_add_without_losing_any(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from crdtsync.remotes import Remote, Remotes\n"
        "for number in range(8):\n"
        "    name = f'https://{sys.argv[2]}-{number % 4}.example'\n"
        "    Remotes(pathlib.Path(sys.argv[1])).add('s', Remote(name, 'wss://x/ws/s'))\n"
        "    Remotes(pathlib.Path(sys.argv[1])).of('s')\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name])
        for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(Remotes(tmp_path).of("s")) == 12
