"""Entries of an exchange's books after the cut-off, made by rows: how they are taken over is tested in the ledger's room."""

from datetime import timedelta

from administration.books.models import Asset
from administration.cases.models import Case
from administration.ledger.kept_entries import KeptEntry
from administration.ledger.models import Intake, LedgerAccount, SourceFile
from tests.cast import CUTOFF, LONG_AGO, sha
from tests.returns.world import tampering


def came_in(case: Case, *entries: tuple[str, str, int] | tuple[str, str, int, str]) -> None:
    """(account, asset, units, kind of entry): a second after the cut-off each. An account nobody lists has no row."""
    intake = Intake.objects.get(case=case)
    assets = {asset.code: asset for asset in Asset.objects.filter(case=case)}
    accounts = {account.account_ref: account for account in LedgerAccount.objects.filter(case=case)}
    with tampering():
        file, _new = SourceFile.objects.get_or_create(
            case=case, intake=intake, name="crypto_ledger.csv", defaults={"sha256": sha("late"), "bytes": 1, "rows": 1, "received_at": LONG_AGO}
        )
        first = KeptEntry.objects.filter(file=file).count() + 1
        for row, (ref, code, units, *kind) in enumerate(entries, start=first):
            KeptEntry.objects.create(
                case=case, intake=intake, ledger_account=accounts.get(ref), account_ref=ref, number=f"E{row}", kind=kind[0] if kind else "deposit",
                asset=assets[code], amount=units, at=CUTOFF + timedelta(seconds=row), after_cutoff=True, file=file, row=row, leg=0,
            )  # fmt: skip
