"""Bad input gets one clear line, a hint and the right exit code, and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import Cli

MEGABYTE = 1024 * 1024
PROGRAM = "from crdtsync_cli.entry import main; raise SystemExit(main())"


@pytest.fixture
def talk(cli: Cli) -> Cli:
    cli("talk", "--plain", "--detach", stdin=b"/note first\n")
    return cli


def refused(cli: Cli, *arguments: str, code: int, stdin: bytes = b"") -> str:
    found = cli(*arguments, stdin=stdin)
    assert found.code == code, found.err
    assert found.err.startswith("error: ")
    assert "Traceback" not in found.err
    return found.err


def test_wrong_session_names_say_what_is_right(cli: Cli) -> None:
    for name in ("bad/name", "../up", "a b", "ü", "-x", "x" * 65):
        told = refused(cli, "open", "--plain", "--", name, code=2)
        assert "hint: Use up to 64" in told
    assert cli("list").out == ""


def test_wrong_person_names_are_refused(cli: Cli) -> None:
    for name in ("", "x" * 65, "a\x1bb", "a\u202eb", " "):
        refused(cli, "open", "talk", "--plain", "--name", name, code=2)


def test_an_unknown_session_names_the_nearest(talk: Cli) -> None:
    for command in ("send", "show", "who", "status", "queue", "watch", "export"):
        text = ["hi"] if command == "send" else []
        told = refused(talk, command, "tlak", *text, code=2)
        assert "there is no session 'tlak' here" in told
        assert "Did you mean talk?" in told


def test_a_mistyped_command_makes_no_session(cli: Cli) -> None:
    told = refused(cli, "exprot", code=2)
    assert "Did you mean `crdtsync export`?" in told
    assert cli("list").out == ""
    assert cli("open", "exprot", "--plain").code == 0
    assert cli("exprot", "--plain").code == 0


def test_wrong_options_point_to_the_help(talk: Cli) -> None:
    assert "See `crdtsync send --help`." in refused(talk, "send", "talk", code=2)
    refused(talk, "show", "talk", "--last", "0", code=2)
    refused(talk, "show", "talk", "--before", "nope", code=2)
    refused(talk, "list", "--color", "sometimes", code=2)
    refused(talk, "open", "talk", "--plain", "--json", code=2)
    refused(talk, "open", "talk", "--new", "--plain", code=2)
    refused(talk, "search", "talk", code=2)
    refused(talk, "watch", "talk", "--until", "never", code=2)


def test_an_empty_message_is_not_sent(talk: Cli) -> None:
    for text in ("", "  \n "):
        assert "the message is empty" in refused(talk, "send", "talk", text, code=2)
    refused(talk, "send", "talk", "-", stdin=b"", code=2)
    assert len(talk("show", "talk").lines) == 1


def test_a_message_of_ten_megabytes_names_the_limit(talk: Cli) -> None:
    huge = b"x" * (10 * MEGABYTE)
    assert "1,048,576" in refused(talk, "send", "talk", "-", stdin=huge, code=2)
    lines = huge + b"\n/note after\n"
    told = refused(talk, "talk", "--plain", "--detach", stdin=lines, code=2)
    assert "a line of 10,485,760 bytes is too long" in told
    assert "1,048,576" in told
    assert talk("show", "talk").out.endswith("<ana> (note) after\n")


def test_a_message_at_the_limit_is_sent(talk: Cli) -> None:
    assert talk("send", "talk", "-", "--note", stdin=b"x" * MEGABYTE + b"\n").code == 0


def test_binary_on_stdin_is_refused(talk: Cli) -> None:
    for data in (b"\xff\xfe\x00", b"PK\x03\x04\x00", b"a\x00b"):
        assert "binary data" in refused(talk, "send", "talk", "-", stdin=data, code=2)
        lines = data + b"\n/note after\n"
        told = refused(talk, "talk", "--plain", "--detach", stdin=lines, code=2)
        assert "binary data" in told
    assert len(talk("show", "talk").lines) == 4


def test_unknown_slash_commands_send_nothing(talk: Cli) -> None:
    told = refused(talk, "talk", "--plain", stdin=b"/alow 7\n", code=2)
    assert "Did you mean /allow?" in told
    assert len(talk("show", "talk").lines) == 1


def test_a_prompt_without_an_agent_is_not_waited_for(talk: Cli) -> None:
    told = refused(talk, "send", "talk", "hi", "--wait", code=1)
    assert "no window or host of this session runs an agent" in told
    assert "crdtsync host talk --agent NAME" in told
    found = talk("talk", "--plain", stdin=b"hello\n")
    assert found.code == 1
    assert "the prompt waits in the queue" in found.err


def test_a_missing_agent_says_how_to_get_it(talk: Cli) -> None:
    assert "not installed" in refused(talk, "talk", "--agent", "codex", code=2)
    assert "Did you mean" in refused(talk, "talk", "--agent", "dmo", code=2)
    refused(talk, "host", "talk", "--agent", "acp:/no/such/thing", code=2)
    refused(talk, "host", "talk", code=2)
    asking = ("--agent", "demo", "--offline-turns", "ask")
    refused(talk, "host", "talk", *asking, code=2)
    refused(talk, "host", "talk", "--agent", "demo", "--cwd", "/no/such", code=2)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import sys; sys.exit(3)", "3"),
        ("import sys; sys.stderr.write('x' * 3_000_000); sys.exit(4)", "4"),
        ("print('garbage ' * 1000)", ""),
    ],
)
def test_an_agent_that_dies_ends_its_turn_and_nothing_else(
    talk: Cli, script: str, why: str
) -> None:
    agent = f'acp:{sys.executable} -c "{script}"'
    found = talk("talk", "--plain", "--agent", agent, stdin=b"hello\n")
    assert found.code == 1
    assert "-- turn 1 failed" in found.out
    assert "-- error: " in found.out
    assert why in found.out
    assert "<ana> hello" in talk("show", "talk").out


def session_file(cli: Cli) -> Path:
    return next((cli.data / "sessions").glob("*.db"))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_foreign_or_damaged_file_is_left_alone(talk: Cli, content: bytes) -> None:
    path = session_file(talk)
    path.write_bytes(content)
    refused(talk, "show", "talk", code=5)
    refused(talk, "talk", "--plain", code=5)
    assert path.read_bytes() == content


def test_a_truncated_file_is_left_alone(talk: Cli) -> None:
    path = session_file(talk)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    told = refused(talk, "show", "talk", code=5)
    assert "doctor" in told
    assert path.read_bytes() == whole[: len(whole) // 2]


def test_a_file_of_a_later_version_is_left_alone(talk: Cli) -> None:
    path = session_file(talk)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    assert "has format 99" in refused(talk, "show", "talk", code=5)
    refused(talk, "send", "talk", "hi", code=5)
    assert path.read_bytes() == before


def test_a_file_that_is_gone_is_named(talk: Cli) -> None:
    session_file(talk).unlink()
    assert "is gone" in refused(talk, "show", "talk", code=2)
    assert "file is gone" in talk("list").out


def test_imports_of_other_files_say_what_they_are(cli: Cli, tmp_path: Path) -> None:
    for content in (b"", b"hello", b"\x00\x01\x02", b"{}", b"[" * 100_000):
        file = tmp_path / "file"
        file.write_bytes(content)
        refused(cli, "import", str(file), code=5)
    refused(cli, "import", str(tmp_path / "none"), code=2)
    assert cli("list").out == ""


def test_a_merge_of_something_else_changes_nothing(talk: Cli, tmp_path: Path) -> None:
    before = talk("show", "talk").out
    (tmp_path / "file").write_bytes(b"hello")
    refused(talk, "merge", "talk", str(tmp_path / "file"), code=5)
    refused(talk, "merge", "talk", str(tmp_path / "none"), code=2)
    assert talk("show", "talk").out == before


def test_an_export_that_cannot_be_written_says_so(talk: Cli) -> None:
    refused(talk, "export", "talk", "-o", "/no/such/folder/x", code=5)
    assert "Did you mean html?" in refused(
        talk, "export", "talk", "--format", "htm", code=2
    )


def test_a_full_disk_is_named(talk: Cli) -> None:
    told = refused(talk, "export", "talk", "-o", "/dev/full", code=5)
    assert "No space left" in told


def test_bad_config_files_are_named(cli: Cli, home: Path) -> None:
    config = home / "config.toml"
    config.write_text("name = ")
    assert "not valid TOML" in refused(cli, "list", code=2)
    config.write_bytes(b"\xff\xfe")
    assert "not valid TOML" in refused(cli, "list", code=2)
    config.write_text('permissions = "never"')
    assert "Choose one of: ask" in refused(cli, "list", code=2)
    config.unlink()
    config.mkdir()
    refused(cli, "list", code=5)


def test_a_log_file_that_cannot_be_written_is_named(cli: Cli) -> None:
    refused(cli, "list", "--log-file", "/no/such/folder/x", code=2)


def bound_by_permissions(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program so that permissions hold, for an administrator too."""
    caps = "-dac_override,-dac_read_search"
    without = ["setpriv", f"--inh-caps={caps}", f"--bounding-set={caps}"]
    return subprocess.run(
        [
            *(without if os.geteuid() == 0 else []),
            sys.executable,
            "-c",
            PROGRAM,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_read_only_folder_can_be_read(talk: Cli) -> None:
    for path in (talk.data, talk.data / "sessions"):
        path.chmod(0o500)
    try:
        assert bound_by_permissions("show", "talk").returncode == 0
        refused = bound_by_permissions("send", "talk", "hi")
        assert (refused.returncode, refused.stdout) == (5, "")
        assert "read-only here" in refused.stderr
    finally:
        for path in (talk.data, talk.data / "sessions"):
            path.chmod(0o700)
