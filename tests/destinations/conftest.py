"""Claims with destinations from the exchange's files, and an order that lets us rely on them."""

import datetime

import pytest

from administration.cases.models import CourtOrder, OrderStanding
from administration.ledger.models import HandedOverDestination, SourceFile
from tests.cast import LONG_AGO, sha
from tests.factories import ledger_of
from tests.register.conftest import HOLDERS, accept, scheduled  # noqa: F401

BANK = {"bank_code": "0001", "branch_code": "001", "kind": "1", "number": "1234567", "holder_kana": "ヤマダ タロウ"}
ADDRESS = {"network": "bitcoin", "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "memo": ""}


@pytest.fixture
def ledger(case, assets, goto):
    """The first customer has a bank account and an address, the third two addresses; the second's cannot be paid."""
    accounts = ledger_of(case, assets, HOLDERS, by=goto)
    file = SourceFile.objects.get(name="accounts.csv")
    rows = [
        (0, "JPY", "bank", BANK, True),
        (0, "BTC", "bitcoin", ADDRESS, True),
        (1, "JPY", "bank", BANK | {"number": "12"}, False),
        (2, "BTC", "bitcoin", ADDRESS, True),
        (2, "BTC", "bitcoin", ADDRESS | {"address": "bc1qother"}, True),
    ]
    for n, (account, code, network, details, valid) in enumerate(rows):
        HandedOverDestination.objects.create(
            case=case, ledger_account=accounts[account], asset=assets[code], network=network, details=details,
            valid=valid, file=file, row=n,
        )  # fmt: skip
    return accounts


def _order(case, by, permits):
    order = CourtOrder.objects.create(
        case=case, number=f"order {CourtOrder.objects.count() + 1}", issuer="Tokyo District Court",
        issued_date=datetime.date(2026, 10, 5), scan_name="o.pdf", scan_sha256=sha("order"), permits=permits,
        served_date=datetime.date(2026, 10, 6), registered_by=by, registered_at=LONG_AGO,
    )  # fmt: skip
    OrderStanding.objects.create(order=order, standing="in_force", since=LONG_AGO, evidence_sha256=sha("served"), by=by)
    return order


@pytest.fixture
def order(case, aoki):
    return _order(case, aoki, ["destinations.verify_handover"])


@pytest.fixture
def other_order(case, aoki):
    return _order(case, aoki, ["something.else"])
