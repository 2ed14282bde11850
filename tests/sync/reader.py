"""A process that applies updates and reads the result in every way a reader would.

It takes one document a line, as JSON, and answers each with a line: `same`, `differs`
(after a reload) or what went wrong. It may die or hang: that is what it is for.
"""

from __future__ import annotations

import base64
import json
import sys

from pycrdt import Array, Doc, Map, Text, merge_updates

from tests.sync.corpus import AnyDoc, Shared, roots_of

KINDS: dict[str, type[Shared]] = {"array": Array, "map": Map, "text": Text}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        updates = [base64.b64decode(update) for update in asked["updates"]]
        try:
            answer = follow(asked["document"], updates)
        except BaseException as fault:
            answer = f"{type(fault).__name__}: {fault}".replace("\n", " ")
        print(answer, flush=True)  # noqa: T201


def follow(document: int, updates: list[bytes]) -> str:
    live: AnyDoc = Doc()
    for update in updates:
        live.apply_update(update)
        read(live, document)
    reloaded: AnyDoc = Doc()
    reloaded.apply_update(live.get_update())
    same = read(live, document) == read(reloaded, document)
    edit(reloaded, document)
    live.apply_update(reloaded.get_update(live.get_state()))
    read(live, document)
    reloaded.apply_update(merge_updates(live.get_update(), *updates[-3:]))
    read(reloaded, document)
    return "same" if same else "differs"


def read(doc: AnyDoc, document: int) -> list[object]:
    seen: list[object] = []
    for root, kind in roots_of(document).items():
        shared = doc.get(root, type=KINDS[kind])
        seen.append(json.loads(str(shared)) if kind != "text" else str(shared))
        match shared:
            case Text():
                shared.diff()
            case Array():
                seen.append(len(list(shared)))
                plain(shared)
            case Map():
                seen.append(sorted(shared.keys()))
                plain(shared)
    doc.get_state()
    return seen


def plain(shared: Array[object] | Map[object]) -> None:
    try:
        shared.to_py()
    except ValueError as fault:
        # A nested XML fragment is legitimate and has no such form.
        if "no Python equivalent" not in str(fault):
            raise


def edit(doc: AnyDoc, document: int) -> None:
    for root, kind in roots_of(document).items():
        match doc.get(root, type=KINDS[kind]):
            case Text() as text:
                text.insert(0, "q")
                del text[0:1]
            case Array() as array:
                array.insert(0, 1)
                array.append(2)
                array.pop(0)
            case Map() as entries:
                entries["a"] = 1
                entries["new"] = 2


if __name__ == "__main__":
    main()
