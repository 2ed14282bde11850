"""Tier 2 of admission: does this update fit the document that is there?

It compares a scanned update with what is known of the document and works out what
it would add. It changes nothing that lasts: `DocIndex.commit` does.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from crdtsync.sync.admission.content import SKIP
from crdtsync.sync.admission.growth import Growth, Missing
from crdtsync.sync.admission.place import place
from crdtsync.sync.admission.rules import MISSING_IDS_MAX, refuse
from crdtsync.sync.admission.scan import Deletions, Id, Scanned, Section

__all__ = ["check"]

_START: Final = (0, 0)


def check(scanned: Scanned, growth: Growth) -> tuple[Id, ...]:
    """Place everything an update holds.

    Args:
        scanned: The update.
        growth: Empty; afterwards what the update adds, to be thrown away unless
            nothing is missing.

    Returns:
        What the update waits for (T2-1), nothing if it is complete.

    Raises:
        UpdateRefused: It breaks a rule of tier 2.
    """
    if len(scanned.sections) == 1:
        # Nearly every update: one client's, typing.
        missing = _place_from(_START, scanned.sections[0], growth)[1]
        if missing:
            return (missing,)
    elif stuck := _place_all(scanned.sections, growth):
        return _outside(stuck)
    if scanned.deletions:
        return _check_deletions(scanned.deletions, growth)
    return ()


def _place_all(sections: list[Section], growth: Growth) -> dict[int, Id]:
    """Place sections as what they build on appears.

    Every section is tried again only once what it waited for is there: sections in
    the worst order must not cost quadratic time.

    Returns:
        What each client's section still waits for.
    """
    stuck: dict[int, Id] = {}
    waiting: dict[int, list[tuple[int, int]]] = {}
    done = [_START] * len(sections)
    ready = list(range(len(sections)))
    for number in ready:
        client = sections[number][0]
        done[number], missing = _place_from(done[number], sections[number], growth)
        if missing:
            stuck[client] = missing
            heappush(waiting.setdefault(missing[0], []), (missing[1], number))
        else:
            stuck.pop(client, None)
        queue = waiting.get(client)
        while queue and queue[0][0] < growth.end_of(client):
            ready.append(heappop(queue)[1])
    return stuck


def _place_from(
    done: tuple[int, int], section: Section, growth: Growth
) -> tuple[tuple[int, int], Id | None]:
    """Place as many structs of a client as possible.

    Args:
        done: How many of its structs and of its clocks were placed before.
        section: The client's structs.
        growth: What is added to.

    Returns:
        The same as `done` for the next time, and what is missing to go on.
    """
    client, first, structs = section
    start, clocks = done
    at = start
    clock = first + clocks
    runs = growth.runs_of(client)
    have = runs.end
    try:
        for at in range(start, len(structs)):
            struct = structs[at]
            end = clock + struct[1]
            if end > have:
                if struct[0] == SKIP:
                    raise Missing(client, end - 1)
                if clock > have:
                    raise Missing(client, clock - 1)
                runs.add(place(growth, (client, clock), have, struct), end)
                have = end
            clock = end
    except Missing as missing:
        return (at, clock - first), missing.id
    return (len(structs), clock - first), None


def _outside(stuck: dict[int, Id]) -> tuple[Id, ...]:
    """Return what other updates have to bring, without what this one holds itself."""
    needs = [
        need
        for client, need in stuck.items()
        if need[0] == client or need[0] not in stuck
    ]
    return tuple((needs or list(stuck.values()))[:MISSING_IDS_MAX])


def _check_deletions(deletions: list[Deletions], growth: Growth) -> tuple[Id, ...]:
    missing: list[Id] = []
    for client, ranges in deletions:
        clock, length = ranges[-1]
        if clock + length > growth.end_of(client):
            missing.append((client, clock + length - 1))
        for clock, length in ranges:
            if growth.splits_pair(client, clock) or growth.splits_pair(
                client, clock + length
            ):
                refuse("T2-7", "The update deletes half of a character.")
    return tuple(missing[:MISSING_IDS_MAX])
