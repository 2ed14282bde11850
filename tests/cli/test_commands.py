"""Each command on real files, run in this process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from crdtsync.clock import SystemClock
from crdtsync.log.sqlite import open_sqlite_log

from .conftest import Cli


def ids(cli: Cli, session: str) -> list[str]:
    lines = cli("show", session, "--json").lines
    return [json.loads(line)["id"] for line in lines]


def test_a_piped_line_is_sent_and_shown(cli: Cli) -> None:
    found = cli("talk", "--plain", "--detach", stdin=b"hello\n")
    assert found.code == 0
    assert "<ana> hello" in cli("show", "talk").out


def test_a_bare_name_opens_and_makes_a_session(cli: Cli) -> None:
    assert cli("fix-parser", "--plain").code == 0
    assert [line.split()[0] for line in cli("list").lines] == ["NAME", "fix-parser"]


def test_without_a_name_the_last_session_is_opened(cli: Cli) -> None:
    cli("one", "--plain")
    cli("two", "--plain")
    found = cli("--plain")
    assert "-- session two, 0 messages" in found.out


def test_global_options_stand_before_or_after_the_command(cli: Cli) -> None:
    cli("open", "a", "--plain")
    other = str(cli.data.with_name("other"))
    assert cli("list", "--data", other).out == ""
    assert cli("--data", other, "list").out == ""
    assert "a " in cli("list", "--data", str(cli.data)).out


def test_send_is_on_disk_and_says_where_it_stands(cli: Cli) -> None:
    cli("talk", "--plain")
    first = cli("send", "talk", "one", "--json")
    second = cli("send", "talk", "two", "words", "--name", "bob", "--json")
    assert json.loads(first.out)["position"] == 1
    assert json.loads(second.out)["position"] == 2
    assert [line[11:] for line in cli("show", "talk").lines] == [
        "<ana> one",
        "<bob> two words",
    ]


def test_the_same_id_sends_only_once(cli: Cli) -> None:
    cli("talk", "--plain")
    for _ in range(2):
        assert cli("send", "talk", "one", "--id", "0193-abc").code == 0
    assert ids(cli, "talk") == ["0193-abc"]


def test_send_reads_stdin(cli: Cli) -> None:
    cli("talk", "--plain")
    assert cli("send", "talk", "-", stdin="größer\nals\n".encode()).code == 0
    line = cli("show", "talk", "--json").lines[0]
    assert json.loads(line)["text"] == "größer\nals"


def test_a_note_is_no_prompt(cli: Cli) -> None:
    cli("talk", "--plain")
    cli("send", "talk", "psst", "--note")
    cli("send", "talk", "done", "--as-agent", "robot")
    assert cli("queue", "talk").out == "nothing waits\n"
    assert [line[11:] for line in cli("show", "talk").lines] == [
        "<ana> (note) psst",
        "<robot> done",
    ]


def test_show_takes_a_range(cli: Cli) -> None:
    cli("talk", "--plain", "--detach", stdin=b"a\nb\nc\nd\n")
    assert [line[-1] for line in cli("show", "talk", "--last", "2").lines] == ["c", "d"]
    third = ids(cli, "talk")[2]
    before = cli("show", "talk", "--before", third, "--last", "1")
    assert [line[-1] for line in before.lines] == ["b"]


def test_search_finds_in_one_and_in_all_sessions(cli: Cli) -> None:
    cli("one", "--plain", "--detach", stdin=b"The Parser is slow\n")
    cli("two", "--plain", "--detach", stdin=b"no parser here\n")
    assert "<ana> The Parser is slow" in cli("search", "one", "parser").out
    both = cli("search", "--all", "parser").lines
    assert sorted(line.split(":")[0] for line in both) == ["one", "two"]
    nothing = cli("search", "one", "zebra")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing found\n")


def test_queue_and_status_are_readable_by_programs(cli: Cli) -> None:
    cli("talk", "--plain", "--detach", stdin=b"one\n")
    waiting = json.loads(cli("queue", "talk", "--json").out)
    assert (waiting["position"], waiting["text"]) == (1, "one")
    status = json.loads(cli("status", "talk", "--json").out)
    assert (status["name"], status["messages"], status["turn"]) == ("talk", 1, None)
    assert cli("who", "talk").out == "nobody is here\n"


def test_slash_commands_work_in_a_plain_window(cli: Cli) -> None:
    typed = b"one\ntwo\n/queue move 2 1\n/title The talk\n/note psst\n/leave\nlost\n"
    found = cli("talk", "--plain", stdin=typed)
    assert found.code == 0
    assert '-- 1  ana  "two"' in found.out
    assert json.loads(cli("list", "--json").out)["title"] == "The talk"
    assert "lost" not in cli("show", "talk").out


def test_a_plain_window_has_no_escape_whatever_comes(cli: Cli) -> None:
    cli("talk", "--plain")
    cli("send", "talk", "\x1b[2J\x1b]0;x\x07 red \u202egnp")
    found = cli("talk", "--plain", "--detach")
    assert "[2J]0;x red gnp" in found.out
    assert "\x1b" not in found.out + cli("show", "talk").out
    assert "\x1b" not in cli("show", "talk", "--json").out


def test_json_lines_answer_json_lines(cli: Cli) -> None:
    typed = (
        b'{"type":"send","text":"/etc is a folder","ref":"a"}\n'
        b'{"type":"command","line":"/queue"}\n'
        b"nonsense\n"
        b'{"type":"command","line":"/blah"}\n'
        b'{"type":"send","text":""}\n'
    )
    found = cli("talk", "--json-in", "--detach", stdin=typed)
    lines = [json.loads(line) for line in found.lines]
    acks = [line for line in lines if line["type"] == "ack"]
    assert [ack["ref"] for ack in acks] == ["a", 2, 3, 4, 5]
    assert [ack["data"]["ok"] for ack in acks] == [True, True, False, False, False]
    assert acks[0]["data"]["position"] == 1
    assert [line["type"] for line in lines if line["type"] != "ack"] == [
        "session.opened",
        "message",
        "queue",
    ]
    assert found.code == 2
    assert all(line["v"] == 1 for line in lines)


def test_a_turn_runs_and_its_answer_is_printed(
    cli: Cli, folder: Callable[[str], Path]
) -> None:
    cwd = str(folder("greet"))
    found = cli(
        "talk", "--plain", "--agent", "demo", "--cwd", cwd, stdin=b"list the folder\n"
    )
    assert found.code == 0, found.err
    told = [line[11:] for line in found.lines]
    assert "-- turn 1 started by ana" in told
    assert "<demo> Looking into **greet**." in told
    assert any(line.startswith("[read] ok") for line in told)
    assert any(line.startswith("-- turn 1 done") for line in told)


def test_watch_replays_from_a_sequence_number(cli: Cli) -> None:
    cli("talk", "--plain", "--detach", stdin=b"one\ntwo\n")
    found = cli("watch", "talk", "--json", "--since", "0", "--until", "idle")
    assert found.code == 1  # prompts wait, and nobody runs an agent
    assert "prompts wait, but no window" in found.err
    cli("talk", "--plain", stdin=b"/queue drop 1\n/queue drop 1\n")
    found = cli("watch", "talk", "--json", "--since", "0", "--until", "idle")
    assert found.code == 0
    events = [json.loads(line) for line in found.lines]
    assert events[0]["type"] == "session.opened"
    texts = [e["data"]["message"]["text"] for e in events if e["type"] == "message"]
    assert texts == ["one", "two"]
    last = next(e["seq"] for e in events if e["type"] == "message")
    again = cli("watch", "talk", "--json", "--since", str(last), "--until", "idle")
    later = [json.loads(line) for line in again.lines]
    texts = [e["data"]["message"]["text"] for e in later if e["type"] == "message"]
    assert texts == ["two"]


@pytest.mark.parametrize("form", ["json", "jsonl", "ydoc"])
def test_exports_come_back_equal(cli: Cli, form: str, tmp_path: Path) -> None:
    cli("talk", "--plain", "--detach", stdin=b"/note one\n/note two\n")
    file = tmp_path / f"talk.{form}"
    assert cli("export", "talk", "--format", form, "-o", str(file)).code == 0
    other = ("--data", str(tmp_path / "other"))
    found = cli("import", str(file), "--as", "copy", *other)
    assert (found.code, found.out) == (0, "copy\n")
    assert cli("show", "copy", *other).out == cli("show", "talk").out


def test_merge_brings_what_the_other_folder_knows(cli: Cli, tmp_path: Path) -> None:
    cli("talk", "--plain", "--detach", stdin=b"/note one\n")
    file, other = str(tmp_path / "talk.ydoc"), ("--data", str(tmp_path / "other"))
    cli("export", "talk", "--format", "ydoc", "-o", file)
    cli("import", file, "--as", "talk", *other)
    cli("send", "talk", "two", "--note", *other, "--name", "bob")
    found = cli("merge", "talk", str(tmp_path / "other"))
    assert found.code == 0, found.err
    assert "<bob> (note) two" in cli("show", "talk").out


def test_export_to_stdout_is_the_file(cli: Cli) -> None:
    cli(
        "talk",
        "--plain",
        "--detach",
        stdin=b"/note key sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789\n",
    )
    assert cli("export", "talk").out.startswith("<!-- crdtsync export: markdown -->")
    redacted = cli("export", "talk", "--redact").out
    assert "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789" not in redacted


def test_agents_lists_the_demo_and_what_is_missing(cli: Cli) -> None:
    lines = cli("agents").lines
    assert lines[0].split()[:2] == ["ok", "demo"]
    found = [json.loads(line) for line in cli("agents", "--json").lines]
    assert {"demo", "claude", "codex", "gemini"} <= {agent["name"] for agent in found}


def test_doctor_finds_nothing_and_then_damage(cli: Cli, tmp_path: Path) -> None:
    cli("talk", "--plain", "--detach", stdin=b"/note one\n")
    assert cli("doctor").code == 0
    path = next((cli.data / "sessions").glob("*.db"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    found = cli("doctor", "talk")
    assert found.code == 5
    assert "BAD  talk" in found.out
    assert "--salvage" in found.err


def test_config_says_where_each_value_comes_from(cli: Cli, home: Path) -> None:
    (home / "config.toml").write_text('agent = "demo"\ncolour = "never"\n')
    found = cli("config", "--json", "--log-level", "info")
    sources = {
        line["key"]: (line["value"], line["source"])
        for line in map(json.loads, found.lines)
    }
    assert sources["agent"] == ("demo", "file")
    assert sources["name"] == ("ana", "environment")
    assert sources["log_level"] == ("info", "flag")
    assert sources["color"] == ("auto", "default")
    assert "unknown setting 'colour'; did you mean 'color'?" in found.err


def test_completion_prints_a_script_for_each_shell(cli: Cli, home: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "crdtsync __complete" in cli("completion", shell).out
    assert cli("--show-completion", "fish").out == cli("completion", "fish").out
    assert cli("--install-completion", "bash").code == 0
    path = home / ".local/share/bash-completion/completions/crdtsync"
    assert path.read_text() == cli("completion", "bash").out


def test_approve_deny_and_cancel_need_something_to_answer(cli: Cli) -> None:
    cli("talk", "--plain")
    for arguments in (("approve", "talk", "7"), ("deny", "talk", "7", "no")):
        found = cli(*arguments)
        assert found.code == 2
        assert "no permission question 7" in found.err
    found = cli("cancel", "talk")
    assert (found.code, found.err) == (1, "error: no turn is running\n")


def test_the_demo_ends_by_itself_and_leaves_nothing(cli: Cli, home: Path) -> None:
    found = cli("demo", "--speed", "20")
    assert found.code == 0, found.err
    assert "\x1b" not in found.out
    assert "hold the same session: 10 messages, 3 turns" in found.out
    assert "permission 1 allowed by bob" in found.out
    assert not (home / "data").exists()


def test_watch_says_when_what_it_resumes_after_was_compacted(cli: Cli) -> None:
    cli("talk", "--plain", "--detach", stdin=b"/note one\n/note two\n")
    entry = json.loads(cli("list", "--json").out)

    async def compact() -> bool:
        path = Path(entry["path"])
        async with open_sqlite_log(path, clock=SystemClock()) as log:
            return await log.compact(entry["id"])

    assert anyio.run(compact)
    cli("send", "talk", "three", "--note")
    found = cli("watch", "talk", "--json", "--since", "1", "--until", "idle")
    events = [json.loads(line) for line in found.lines]
    assert [event["type"] for event in events][:3] == [
        "session.opened",
        "reset",
        "message",
    ]
    assert events[1]["data"] == {"reason": "compacted", "messages": 2}


def test_two_copies_that_ran_turns_apart_merge_both_ways(
    cli: Cli, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    turn = ("--plain", "--agent", "demo", "--cwd", str(folder("greet")))
    cli("talk", *turn, stdin=b"list the folder\n")
    shutil.copytree(cli.data, tmp_path / "copy")
    other = ("--data", str(tmp_path / "copy"))
    assert cli("talk", *turn, stdin=b"search for hello\n").code == 0
    assert cli("talk", *turn, *other, "--name", "bob", stdin=b"count to 3\n").code == 0
    assert cli("merge", "talk", str(tmp_path / "copy")).code == 0
    assert cli("merge", "talk", str(cli.data), *other).code == 0
    here, there = (
        cli("show", "talk", "--last", "99"),
        cli("show", "talk", "--last", "99", *other),
    )
    assert here.out == there.out
    assert "search for hello" in here.out
    assert "1 2 3." in here.out
    # Nothing runs again: an agent that comes now finds nothing to do.
    assert cli("queue", "talk").out == "nothing waits\n"
    assert cli("export", "talk", "--format", "json").out == (
        cli("export", "talk", "--format", "json", *other).out
    )


def test_bash_completes_with_the_printed_script(cli: Cli, tmp_path: Path) -> None:
    cli("fix-parser", "--plain")
    script = tmp_path / "script"
    script.write_text(cli("completion", "bash").out)
    line = "COMP_WORDS=(crdtsync show f); COMP_CWORD=2; _crdtsync; echo ${COMPREPLY[@]}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script}; {line}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    assert done.stdout == "fix-parser\n"


def test_prompts_that_wait_together_become_one_turn_if_wanted(cli: Cli) -> None:
    lines = b"".join(b"read a.txt %d\n" % number for number in range(6))
    done = cli("open", "s", "--agent", "demo", "--collect", "--json", stdin=lines)
    events = [json.loads(line) for line in done.lines]
    taken = [e["data"]["prompts"] for e in events if e["type"] == "turn.started"]
    assert sum(map(len, taken)) == 6
    assert len(taken) < 6
