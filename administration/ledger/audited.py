"""
Tying the inspected ledger to the exchange's last audited accounts, asset by asset, before anybody accepts it.

    NotTied   it cannot be tied like that
"""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from administration.cases import appointments, archive
from administration.errors import Refused
from administration.ledger.audited_totals import AuditedTotal
from administration.ledger.models import Intake, IntakeState
from administration.people.models import User
from administration.record import log

POWER = "ledger.take_over"


class NotTied(Refused):
    """It cannot be tied like that."""


@transaction.atomic
def tie(
    intake: Intake, *, asset_code: str, as_of: date, audited: int, auditor: str, explanation: str, paper: bytes, by: User, at: datetime
) -> AuditedTotal:
    """Write down what the audited accounts say of one asset, whose they are, and why the ledger says otherwise if it does."""
    appointments.require(intake.case, by, POWER, at=at)
    row = Intake.objects.select_for_update(of=("self",)).select_related("case").get(pk=intake.pk)
    if row.state != IntakeState.INSPECTED:
        raise NotTied(_("Only an inspected package that nobody has accepted yet is tied to audited accounts."))
    if asset_code not in {asset["code"] for asset in row.manifest["assets"]}:
        raise NotTied(_("The package lists no asset %(asset)s.") % {"asset": asset_code})
    if as_of > row.cutoff_at.date():
        raise NotTied(_("The accounts were audited as of a day before the cut-off, not after it."))
    if not auditor.strip() or not paper:
        raise NotTied(_("Say who audited the accounts, and add the page of them."))
    there = in_ledger(row, asset_code)
    if there != audited and not explanation.strip():
        raise NotTied(_("The ledger and the audited accounts differ in %(asset)s. Say what lies between them.") % {"asset": asset_code})
    made = AuditedTotal.objects.create(
        intake=row, asset_code=asset_code, as_of=as_of, auditor=auditor.strip(), audited=audited, ledger=there,
        explanation=explanation.strip(), paper_sha256=archive.keep(paper), by=by, at=at,
    )  # fmt: skip
    log.append(
        row.case, "ledger.tied_to_audited_accounts", subject=row, by=by, at=at,
        body={"asset": asset_code, "as_of": as_of.isoformat(), "audited": audited, "ledger": there, "paper_sha256": bytes(made.paper_sha256).hex()},
    )  # fmt: skip
    return made


def in_ledger(intake: Intake, asset_code: str) -> int:
    """What the inspected rows of an asset add up to, all products."""
    return int(intake.control_totals.filter(asset_code=asset_code).aggregate(units=Sum("computed"))["units"] or 0)


def newest(intake: Intake) -> list[AuditedTotal]:
    """What counts: the newest statement about each asset."""
    return list(AuditedTotal.objects.filter(intake=intake).order_by("asset_code", "-pk").distinct("asset_code"))


def as_signed(intake: Intake) -> list[list[Any]]:
    """Part of what is signed with the acceptance."""
    return [
        [row.asset_code, row.as_of.isoformat(), row.auditor, str(row.audited), str(row.ledger), row.explanation, bytes(row.paper_sha256).hex()]
        for row in newest(intake)
    ]  # fmt: skip
