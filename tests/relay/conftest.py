"""The HTTP server under the relay runs on asyncio only; rooms need no event loop."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
