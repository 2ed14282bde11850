"""What is typed stays on the screen at every moment, whatever streams in above."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.cli.flood import PROMPT, flooded

pytestmark = pytest.mark.timeout(120)

LOOKS = 30
"""So many pictures of the screen, at least, tell something."""


def test_no_frame_lacks_the_prompt_or_what_was_typed(tmp_path: Path) -> None:
    with flooded(tmp_path, "stream") as terminal:
        terminal.until(PROMPT)
        terminal.send("half typed")
        terminal.until("half typed")
        terminal.typed = "half typed"
        enough, patience = time.monotonic() + 3, time.monotonic() + 60
        while time.monotonic() < (enough if terminal.looks > LOOKS else patience):
            terminal.read(0.05)
        assert terminal.looks > LOOKS
        assert terminal.bad == []
        assert not re.search(rb"\x1b\[[23]J|\x1b\[\?1049h", terminal.written)
