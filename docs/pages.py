"""Writes the pages that come from the program itself: help, completion, reference.

Run `uv run python docs/pages.py` after changing a command; the tests say when.
"""

from __future__ import annotations

import json
from pathlib import Path

from crdtsync_cli.surface import help_pages, reference, surfaces

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "cli" / "crdtsync_cli" / "pages"


def main() -> None:
    """Write every page."""
    PAGES.mkdir(exist_ok=True)
    for name, text in help_pages().items():
        (PAGES / f"{name}.txt").write_text(text, encoding="utf-8")
    table = json.dumps(surfaces(), indent=1, ensure_ascii=False)
    (PAGES / "completion.json").write_text(f"{table}\n", encoding="utf-8")
    (ROOT / "docs" / "reference" / "cli.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
