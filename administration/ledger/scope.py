"""
Whether an account, or one product of it, is within what was held apart for customers, and how it ranks.

    NotDecided    a decision needs its ground, and a product that there is
    NotAppealed   this decision cannot be appealed against, or its appeal be decided, like that

The newest decision counts. One may appeal against it; another person decides that, and where the appeal is upheld a new
decision follows in the same transaction.
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, archive
from administration.errors import Refused
from administration.ledger.models import AppealState, LedgerAccount, ScopeAppeal, ScopeDecision, ScopeRank
from administration.ledger.package import PRODUCTS
from administration.people.models import User
from administration.record import log

DECIDE = "claims.decide"


class NotDecided(Refused):
    """A decision on scope needs its ground, and a product that there is."""


class NotAppealed(Refused):
    """This decision cannot be appealed against, or its appeal be decided, like that."""


@transaction.atomic
def decide(
    account: LedgerAccount,
    *,
    in_scope: bool,
    ground: str,
    rank: str = ScopeRank.CUSTOMER,
    evidence: bytes | None = None,
    product: str = "",
    by: User,
    at: datetime,
) -> ScopeDecision:
    """Decide for a whole account, or for one product of it. An earlier decision stays in the record."""
    case = account.case
    appointments.require(case, by, DECIDE, at=at)
    if not ground.strip():
        raise NotDecided(_("Say on what ground the account is in or out of scope."))
    if product and product not in PRODUCTS:
        raise NotDecided(_("There is no product “%(product)s”.") % {"product": product})
    if rank not in ScopeRank.values:
        raise NotDecided(_("There is no rank “%(rank)s”.") % {"rank": rank})
    sha256 = archive.keep(evidence) if evidence else None
    made = ScopeDecision.objects.create(
        case=case, ledger_account=account, product=product, in_scope=in_scope, rank=rank, ground=ground,
        evidence_sha256=sha256, decided_by=by, at=at,
    )  # fmt: skip
    log.append(
        case, "ledger.scope_decided", subject=made, by=by, at=at,
        body={
            "account": account.account_ref, "product": product, "in_scope": "yes" if in_scope else "no", "rank": rank,
            "ground": ground, "evidence_sha256": sha256.hex() if sha256 else "",
        },
    )  # fmt: skip
    return made


@transaction.atomic
def appeal(decision: ScopeDecision, *, ground: str, evidence: bytes | None = None, by: User, at: datetime) -> ScopeAppeal:
    """Take an appeal down, as the customer lodged it. The decision stands until the appeal is decided."""
    appointments.require(decision.case, by, DECIDE, at=at)
    row = _alone(decision)
    if not ground.strip():
        raise NotAppealed(_("Say on what ground the decision is appealed against."))
    if row.appeals.exists():
        raise NotAppealed(_("This decision was appealed against before."))
    if newest(row).pk != row.pk:
        raise NotAppealed(_("A later decision has taken its place. The appeal is against that one."))
    return _write(row, AppealState.LODGED, ground, evidence, by=by, at=at)


@transaction.atomic
def decide_appeal(
    decision: ScopeDecision, *, outcome: str, ground: str, evidence: bytes | None = None, by: User, at: datetime
) -> ScopeAppeal:
    """End an appeal. Where it is upheld the opposite is decided, by who decides the appeal, on the same ground."""
    appointments.require(decision.case, by, DECIDE, at=at)
    row = _alone(decision)
    if not ground.strip():
        raise NotAppealed(_("Say on what ground the appeal is decided."))
    if state(row) != AppealState.LODGED:
        raise NotAppealed(_("There is no appeal against this decision that waits for one."))
    if outcome not in (AppealState.UPHELD, AppealState.DISMISSED, AppealState.WITHDRAWN):
        raise NotAppealed(_("An appeal is upheld, dismissed or withdrawn."))
    if row.decided_by_id == by.pk:
        raise NotAppealed(_("Who decided does not decide the appeal. Ask somebody else with the power."))
    made = _write(row, outcome, ground, evidence, by=by, at=at)
    if outcome == AppealState.UPHELD:
        was_apart = row.in_scope and row.rank != ScopeRank.CUSTOMER
        decide(
            row.ledger_account, product=row.product, in_scope=True if was_apart else not row.in_scope, ground=ground,
            rank=ScopeRank.CUSTOMER if was_apart or not row.in_scope else row.rank, evidence=evidence, by=by, at=at,
        )  # fmt: skip
    return made


def _alone(decision: ScopeDecision) -> ScopeDecision:
    """The decision, with nobody else at its appeal until the transaction ends. Its row is nobody's to lock: it never changes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('ledger.scope_appeal', %s))", [decision.pk])
    return ScopeDecision.objects.select_related("ledger_account__case").get(pk=decision.pk)


def state(decision: ScopeDecision) -> str:
    """Where the appeal against a decision stands; empty where there is none."""
    return decision.appeals.order_by("pk").values_list("state", flat=True).last() or ""


def newest(decision: ScopeDecision) -> ScopeDecision:
    """The decision that counts for the same account and product."""
    same = ScopeDecision.objects.filter(ledger_account=decision.ledger_account_id, product=decision.product)
    return same.order_by("-at", "-pk")[0]


def _write(
    decision: ScopeDecision, to: str, ground: str, evidence: bytes | None, *, by: User, at: datetime
) -> ScopeAppeal:
    sha256 = archive.keep(evidence) if evidence else None
    made = ScopeAppeal.objects.create(
        case=decision.case, decision=decision, state=to, ground=ground, evidence_sha256=sha256, by=by, at=at
    )
    log.append(
        decision.case, "ledger.scope_appeal", subject=made, by=by, at=at,
        body={
            "account": decision.ledger_account.account_ref, "product": decision.product, "state": to, "ground": ground,
            "evidence_sha256": sha256.hex() if sha256 else "",
        },
    )  # fmt: skip
    return made
