"""Whether an account, or one product of it, is within what was held apart for customers. The newest decision counts."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, archive
from administration.errors import Refused
from administration.ledger.models import LedgerAccount, ScopeDecision
from administration.ledger.package import PRODUCTS
from administration.people.models import User
from administration.record import log


class NotDecided(Refused):
    """A decision on scope needs its ground, and a product that there is."""


@transaction.atomic
def decide(
    account: LedgerAccount,
    *,
    in_scope: bool,
    ground: str,
    evidence: bytes | None = None,
    product: str = "",
    by: User,
    at: datetime,
) -> ScopeDecision:
    """Decide for a whole account, or for one product of it. An earlier decision stays in the record."""
    case = account.case
    appointments.require(case, by, "claims.decide", at=at)
    if not ground.strip():
        raise NotDecided(_("Say on what ground the account is in or out of scope."))
    if product and product not in PRODUCTS:
        raise NotDecided(_("There is no product “%(product)s”.") % {"product": product})
    sha256 = archive.keep(evidence) if evidence else None
    made = ScopeDecision.objects.create(
        case=case, ledger_account=account, product=product, in_scope=in_scope, ground=ground, evidence_sha256=sha256,
        decided_by=by, at=at,
    )  # fmt: skip
    log.append(
        case, "ledger.scope_decided", subject=made, by=by, at=at,
        body={
            "account": account.account_ref, "product": product, "in_scope": "yes" if in_scope else "no",
            "ground": ground, "evidence_sha256": sha256.hex() if sha256 else "",
        },
    )  # fmt: skip
    return made
