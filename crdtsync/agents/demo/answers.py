"""What the demo agent answers to which prompt; it looks, and makes nothing up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from crdtsync.schema import JsonObject, JsonValue

from .folder import Entry, Folder, Unreadable
from .performance import Performance, ToolUse

__all__ = ["answer"]

NOTES: Final = "NOTES.md"
"""The one file it ever writes."""
LISTED_MAX: Final = 12
"""Entries that are shown of a folder."""
LINES_MAX: Final = 12
"""Lines that are shown of a file."""
COUNT_MAX: Final = 10_000
"""The highest it counts to."""

_COUNT = re.compile(r"count(?:\s+up)?\s+to\s+(\d+)", re.IGNORECASE)
_WRITE = re.compile(
    r"\b(?:write|save|create|(?:take|make|add)\s+an?\s+note)\b", re.IGNORECASE
)
_FIND = re.compile(
    r"\b(?:search|grep|look\s+for|find(?!\s+out))(?:\s+(?:for|the|word|text))*\s+(.+)",
    re.IGNORECASE,
)
_READ = re.compile(r"\b(?:read|open|show|cat)\s+[`\"']?([\w./~-]+)", re.IGNORECASE)
_LIST = re.compile(r"\b(?:folder|files?|directory|list|ls|here)\b", re.IGNORECASE)
_QUOTED = r"[`\"'“]([^`\"'”]+)[`\"'”]"
_KNOWN_FIRST: Final = ("readme.md", "readme", "readme.rst", "readme.txt")


def answer(prompt: str, folder: Folder, stage: Performance) -> None:
    """Play the turn that fits the prompt."""
    counted, found = _COUNT.search(prompt), _FIND.search(prompt)
    named = _named_file(prompt, folder)
    if counted:
        _count(int(counted[1]), stage)
    elif _WRITE.search(prompt):
        _write(folder, stage)
    elif found:
        quoted = re.search(_QUOTED, found[1])
        _search((quoted or found)[1].strip(" .?!\n"), folder, stage)
    elif named:
        _read(named, folder, stage)
    elif _LIST.search(prompt):
        _list(folder, stage)
    else:
        _overview(folder, stage)


def _count(last: int, stage: Performance) -> None:
    for number in range(1, min(last, COUNT_MAX) + 1):
        stage.say(f"{number} " if number < last else f"{number}.")


def _list(folder: Folder, stage: Performance) -> None:
    stage.say(f"Looking into **{folder.root.name}**.\n\n")
    entries = _use_list(folder, stage)
    if not entries:
        stage.say("There is nothing in it that I may read.")
        return
    stage.say(f"It has {_many(len(entries), 'entry', 'entries')}:\n\n")
    stage.say(_table(entries))


def _search(words: str, folder: Folder, stage: Performance) -> None:
    stage.say(f"Searching for `{words}`.\n\n")
    title, told = f"Search for {words}", {"pattern": words}
    with stage.tool("search", title, {**told}, folder.root) as use:
        hits = folder.search(words)
        use.output = "\n".join(f"{h.path}:{h.line}: {h.text}" for h in hits)
    if not hits:
        stage.say("No file here has that.")
        return
    places = len({hit.path for hit in hits})
    lines = _many(len(hits), "line", "lines")
    stage.say(f"Found {lines} in {_many(places, 'file', 'files')}:\n\n")
    for hit in hits[:LISTED_MAX]:
        stage.say(f"- `{hit.path}:{hit.line}` {_inline(hit.text)}\n")


def _read(path: str, folder: Folder, stage: Performance) -> None:
    stage.say(f"Reading `{path}`.\n\n")
    text = _use_read(path, folder, stage)
    if text is None:
        stage.say("I cannot read that file.")
        return
    lines = text.splitlines()
    words = len(text.split())
    told = f"{_many(len(lines), 'line', 'lines')} and {_many(words, 'word', 'words')}"
    stage.say(f"`{path}` has {told}. It begins so:\n\n")
    stage.say(_fenced(lines[:LINES_MAX], PurePosixPath(path).suffix[1:]))


def _overview(folder: Folder, stage: Performance) -> None:
    steps = ("Look at the folder", "Read what introduces it", "Sum up")
    stage.say(f"Let me look around in **{folder.root.name}**.\n\n")
    stage.plan(steps, 0)
    entries = _use_list(folder, stage)
    stage.plan(steps, 1)
    stage.think("A file that introduces the rest would help.")
    first = _introduction(entries)
    text = _use_read(first, folder, stage) if first else None
    stage.plan(steps, 2)
    stage.say("## What I found\n\n")
    stage.say(_table(entries) if entries else "The folder is empty.\n")
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if lines:
        stage.say(f"\n`{first}` begins so:\n\n")
        stage.say(_fenced(lines[:4], "markdown"))
    stage.say(
        "\nI am the built-in demo agent: I have no model, but I really read this "
        "folder. Try:\n\n- *search for TODO*\n- *read* and the name of a file\n"
        "- *write a note*, which I do only if you allow it\n"
    )
    stage.plan(steps, 3)


def _write(folder: Folder, stage: Performance) -> None:
    stage.say(f"I will put a note about this folder into `{NOTES}`.\n\n")
    files = folder.files()
    text = f"# Notes on {folder.root.name}\n\n{_kinds(files)}\n"
    with stage.tool("edit", f"Write {NOTES}", _note(text), folder.root / NOTES) as use:
        done = _append_if_allowed(text, folder, stage, use)
    if done:
        stage.say(f"Done: `{NOTES}` now counts {_many(len(files), 'file', 'files')}.")
    else:
        stage.say(f"I left `{NOTES}` alone.")


def _append_if_allowed(
    text: str, folder: Folder, stage: Performance, use: ToolUse
) -> bool:
    path = str(folder.root / NOTES)
    try:
        before: JsonValue = folder.read(NOTES)
    except Unreadable:
        before = None
    after = f"{before}\n{text}" if isinstance(before, str) else text
    diff: JsonObject = {"type": "diff", "path": path, "newText": after}
    diff["oldText"] = before
    question: JsonObject = {"title": f"Write {NOTES}", "kind": "edit"}
    question |= {"content": [diff], "rawInput": _note(text), "status": "pending"}
    if not stage.may(use, question):
        use.failed, use.output = True, "not allowed"
        return False
    try:
        folder.append(NOTES, f"\n{text}" if isinstance(before, str) else text)
    except Unreadable as error:
        use.failed, use.output = True, str(error)
        return False
    use.output, use.content = f"wrote {len(text)} characters", (diff,)
    return True


def _use_list(folder: Folder, stage: Performance) -> list[Entry]:
    told: JsonObject = {"path": "."}
    with stage.tool("read", "List the folder", told, folder.root) as use:
        entries = folder.entries()
        use.output = "\n".join(
            f"{entry.path}/" if entry.is_folder else entry.path for entry in entries
        )
    return entries


def _use_read(path: str, folder: Folder, stage: Performance) -> str | None:
    title, told = f"Read {path}", {"path": path}
    with stage.tool("read", title, {**told}, folder.root / path) as use:
        try:
            use.output = folder.read(path)
        except Unreadable as error:
            use.failed, use.output = True, str(error)
    return None if use.failed else use.output


def _named_file(prompt: str, folder: Folder) -> str:
    """The first word of the prompt that names a file, here or meant to be here."""
    words = [word.strip("`\"'.,:;?!()") for word in prompt.split()]
    files = {entry.path for entry in folder.files()}
    for word in words:
        if word in files:
            return word
    asked = _READ.search(prompt)
    return asked[1] if asked and "." in asked[1] else ""


def _introduction(entries: Sequence[Entry]) -> str:
    files = [entry.path for entry in entries if not entry.is_folder]
    known = [path for path in files if path.lower() in _KNOWN_FIRST]
    texts = [path for path in files if path.endswith((".md", ".txt", ".toml", ".py"))]
    return next(iter((*known, *texts)), "")


def _table(entries: Sequence[Entry]) -> str:
    rows = [
        f"| `{entry.path}{'/' if entry.is_folder else ''}` | {_size(entry)} |\n"
        for entry in entries[:LISTED_MAX]
    ]
    more = len(entries) - len(rows)
    rest = f"\n... and {more} more.\n" if more else ""
    return "| Name | Size |\n| --- | ---: |\n" + "".join(rows) + rest


def _kinds(files: Sequence[Entry]) -> str:
    kinds = Counter(PurePosixPath(entry.path).suffix or "other" for entry in files)
    lines = [f"- {count} x {kind}" for kind, count in sorted(kinds.items())]
    return "\n".join(lines) or "There are no files."


def _size(entry: Entry) -> str:
    if entry.is_folder:
        return "folder"
    return f"{entry.size:,} B"


def _fenced(lines: Sequence[str], language: str) -> str:
    """A code block; its fence is longer than any in the text."""
    runs = re.findall(r"`+", "\n".join(lines))
    fence = "`" * max(3, *(len(run) + 1 for run in ("", *runs)))
    return "\n".join([f"{fence}{language}", *lines, fence, ""])


def _inline(text: str) -> str:
    return text.replace("`", "'")


def _note(text: str) -> JsonObject:
    return {"path": NOTES, "text": text}


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
