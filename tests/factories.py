"""Rows of earlier steps, made directly, for tests of later ones."""

from django.db import connection, transaction

from administration.books.models import Asset
from administration.cases.models import Case
from administration.ledger.models import Adjustment, Identity, Intake, LedgerAccount, LedgerBalance, SourceFile
from administration.people.models import User
from tests.cast import CUTOFF, LONG_AGO, sha


def adjusted(**what: object) -> Adjustment:
    """A correction as it stands after its signatures, made past the triggers: how it comes about is tested in its room."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        before = cursor.fetchone()[0]
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        made = Adjustment.objects.create(**what)
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute(f"SET LOCAL ROLE {before}")
    return made


def ledger_of(
    case: Case, assets: dict[str, Asset], holders: list[dict[str, int]], *, by: User, product: str = "spot"
) -> list[LedgerAccount]:
    """
    A ledger not yet accepted: one customer and account per dict of `holders`, which maps asset code → units.

    Account n (from 1) is "A0001", row n + 1 of accounts.csv.
    """
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha(f"package of {case.reference}"), directory="", cutoff_at=CUTOFF,
        received_by=by, received_at=LONG_AGO, accounts=len(holders), balances=sum(map(len, holders)),
    )  # fmt: skip
    files = {
        name: SourceFile.objects.create(
            case=case, intake=intake, name=name, sha256=sha(name), bytes=1, rows=len(holders), received_at=LONG_AGO
        )
        for name in ("customers.csv", "accounts.csv", "balances.csv")
    }
    accounts, row = [], 1
    for n, holder in enumerate(holders, start=1):
        identity = Identity.objects.create(
            case=case, customer_ref=f"K{n:04d}", entity_type="individual", name=f"利用者 {n}", kana=f"リヨウシャ {n}",
            file=files["customers.csv"], row=n + 1,
        )  # fmt: skip
        account = LedgerAccount.objects.create(
            case=case, intake=intake, account_ref=f"A{n:04d}", identity=identity, capacity="own", status="open",
            file=files["accounts.csv"], row=n + 1,
        )  # fmt: skip
        for code, units in holder.items():
            row += 1
            LedgerBalance.objects.create(
                case=case, ledger_account=account, asset=assets[code], product=product, amount=units,
                file=files["balances.csv"], row=row,
            )  # fmt: skip
        accounts.append(account)
    return accounts
