"""
What rails say when a return fails, and what follows, by data (rows of FailureReason): try again, ask the customer,
take another rail, or stop.

Asking blocks the destination: its gate stays shut until the customer gives and proves another. What stops, what needs
another rail, and what failed too often is kept back by the gate "failure" until two people release it.

    NotReleased   there is nothing to release, or not like that
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration import wording
from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import apart, routes
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    FailureReason,
    Release,
    ReturnState,
    TailState,
)

ACT = "returns.release"

# What each kind of failure is called, and what somebody does about it.
WORDS = {
    "rehearsed": (gettext_lazy("The rehearsal rail refused it"), gettext_lazy("It goes out again with the next batch.")),
    "sanctions": (gettext_lazy("Stopped by sanctions or freezing"), gettext_lazy("Place the hold, ask the authority; two people decide.")),
    "wrong_amount": (gettext_lazy("The rail says the amount is wrong"), gettext_lazy("Compare the file with the manifest before anything else goes out.")),
    "account_closed": (gettext_lazy("The account is closed, or there is none"), gettext_lazy("Ask the customer for another account, and have it proved.")),
    "name_mismatch": (gettext_lazy("The holder's name does not fit the account"), gettext_lazy("Ask the customer for the account's exact name in kana.")),
    "address_invalid": (gettext_lazy("The address or memo is not accepted"), gettext_lazy("Ask the customer for another address, and have it proved.")),
    "account_refuses": (gettext_lazy("The account takes no credits"), gettext_lazy("Ask the customer for another account, and have it proved.")),
    "rail_does_not_carry": (gettext_lazy("This rail does not carry it"), gettext_lazy("Choose another rail for it; two people release it.")),
    "insufficient_funds": (gettext_lazy("There was too little money on the paying account"), gettext_lazy("Fund the account. It goes out again with the next batch.")),
    "rail_down": (gettext_lazy("The rail was not there"), gettext_lazy("It goes out again with the next batch.")),
    "declined_here": (gettext_lazy("It never left, or was found not paid"), gettext_lazy("It goes out again with the next batch.")),
    "refused_by_rail": (gettext_lazy("The rail refused it without a particular reason"), gettext_lazy("It goes out again with the next batch; ask the rail why.")),
    "not_said": (gettext_lazy("The rail gave no reason"), gettext_lazy("It goes out again with the next batch; ask the rail why.")),
    "other": (gettext_lazy("A reason that this house does not know"), gettext_lazy("Ask the rail what it means; two people release it.")),
}  # fmt: skip


class NotReleased(Refused):
    """The return stays where it is."""


# The destinations of what was just let go of by these matches, where the reason is one to ask the customer about.
BLOCK = """
UPDATE destinations_destination d SET state = 'revoked', revoked_at = %(at)s,
    revoke_reason = 'a return to it failed: ' || b.reason
FROM (
    SELECT r.destination_id, min(e.reason) AS reason
    FROM returns_match m
    JOIN returns_evidenceline e ON e.id = m.line_id
    JOIN returns_attempt t ON t.id = m.attempt_id
    JOIN returns_batch b ON b.id = t.batch_id
    JOIN returns_assetreturn r ON r.id = t.asset_return_id
    JOIN returns_failurereason f ON f.code = failure_code(e.reason, b.rail) AND f.policy = 'ask'
    WHERE m.id = ANY (%(matches)s) GROUP BY r.destination_id
) b
WHERE d.id = b.destination_id AND d.state <> 'revoked'
"""


def block(matches: list[int], *, at: datetime) -> None:
    """After a failure that only the customer can mend: nothing goes to that destination any more."""
    with connection.cursor() as cursor:
        cursor.execute(BLOCK, {"matches": matches, "at": at})


def of(attempt: Attempt) -> FailureReason | None:
    """What kind of failure ended an attempt; None if it did not fail."""
    if attempt.state not in (AttemptState.REFUSED, AttemptState.DEAD):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT failure_code(%s, %s)", [attempt.reason_code, attempt.batch.rail])
        (code,) = cursor.fetchone()
    return FailureReason.objects.get(pk=code)


def in_words(code: str) -> tuple[str, str]:
    """What a kind of failure is, and the next step."""
    what, step = WORDS.get(code, (code, ""))
    return str(what), str(step)


def told(said: str) -> str:
    """A rail's own words, and before them what the house takes them to mean, where it knows them."""
    if not said:
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT failure_code(%s, '')", [said])
        (code,) = cursor.fetchone()
    if code not in WORDS or code == "other":
        return wording.said(said)
    return _("%(what)s (the rail's words: “%(said)s”)") % {"what": in_words(code)[0], "said": wording.said(said)}


KEPT_BACK = """
SELECT r.id, t.id, failure_code(t.reason_code, b.rail)
FROM returns_assetreturn r
JOIN LATERAL (SELECT * FROM returns_attempt t WHERE t.asset_return_id = r.id ORDER BY t.id DESC LIMIT 1) t ON true
JOIN returns_batch b ON b.id = t.batch_id
WHERE r.case_id = %s AND r.state IN ('scheduled', 'held') AND r.tries > 0
  AND failure_keeps_back(r.id, r.tries, r.rail)
ORDER BY t.id LIMIT %s
"""


def kept_back(case: Case, most: int) -> list[tuple[int, int, str]]:
    """Returns that a failure keeps back: (return, failed attempt, kind of failure), the oldest failure first."""
    with connection.cursor() as cursor:
        cursor.execute(KEPT_BACK, [case.pk, most])
        return [(row[0], row[1], row[2]) for row in cursor.fetchall()]


@transaction.atomic
def propose(row: AssetReturn, *, rail: str, reason: str, by: User, at: datetime) -> ApprovalRequest:
    """Ask two people to let a return go on after its failure, on this rail or another."""
    case = row.case
    appointments.require(case, by, "returns.evidence", at=at)
    row = AssetReturn.objects.select_for_update(of=("self",)).get(pk=row.pk)
    attempt = row.attempts.select_related("batch").order_by("-pk").first()
    with connection.cursor() as cursor:
        cursor.execute("SELECT failure_keeps_back(%s, %s, %s)", [row.pk, row.tries, row.rail])
        (kept,) = cursor.fetchone()
    if row.state not in (ReturnState.SCHEDULED, ReturnState.HELD) or attempt is None or not kept:
        raise NotReleased(_("No failure keeps %(return)s back. Reload it and look again.") % {"return": row})
    routes.rail(rail)
    if not reason.strip():
        raise NotReleased(_("Say why the next try will go better."))
    if Release.objects.filter(attempt=attempt, state=TailState.PROPOSED).exists():
        raise NotReleased(_("The release of %(return)s waits for signatures already.") % {"return": row})
    made = Release.objects.create(asset_return=row, attempt=attempt, rail=rail, reason=reason.strip(), by=by, at=at)
    asked = approvals.request(made, case=case, act=ACT, content_sha256=apart.content(ACT)(made.pk), by=by, at=at)
    log.append(
        case, "failure.release_proposed", subject=made, by=by, at=at,
        body={"reference": row.reference, "rail": rail, "reason": made.reason},
    )  # fmt: skip
    return asked


def released(request: ApprovalRequest, by: User, at: datetime) -> None:
    """With the last signature: the failed attempt keeps its return back no longer, which may go by another rail."""
    made = Release.objects.select_related("asset_return__case").get(pk=request.object_id)
    row = made.asset_return
    apart.step(made, TailState.PROPOSED, TailState.APPROVED)
    moved = AssetReturn.objects.filter(pk=row.pk, state__in=[ReturnState.SCHEDULED, ReturnState.HELD]).update(rail=made.rail)
    if moved != 1:
        raise NotReleased(_("No failure keeps %(return)s back. Reload it and look again.") % {"return": row})
    AssetReturn.objects.filter(pk=row.pk, state=ReturnState.HELD, held_by_gate="failure").update(
        state=ReturnState.SCHEDULED, held_by_gate=""
    )
    apart.step(made, TailState.APPROVED, TailState.DONE)
    log.append(
        row.case, "failure.released", subject=made, by=by, at=at, body={"reference": row.reference, "rail": made.rail}
    )
