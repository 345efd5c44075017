"""
Less came back than was sent: a bank kept a fee. A person says which return it is; the claim is whole again, the estate
bears the fee.

    NotAFee   the line does not say that
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.books import books
from administration.cases import appointments
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import statements
from administration.returns.models import AssetReturn, Attempt, AttemptState, EvidenceLine, Match

PROBLEM = "fee_kept"


class NotAFee(Refused):
    """Nothing was decided about the fee."""


@transaction.atomic
def decide(line: EvidenceLine, reference: str, *, by: User, at: datetime) -> int:
    """This line brings back that return, less a fee. The return bounces whole with the next settling; the fee is a cost. Gives the fee."""
    case = line.evidence.case
    appointments.require(case, by, "returns.evidence", at=at)
    line = EvidenceLine.objects.select_for_update(no_key=True, of=("self",)).select_related("evidence__case").get(pk=line.pk)
    if line.problem != PROBLEM or line.matches.exists():
        raise NotAFee(_("This line does not wait for such an answer. Reload it and look again."))
    possible = statements.candidates(line)
    if reference not in possible:
        raise NotAFee(
            _("%(answer)s is not what this line can speak of. Choose one of %(candidates)s.")
            % {"answer": reference, "candidates": ", ".join(possible) or "–"}
        )
    row = AssetReturn.objects.select_related("asset").get(case=case, reference=reference)
    attempt = Attempt.objects.filter(
        holds_return_id=row.pk, state__in=[AttemptState.PENDING, AttemptState.UNKNOWN, AttemptState.SETTLED]
    ).first()
    fee = row.amount - line.amount
    if attempt is None or row.asset.code != line.asset_code or fee <= 0:
        raise NotAFee(_("%(answer)s is not open any more. Reload it and look again.") % {"answer": reference})
    Match.objects.create(line=line, attempt=attempt, amount=line.amount, by=by)
    EvidenceLine.objects.filter(pk=line.pk).update(problem="")
    books.post(
        case, "cost_free", idem_key=f"fee_kept:{bytes(line.fingerprint).hex()}", lines=[(row.asset, fee)],
        subject=("evidenceline", line.pk), by=by, at=at,
    )  # fmt: skip
    log.append(
        case, "evidence.fee_decided", subject=line.evidence, by=by, at=at,
        body={"line": line.line, "reference": reference, "asset": row.asset.code, "amount": line.amount, "fee": fee},
    )  # fmt: skip
    return fee
