"""
A package with faults of many kinds, and the generator's own list of them: none missed, none invented.

`sample_handover DIR --accounts N --dirty 0.01` and `take_over CASE DIR --json` compare larger ones; see compare() below.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from administration import amounts
from administration.cases.models import Case
from administration.ledger import inspection, package, takeover
from administration.ledger.delivered import RowSetAside
from administration.ledger.takeover import HandoverRefused
from administration.office.sample import dirt
from tests.cast import NOON, Cast
from tests.ledger.helpers import counts, inspected, sample, work

OF_THE_SAMPLE = ("negative_balance", "control_total_not_compared")  # true of the clean package, and what follows from faults


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("dirty") / "package", accounts=2_000, seed=4, dirty=0.01)


def compare(folder: Path, report: dict[str, Any]) -> tuple[set[Any], set[Any]]:
    """What was put in and not found, and what was found and not put in: severity, kind, file, row, column."""
    done = {
        ("warn" if one["kind"] in dirt.REMARKS else "refuse", one["kind"], one["file"], one["row"], one["column"])
        for one in json.loads((folder / "dirty.json").read_text("utf-8"))
    }
    said = {
        (one["severity"], one["kind"], one["file"], one["row"], one["column"])
        for one in report["findings"]
        if one["kind"] not in OF_THE_SAMPLE
    }
    # A total can only be compared where every row of it can be read; where not, the report says that it was not.
    not_compared = {one["column"] for one in report["findings"] if one["kind"] == "control_total_not_compared"}
    missed = {one for one in done - said if one[2] != package.MANIFEST or one[4] not in not_compared}
    return missed, said - done


def test_every_fault_put_into_two_thousand_accounts_is_found_and_none_is_invented(
    secured: Case, cast: Cast, dirty: Path
):
    before = counts()

    with pytest.raises(HandoverRefused) as refused:
        inspected(secured, cast, dirty)

    report = dict(refused.value.report)
    assert compare(dirty, report) == (set(), set())
    assert all(one["reason"] and one["remedy"] for one in report["findings"])
    assert report["findings"] == inspection.validate(dirty, cutoff_at=secured.cutoff_at).as_json()["findings"]
    assert counts() == before


def test_what_was_put_in_is_of_many_kinds(dirty: Path):
    told = json.loads((dirty / "dirty.json").read_text("utf-8"))

    assert len(told) > 100
    assert len({one["kind"] for one in told}) >= 20
    assert {one["file"] for one in told} >= {
        "customers.csv", "accounts.csv", "balances.csv", "bank_accounts.csv", "withdrawal_addresses.csv", package.MANIFEST,
    }  # fmt: skip


def test_with_every_faulty_row_set_aside_the_totals_tie_to_the_unit(
    secured: Case, cast: Cast, dirty: Path, tmp_path: Path
):
    aside = {kind: {"outcome": "aside", "remark": "Cannot be mended."} for kind in dirt.KINDS - dirt.REMARKS if "control" not in kind}
    aside["control_character"] = {"outcome": "aside", "remark": "Cannot be mended."}
    intake = takeover.receive(secured, dirty, by=cast.goto, at=NOON, differences="suspend", outcomes=aside)
    intake = takeover.outcome(work(takeover.inspect(intake, by=cast.goto, at=NOON)))

    clean = sample(tmp_path / "clean", accounts=2_000, seed=4)
    manifest = package.read_manifest(clean)
    with (clean / "balances.csv").open(encoding="utf-8") as file:
        right = list(csv.reader(file))
    told = json.loads((dirty / "dirty.json").read_text("utf-8"))
    twins = sorted(one["row"] for one in told if one["file"] == "balances.csv" and one["kind"] == "duplicate_balance")
    missing: Counter[tuple[str, str]] = Counter()
    for row in RowSetAside.objects.filter(intake=intake, file="balances.csv").values_list("row", flat=True):
        if row in twins:
            continue  # the first of the two is there
        _account, asset, product, amount = right[row - 1 - sum(twin <= row for twin in twins)]
        missing[asset, product] += amounts.parse(amount, manifest.asset(asset).scale)  # type: ignore[union-attr]

    (lied,) = [one["column"] for one in told if one["kind"] == "control_total_off_by_one"]
    place = int(lied.split("[")[1].split("]")[0])
    declared = {(total.asset, total.product): total.declared for total in manifest.control_totals}
    off = (manifest.control_totals[place].asset, manifest.control_totals[place].product)
    computed = {(total.asset_code, total.product): total for total in intake.control_totals.all()}
    assert len(missing) > 5
    for key, units in declared.items():
        assert units - computed[key].computed == missing[key], key  # what is not there is what was set aside, to the unit
        assert computed[key].difference == missing[key] + (key == off), key  # and waits for named suspense
