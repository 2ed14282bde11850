"""How the program starts: arguments in order, stored pages, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from crdtsync_cli.completing import proposals
from crdtsync_cli.entry import main
from crdtsync_cli.routing import COMMANDS, OPEN_WITH_VALUE, WITH_VALUE, Routed, route
from crdtsync_cli.surface import help_pages, reference, surfaces

from .conftest import Cli

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "cli" / "crdtsync_cli" / "pages"
REFRESH = "run: uv run python docs/pages.py"


def test_the_stored_pages_are_what_the_app_prints() -> None:
    stored = {path.stem: path.read_text() for path in PAGES.glob("*.txt")}
    assert stored == help_pages(), REFRESH


def test_the_stored_completions_are_the_apps() -> None:
    assert json.loads((PAGES / "completion.json").read_text()) == surfaces(), REFRESH


def test_the_reference_page_is_the_apps() -> None:
    stored = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert stored == reference(), REFRESH


def test_every_command_has_help_and_is_in_the_docs() -> None:
    stored = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for name, surface in surfaces().items():
        assert not name or surface["help"].endswith("."), name
        assert f"### crdtsync {name}\n" in stored or not name


def test_options_with_a_value_are_known_before_parsing() -> None:
    found = surfaces()
    assert set(found[""]["values"]) == set(WITH_VALUE)
    assert set(found["open"]["values"]) == set(OPEN_WITH_VALUE)


@pytest.mark.parametrize("words", [["--help"], ["open", "--help"], ["--version"]])
def test_pages_are_served_without_loading_the_parser(words: list[str]) -> None:
    script = (
        "import sys; from crdtsync_cli.entry import main; "
        f"code = main({words!r}); "
        "assert code == 0; "
        "assert not {'typer', 'rich', 'anyio', 'pycrdt'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout
        == help_pages()[
            {"--help": "crdtsync", "open": "open", "--version": "version"}[words[0]]
        ]
    )


def test_a_narrow_terminal_gets_a_page_of_its_own(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["open", "--help"]) == 0
    found = capsys.readouterr().out
    assert max(map(len, found.splitlines())) < 60
    assert "--agent NAME" in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Routed([], "open", [])),
        ("fix-parser", Routed([], "open", ["fix-parser"], "fix-parser")),
        ("fix --plain", Routed([], "open", ["fix", "--plain"], "fix")),
        ("--plain fix", Routed([], "open", ["--plain", "fix"], "fix")),
        ("--agent demo", Routed([], "open", ["--agent", "demo"])),
        ("--agent demo list", Routed([], "list", ["--agent", "demo"])),
        ("list --json", Routed([], "list", ["--json"])),
        ("open list", Routed([], "open", ["list"])),
        ("list --data d", Routed(["--data", "d"], "list", [])),
        ("--name=bob list", Routed(["--name=bob"], "list", [])),
        ("send s -- --data x", Routed([], "send", ["s", "--", "--data", "x"])),
        ("--help", Routed(["--help"], "", [])),
        ("--data d --help", Routed(["--data", "d", "--help"], "", [])),
        ("--show-completion zsh", Routed([], "completion", ["zsh"])),
        ("--install-completion", Routed([], "completion", ["--install"])),
        ("relay --bind x", Routed([], "relay", ["--bind", "x"])),
        ("--data", Routed(["--data"], "open", [])),
    ],
)
def test_arguments_are_put_in_order(line: str, expected: Routed) -> None:
    assert route(line.split()) == expected


def proposed(*line: str) -> list[str]:
    sessions = ["fix-parser", "open-questions"]
    return [value for value, _ in proposals(line, surfaces(), lambda _: sessions)]


def test_the_first_word_is_a_command_or_a_session() -> None:
    assert proposed("op") == ["open", "open-questions"]
    assert proposed("") == [*COMMANDS, "fix-parser", "open-questions"]


def test_commands_that_take_a_session_propose_sessions() -> None:
    assert proposed("show", "") == ["fix-parser", "open-questions"]
    assert proposed("show", "fix-parser", "") == []
    assert proposed("list", "") == []
    assert proposed("show", "--data", "d", "f") == ["fix-parser"]


def test_options_and_their_values_are_proposed() -> None:
    assert proposed("export", "--f") == ["--format"]
    assert proposed("export", "--format", "j") == ["json", "jsonl"]
    assert proposed("show", "--co") == ["--color"]
    assert proposed("--color", "n") == ["never"]
    assert "--agent" in proposed("--a")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_sessions_in_its_own_form(
    cli: Cli, shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("fix-parser", "--plain")
    assert main(["__complete", shell, "show", ""]) == 0
    assert (
        capsys.readouterr().out
        == {
            "bash": "fix-parser\n",
            "zsh": "fix-parser:session\n",
            "fish": "fix-parser\tsession\n",
        }[shell]
    )


def test_completing_never_complains(
    cli: Cli, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.toml").write_text("nonsense")
    assert main(["__complete", "bash", "show", ""]) == 0
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "")
