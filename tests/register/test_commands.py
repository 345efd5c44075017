"""`schedule_claims` and `tie_out`, as an operator types them."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from tests.cast import NOON
from tests.factories import adjusted


def run(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return json.loads(out.getvalue())


def test_schedule_claims_says_how_many_and_how_much(case, cast, ledger, accept, capsys):
    accept()
    assert run("schedule_claims", "T-1", "--json") == {
        "ok": True, "object": "T-1", "state": "scheduled", "content_sha256": None, "awaiting": [], "count": 3,
        "totals": {"BTC": "500000001", "ETH": "3000000000000000000", "JPY": "1500"},
    }  # fmt: skip
    assert "3 claims have an asset without any destination" in capsys.readouterr().err


def test_schedule_claims_again_lets_claims_follow_the_corrected_ledger(scheduled, ledger, assets, capsys):
    adjusted(
        case=scheduled, ledger_account=ledger[0], asset=assets["JPY"], product="spot", amount=5, reason="error", at=NOON
    )
    run("schedule_claims", "T-1", "--json")

    assert "1 line followed a correction" in capsys.readouterr().err
    assert run("tie_out", "T-1", "--json")["ok"]


def test_schedule_claims_refuses_in_one_line(case, cast):
    with pytest.raises(CommandError, match="not accepted yet") as refused:
        run("schedule_claims", "T-1", "--json")
    assert refused.value.returncode == 1


def test_tie_out_prints_both_statements_of_every_asset(funded):
    found = run("tie_out", "T-1", "--json")

    assert found["ok"] is True
    assert found["case"] == "T-1"
    assert [list(row) for row in found["assets"]] == 3 * [
        ["code", "scale", "opening", "receipts", "conversions_in", "bounced", "recovered", "conversions_out", "costs",
         "settled", "deposited", "overpaid", "disposed", "closing", "receivable", "free", "suspense", "reserved",
         "entitled", "in_flight", "residue", "difference"]
    ]  # fmt: skip
    assert [list(row) for row in found["claims"]] == 3 * [
        ["code", "recorded", "admitted", "disputed", "rejected", "out_of_scope", "converted_in", "excess", "settled",
         "deposited", "in_flight", "entitled", "converted_out", "undeclared", "difference"]
    ]  # fmt: skip
    yen = {row["code"]: row for row in found["assets"]}["JPY"]
    assert (yen["opening"], yen["closing"], yen["free"], yen["difference"]) == (
        str(10**20),
        str(10**20),
        str(10**20),
        "0",
    )
    owed = {row["code"]: row for row in found["claims"]}["JPY"]
    assert (owed["recorded"], owed["undeclared"]) == ("1500", "1500")


def test_tie_out_exits_1_when_something_does_not_tie(funded, as_superuser, capsys):
    with as_superuser() as cursor:
        cursor.execute("UPDATE register_position SET given = given + 1")
    with pytest.raises(SystemExit) as ended:
        call_command("tie_out", "T-1")

    assert ended.value.code == 1
    assert "JPY is off by 2" in capsys.readouterr().out
