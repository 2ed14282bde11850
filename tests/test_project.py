"""The project keeps its own rules: names, layout, and what is said in files."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("crdtsync", "cli", "relay")
    for path in (ROOT / folder).rglob("*.py")
)
DRAWERS = {"utils", "helpers", "common", "base", "manager", "misc"}


def settings() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES]
)
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no first sentence"
    assert path.stem not in DRAWERS


def test_every_package_is_typed() -> None:
    for package in ("crdtsync", "cli/crdtsync_cli", "relay/crdtsync_relay"):
        assert (ROOT / package / "py.typed").exists()
    for folder in ("cli", "relay"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_the_two_commands_of_the_readme_are_those_of_the_checks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert [block.strip() for block in blocks[:2]] == [
        "uv run crdtsync demo",
        "uv run pytest",
    ]
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^uv run pytest( \||$)", checks, re.MULTILINE)
    assert "crdtsync demo" in checks


def test_the_glossary_holds_the_main_words() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in ("session", "document", "replica", "window", "participant", "log"):
        assert re.search(rf"^\| {word} \|", glossary, re.MULTILINE)


def test_the_version_has_its_place_in_the_changelog() -> None:
    changelog = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")
    project = settings()["project"]
    assert isinstance(project, dict)
    assert "## Unreleased" in changelog or f"## {project['version']}" in changelog
