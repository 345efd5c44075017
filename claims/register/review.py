"""
Deciding what is in dispute: admitted, in whole or part, or rejected, each with its reason.

    NotDecided  the figure is outside what is claimed, or the line was decided meanwhile

A second person above a limit is not asked for yet: that comes with the screens.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from claims.register import positions
from claims.register.models import ClaimClass, ClaimLine, Decision, Dispute, Position

REASONS = (
    "as_recorded",  # the ledger is right
    "as_claimed",
    "in_part",
    "deposit_found",  # the estate's papers show what the ledger left out
    "not_in_any_record",
    "no_evidence",
    "not_a_customer",
    "duplicate",
    "error_of_the_exchange",
    "filed_in_time",
    "not_filed",
    "ledger_corrected",  # made by corrections.follow
    "unclaimed",  # made by forfeiting.signed, under two signatures and an order
)

# One guarded UPDATE: it moves only a line that still stands as it was read under its lock.
DECIDE = """
UPDATE register_claimline SET admitted = %(admitted)s, rejected = %(rejected)s, disputed = 0, decision_id = %(decision)s,
    excess = greatest(0, %(given)s + converted_out - %(admitted)s - converted_in)
WHERE id = %(line)s AND decision_id = %(before)s
"""


# Upper rooms act when a line was lowered below what was given: what is scheduled of it must not leave the house.
_followers: list[Callable[..., None]] = []


def register_follower(follow: Callable[..., None]) -> None:
    """Have follow(line, by=, at=) called in the transaction of a decision that leaves an excess."""
    if follow not in _followers:
        _followers.append(follow)


def tell_lowered(line: ClaimLine, *, by: User, at: datetime) -> None:
    """Tell the rooms above that a line has an excess now."""
    for follow in _followers:
        follow(line, by=by, at=at)


class NotDecided(Refused):
    """The decision cannot be made like that."""


def decide(
    dispute: Dispute,
    admitted: int,
    *,
    reason_code: str,
    reason: str = "",
    evidence: bytes | None = None,
    by: User,
    at: datetime,
) -> Decision:
    """
    Decide a dispute: `admitted` is the whole quantity admitted on the line from now on, the rest is rejected.

    What was given above it becomes excess, which the next run takes back as far as it has not left the house.
    """
    return decide_line(
        dispute.claim_line,
        admitted,
        dispute=dispute,
        reason_code=reason_code,
        reason=reason,
        evidence=evidence,
        by=by,
        at=at,
    )


@transaction.atomic
def decide_line(
    line: ClaimLine,
    admitted: int,
    *,
    dispute: Dispute | None = None,
    reason_code: str,
    reason: str = "",
    evidence: bytes | None = None,
    by: User,
    at: datetime,
) -> Decision:
    """Decide a line, also without a dispute: one that had to be filed, or one in which the ledger was wrong."""
    case = line.case
    appointments.require(case, by, "claims.decide", at=at)
    if reason_code not in REASONS:
        raise NotDecided(
            _("There is no reason “%(code)s”. The reasons are: %(codes)s.")
            % {"code": reason_code, "codes": ", ".join(REASONS)}
        )
    if line.claim_class == ClaimClass.AFTER_CUTOFF:
        raise NotDecided(
            _("What came in after the cut-off is returned as the exchange booked it: there is nothing to decide in claim %(claim)s.")
            % {"claim": line.claim}
        )
    positions.lock([line.pk])
    line = (
        ClaimLine.objects.select_for_update(of=("self",), no_key=True).select_related("claim", "asset").get(pk=line.pk)
    )
    still_open = Dispute.objects.filter(claim_line=line, decision__isnull=True).first()
    if still_open != dispute:
        raise NotDecided(
            _("This line of claim %(claim)s has another open dispute, or none any more. Reload it and look again.")
            % {"claim": line.claim}
        )
    most = line.recorded + line.corrected + line.lodged - line.out_of_scope
    if not 0 <= admitted <= most:
        raise NotDecided(
            _("Of claim %(claim)s between 0 and %(most)s units of %(asset)s can be admitted: no more is claimed.")
            % {"claim": line.claim, "most": most, "asset": line.asset}
        )
    made = Decision.objects.create(
        case=case, claim_line=line, admitted=admitted, rejected=most - admitted, reason_code=reason_code, reason=reason,
        evidence_sha256=evidence, by=by, at=at,
    )  # fmt: skip
    given = Position.objects.values_list("given", flat=True).get(pk=line.pk)  # after the lock: it stays
    with connection.cursor() as cursor:
        cursor.execute(
            DECIDE,
            {
                "admitted": admitted, "rejected": most - admitted, "decision": made.pk, "given": given, "line": line.pk,
                "before": line.decision_id,
            },
        )  # fmt: skip
        if cursor.rowcount != 1:
            raise NotDecided(
                _("Claim %(claim)s was decided meanwhile. Reload it and look again.") % {"claim": line.claim}
            )
    if dispute is not None:
        Dispute.objects.filter(pk=dispute.pk).update(decision=made)
    excess = max(0, given + line.converted_out - admitted - line.converted_in)
    if excess:
        tell_lowered(ClaimLine.objects.select_related("claim", "case").get(pk=line.pk), by=by, at=at)
    log.append(
        case,
        "claim.decided",
        subject=made,
        by=by,
        at=at,
        body={
            "claim": line.claim.number,
            "asset": line.asset.code,
            "class": line.claim_class,
            "before": line.admitted,
            "admitted": admitted,
            "rejected": most - admitted,
            "excess": excess,
            "reason_code": reason_code,
            "reason": reason,
            "evidence_sha256": evidence.hex() if evidence else "",
        },
    )
    return made
