"""
Claims follow the ledger: what was adjusted or decided on scope after they were made changes their lines, by decisions.

    StillDisputed  a line that would change is in dispute
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments, profiles
from administration.cases.models import Case
from administration.errors import Refused
from administration.ledger.models import ScopeRank
from administration.people.models import User
from administration.record import log
from claims.register import positions, review
from claims.register.models import Claim, ClaimClass, ClaimLine, Decision, Dispute, Position
from claims.register.schedule import MUST_BE_FILED

RULE = "ledger_corrected_after_scheduling"
REASON = "ledger_corrected"


class StillDisputed(Refused):
    """What is disputed is decided first: the decision must know of the correction."""


# Per account, asset and product, what the ledger says now and whether it is in scope, of accounts that were touched
# since they were scheduled.
NOW = """
SELECT p.ledger_account_id, p.asset_id, p.product, s.kind, sum(p.amount),
       coalesce((
           SELECT d.in_scope FROM ledger_scopedecision d
           WHERE d.ledger_account_id = p.ledger_account_id AND d.product IN ('', p.product)
           ORDER BY d.at DESC, d.id DESC LIMIT 1
       ), true),
       coalesce((
           SELECT d.rank FROM ledger_scopedecision d
           WHERE d.ledger_account_id = p.ledger_account_id AND d.product IN ('', p.product)
           ORDER BY d.at DESC, d.id DESC LIMIT 1
       ), 'customer')
FROM (
    SELECT ledger_account_id, asset_id, product, amount FROM ledger_ledgerbalance WHERE case_id = %(case)s
    UNION ALL
    SELECT ledger_account_id, asset_id, product, amount FROM ledger_adjustment WHERE case_id = %(case)s
) p
JOIN books_asset s ON s.id = p.asset_id
WHERE p.ledger_account_id IN (
    SELECT t.ledger_account_id FROM (
        SELECT ledger_account_id FROM ledger_adjustment WHERE case_id = %(case)s
        UNION SELECT ledger_account_id FROM ledger_scopedecision WHERE case_id = %(case)s
    ) t JOIN register_claim c ON c.ledger_account_id = t.ledger_account_id AND c.kind = 'scheduled'
)
GROUP BY p.ledger_account_id, p.asset_id, p.product, s.kind
ORDER BY p.ledger_account_id, p.asset_id, p.product
"""

CLAIM_OF = "SELECT id, ledger_account_id FROM register_claim WHERE kind = 'scheduled' AND ledger_account_id = ANY (%s)"

CORRECT = """
UPDATE register_claimline SET corrected = %(corrected)s, out_of_scope = %(outside)s, admitted = %(admitted)s,
    disputed = %(disputed)s, rejected = %(rejected)s, decision_id = %(decision)s,
    excess = greatest(0, %(given)s + converted_out - %(admitted)s - converted_in)
WHERE id = %(line)s
"""

Key = tuple[int, int, str]  # claim, asset, class


@transaction.atomic
def follow(case: Case, *, by: User, at: datetime) -> int:
    """Let every line follow its ledger. Returns how many changed; a second time changes nothing."""
    appointments.require(case, by, "claims.decide", at=at)
    changed, wanted = 0, _wanted(case)
    # All positions in their order, before the first event: whoever waits for a position must not be waited for with the record.
    touched = ClaimLine.objects.filter(claim__in={claim for claim, _asset, _class in wanted})
    positions.lock(touched.values_list("pk", flat=True))
    for key, (amount, outside) in sorted(wanted.items()):
        line = _line(case, key, amount, by=by, at=at)
        if line is not None and (line.recorded + line.corrected, line.out_of_scope) != (amount, outside):
            _correct(line, amount, outside, by=by, at=at)
            changed += 1
    return changed


def _wanted(case: Case) -> dict[Key, tuple[int, int]]:
    """What each line of a touched account should say: how much, and how much of it is out of scope."""
    with connection.cursor() as cursor:
        cursor.execute(NOW, {"case": case.pk})
        rows = cursor.fetchall()
        cursor.execute(CLAIM_OF, [sorted({row[0] for row in rows})])
        claims = {account: claim for claim, account in cursor.fetchall()}
    wanted: dict[Key, tuple[int, int]] = {}
    for account, asset, product, kind, amount, in_scope, rank in rows:
        if amount < 0:
            raise Refused(
                _("“%(product)s” of claim %(claim)s would become negative. Correct the ledger first.")
                % {"product": product, "claim": Claim.objects.get(pk=claims[account]).number}
            )
        ordinary = (claims[account], asset, profiles.claim_class(case, kind=kind, product=product))
        apart = (claims[account], asset, ClaimClass.OWN_INSIDER.value)
        key, other = (ordinary, apart) if rank == ScopeRank.CUSTOMER else (apart, ordinary)
        wanted.setdefault(other, (0, 0))  # where it ranked before, nothing is left
        total, outside = wanted.get(key, (0, 0))
        wanted[key] = (total + int(amount), outside + (0 if in_scope else int(amount)))
    return wanted


def _line(case: Case, key: Key, amount: int, *, by: User, at: datetime) -> ClaimLine | None:
    """The line, locked; a new and empty one where the ledger had nothing before. Its position is locked already."""
    claim, asset, claim_class = key
    found = ClaimLine.objects.filter(claim=claim, asset=asset, claim_class=claim_class)
    if amount and not found.exists():
        stands = profiles.class_rule(case, claim_class).silence_stands
        rule = Decision.objects.create(case=case, rule=RULE if stands else MUST_BE_FILED, reason_code=REASON, by=by, at=at)
        ClaimLine.objects.create(
            case=case, claim_id=claim, asset_id=asset, claim_class=claim_class, recorded=0, decision=rule
        )
    return found.select_for_update(of=("self",), no_key=True).select_related("claim", "asset", "decision").first()


def _correct(line: ClaimLine, amount: int, outside: int, *, by: User, at: datetime) -> None:
    if Dispute.objects.filter(claim_line=line, decision__isnull=True).exists():
        raise StillDisputed(
            _("Claim %(claim)s is in dispute in %(asset)s, and its ledger was corrected. Decide the dispute first.")
            % {"claim": line.claim, "asset": line.asset}
        )
    # What is left after what is out of scope: what was rejected stays rejected as far as it reaches, and a line that
    # must be filed waits for that, until a person decides it: the next correction must know, too.
    rest = amount + line.lodged - outside
    rejected = min(line.rejected, rest)
    waits = line.decision.rule == MUST_BE_FILED
    admitted, disputed = (0, rest - rejected) if waits else (rest - rejected, 0)
    made = Decision.objects.create(
        case=line.case, claim_line=line, rule=MUST_BE_FILED if waits else "", admitted=admitted, rejected=rejected,
        reason_code=REASON, by=by, at=at,
    )  # fmt: skip
    given = Position.objects.values_list("given", flat=True).get(pk=line.pk)  # after the lock: it stays
    with connection.cursor() as cursor:
        cursor.execute(
            CORRECT,
            {
                "corrected": amount - line.recorded, "outside": outside, "admitted": admitted, "disputed": disputed,
                "rejected": rejected, "decision": made.pk, "given": given, "line": line.pk,
            },
        )  # fmt: skip
    excess = max(0, given + line.converted_out - admitted - line.converted_in)
    if excess:
        review.tell_lowered(ClaimLine.objects.select_related("claim", "case").get(pk=line.pk), by=by, at=at)
    log.append(
        line.case,
        "claim.decided",
        subject=made,
        by=by,
        at=at,
        body={
            "claim": line.claim.number, "asset": line.asset.code, "class": line.claim_class, "before": line.admitted,
            "admitted": admitted, "rejected": rejected, "corrected": amount - line.recorded, "reason_code": REASON,
        },
    )  # fmt: skip
