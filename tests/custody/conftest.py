"""Places, papers, and an accepted ledger beside them."""

from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings

from administration.custody import holdings
from administration.ledger.models import HandedOverPlace, Intake
from tests.cast import CUTOFF, NOON
from tests.factories import ledger_of

HOLDERS = [{"JPY": 1000, "BTC": 5_0000_0000}, {"JPY": 500, "ETH": 3 * 10**18}, {"BTC": 1, "JPY": -200}]


@pytest.fixture(autouse=True)
def own_archive(tmp_path, settings):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")


@pytest.fixture
def hold(case, assets, goto):
    """Call it: so much is held at a place, by default a customers' wallet under proved control."""

    def hold(code="BTC", amount=4_0000_0000, **other):
        said = {
            "kind": "wallet", "network": "bitcoin", "locator": "bc1-cold", "temperature": "cold", "tag": "segregated",
            "controller": "the office", "as_of": CUTOFF, "access": "proved", "proof": "signed message",
            "evidence": b"statement", "evidence_name": "statement.txt", "by": goto, "at": NOON,
        }  # fmt: skip
        return holdings.record(case, asset=assets[code], amount=amount, **(said | other))

    return hold


@pytest.fixture
def ledger(case, assets, goto):
    return ledger_of(case, assets, HOLDERS, by=goto)


@pytest.fixture
def accept(case, as_superuser):
    """Call it: the ledger is accepted, as if by a second person."""

    def accept(directory=""):
        with as_superuser() as cursor:
            cursor.execute(
                "UPDATE ledger_intake SET state = 'accepted', directory = %s WHERE case_id = %s", [directory, case.pk]
            )

    return accept


@pytest.fixture
def hand_over(case, assets, ledger, accept):
    """Call it: the accepted package names these places, each (code, address, tag, access, amount), with papers."""

    def hand_over(*places):
        intake = Intake.objects.get(case=case)
        folder = Path(settings.ARCHIVE_DIR) / "packages" / "1"
        (folder / "evidence").mkdir(parents=True)
        for row, (code, address, tag, access, amount) in enumerate(places, start=2):
            paper = f"{address} holds {amount} {code}".encode()
            (folder / "evidence" / f"{row}.txt").write_bytes(paper)
            details = {
                "place_id": f"{code}-{row}", "asset": code, "place_kind": "wallet", "network": assets[code].network,
                "address": address, "temperature": "cold", "tag": tag, "controller": "the exchange", "custodian": "",
                "amount": str(amount), "as_of": CUTOFF.isoformat(), "evidence_file": f"evidence/{row}.txt",
                "evidence_sha256": sha256(paper).hexdigest(), "access": access,
                "proof": "signed message" if access == "proved" else "",
            }  # fmt: skip
            HandedOverPlace.objects.create(
                case=case, intake=intake, asset=assets[code], details=details, amount=amount, row=row
            )
        accept(directory="packages/1")
        return folder

    return hand_over
