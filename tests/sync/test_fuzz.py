from __future__ import annotations

import os

from tests.sync.fuzz import fuzz

MUTANTS = int(os.environ.get("CRDTSYNC_FUZZ_UPDATES", "1000"))


def test_no_mutant_that_is_let_in_harms_a_reader() -> None:
    found = fuzz(MUTANTS, seed=1)
    assert found.mutants >= MUTANTS
    assert found.faults == []
    # Rules that are never broken are not tested: the mutants are worth something.
    assert {"T1-1", "T1-6", "T2-4", "T2-5", "T2-7", "pending"} <= set(found.refused)
