"""Planted secrets do not appear in a redacted export, in any form."""

from __future__ import annotations

import json

import pytest

from crdtsync.document import Document
from crdtsync.entities import Message, Participant
from crdtsync.errors import UsageError
from crdtsync.export import FORMATS, Format, Redaction, export_session, import_session
from crdtsync.export.redaction import redact_content
from crdtsync.export.secrets import find_secrets, names_secret
from crdtsync.view import SessionView
from tests.export.sample import claim, rich_view

FAITHFUL: list[Format] = ["json", "jsonl", "ydoc"]

# Made up; joined at run time, so that no scanner of repositories finds a key here.
KEYS = {
    "openai": "sk-" + "proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34",
    "anthropic": "sk-" + "ant-api03-" + "Zz9" * 20,
    "openrouter": "sk-" + "or-v1-" + "0123456789abcdef" * 4,
    "google": "AI" + "za" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "aws id": "AK" + "IA" + "IOSFODNN7EXAMPLE",
    "github": "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "github fine": "github" + "_pat_" + "11ABCDEFG0123456789_abcdefghijklmnop",
    "gitlab": "gl" + "pat-" + "Zx9Yw8Vu7Ts6Rq5Po4Nm",
    "slack": "xo" + "xb-" + "123456789012-abcdefGHIJKL",
    "stripe": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "hugging face": "h" + "f_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123",
    "npm": "np" + "m_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
    "crdtsync": "cs" + "1_" + "9f8e7d6c5b4a39281706",
    "signed": "ey"
    + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "bearer": "Authorization: Bearer " + "mF_9.B5f-4.1JqM",
    "basic": "authorization: basic " + "YW5hOmh1bnRlcjIy",
    "env": "DATABASE_PASSWORD=" + "correct-horse-battery",
    "quoted env": 'export API_KEY="' + 'one two three"',
    "yaml": "client_secret: " + "a8f5f167f44f4964e6c998dee827110c",
    "json text": '{\\"access_token\\": \\"' + 'q1w2e3r4t5y6\\"}',
    "address": "postgres://app:" + "s3cr3tpw@db.internal/app",
    "option": "deploy --token " + "d3pl0yt0k3n",
    "curl": "curl -s -u ana:" + "pa55phrase https://example.org",
    "cookie": "Cookie: " + "session=abcdef0123456789",
    "azure": "AccountKey="
    + "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==",
    "link": "https://relay.example/s/01936f00#" + "Tok3nInLink99",
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow1\nAAbb22\n-----END "
    "RSA PRIVATE KEY-----",
    "key cut short": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk3\nQ0x",
}
# The part that must be gone, where it is not the whole.
SECRET = {
    "bearer": "mF_9.B5f-4.1JqM",
    "basic": "YW5hOmh1bnRlcjIy",
    "env": "correct-horse-battery",
    "quoted env": "one two three",
    "yaml": "a8f5f167f44f4964e6c998dee827110c",
    "json text": "q1w2e3r4t5y6",
    "address": "s3cr3tpw",
    "option": "d3pl0yt0k3n",
    "curl": "pa55phrase",
    "cookie": "abcdef0123456789",
    "azure": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",
    "link": "Tok3nInLink99",
    "private key": "AAbb22",
    "key cut short": "b3BlbnNzaC1rZXk3",
}


def planted(secret: str) -> Document:
    """A session with a text in every place that can hold one."""
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s-1", "title": secret, "agent": {"resume": [secret]}})
        edit.set_meta({"later": {"deep": [{"x": secret}]}})
        edit.add_participant(Participant("p-1", f"ana {secret}"))
        edit.add_message(
            Message("m-1", "user", "p-1", "", f"use {secret} now", extra={"k": secret})
        )
        edit.add_message(Message("m-2", "assistant", "p-1", "", turn="t-1"))
        edit.append_text("m-2", f"I used {secret}.\n\n```\n{secret}\n```\n")
        edit.set_turn("t-1", {"claim": claim(1, "m-1"), "error": f"bad {secret}"})
        edit.set_turn("t-1", {"plan": [{"content": secret}], "usage": {secret: 1}})
        edit.set_tool("t-1/1", {"title": secret, "input": {"a": [{"b": secret}]}})
        edit.set_tool("t-1/1", {"content": [{"type": "diff", "newText": secret}]})
        edit.append_output("t-1/1", f"out {secret}\n")
        edit.ask("a-1", {"number": 1, "title": secret, "input": {"cmd": secret}})
        edit.vote("a-1", "p-1", secret)
        edit.enqueue("m-1", "U0000001")
        edit.set_draft("p-1", {secret: [secret]})
        edit.set_draft("p-2", {"gone": secret})
        edit.set_lease({"holder": secret, "epoch": 1})
    with document.edit() as edit:
        edit.set_meta({"title": f"again {secret}"})
        edit.set_draft("p-2", None)
    return document


def text_of(data: bytes) -> str:
    return data.decode(errors="replace").replace("\\n", "\n")


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_in_no_redacted_export(name: str) -> None:
    document = planted(KEYS[name])
    view = SessionView(document)
    secret = SECRET.get(name, KEYS[name])
    for form in FORMATS:
        data = export_session(view, document, form, redact=Redaction())
        assert secret not in text_of(data), form
        assert "[redacted-" in text_of(data).replace("\\[", "[").replace("\\]", "]")
    assert secret in text_of(export_session(view, document, "ydoc"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_configured_string_is_in_no_redacted_export(form: Format) -> None:
    document = planted("Ärger & Söhne <GmbH>")
    redact = Redaction(("ärger & söhne <gmbh>",))
    data = export_session(SessionView(document), document, form, redact=redact)
    assert "rger" not in text_of(data)
    assert "hne" not in text_of(data)


def test_a_value_named_a_secret_is_gone_wherever_it_is_repeated() -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s-1"})
        edit.set_tool("t/1", {"input": {"env": {"DB_PASSWORD": "trustno1x"}}})
        edit.set_tool("t/2", {"input": [{"name": "API_KEY", "value": "plainwordy"}]})
        edit.set_tool("t/3", {"input": {"argv": ["x", "--api-key", "a b c d e f"]}})
        edit.append_output("t/1", "login with trustno1x; plainwordy; a b c d e f")
    data = export_session(SessionView(document), document, "json", redact=Redaction())
    tools = json.loads(data)["tools"]
    assert tools["t/1"]["output"] == (
        "login with [redacted-1]; [redacted-2]; [redacted-3]"
    )
    assert tools["t/1"]["input"] == {"env": {"DB_PASSWORD": "[redacted-1]"}}


def test_a_word_of_code_after_the_name_of_a_secret_is_gone_only_there() -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s-1"})
        edit.add_message(Message("m-1", "user", "p", "", "password: swordfish"))
        edit.add_message(Message("m-2", "user", "p", "", "I like swordfish"))
    data = export_session(SessionView(document), document, "json", redact=Redaction())
    texts = [message["text"] for message in json.loads(data)["messages"]]
    assert texts == ["password: [redacted-1]", "I like swordfish"]


def test_what_is_no_secret_stays() -> None:
    view, document = rich_view()
    plain = export_session(view, document, "json")
    assert export_session(view, document, "json", redact=Redaction()) == plain


@pytest.mark.parametrize(
    "text",
    [
        "The author wrote 120 tokens: fine",
        "max_tokens=1024",
        "token: str = None",
        "def parse(text: str) -> list[Error]",
        "see https://example.org:8080/a?b=c",
        "password: os.environ['PW']",
        "key: value",
        "the risk-assessment-document",
        "[redacted-1]",
        "password=[redacted-3]",
    ],
)
def test_ordinary_text_holds_no_secret(text: str) -> None:
    assert [secret.text for secret in find_secrets(text)] == []


def test_names_of_secrets_are_known_by_their_words() -> None:
    named = ["password", "apiKey", "X-Api-Key", "--token", "GITHUB_TOKEN", "auth"]
    harmless = ["author", "tokens", "key", "title", "pinned", "input_tokens"]
    assert [name for name in named if not names_secret(name)] == []
    assert [name for name in harmless if names_secret(name)] == []


def test_a_redacted_session_is_still_a_session() -> None:
    document = planted(KEYS["openai"])
    for form in FAITHFUL:
        data = export_session(SessionView(document), document, form, redact=Redaction())
        found = import_session(data, copy_id="s-2")
        view = SessionView(Document.load([found.update]))
        assert view.turns["t-1"].claim is not None
        assert view.text("m-1") == "use [redacted-1] now"
        assert view.name_of(view.messages[0].author) == "ana [redacted-1]"


def test_a_redacted_ydoc_is_a_new_document() -> None:
    document = planted(KEYS["openai"])
    view = SessionView(document)
    data = export_session(view, document, "ydoc", redact=Redaction())
    again = export_session(view, document, "ydoc", redact=Redaction())
    found = import_session(data, copy_id="s-2")
    assert found.session_id not in {"s-1", "s-2"}
    assert import_session(again, copy_id="s-2").session_id == found.session_id


def test_words_the_program_reads_by_are_kept() -> None:
    view, document = rich_view()
    content = redact_content(
        {"turns": {"t": {"claim": claim(1, "m")}}, "messages": [{"role": "user"}]},
        Redaction(("local", "claim", "user", "grant")),
    )
    assert content["turns"] == {"t": {"claim": claim(1, "m")}}
    assert content["messages"] == [{"role": "user"}]
    assert view.message_count == document.message_count


def test_an_id_that_has_to_go_is_replaced() -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "acme-session"})
    data = export_session(
        SessionView(document), document, "json", redact=Redaction(("acme",))
    )
    assert b"acme" not in data
    assert len(json.loads(data)["meta"]["id"]) == 36


def test_a_short_string_is_refused() -> None:
    with pytest.raises(UsageError, match="4 characters"):
        Redaction(("abc",))


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----" * 400,
        "a-" * 20_000,
        "eyJaaaaaaaa-" * 2_000,
        'password="' * 3_000,
        "curl " * 6_000,
        "x" * 100_000,
        "://a" * 10_000,
        "secret_" * 8_000,
        "SG." * 10_000,
    ],
)
def test_hostile_text_is_searched_in_time(text: str) -> None:
    list(find_secrets(text))


def test_a_short_secret_is_gone_as_a_word_of_its_own() -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s-1"})
        edit.set_tool("t/1", {"input": {"password": "abc123"}})
        edit.set_tool("t/2", {"input": {"token": "user"}})
        edit.append_output("t/1", "abc123 but xabc1234, user")
    data = export_session(SessionView(document), document, "json", redact=Redaction())
    assert json.loads(data)["tools"]["t/1"]["output"] == (
        "[redacted-1] but xabc1234, user"
    )
