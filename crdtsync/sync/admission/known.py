"""What an index remembers of a document: containers by clock, types and roots.

It decides nothing; `check` reads it, `growth` adds to it.

A *container* is what an element lives in, packed into one number so that equal
containers are equal numbers and none has to be stored to be compared:

    bits 0-31   the number of the shared type or root, 0 for none (collected)
    bit 32      set if the element is an entry of a map
    bit 33      set if the element arrived deleted, its content is unknown
    bits 34-63  a hash of the entry's key
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import MutableSequence
from typing import Final

__all__ = [
    "CONTAINER_BITS",
    "GONE",
    "KEYED",
    "NUMBER_BITS",
    "Known",
    "Runs",
    "compact_runs",
    "keyed_in",
]

NUMBER_BITS: Final = (1 << 32) - 1
KEYED: Final = 1 << 32
GONE: Final = 1 << 33
CONTAINER_BITS: Final = ~GONE
_KEY_SHIFT: Final = 34
_KEY_BITS: Final = (1 << 30) - 1


def keyed_in(number: int, key: str) -> int:
    """Return the container of the entries of `key` in a type or root.

    Two keys of one map may share a container by accident. Python's hash is secret
    and differs per process, so nobody can aim for that; it would only weaken T2-6.
    """
    return number | KEYED | (hash(key) & _KEY_BITS) << _KEY_SHIFT


class Runs:
    """The elements of one client: what each clock is in.

    Attributes:
        first: The first clock it covers.
        end: The clock after the last one.
        starts: The first clock of each run of elements in one container, ascending.
        containers: The container of each run.
        type_clocks: The clocks of shared types, ascending.
        type_numbers: The number of each of them.
        pairs: The clocks of the second half of each surrogate pair, ascending.
    """

    __slots__ = (
        "containers",
        "end",
        "first",
        "pairs",
        "starts",
        "type_clocks",
        "type_numbers",
    )

    def __init__(self, first: int) -> None:
        self.first = self.end = first
        self.starts: MutableSequence[int] = []
        self.containers: MutableSequence[int] = []
        self.type_clocks: MutableSequence[int] = []
        self.type_numbers: MutableSequence[int] = []
        self.pairs: MutableSequence[int] = []

    def container_at(self, clock: int) -> int:
        """Return what a covered clock is in."""
        starts = self.starts
        if clock >= starts[-1]:
            return self.containers[-1]
        return self.containers[bisect_right(starts, clock) - 1]

    def type_at(self, clock: int) -> int:
        """Return the number of the shared type at a clock, 0 if there is none."""
        at = bisect_left(self.type_clocks, clock)
        if at < len(self.type_clocks) and self.type_clocks[at] == clock:
            return self.type_numbers[at]
        return 0

    def splits_pair(self, clock: int) -> bool:
        """Tell whether a cut before a clock goes through a character."""
        pairs = self.pairs
        at = bisect_left(pairs, clock)
        return at < len(pairs) and pairs[at] == clock

    def add(self, container: int, end: int) -> None:
        """Append a run that ends at `end`."""
        containers = self.containers
        if not containers or containers[-1] != container:
            self.starts.append(self.end)
            containers.append(container)
        self.end = end

    def append(self, later: Runs) -> None:
        """Append the runs that follow these directly; they are not empty."""
        self.end = later.end
        starts = later.starts
        if self.containers and self.containers[-1] == later.containers[0]:
            if len(starts) > 1:
                self.starts.extend(starts[1:])
                self.containers.extend(later.containers[1:])
        else:
            self.starts.extend(starts)
            self.containers.extend(later.containers)
        if later.type_clocks:
            self.type_clocks.extend(later.type_clocks)
            self.type_numbers.extend(later.type_numbers)
        if later.pairs:
            self.pairs.extend(later.pairs)


class Known:
    """Everything an index remembers.

    Attributes:
        clients: The elements of each client, from clock 0 without gaps.
        roots: The number of each root.
        kinds: The kind of each type and root by number.
        depths: How many shared types enclose each of them, by number.
        duties: What each of them is to `claims`, by number.
        questions: The container of the question that a type is, or holds the votes
            of, by number.
        asked: The containers of all questions.
        decided: Of those with a decision.
    """

    __slots__ = (
        "asked",
        "clients",
        "decided",
        "depths",
        "duties",
        "kinds",
        "questions",
        "roots",
    )

    def __init__(self) -> None:
        self.clients: dict[int, Runs] = {}
        self.roots: dict[str, int] = {}
        # Number 0 is no type.
        self.kinds = bytearray(1)
        self.depths = bytearray(1)
        self.duties = bytearray(1)
        self.questions: dict[int, int] = {}
        self.asked: set[int] = set()
        self.decided: set[int] = set()


def compact_runs() -> Runs:
    """Return empty runs in their lasting form, 4 or 8 bytes an entry."""
    runs = Runs(0)
    runs.starts = array("I")
    runs.containers = array("Q")
    runs.type_clocks = array("I")
    runs.type_numbers = array("I")
    runs.pairs = array("I")
    return runs
