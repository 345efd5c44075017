"""
The securing checklist, done before the ledger is taken over: after it, nobody of the old house can move anything.

    NotSecured   an item is done already, or some are still missing
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.cases import appointments, archive
from administration.cases.models import Case, SecuringItem
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

ITEMS = {
    "automation": gettext_lazy("Automatic withdrawals, sweeps, trading and liquidations are switched off"),
    "keys": gettext_lazy("Key holders, devices, backups and signing quorums are listed and under control"),
    "bank_mandates": gettext_lazy("The old signatories are struck off at every bank"),
    "cloud_root": gettext_lazy("The root accounts of the cloud are taken over"),
    "domains": gettext_lazy("Domains and DNS are locked and taken over"),
    "email": gettext_lazy("E-mail is kept and answered by the office"),
    "leavers": gettext_lazy("Whoever left has no access any more"),
    "image": gettext_lazy("Images of the systems are taken and hashed"),
    "key_persons": gettext_lazy("The key persons have been spoken to and are bound to help"),
}


class NotSecured(Refused):
    """An item of the checklist is missing, or done already."""


def list_items(case: Case) -> None:
    """Lay the checklist out, with nothing done. Part of opening the case."""
    SecuringItem.objects.bulk_create(SecuringItem(case=case, item=item) for item in ITEMS)


@transaction.atomic
def do(
    case: Case,
    item: str,
    *,
    owner: User,
    evidence: bytes,
    evidence_name: str,
    note: str = "",
    by: User,
    at: datetime,
) -> SecuringItem:
    """Record that an item is done: who answers for it, and what proves it."""
    appointments.require(case, by, "cases.secure", at=at)
    if item not in ITEMS:
        raise NotSecured(
            _("There is no item “%(item)s”. The items are: %(items)s.") % {"item": item, "items": ", ".join(ITEMS)}
        )
    if not evidence:
        raise NotSecured(_("“%(item)s” is done when there is evidence, and this file is empty.") % {"item": item})
    sha256 = archive.keep(evidence)
    moved = SecuringItem.objects.filter(case=case, item=item, done_at__isnull=True).update(
        owner=owner, done_at=at, note=note, evidence_name=evidence_name, evidence_sha256=sha256
    )
    if moved != 1:
        raise NotSecured(_("“%(item)s” is done already and stays as it is.") % {"item": item})
    row = SecuringItem.objects.get(case=case, item=item)
    log.append(
        case,
        "securing.done",
        subject=row,
        by=by,
        at=at,
        body={"item": item, "owner": owner.username, "evidence_sha256": sha256.hex(), "note": note},
    )
    return row


def missing(case: Case) -> list[str]:
    """The items not done yet, in the order of the list."""
    done = set(case.securing_items.filter(done_at__isnull=False).values_list("item", flat=True))
    return [item for item in ITEMS if item not in done]


def require_completed(case: Case) -> None:
    """Refuse what must not begin before the exchange is secured: taking over the ledger."""
    if not Case.objects.filter(pk=case.pk, securing_completed_at__isnull=False).exists():
        left = missing(case)
        raise NotSecured(
            _("Case %(case)s is not secured. Still missing: %(items)s.")
            % {"case": case, "items": ", ".join(left) or _("the completion itself")}
        )


@transaction.atomic
def complete(case: Case, *, by: User, at: datetime) -> Case:
    """Complete the checklist. Only now can the ledger be taken over."""
    appointments.require(case, by, "cases.secure", at=at)
    left = missing(case)
    if left:
        raise NotSecured(_("Still to be secured: %(items)s.") % {"items": ", ".join(left)})
    moved = Case.objects.filter(pk=case.pk, securing_completed_at__isnull=True).update(securing_completed_at=at)
    if moved != 1:
        raise NotSecured(_("Case %(case)s is secured already.") % {"case": case})
    case.securing_completed_at = at
    log.append(case, "securing.completed", subject=case, by=by, at=at, body={"items": list(ITEMS)})
    return case
