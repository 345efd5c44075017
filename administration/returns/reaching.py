"""
Customers whose move it is and who do not make it: reminders by a clock, and when they count as unreachable.

The clock starts anew with every sign of life: a claim confirmed or disputed, a destination proposed in the portal or on
paper, a word about a move. While a destination that the customer gave waits to be checked, the move is the office's. How
many reminders, how far apart, and how long after the last is the profile's data. Somebody who counts as unreachable loses nothing by that alone: it is a
ground for depositing what is theirs (depositing.py), or for what the plan and a court say (forfeiting.py).

    NotReminded   there is nobody to remind now
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from administration.cases import appointments, profiles
from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import numbers
from administration.people.models import User
from claims.notices import notices
from claims.notices.models import Notice
from claims.register.models import Claim, ClaimLine

KIND = "reminder"
CHUNK = 5_000


class NotReminded(Refused):
    """Nobody was reminded."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where one claim stands: how often it was reminded since the last sign of life, and what comes when."""

    claim_id: int
    number: str
    language: str
    reminded: int
    last: datetime | None
    next_at: datetime | None  # the next reminder; None: no more are sent
    counts_at: datetime | None  # from then on the customer counts as unreachable; None: not before more reminders
    unreachable: bool


# The customer's own move is missing for a line: no usable destination for its asset, or no verified identity.
MISSING = """(coalesce(i.name, '') = '' OR i.kyc_status IN ('pending', 'unverified') OR NOT EXISTS (
          SELECT FROM destinations_destination d
          WHERE d.claim_id = l.claim_id AND d.asset_id = l.asset_id AND d.state IN ('usable', 'cooling', 'proved')))"""

LACKING = f"""
SELECT l.id FROM register_claimline l JOIN register_claim c ON c.id = l.claim_id
JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
WHERE l.id = ANY (%s::bigint[]) AND {MISSING}
"""  # noqa: S608 - MISSING is a constant above

# Claims with something that could be returned, for which the customer's own move is missing. Reminders count from the last
# sign of life.
CLOCKS = f"""
WITH waiting AS (
    SELECT DISTINCT l.claim_id
    FROM register_position p
    JOIN register_claimline l ON l.id = p.claim_line_id
    JOIN register_claim c ON c.id = l.claim_id
    JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
    WHERE p.case_id = %(case)s AND p.given - p.in_flight - p.settled - p.deposited > 0
      AND (%(claims)s::bigint[] IS NULL OR l.claim_id = ANY (%(claims)s))
      AND {MISSING}
      AND NOT EXISTS (
          SELECT FROM destinations_destination d
          WHERE d.claim_id = l.claim_id AND d.origin IN ('claimant', 'paper') AND d.state = 'proposed')
)
SELECT c.id, c.number, coalesce(i.language, ''), count(n.id), max(n.sent_at)
FROM waiting v
JOIN register_claim c ON c.id = v.claim_id
JOIN register_claimant w ON w.id = c.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
LEFT JOIN LATERAL (
    SELECT greatest(
        c.confirmed_at,
        (SELECT max(d.proposed_at) FROM destinations_destination d WHERE d.claim_id = c.id AND d.origin IN ('claimant', 'paper')),
        (SELECT max(s.at) FROM register_dispute s JOIN register_claimline o ON o.id = s.claim_line_id WHERE o.claim_id = c.id),
        (SELECT max(m.at) FROM returns_movechoice m WHERE m.claim_id = c.id)
    ) AS heard_at
) life ON true
LEFT JOIN notices_notice n ON n.claim_id = c.id AND n.kind = 'reminder' AND (life.heard_at IS NULL OR n.sent_at > life.heard_at)
GROUP BY c.id, c.number, i.language
ORDER BY c.number
"""  # noqa: S608 - MISSING is a constant above


def clocks(case: Case, *, at: datetime, claims: Iterable[Claim] | None = None) -> list[Clock]:
    """Every claim whose move is the customer's, with its clock."""
    tail = profiles.proceeding_of(case).tail
    wanted = None if claims is None else [claim.pk for claim in claims]
    with connection.cursor() as cursor:
        cursor.execute(CLOCKS, {"case": case.pk, "claims": wanted})
        rows = cursor.fetchall()
    found = []
    for pk, number, language, reminded, last in rows:
        more = reminded < tail.reminders
        next_at = None if not more else (last + timedelta(days=tail.reminder_days) if last else at)
        counts_at = None if more else last + timedelta(days=tail.wait_days)
        found.append(
            Clock(pk, number, language, reminded, last, next_at, counts_at, counts_at is not None and counts_at <= at)
        )
    return found


def lacking(lines: Iterable[ClaimLine]) -> list[ClaimLine]:
    """Those of these lines for which the customer's own move is missing: who cannot be reached loses nothing that can be paid."""
    wanted = list(lines)
    with connection.cursor() as cursor:
        cursor.execute(LACKING, [numbers(line.pk for line in wanted)])
        found = {pk for (pk,) in cursor.fetchall()}
    return [line for line in wanted if line.pk in found]


def payable(lines: Iterable[ClaimLine]) -> ClaimLine | None:
    """The first of these lines for which nothing is missing on the customer's side."""
    wanted = list(lines)
    missing = {line.pk for line in lacking(wanted)}
    return next((line for line in wanted if line.pk not in missing), None)


@transaction.atomic
def remind(case: Case, *, channel: str, by: User, at: datetime) -> int:
    """Send the reminders that are due, up to 5,000 at once, each with its number. Returns how many."""
    appointments.require(case, by, "claims.schedule", at=at)
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)  # two at once would remind twice, and shorten the clock
    due = [clock for clock in clocks(case, at=at) if clock.next_at is not None and clock.next_at <= at][:CHUNK]
    if not due:
        raise NotReminded(_("Nobody is due for a reminder now."))
    texts = [(clock.claim_id, *letter(case, clock.number, clock.language)) for clock in due]
    notices.issue_to(case, KIND, texts, channel, by=by, at=at)
    return len(due)


def letter(case: Case, claim: str, language: str) -> tuple[str, str]:
    """Title and text of one reminder: no amounts, no link to follow. The same words whenever it is written again."""
    with override("en" if language == "en" else "ja"):
        title = _("A reminder about your claim %(claim)s") % {"claim": claim}
        text = _(
            "An amount has been set aside for your claim %(claim)s in case %(case)s (%(name)s), and we cannot return it yet "
            "because something is missing from your side: your identity, or a proved place to send it to. "
            "Sign in to the customer portal with the claim code from our first letter, or write to the administrator's office. "
            "We never ask for passwords or keys, and this letter has no link to follow. "
            "If we do not hear from you, the law may let us deposit the amount for you with the Legal Affairs Bureau."
        ) % {"claim": claim, "case": case.reference, "name": case.name}
    return title, text


def letters(case: Case, first: int, last: int) -> str:
    """The reminders with these numbers, for the printer: one after the other, from the notices as they were sent."""
    found = []
    rows = Notice.objects.filter(case=case, kind=KIND, number__range=(first, last)).select_related("claim__claimant__identity")
    for notice in rows.order_by("number"):
        assert notice.claim is not None
        person = notice.claim.claimant.identity
        title, text = letter(case, notice.claim.number, person.language)
        found.append(f"{person.postcode} {person.address}\n{person.name}\n\n{notice.number}. {title}\n\n{text}\n")
    return "\f".join(found)
