"""Whoever lawfully holds the inputs makes the same bytes of them, with one file and nothing of ours installed."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from administration.distribution import recompute, runs
from administration.distribution.models import Entitlement
from tests.distribution.conftest import FINAL, PLAN

PROGRAM = Path(recompute.__file__)


def exported(run):
    out = io.StringIO()
    runs.export_inputs(run, out)
    return out.getvalue()


def agrees(run):
    text = exported(run)
    result, pools = recompute.recompute(text.splitlines())
    assert result["inputs_sha256"] == bytes(run.inputs_sha256).hex()
    assert result["outputs_root"] == bytes(run.outputs_root).hex()
    rows = Entitlement.objects.filter(run=run).select_related("asset", "claim_line__claim")
    ours = {(e.asset.code, e.claim_line.claim.number, e.claim_line.claim_class): (e.cumulative, e.amount) for e in rows}
    theirs = {(p.asset, line.claim, line.claim_class): (line.cumulative, line.gives) for p in pools for line in p.lines}
    assert theirs == ours
    described = runs.described(run)
    assert result["pools"] == described["pools"]
    assert result["entitlements"] == described["entitlements"]


def test_an_interim_run_is_recomputed_to_the_same_hashes_and_entitlements(open_estate):
    estate = open_estate(
        {"BTC": 6_0000_0001, "JPY": 10}, {"BTC": 7, "ETH": 3 * 10**18}, {"ETH": 10**18 + 1},
        BTC=4_0000_0000, JPY=7, ETH=2 * 10**18,
    )  # fmt: skip
    agrees(estate.compute())


def test_later_runs_and_final_ones_are_recomputed_too(open_estate):
    estate = open_estate({"BTC": 100}, {"BTC": 101}, {"BTC": 7}, BTC=50)
    agrees(estate.round())
    estate.receive(BTC=33)
    agrees(estate.round(PLAN + 'holdback = { num = 1, den = 7, amounts = { BTC = "0.00000003" }, reason = "costs" }\n'))
    estate.receive(BTC=40)
    agrees(estate.round(FINAL))


def test_the_program_runs_alone(open_estate, tmp_path):
    run = open_estate({"BTC": 6}, {"BTC": 8}, BTC=10).compute()
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text(exported(run), encoding="utf-8")
    alone = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), str(inputs), "--entitlements"], capture_output=True, text=True, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    first, *lines = map(json.loads, alone.stdout.splitlines())
    assert first["outputs_root"] == bytes(run.outputs_root).hex()
    assert [line[-1] for line in lines] == ["4", "5"]


@pytest.mark.parametrize("change", ['"6"', '"free": "10"'])
def test_a_file_with_one_figure_changed_is_refused(open_estate, change):
    text = exported(open_estate({"BTC": 6}, {"BTC": 8}, BTC=10).compute())
    changed = text.replace(change, change.replace("6", "7").replace("10", "11"))
    assert changed != text
    with pytest.raises(recompute.Differs, match="changed"):
        recompute.recompute(changed.splitlines())


def test_a_file_that_holds_back_something_else_than_the_plan_is_refused(open_estate):
    text = exported(open_estate({"BTC": 6}, {"BTC": 8}, BTC=10).compute())
    with pytest.raises(recompute.Differs, match="held back"):
        recompute.recompute(text.replace('"held_back": "0"', '"held_back": "1"').splitlines())
