"""What the checks find over all claims."""

import pytest
from django.utils import translation

from administration.ledger.models import LedgerBalance, SourceFile
from claims.checks import checks
from claims.register import schedule
from tests.cast import NOON
from tests.destinations.conftest import ledger  # noqa: F401
from tests.factories import adjusted
from tests.register.conftest import accept, done, scheduled  # noqa: F401


@pytest.fixture
def found(scheduled):  # noqa: F811
    return {
        finding.name: (finding.count, [number[-3] for number in finding.examples]) for finding in checks.run(scheduled)
    }


def test_who_has_nowhere_to_be_paid_is_found(found):
    assert found["no_destination"] == (1, ["2"])


def test_several_destinations_of_one_asset_are_found(found):
    assert found["ambiguous_destination"] == (1, ["3"])


def test_one_destination_of_two_people_is_found(found):
    assert found["shared_destination"] == (2, ["1", "3"])


def test_what_is_not_there_is_not_found(found):
    assert found["negative_balance"] == found["several_accounts"] == (0, [])


def test_a_negative_balance_is_found(case, assets, ledger, accept, goto):  # noqa: F811
    file = SourceFile.objects.get(name="balances.csv")
    LedgerBalance.objects.create(
        case=case, ledger_account=ledger[2], asset=assets["JPY"], product="spot", amount=-5, file=file, row=99
    )
    adjusted(
        case=case, ledger_account=ledger[2], asset=assets["JPY"], product="spot", amount=5,
        reason="negative_excluded", at=NOON,
    )  # fmt: skip
    accept()
    done(schedule.schedule(case, by=goto, at=NOON))

    [negative] = [finding for finding in checks.run(case) if finding.name == "negative_balance"]
    assert negative.count == 1


def test_every_check_speaks_to_the_office(scheduled):  # noqa: F811
    with translation.override("en"):
        sentences = [check.sentence(2) for check in checks.registry()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.startswith("2 ") and sentence.endswith(".") for sentence in sentences)
