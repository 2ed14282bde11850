"""Every route answers as its documentation says, whatever it is asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

from crdtsync.document import Document
from crdtsync.entities import Message
from tests.export.sample import SESSION, rich_document
from tests.relay.http_relay import Served, bring, served
from tests.relay.test_api import token_for
from tests.test_docs import ROOT, load, pattern_of, run

PAGE = ROOT / "docs" / "reference" / "http-api.md"

READ_S = 40
RUN_S = 240
EXAMPLES = 2

AT = "2026-11-21T09:00:00.000Z"

CONFIG = """
[parameters]
"path.session" = "{session}"
"path.message" = "m-8"
"path.approval" = "ask-1"
"path.turn" = "t-1"
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A relay that asks for tokens, with a session."""
    with served(tmp_path_factory.mktemp("guarded"), "--tokens") as relay:
        anyio.run(bring, relay.port, SESSION, rich_document(), relay.owner)
        yield relay


def document_of(relay: Served) -> dict[str, Any]:
    found = requests.get(f"{relay.base}/api/v1/openapi.json", timeout=READ_S)
    found.raise_for_status()
    document: dict[str, Any] = found.json()
    return document


@pytest.mark.timeout(RUN_S + 60)
def test_every_route_answers_as_documented(guarded: Served, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG.format(session=SESSION))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{guarded.base}/api/v1/openapi.json",
            f"--header=Authorization: Bearer {guarded.owner}",
            # It has no end; see below.
            "--exclude-operation-id=streamEvents",
            "--phases=coverage,fuzzing",
            f"--max-examples={EXAMPLES}",
            "--seed=1",
            "--no-color",
            f"--request-timeout={READ_S}",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=RUN_S,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    assert "Tested: 22" in said, said


def test_the_stream_of_events_answers_as_documented(guarded: Served) -> None:
    schema = schemathesis.openapi.from_dict(document_of(guarded))
    path = "/sessions/{session}/events"
    strategy = schema[path]["GET"].as_strategy()
    bearer = {"Authorization": f"Bearer {guarded.owner}"}
    seen = set()

    @settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])
    @given(case=strategy)
    def follow(case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {"session": SESSION}
        asked = case.as_transport_kwargs(f"{guarded.base}/api/v1", headers=bearer)
        with requests.request(**asked, timeout=READ_S, stream=True) as response:
            # The head and the first words; the rest has no end.
            response._content = next(response.iter_content(1))  # noqa: SLF001
            seen.add(response.status_code)
            case.validate_response(response, headers=bearer)

    follow()
    assert seen == {200}


def test_the_document_is_what_the_validator_of_openapi_takes(guarded: Served) -> None:
    document = document_of(guarded)
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needs = operation.get("security", document["security"])
            anybody = (method, path) == ("post", "/join")
            assert needs == ([] if anybody else [{"token": []}]), path
            assert {"400", "503"} <= set(operation["responses"]), path
    text = json.dumps(document)
    names = set(document["components"]["schemas"])
    assert all(f"#/components/schemas/{name}" in text for name in names)


def test_the_page_of_the_documentation_needs_nothing_from_outside(
    guarded: Served,
) -> None:
    found = requests.get(f"{guarded.base}/api/v1/docs", timeout=READ_S)
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in found.headers["Content-Security-Policy"]
    for word in ("<script", "src=", "http://", "https://", "@import", "url("):
        assert word not in found.text
    for methods in document_of(guarded)["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in found.text


def test_the_page_of_the_routes_is_fresh(guarded: Served) -> None:
    script = load(ROOT / "docs" / "routes.py")
    head, start, rest = PAGE.read_text(encoding="utf-8").partition(script.START)
    assert head
    assert start + rest == script.routes(document_of(guarded))


def test_the_examples_of_the_page_print_what_it_shows(
    guarded: Served, tmp_path: Path
) -> None:
    document = Document()
    with document.edit() as edit:
        edit.seed({"id": "plan", "title": "plan", "created_at": AT, "created_by": "a"})
        edit.add_message(Message("m-1", "user", "a", AT, "hello"))
    anyio.run(bring, guarded.port, "plan", document, guarded.owner)
    token = anyio.run(
        partial(token_for, guarded.port, guarded.owner, "bo", "plan", role="editor")
    )
    known = {"RELAY": guarded.base, "TOKEN": token, "SESSION": "plan"}
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) > 4
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            printed = run(line, tmp_path, {**os.environ, **known})
            assert re.fullmatch(pattern_of(shown), printed), f"{line}\n{printed}"
