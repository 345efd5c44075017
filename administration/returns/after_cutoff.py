"""
What came in after the cut-off goes back to who paid it in: in full, and outside every pool.

One person proposes it, per asset, as the exchange's entries say: what came in less what went out, account by account. Two
others sign. With the last signature each gets a claim line of its own, in the class that ranks nowhere, given in full;
from there on the rounds send it like any other line. Nobody is given less because of it, and nobody more: no run counts
what waits here as free.

    NotReturned   nothing was returned
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Count, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from administration.amounts import show
from administration.books.models import Asset, Balance
from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.custody import holdings
from administration.custody.models import Access
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, log
from administration.returns import apart
from administration.returns.models import LateReturn, LateReturnLine, TailState
from claims.register import positions, tie_out
from claims.register.models import Decision

ACT = "returns.late"
COVER = "returns.late"
RULE, REASON = "received_after_the_cutoff", "after_cutoff"


class NotReturned(Refused):
    """Nothing was returned."""


# What is owed after the cut-off, with the claim of the account, and whether it has its line already.
OWED = """
SELECT n.account_ref, n.ledger_account_id, n.asset_id, n.net, n.why, c.id AS claim_id, c.number,
       EXISTS (
           SELECT FROM register_claimline l
           WHERE l.claim_id = c.id AND l.asset_id = n.asset_id AND l.claim_class = 'after_cutoff' AND l.recorded > 0
       ) AS claimed
FROM ledger_after_cutoff(%(case)s) n
LEFT JOIN register_claim c ON c.ledger_account_id = n.ledger_account_id AND c.kind = 'scheduled'
"""

OF_EACH_ASSET = f"""
SELECT o.asset_id, count(*), sum(o.net), count(*) FILTER (WHERE o.claim_id IS NULL)
FROM ({OWED}) o WHERE o.why = '' AND NOT o.claimed GROUP BY 1
"""  # noqa: S608 - of our own texts only

PROPOSE = f"""
INSERT INTO returns_latereturnline (late_return_id, ledger_account_id, asset_id, amount)
SELECT %(late_return)s, o.ledger_account_id, o.asset_id, o.net
FROM ({OWED}) o WHERE o.why = '' AND NOT o.claimed AND o.asset_id = ANY (%(assets)s) ORDER BY o.number, o.asset_id
"""  # noqa: S608 - of our own texts only

# Entries never change once the ledger is accepted; what may have changed since the proposal is whose account it is.
NOT_AS_PROPOSED = f"""
SELECT c.number FROM (
    SELECT ledger_account_id, asset_id, amount FROM returns_latereturnline WHERE late_return_id = %(late_return)s
    EXCEPT SELECT o.ledger_account_id, o.asset_id, o.net FROM ({OWED}) o WHERE o.why = '' AND NOT o.claimed
) h JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled' ORDER BY 1 LIMIT 1
"""  # noqa: S608 - of our own texts only

# What the amounts are made of, and how many of the accounts lost another asset meanwhile: for whoever signs.
MADE_OF = """
SELECT a.code, e.kind, count(*), sum(e.amount)
FROM returns_latereturnline h
JOIN ledger_keptentry e ON e.ledger_account_id = h.ledger_account_id AND e.asset_id = h.asset_id AND e.after_cutoff
JOIN books_asset a ON a.id = h.asset_id WHERE h.late_return_id = %s GROUP BY 1, 2 ORDER BY 1, 2
"""
LOST_ANOTHER = """
SELECT count(DISTINCT h.ledger_account_id) FROM returns_latereturnline h JOIN returns_latereturn f ON f.id = h.late_return_id
JOIN ledger_after_cutoff(f.case_id) n ON n.ledger_account_id = h.ledger_account_id AND n.net < 0 WHERE h.late_return_id = %s
"""
LARGEST = """
SELECT c.number, a.code, h.amount FROM returns_latereturnline h JOIN books_asset a ON a.id = h.asset_id
JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
WHERE h.late_return_id = %s ORDER BY h.amount / sum(h.amount) OVER (PARTITION BY h.asset_id) DESC, c.number, a.code LIMIT 10
"""
LAST = "SELECT asset_id, max(at) FROM ledger_keptentry WHERE case_id = %s AND after_cutoff GROUP BY 1"

LINES = """
INSERT INTO register_claimline (
    case_id, claim_id, asset_id, claim_class, recorded, out_of_scope, admitted, lodged, disputed, rejected, converted_in,
    converted_out, excess, decision_id
)
SELECT %(case)s, c.id, h.asset_id, 'after_cutoff', h.amount, 0, h.amount, 0, 0, 0, 0, 0, 0, %(decision)s
FROM returns_latereturnline h JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
WHERE h.late_return_id = %(late_return)s ORDER BY c.number, h.asset_id
"""

NAME_THEM = """
UPDATE returns_latereturnline h SET claim_line_id = l.id
FROM register_claim c JOIN register_claimline l ON l.claim_id = c.id AND l.claim_class = 'after_cutoff'
WHERE h.late_return_id = %(late_return)s AND c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
  AND l.asset_id = h.asset_id
"""


@dataclass(frozen=True)
class Waiting:
    """What waits to be returned of one asset, and how much of it the estate holds free."""

    asset: Asset
    accounts: int
    owed: int
    free: int
    unclaimed: int  # accounts without their claim

    @property
    def short(self) -> int:
        return max(0, self.owed - self.free)


def waiting(case: Case) -> list[Waiting]:
    """What waits to be returned of each asset."""
    free = {
        row.account.asset_id: row.credits - row.debits
        for row in Balance.objects.filter(account__case=case, account__kind="free").select_related("account")
    }
    assets = {asset.pk: asset for asset in Asset.objects.filter(case=case)}
    with connection.cursor() as cursor:
        cursor.execute(OF_EACH_ASSET, {"case": case.pk})
        found = [
            Waiting(assets[pk], many, int(owed), free.get(pk, 0), unclaimed) for pk, many, owed, unclaimed in cursor.fetchall()
        ]
    return sorted(found, key=lambda one: one.asset.code)


def returned(case: Case) -> set[tuple[str, str]]:
    """The accounts, each with an asset, that have got their lines."""
    rows = LateReturnLine.objects.filter(late_return__case=case, late_return__state=TailState.DONE)
    return set(rows.values_list("ledger_account__account_ref", "asset__code"))


@transaction.atomic
def propose(
    case: Case, assets: Iterable[Asset] | None = None, *, facts: str, order: CourtOrder | None = None, by: User, at: datetime
) -> ApprovalRequest:
    """Ask two people to sign that what came in of these assets (of all, if none are named) after the cut-off goes back."""
    appointments.require(case, by, "returns.batch", at=at)
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    if not facts.strip():
        raise NotReturned(_("Say how you looked that it is there, and whose it is."))
    wanted = None if assets is None else {asset.pk for asset in assets}
    if order is not None and order.case_id != case.pk:
        raise NotReturned(_("Order %(order)s is of another case than %(case)s.") % {"order": order, "case": case})
    chosen = [one for one in waiting(case) if wanted is None or one.asset.pk in wanted]
    if not chosen:
        raise NotReturned(_("Nothing of it came in after the cut-off and waits to be returned."))
    _refuse_without_claims(case, chosen)
    _refuse_uncovered({one.asset: (one.owed, one.free) for one in chosen})
    asked_already = LateReturn.objects.filter(case=case, state=TailState.PROPOSED, lines__asset__in=[one.asset for one in chosen]).first()
    if asked_already is not None:
        raise NotReturned(_("%(return)s waits for signatures and returns some of it. Have it decided first.") % {"return": asked_already})
    made = LateReturn.objects.create(
        case=case, number=apart.following(LateReturn, case), facts=facts.strip(), order=order, by=by, at=at
    )
    with connection.cursor() as cursor:
        cursor.execute(PROPOSE, {"case": case.pk, "late_return": made.pk, "assets": [one.asset.pk for one in chosen]})
        if not cursor.rowcount:  # another return of it was signed at this moment
            raise NotReturned(_("Nothing of it came in after the cut-off and waits to be returned."))
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), order=order, by=by, at=at)
    log.append(case, "late_return.proposed", subject=made, by=by, at=at, body=_body(made), covers=_cover(made))
    return asked


def _refuse_without_claims(case: Case, chosen: list[Waiting]) -> None:
    missing = sum(one.unclaimed for one in chosen)
    if missing:
        raise NotReturned(
            _("Claims are not made yet for %(count)s of these accounts. Make the claims of case %(case)s from its ledger first.")
            % {"count": f"{missing:,}", "case": case}
        )


def _refuse_uncovered(amounts: dict[Asset, tuple[int, int]]) -> None:
    for asset, (owed, free) in amounts.items():
        if owed > free:
            raise NotReturned(
                _("%(owed)s %(asset)s came in after the cut-off, and %(free)s are free in the books: %(short)s are short. Record what is held of it, or leave %(asset)s out.")
                % {
                    "asset": asset.code, "owed": show(owed, asset.scale), "free": show(free, asset.scale),
                    "short": show(owed - free, asset.scale),
                }
            )  # fmt: skip


def totals(made: LateReturn) -> dict[Asset, tuple[int, int]]:
    """For each asset how many lines, and how much."""
    sums = made.lines.order_by().values_list("asset").annotate(many=Count("pk"), units=Sum("amount"))
    found = {asset: (many, int(units)) for asset, many, units in sums}
    return {asset: found[asset.pk] for asset in Asset.objects.filter(pk__in=found).order_by("code")}


def precondition(request: ApprovalRequest) -> None:
    """What must hold before the last signature: it is still owed, and there; and the estate ties."""
    made = LateReturn.objects.select_related("case").get(pk=request.object_id)
    with connection.cursor() as cursor:
        cursor.execute(NOT_AS_PROPOSED, {"case": made.case_id, "late_return": made.pk})
        changed = cursor.fetchone()
    if changed:
        raise NotReturned(
            _("What is owed to claim %(claim)s after the cut-off is not any more what was proposed. Reject this and propose it again.")
            % {"claim": changed[0]}
        )
    free = {one.asset: one.free for one in waiting(made.case)}
    amounts = totals(made)
    _refuse_uncovered({asset: (units, free.get(asset, 0)) for asset, (_many, units) in amounts.items()})
    tie_out.require(made.case, amounts)


def signed(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature each account gets its line of what came in after the cut-off, given in full."""
    made = LateReturn.objects.select_related("case").get(pk=request.object_id)
    case = made.case
    apart.step(made, TailState.PROPOSED, TailState.APPROVED)
    decision = Decision.objects.create(case=case, rule=RULE, reason_code=REASON, by=request.prepared_by, at=at)
    with connection.cursor() as cursor:
        cursor.execute(LINES, {"case": case.pk, "late_return": made.pk, "decision": decision.pk})
        cursor.execute(NAME_THEM, {"late_return": made.pk})
    # Asset by asset: the books lock their accounts in that order.
    rows = list(made.lines.order_by("asset_id", "claim_line_id").values_list("claim_line_id", "amount"))
    for start in range(0, len(rows), positions.ROWS_MAX):
        chunk = sorted(rows[start : start + positions.ROWS_MAX])
        positions.move(case, "declare", key=f"late:{made.pk}:{start}", rows=chunk, subject=made, by=request.prepared_by, at=at)
    apart.step(made, TailState.APPROVED, TailState.DONE)
    log.append(case, "late_return.carried_out", subject=made, by=by, at=at, body=_body(made), covers=_cover(made))


# --- what whoever signs should know ---------------------------------------------------------------


def made_of(made: LateReturn) -> list[tuple[str, str, int, int]]:
    """The entries behind it: asset, kind, how many, how much (signed)."""
    with connection.cursor() as cursor:
        cursor.execute(MADE_OF, [made.pk])
        return [(code, kind, many, int(units)) for code, kind, many, units in cursor.fetchall()]


def largest(made: LateReturn) -> list[tuple[str, str, int]]:
    """The ten with the largest part of their asset: claim, asset, how much."""
    with connection.cursor() as cursor:
        cursor.execute(LARGEST, [made.pk])
        return [(number, code, int(units)) for number, code, units in cursor.fetchall()]


def warnings(made: LateReturn) -> list[str]:
    """What should be looked at before it is signed."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(LOST_ANOTHER, [made.pk])
        (lost,) = cursor.fetchone()
        cursor.execute(LAST, [made.case_id])
        last = dict(cursor.fetchall())
    if lost:
        found.append(
            ngettext(
                "%(count)s of these accounts lost another asset after the cut-off (a trade, a withdrawal). Nothing is set off: place a hold on its claim if that must be decided first.",
                "%(count)s of these accounts lost another asset after the cut-off (a trade, a withdrawal). Nothing is set off: place a hold on their claims if that must be decided first.",
                lost,
            )
            % {"count": f"{lost:,}"}
        )  # fmt: skip
    proved: dict[int, datetime] = {}
    for holding in holdings.newest(made.case).filter(access=Access.PROVED):
        proved[holding.asset_id] = max(holding.as_of, proved.get(holding.asset_id, holding.as_of))
    before = [asset.code for asset in totals(made) if asset.pk not in proved or proved[asset.pk] < last[asset.pk]]
    return found + [
        _("What is held of %(asset)s was last proved before the last of these entries: see that they are in it.") % {"asset": code}
        for code in before
    ]


# --- small ----------------------------------------------------------------------------------------


def find(text: str) -> int | None:
    """The return a person means by "2027-031-L2"."""
    reference, dash, number = text.rpartition("-L")
    if not dash or not number.isdecimal():
        return None
    return LateReturn.objects.filter(case__reference=reference, number=int(number)).values_list("pk", flat=True).first()


def _cover(made: LateReturn) -> covers.Cover:
    return covers.cover(COVER, case=made.case.reference, late_return=made.number)


def _body(made: LateReturn) -> dict[str, object]:
    return {"late_return": str(made), "order": made.order.number if made.order else ""}
