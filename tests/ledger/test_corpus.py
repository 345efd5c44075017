"""The corpus of bad packages: each is told with severity, kind, file, row and column, and leaves no row behind."""

import json
import os
from pathlib import Path

import pytest

from administration.ledger import inspection
from administration.ledger.findings import Found
from tests.ledger.helpers import counts
from tests.ledger.spoiling import CORPUS, Spoilt, every, spoil

CASES = every()
CLASSES = sorted({case.name.split("/")[0] for case in CASES})


def told(found: Found) -> str:
    """A finding as the corpus writes it: `refuse not_a_number balances.csv:2 amount`."""
    place = f"{found.file}:{found.row}" if found.row else found.file
    return " ".join(filter(None, (found.severity, found.kind, place, found.column)))


def found_in(case: Spoilt, folder: Path) -> list[str]:
    report = inspection.validate(spoil(case, folder / case.name.replace("/", "-")))
    assert all(found.reason and found.remedy for found in report.findings)
    assert report.refused == any(found.severity == "refuse" for found in report.findings)
    return sorted(told(found) for found in report.findings)


def test_the_corpus_is_large_and_every_case_says_why():
    assert len(CASES) >= 150
    assert all(case.why for case in CASES)
    assert CORPUS.joinpath("base", "manifest.json").exists()


@pytest.mark.parametrize("name", CLASSES)
def test_every_fault_is_told_where_it_is_and_nothing_else(db: None, tmp_path: Path, name: str):
    before, wrong = counts(), {}
    for case in CASES:
        if case.name.startswith(f"{name}/"):
            found = found_in(case, tmp_path)
            if found != sorted(case.expect):
                wrong[case.name] = found

    if seen := os.environ.get("HENKAN_CORPUS_SEEN"):  # for whoever adds cases: what was found, to be judged and copied
        Path(seen).joinpath(f"{name}.json").write_text(json.dumps(wrong, ensure_ascii=False, indent=1))
    assert wrong == {}
    assert counts() == before
