"""The documentation is true: its examples run, its lists are complete."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import pytest

import crdtsync
from crdtsync.errors import CrdtSyncError

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
RUN_S = 120
WORD = r"[A-Za-z_]\w*"

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@dataclass(frozen=True)
class Command:
    """One command of a page and the output that stands under it."""

    line: str
    shown: str


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> Iterator[Command]:
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            yield Command(line.replace("uv run ", ""), shown)


def pattern_of(shown: str) -> str:
    """Make a pattern of shown output: "..." alone stands for lines, else for text."""
    lines = [
        r"(?:[^\n]*\n)*?" if line == "..." else f"{_pattern_of_line(line)}\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)


def _pattern_of_line(line: str) -> str:
    line = re.sub(r"\.\.\.", "\0", re.sub(r"\s+", " ", line.rstrip()))
    return (
        re.escape(line).replace("\0", r"[^\n]*?").replace(r"\ ", r"[^\S\n]+") + r"\s*?"
    )


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CRDTSYNC_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "CRDTSYNC_DATA": str(tmp_path / "data" / "crdtsync"),
        "CRDTSYNC_DEMO_PACE": "0",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


def run(line: str, where: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=where,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=RUN_S,
        check=False,
    )
    return done.stdout.decode()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [p for p in NAMES if list(commands(p))])
def test_the_commands_of_a_page_print_what_it_shows(
    page: str, tmp_path: Path, home: dict[str, str]
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(ROOT / "README.md", folder)
    for command in commands(page):
        printed = run(command.line, folder, home)
        expected = pattern_of(command.shown)
        assert re.fullmatch(expected, printed), f"$ {command.line}\n{printed}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [p for p in NAMES if blocks(p, "python")])
def test_the_python_of_a_page_prints_what_it_says(
    page: str, tmp_path: Path, home: dict[str, str]
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for number, block in enumerate(blocks(page, "python")):
        script = tmp_path / f"example_{number}.py"
        script.write_text(block, encoding="utf-8")
        printed = run(f"{sys.executable} {script}", tmp_path, home)
        said = re.search(r"prints (`.*)", text.split(block, 1)[1])
        assert said, block
        for line in printed.splitlines():
            assert f"`{line}`" in said.group(), printed
        assert printed


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(
        r"^```.*?^```$",
        "",
        (ROOT / page).read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in [h.lower().replace(" ", "-") for h in headings], target


def test_each_page_can_be_reached_from_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        name = page.relative_to(DOCS).as_posix()
        assert name == "index.md" or f"({name})" in index, name


def test_the_reference_lists_exactly_the_public_names() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    first = [row.split("|")[1] for row in text.splitlines() if row.startswith("|")]
    spans = [span for cell in first for span in re.findall(r"`([^`]+)`", cell)]
    named = {
        match.group(1)
        for span in spans
        if (match := re.match(rf"(?:await )?({WORD})", span))
    }
    assert named == set(crdtsync.__all__)


def test_each_public_name_is_there_and_has_words() -> None:
    assert crdtsync.__all__ == sorted(crdtsync.__all__)
    for name in crdtsync.__all__:
        assert getattr(crdtsync, name).__doc__, name
    assert set(crdtsync.__all__) <= set(dir(crdtsync))
    assert not hasattr(crdtsync, "nothing_of_that_name")


def test_the_members_that_the_reference_names_are_there() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    found = re.findall(rf"`(?:await )?([A-Z]\w*)\.({WORD})", text)
    assert len(found) > 20
    instance_only = {("Session", "prompts"), ("Session", "replica")}
    for owner, member in found:
        kind = getattr(crdtsync, owner)
        names = {f.name for f in fields(kind)} if is_dataclass(kind) else set()
        there = hasattr(kind, member) or member in names
        assert there or (owner, member) in instance_only, f"{owner}.{member}"


def test_the_reference_names_each_error_with_its_exit_code() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE))
    errors = {
        name: str(kind.exit_code)
        for name in crdtsync.__all__
        if isinstance(kind := getattr(crdtsync, name), type)
        and issubclass(kind, CrdtSyncError)
    }
    assert rows == errors


def test_the_page_of_events_is_fresh() -> None:
    script = load(DOCS / "events.py")
    page = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
    assert page == script.page()


def test_the_page_of_keys_and_commands_is_fresh() -> None:
    script = load(DOCS / "keys.py")
    page = (DOCS / "reference" / "keys.md").read_text(encoding="utf-8")
    assert page == script.page(), "run: uv run python docs/keys.py"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_document_names_each_root() -> None:
    text = (DOCS / "how-it-works" / "document.md").read_text(encoding="utf-8")
    roots = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert roots == list(crdtsync.schema.ROOTS)


def test_the_tests_that_pages_name_exist() -> None:
    named = [
        (page, *re.findall(r"[^`:]+", place))
        for page in NAMES
        for place in re.findall(r"`(tests/[^`]+)`", (ROOT / page).read_text("utf-8"))
    ]
    assert named
    for page, path, *names in named:
        assert (ROOT / path).exists(), (page, path)
        for name in names:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), (page, name)
