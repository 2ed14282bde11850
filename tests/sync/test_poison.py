from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crdtsync.errors import UpdateRefused
from crdtsync.sync.admission import Admitted, DocIndex
from tests.sync.encoder import nested_arrays, section, struct, update, values

HANGS = Path(__file__).parent / "poison"
START_DEADLINE_S = 30.0
HANGING_S = 1.0
NAIVE = """
import resource, sys
from pycrdt import Array, Doc, Map
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
doc = Doc()
for line in sys.stdin:
    doc.apply_update(bytes.fromhex(line))
print("applied", flush=True)
array, entries = doc.get("a", type=Array), doc.get("m", type=Map)
str(array), str(entries), array.to_py()
print("read", flush=True)
"""


def deep_value(depth: int) -> bytes:
    return update(section(1, 0, struct(8, values(nested_arrays(depth)), parent="a")))


def deep_types(depth: int) -> bytes:
    maps = [struct(7, b"\x01", parent=(1, at), key="a") for at in range(depth - 1)]
    return update(section(1, 0, struct(7, b"\x01", parent="m", key="a"), *maps))


# Each with the rule that refuses it.
POISON: dict[str, tuple[list[bytes], str]] = {
    "a value that crashes who applies it": ([deep_value(60_000)], "T1-8"),
    "a value that crashes who reads it": ([deep_value(16_000)], "T1-8"),
    "types that crash who reads them": ([deep_types(60_000)], "T2-3"),
    "types that come one by one": (
        [
            update(section(1, 0, struct(7, b"\x01", parent="m", key="a"))),
            *(
                update(section(1, at, struct(7, b"\x01", parent=(1, at - 1), key="a")))
                for at in range(1, 40)
            ),
        ],
        "T2-3",
    ),
    "hang-emoji-string-in-root-array": ([], "T2-4"),
    "hang-string-inherits-array-by-origin": ([], "T2-4"),
    "hang-fuzz2-min": ([], "T2-5"),
}
CRASHING = [name for name in POISON if "crash" in name]
HANGING = [name for name in POISON if "hang" in name]


def updates_of(name: str) -> list[bytes]:
    made = POISON[name][0]
    return made or list(map(bytes.fromhex, (HANGS / f"{name}.hex").read_text().split()))


def let_in(updates: list[bytes]) -> None:
    index = DocIndex({"a": "array", "m": "map"})
    for data in updates:
        admission = index.check(index.scan(data))
        assert isinstance(admission, Admitted)
        index.commit(admission)


def naive(name: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", NAIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write("\n".join(data.hex() for data in updates_of(name)).encode())
    process.stdin.close()
    return process


@pytest.mark.parametrize("name", POISON)
def test_refuses_poison(name: str) -> None:
    with pytest.raises(UpdateRefused) as refused:
        let_in(updates_of(name))
    assert refused.value.rule == POISON[name][1]


@pytest.mark.parametrize("name", CRASHING)
def test_which_crashes_who_lets_it_in(name: str) -> None:
    with naive(name) as process:
        assert process.wait(START_DEADLINE_S) < 0


@pytest.mark.parametrize("name", HANGING)
def test_which_hangs_who_lets_it_in(name: str) -> None:
    with naive(name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"applied\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(HANGING_S)
        process.kill()
