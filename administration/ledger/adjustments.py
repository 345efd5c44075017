"""
Correcting an accepted ledger: a signed amount beside the balance, with reason and decider. The balance stays.

    NotAdjusted   the correction cannot be made like that
"""

import json
from datetime import datetime
from hashlib import sha256

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest
from administration.errors import Refused
from administration.ledger.models import (
    Adjustment,
    Intake,
    IntakeState,
    LedgerAccount,
    LedgerBalance,
    ProposedAdjustment,
)
from administration.ledger.package import PRODUCTS
from administration.people.models import User
from administration.record import log

ADJUST = "ledger.adjust"
CURED, NETTED = "negative_cured", "negative_netted"  # one by one; all at once they are excluded, at the acceptance
REASONS = ("error", "post_event", "court_order", CURED, NETTED)


class NotAdjusted(Refused):
    """The correction cannot be made like that."""


@transaction.atomic
def adjust(
    account: LedgerAccount, *, asset: Asset, product: str, amount: int, reason: str, note: str, by: User, at: datetime
) -> ApprovalRequest:
    """Ask for a correction of `amount` whole units, which may be negative. It counts once another person has signed."""
    case = account.case
    appointments.require(case, by, "ledger.take_over", at=at)
    if not Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).exists():
        raise NotAdjusted(
            _("The ledger of case %(case)s is not accepted yet: there is nothing to correct.") % {"case": case}
        )
    if reason not in REASONS or product not in PRODUCTS or asset.case_id != case.pk or not note.strip():
        raise NotAdjusted(
            _("A correction names an asset of the case, a product, what happened, and a reason (%(reasons)s).")
            % {"reasons": ", ".join(REASONS)}
        )
    if amount == 0:
        raise NotAdjusted(_("A correction of nothing changes nothing. Give the amount."))
    if reason in (CURED, NETTED):
        _require_negative(account, asset, product, amount, reason)
    proposed = ProposedAdjustment.objects.create(
        case=case, ledger_account=account, asset=asset, product=product, amount=amount, reason=reason, note=note,
        proposed_by=by, at=at,
    )  # fmt: skip
    return approvals.request(proposed, case=case, act=ADJUST, content_sha256=content(proposed.pk), by=by, at=at)


def _require_negative(account: LedgerAccount, asset: Asset, product: str, amount: int, reason: str) -> None:
    """
    A negative balance is made good up to nothing, by what the customer paid in or by what is taken from them elsewhere.

    What is taken (a negative amount, netted) is taken from a customer who owes somewhere; the note says at which rate.
    """
    _require_room(account, asset, product, amount)
    if amount < 0 and (reason == CURED or not _owes(account)):
        raise NotAdjusted(_("What is netted is taken from a customer whose balance is negative elsewhere."))


def _require_room(account: LedgerAccount, asset: Asset, product: str, amount: int) -> None:
    """No more is made good than is missing, and no more is taken than is there."""
    if amount > 0 and not standing(account, asset, product) <= -amount:
        raise NotAdjusted(_("Only a negative balance is made good like this, and only up to nothing."))
    if amount < 0 and standing(account, asset, product) < -amount:
        raise NotAdjusted(_("What is netted is taken from a balance that has it."))


def standing(account: LedgerAccount, asset: Asset, product: str) -> int:
    """What the ledger says now: as taken over, with its corrections."""
    rows = [
        found.objects.filter(ledger_account=account, asset=asset, product=product).values_list("amount", flat=True)
        for found in (LedgerBalance, Adjustment)
    ]
    return sum(sum(amounts) for amounts in rows)


def _owes(account: LedgerAccount) -> bool:
    """Whether the customer of this account owes on any account."""
    sums: dict[tuple[int, int, str], int] = {}
    for found in (LedgerBalance, Adjustment):
        for ledger_account, asset, product, amount in found.objects.filter(
            ledger_account__identity=account.identity_id
        ).values_list("ledger_account", "asset", "product", "amount"):
            key = (ledger_account, asset, product)
            sums[key] = sums.get(key, 0) + amount
    return any(amount < 0 for amount in sums.values())


def content(pk: int) -> bytes:
    """The hash of what is signed."""
    row = ProposedAdjustment.objects.select_related("ledger_account", "asset").get(pk=pk)
    signed = [row.ledger_account.account_ref, row.asset.code, row.product, str(row.amount), row.reason, row.note]
    return sha256(json.dumps(signed, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def precondition(request: ApprovalRequest) -> None:
    """
    What is made good or netted is looked at again: another correction of it may have been signed meanwhile.

    Whether the customer still owes elsewhere is not: the other half of the netting may have been signed first.
    """
    row = ProposedAdjustment.objects.select_related("ledger_account", "asset").get(pk=request.object_id)
    if row.reason in (CURED, NETTED):
        with connection.cursor() as cursor:  # one after the other
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('ledger.adjust', %s))", [row.case_id])
        _require_room(row.ledger_account, row.asset, row.product, int(row.amount))


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """Follows the last signature: the correction counts."""
    row = ProposedAdjustment.objects.select_related("ledger_account", "asset", "case").get(pk=request.object_id)
    made = Adjustment.objects.create(
        case=row.case, ledger_account=row.ledger_account, asset=row.asset, product=row.product, amount=row.amount,
        reason=row.reason, note=row.note, decided_by=by, at=at, proposal=row,
    )  # fmt: skip
    log.append(
        row.case, "ledger.adjusted", subject=made, by=by, at=at,
        body={
            "account": row.ledger_account.account_ref, "asset": row.asset.code, "product": row.product,
            "amount": row.amount, "reason": row.reason, "proposed_by": request.prepared_by.username,
        },
    )  # fmt: skip
