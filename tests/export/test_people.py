"""Exports for people: complete, readable, and nothing in a text can act."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from crdtsync.document import Document
from crdtsync.entities import Approval, Message, Option, ToolCall
from crdtsync.export import FORMATS, Format, export_session
from crdtsync.export.commonmark import render
from crdtsync.export.moments import day_of, moment, time_of
from crdtsync.export.quoting import code_block, tame
from crdtsync.export.toolshow import DETAIL_CHARS_MAX, details_of
from crdtsync.export.wording import decision_words, tool_words
from crdtsync.schema import JsonObject, JsonValue
from crdtsync.view import SessionView
from tests.export.sample import claim, documents, rich_view

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m</details>"
)


def page_of(document: Document, form: Format = "html") -> str:
    return export_session(SessionView(document), document, form).decode()


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"br", "hr"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_form_is_listed() -> None:
    assert get_args(Format) == FORMATS


def test_the_page_tells_everything_in_order() -> None:
    view, document = rich_view()
    seen = Tags(export_session(view, document, "html").decode())
    said = [
        "Report every error of a file",
        "Friday, 20 November 2026",
        "Why does the parser report only one error?",
        "note, not sent to the agent",
        "Read src/parser.py",
        "The parser stops at the",
        "Edit src/parser.py",
        "allowed by Bob Ünal",
        "failed, exit code 1",
        "Saturday, 21 November 2026",
        "The lexer is fine",
        "Late: the agent of the next turn did not see this",
        "except for one thing: it reads",
        "interrupted, outcome unknown",
        "agent exited with code 3: no <model>",
        "waiting, number 1 in the queue",
        "of a kind not known yet: dance",
    ]
    places = [seen.text.find(text) for text in said]
    assert -1 not in places
    assert places == sorted(places)
    assert seen.open == []


def test_the_markdown_tells_the_same() -> None:
    view, document = rich_view()
    page = export_session(view, document, "md").decode()
    for said in (
        "### ana · 14:02\n\n> Why does the parser report only one error?  \n",
        "> ✅ **Question 1:** Edit src/parser.py: *allowed by Bob Ünal*",
        "<b>Run the tests</b> (failed, exit code 1)",
        "The lexer is fine\n\n<details><summary>Late: the agent",
        "```sh\ncat file\n```\n\n</details>",
        "*Turn: failed; agent exited with code 3: no \\<model\\>.*",
    ):
        assert said in page, said


def hostile_document() -> Document:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": HOSTILE, "title": HOSTILE, "created_by": HOSTILE})
        for role in ("user", "note", "system", HOSTILE):
            edit.add_message(Message(f"m-{role}", role, HOSTILE, HOSTILE, HOSTILE))
        for role in ("assistant", "thought"):
            edit.add_message(Message(role, role, HOSTILE, "", turn="t-1"))
            edit.append_text(role, HOSTILE + "\n\n```" + HOSTILE + "\n" + HOSTILE)
        edit.set_turn("t-1", {"claim": claim(1, "m-user"), "error": HOSTILE})
        tool: JsonObject = {"title": HOSTILE, "kind": HOSTILE, "input": {"a": HOSTILE}}
        edit.set_tool("t-1/1", {**tool, "phase": HOSTILE, "message": "assistant"})
        edit.set_tool(
            "t-1/1",
            {
                "locations": [{"path": HOSTILE}],
                "content": [{"type": "diff", "path": HOSTILE, "newText": HOSTILE}],
            },
        )
        edit.append_output("t-1/1", HOSTILE)
        edit.ask("a-1", {"number": 1, "title": HOSTILE, "decision": HOSTILE})
    return document


def test_a_page_holds_no_script_and_loads_nothing() -> None:
    for document in (hostile_document(), rich_view()[1]):
        seen = Tags(page_of(document))
        assert not {"script", "img", "iframe", "link", "object"} & set(seen.tags)
        names = {name for name, _ in seen.attributes}
        assert not {name for name in names if name.startswith("on")} | names & {"src"}
        assert seen.open == []


def test_text_cannot_act_in_markdown() -> None:
    page = page_of(hostile_document(), "md")
    tokens = MarkdownIt("commonmark", {"html": True}).parse(page)
    inline = [child for token in tokens for child in token.children or ()]
    html = [t.content for t in [*tokens, *inline] if t.type.startswith("html")]
    ours = re.compile("<!-- crdtsync export: markdown -->|</?(?:details|summary|b)>")
    assert [text for text in html if "<" in ours.sub("", text)] == []
    opened, closed = page.count("\n</details>"), page.count("<details><summary>")
    assert opened == closed == 2


@pytest.mark.parametrize("form", ["md", "html"])
def test_control_and_bidi_characters_are_gone(form: Format) -> None:
    page = page_of(hostile_document(), form)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page
    )


@pytest.mark.parametrize("form", ["md", "html"])
@given(document=documents())
@settings(max_examples=15, deadline=None)
def test_any_session_can_be_shown(form: Format, document: Document) -> None:
    page = page_of(document, form)
    assert "crdtsync export" in page
    if form == "html":
        assert Tags(page).open == []


PIECES = r"""
``` ~~~ ` `` <b> </details> <!-- === --- * \ <? &lt; <https://a.example> word #_ >_ -_
\n \n\n ____ 1._ [x]:_http://a \t |_a_|_b_|\n|---|---|\n
"""
ANSWERS = st.lists(
    st.sampled_from(
        [
            piece.replace("_", " ").replace("\\n", "\n").replace("\\t", "\t")
            for piece in PIECES.split()
        ]
    ),
    max_size=14,
).map("".join)


@given(text=ANSWERS)
@settings(max_examples=150, deadline=None)
def test_no_answer_swallows_what_follows_or_forges_a_heading(text: str) -> None:
    page = f"### ana\n\n{tame(text)}\n\n### END"
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    headings = [
        tokens[at + 1].content
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag in {"h1", "h2", "h3"}
    ]
    assert headings == ["ana", "END"]
    assert not [t for t in tokens if t.type == "html_block"]
    for token in tokens:
        assert not [c for c in token.children or () if c.type == "html_inline"]


@pytest.mark.parametrize(
    ("text", "tamed"),
    [
        ("# One\n\n## Two", "#### One\n\n##### Two"),
        ("Title\n===", "#### Title"),
        ("two\nlines\n---", "##### two lines"),
        ("> q\n> ---", "> q\n> "),
        ("a <b> c `<d>` <https://e.example>", "a &lt;b> c `<d>` <https://e.example>"),
        ("```\nopen", "```\nopen\n```"),
        ("```\nshut\n```", "```\nshut\n```"),
        ("plain", "plain"),
    ],
)
def test_foreign_markdown_is_tamed(text: str, tamed: str) -> None:
    assert tame(text) == tamed


def test_what_is_too_long_or_too_deep_is_shown_as_typed() -> None:
    deep = "> " * 300 + "<b>deep"
    assert tame(deep).startswith("```\n> >")
    assert "deep" in render(deep)
    assert render("x" * 300_000).startswith("<pre>xxx")


def test_a_code_block_outlasts_the_fences_in_it() -> None:
    assert code_block("a\n````\nb", "sh") == "`````sh\na\n````\nb\n`````"


def test_links_lead_away_safely_and_images_load_nothing() -> None:
    shown = render("[a](javascript:x) [b](https://b.example) ![c](https://c.example/i)")
    assert "javascript" not in re.sub(r"<p>\[a\]\(javascript:x\)", "", shown)
    assert 'href="https://b.example" rel="noopener noreferrer nofollow"' in shown
    assert "<img" not in shown
    assert ">[c]</a>" in shown
    assert render("![d](data:image/png;base64,xx)") == "<p>[d]</p>\n"


def test_headings_in_an_answer_rank_below_those_of_the_page() -> None:
    assert render("# a\n\n#### b") == "<h4>a</h4>\n<h6>b</h6>\n"


def test_times_are_shown_in_utc() -> None:
    at = "2026-11-20T23:30:00-02:00"
    assert moment(at) == "2026-11-21 01:30 UTC"
    assert (day_of(at), time_of(at)) == ("Saturday, 21 November 2026", "01:30")
    assert (day_of("then"), time_of("then"), moment("then")) == ("", "then", "then")
    assert time_of("2026-11-20T23:30:00") == "23:30"
    assert day_of("0001-01-01T00:00:00+23:00") == ""


OPTIONS = (Option("y", "Yes", "allow_always"), Option("n", "No", "reject_once"))
QUESTION = Approval("a", 1, "t", "t/1", "Do it", None, "", OPTIONS, "", "")


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("", ("not answered", None)),
        ("y", ("allowed for good", True)),
        ("n", ("denied", False)),
        ("expired", ("expired", False)),
        ("cancelled", ("cancelled", None)),
        ("other", ("answered other", None)),
    ],
)
def test_answers_to_questions_have_words(
    decision: str, words: tuple[str, bool | None]
) -> None:
    assert decision_words(replace(QUESTION, decision=decision)) == words


def test_tools_show_what_they_got_and_gave() -> None:
    tool = ToolCall(
        "t/1",
        input="as text",
        output="y" * (DETAIL_CHARS_MAX + 7),
        phase="later_phase",
        content=(
            {"type": "content", "content": {"type": "text", "text": "found"}},
            {"type": "content", "content": {"type": "image", "data": "xx"}},
            {"type": "terminal", "terminalId": "1"},
            {"type": "hologram", "of": "a cat"},
            {"type": "diff", "path": "a", "newText": "x\n" * 6_000},
            {},
        ),
    )
    shown = [(d.label, d.text[:12], d.language) for d in details_of(tool)]
    assert shown == [
        ("Input", "as text", ""),
        ("Result", "found", ""),
        ("Result", "(image, not ", ""),
        ("Content", '{\n  "type": ', "json"),
        ("Change of a", "+x\n+x\n+x\n+x\n", "diff"),
        ("Output", "y" * 12, ""),
    ]
    assert details_of(tool)[-1].text.endswith("[7 more characters are not shown]")
    assert tool_words(tool) == "later_phase"


@pytest.mark.parametrize(
    ("output", "labels"),
    [
        ('{"text": "found\\n"}', ["Result"]),
        ("found", ["Result"]),
        ('{"text": "found", "code": 0}', ["Result", "Output"]),
        ('{"text": "found more"}', ["Result", "Output"]),
    ],
)
def test_an_output_that_only_wraps_the_result_is_not_shown_twice(
    output: str, labels: list[str]
) -> None:
    text: JsonObject = {"type": "text", "text": "found\n"}
    found: JsonObject = {"type": "content", "content": text}
    tool = ToolCall("t/1", output=output, content=(found,))
    assert [detail.label for detail in details_of(tool)] == labels


def turn_document(values: JsonObject, **more: JsonObject) -> Document:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s"})
        edit.add_message(Message("m-1", "user", "p", "", "go"))
        edit.set_turn("t-1", {"claim": claim(1, "m-1"), **values})
        for turn, later in more.items():
            edit.set_turn(turn, later)
    return document


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"started": True}, "Turn: was running"),
        ({}, "Turn: was about to start"),
        ({"ended": True, "stop_reason": "cancelled"}, "Turn: cancelled"),
        ({"ended": True, "stop_reason": "whatever"}, "Turn: whatever"),
        ({"ended": True, "stop_reason": "lost_lease"}, "as the lease was lost"),
    ],
)
def test_how_a_turn_ended_is_said(values: JsonObject, words: str) -> None:
    assert words in Tags(page_of(turn_document(values))).text


def test_turns_that_ended_well_or_never_began_need_no_words() -> None:
    done: list[JsonObject] = [
        {"ended": True, "stop_reason": "end_turn"},
        {"void": True},
    ]
    for values in done:
        assert "Turn:" not in page_of(turn_document(values))


def test_turns_that_ran_apart_are_shown_as_such() -> None:
    ended: JsonObject = {"started": True, "ended": True, "stop_reason": "end_turn"}
    apart = {**claim(1, "m-1"), "arb": "arb-2", "machine": "m-2", "grant": "offline"}
    document = turn_document(ended, **{"t-2": {"claim": apart, **ended}})
    text = Tags(page_of(document)).text
    assert "ran apart, beside the main line" in text
    assert "one of several answers to the same prompt" in text


def test_a_late_end_after_a_takeover_is_said() -> None:
    ended: JsonObject = {"started": True, "ended": True, "stop_reason": "end_turn"}
    closing = claim(2, "m-1", after={"t-1": "open"}, closes={"t-1": [0, 0]})
    document = turn_document(ended, **{"t-2": {"claim": closing, **ended}})
    with document.edit() as edit:
        edit.add_message(Message("m-2", "assistant", "", "", turn="t-1"))
        edit.append_text("m-2", "too late")
        edit.set_turn("t-9", {"claim": claim(3, "elsewhere"), "started": True})
        edit.set_tool("gone/1", {"title": "Tool of no turn"})
        edit.ask("a-1", {"number": 1, "turn": "t-1", "tool": "x/1", "title": "About x"})
        edit.ask("a-2", {"number": 2, "turn": "no", "tool": "y/1", "title": "About y"})
        edit.enqueue("m-3", "U0000002")
        edit.set_queue("m-3", {"held": True})
        edit.add_message(Message("m-3", "user", "p", "", "later"))
        edit.add_message(Message("m-4", "assistant", "", "", turn="t-9"))
    text = Tags(page_of(document)).text
    for said in (
        "finished after another turn had taken over",
        "late: written after the lease was lost",
        "Tool of no turn",
        "About x",
        "About y",
        "held until somebody releases it",
    ):
        assert said in text, said


@pytest.mark.parametrize("form", ["md", "html"])
def test_a_message_without_a_time_stands_under_no_day(form: Format) -> None:
    document = Document(3)
    with document.edit() as edit:
        edit.seed({"id": "s`1"})
        edit.add_message(Message("m-1", "user", "p", "2026-11-20T14:02:11Z", "one"))
        edit.add_message(Message("m-2", "user", "p", "once", ""))
    page = page_of(document, form)
    assert page.count("Friday, 20 November 2026") == 1
    assert "empty" in page
    if form == "md":
        assert "**Session:** ``s`1``" in page


def test_a_result_without_text_is_not_shown() -> None:
    content: tuple[JsonValue, ...] = (
        {"type": "content", "content": {"type": "text", "text": " "}},
    )
    assert details_of(ToolCall("t/1", content=content)) == ()
