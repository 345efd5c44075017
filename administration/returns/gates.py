"""
What stands between a return and its going out: one ordered list, the same for release, `why`, the portal and the admin.

The database says which gates are closed (view returns_gates, whose order is GATES here); this module says in words
what that means, whose move it is, and until when. Confidential reasons tell the customer only that there is a review:
telling more can be an offence.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.amounts import show
from administration.cases.models import ApprovalRequest, RequestState
from administration.distribution.models import Entitlement, Run, RunState
from administration.distribution.runs import ACT as RUN_ACT
from administration.errors import Refused
from administration.returns.models import AssetReturn, CourtDeposit, ReturnState, SaleShare, TailState
from claims.register.models import Claim, ClaimClass, ClaimLine, Hold

REVIEW_DAYS = 14  # a customer under review hears from us again within so many days
CONFIDENTIAL_KINDS = ("str", "police")
REVIEWS = ("hold", "sanctions", "lien", "dispute")  # a customer is told of these as a review where one is confidential
Words = str | Promise
Said = tuple[Words, Words, str, Words]  # for the office, for the customer, whose move, what they do


class NoSuchClaim(Refused):
    """No claim has that number."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: what the office and the customer are told while it is closed, who acts, and what they do."""

    code: str
    office: Words
    customer: Words
    owner: str  # customer, office, approvers, court
    next_act: Words
    days: int | None = None  # how soon the owner should act; None: no date of its own


GATES = (
    Gate(
        "identity",
        gettext_lazy("The claimant's identity has not been verified."),
        gettext_lazy("We still need to verify your identity."),
        "customer",
        gettext_lazy("Verify identity"),
        30,
    ),
    Gate(
        "sanctions",
        gettext_lazy("A sanctions hold is on the claim, or the claimant was not screened under the newest list."),
        gettext_lazy("Your claim is under review; next update by %(date)s."),
        "office",
        gettext_lazy("Screen under the newest list, or decide the hold"),
        REVIEW_DAYS,
    ),
    Gate(
        "tax",
        gettext_lazy("Not required under this profile."),
        gettext_lazy("Not required."),
        "office",
        gettext_lazy("None"),
    ),
    Gate(
        "destination",
        gettext_lazy("There is no usable destination for %(asset)s: none was given, or it is not proved or still cools off."),
        gettext_lazy("Tell us where to send your %(asset)s, and prove that it is yours."),
        "customer",
        gettext_lazy("Give and prove a destination"),
        30,
    ),
    Gate(
        "hold",
        gettext_lazy("The claim is on hold: %(reason)s."),
        gettext_lazy("Your return is on hold; next update by %(date)s."),
        "office",
        gettext_lazy("Look at the hold"),
        REVIEW_DAYS,
    ),
    Gate(
        "lien",
        gettext_lazy("A third party's right is on the claim: %(reason)s."),
        gettext_lazy("Somebody else has a right to your return; next update by %(date)s."),
        "office",
        gettext_lazy("Look at the attachment or pledge"),
        REVIEW_DAYS,
    ),
    Gate(
        "dispute",
        gettext_lazy("It is disputed whose claim this is."),
        gettext_lazy("Somebody disputes this claim; next update by %(date)s."),
        "office",
        gettext_lazy("Decide the dispute"),
        REVIEW_DAYS,
    ),
    Gate(
        "evidence",
        gettext_lazy("The rail says that it paid this already. Explain that line of its statement first."),
        gettext_lazy("Your return is under review; next update by %(date)s."),
        "office",
        gettext_lazy("Look at the rail's statement"),
        REVIEW_DAYS,
    ),
    Gate(
        "failure",
        gettext_lazy("The last try failed in a way that people decide on, or it failed too often."),
        gettext_lazy("The last try to send this failed; we are looking into it. Next update by %(date)s."),
        "office",
        gettext_lazy("Decide on the failure; two people release it"),
        REVIEW_DAYS,
    ),
    Gate(
        "minimum",
        gettext_lazy("The amount is below the least that is paid; it rides with the next round."),
        gettext_lazy("The amount is too small to send now; it is added to the next round."),
        "office",
        gettext_lazy("None: wait for the next round"),
    ),
    Gate(
        "approval",
        gettext_lazy("The batch or its run is not approved, or the approval is suspended, or the claim was lowered since."),
        gettext_lazy("Your return is prepared and awaits approval."),
        "approvers",
        gettext_lazy("Sign the batch"),
        7,
    ),
    Gate(
        "rail",
        gettext_lazy("No rail carries %(asset)s to this destination in this round."),
        gettext_lazy("We are preparing a way to send %(asset)s."),
        "office",
        gettext_lazy("Choose a rail for the asset"),
        30,
    ),
    Gate(
        "order",
        gettext_lazy("An order that this return rests on does not stand now."),
        gettext_lazy("Your return waits for a court; next update by %(date)s."),
        "court",
        gettext_lazy("Register what becomes of the order"),
        REVIEW_DAYS,
    ),
    Gate(
        "stop",
        gettext_lazy("Sending is stopped, or the round is paused. Two people can resume sending."),
        gettext_lazy("Returns are paused for everybody for the moment; next update by %(date)s."),
        "office",
        gettext_lazy("Resume sending"),
        2,
    ),
)
BY_CODE = {gate.code: gate for gate in GATES}

# Where a return stands once no gate is closed.
STAGES: dict[str, tuple[Words, Words, str, Words]] = {
    ReturnState.SCHEDULED: (
        gettext_lazy("Every gate is open; it goes with the next batch."),
        gettext_lazy("Approved: your return will be sent with the next batch."),
        "office",
        gettext_lazy("Draft a batch"),
    ),
    ReturnState.HELD: (
        gettext_lazy("What held it is gone; it goes with the next batch."),
        gettext_lazy("Approved: your return will be sent with the next batch."),
        "office",
        gettext_lazy("Draft a batch"),
    ),
    ReturnState.BATCHED: (
        gettext_lazy("It is in batch %(batch)s (%(batch_state)s)."),
        gettext_lazy("Your return is on its way out."),
        "office",
        gettext_lazy("Export, submit and settle the batch"),
    ),
    ReturnState.SETTLED: (
        gettext_lazy("Settled."),
        gettext_lazy("Sent."),
        "nobody",
        gettext_lazy("None"),
    ),
    ReturnState.RETURNED: (
        gettext_lazy("The money came back; the destination was blocked."),
        gettext_lazy("Your return came back to us. Tell us where to send it instead."),
        "customer",
        gettext_lazy("Give and prove another destination"),
    ),
    ReturnState.CANCELLED: (
        gettext_lazy("Cancelled; the amount is with the claim for a later round."),
        gettext_lazy("Your amount is kept for a later round."),
        "office",
        gettext_lazy("Schedule the next round"),
    ),
}
# A destination that only needs time is nobody's move.
COOLING = (
    gettext_lazy("The destination for %(asset)s cools off until %(date)s."),
    gettext_lazy("Your destination for %(asset)s can be used from %(date)s: a waiting time that protects you."),
    "time",
    gettext_lazy("None: wait until it has cooled off"),
)
# Between a run and its round there is no return yet.
PROPOSED: Said = (
    gettext_lazy("A run that gives it something is computed and waits for signatures."),
    gettext_lazy("A distribution is computed and waits for the signatures of two people."),
    "approvers",
    gettext_lazy("Sign the run"),
)
GIVEN: Said = (
    gettext_lazy("An approved run gave it something; the round that sends it is not scheduled yet."),
    gettext_lazy("Your share is approved. The round in which it is sent is being prepared."),
    "office",
    gettext_lazy("Schedule the round"),
)
DEPOSITING = (
    gettext_lazy("It is set apart for a deposit with the Legal Affairs Bureau (%(filing)s)."),
    gettext_lazy("It could not be returned to you. It is being deposited for you with the Legal Affairs Bureau."),
    "office",
    gettext_lazy("Carry the application out"),
)
DEPOSITED = (
    gettext_lazy("Deposited with %(bureau)s under number %(number)s."),
    gettext_lazy("Deposited for you with %(bureau)s, number %(number)s. You can claim it there."),
    "customer",
    gettext_lazy("Claim it from the Bureau"),
)
SELLING = (
    gettext_lazy("Its coins are set apart for a forced sale (%(sale)s)."),
    gettext_lazy("Your coins are being sold by order of the court; what they bring is kept for you."),
    "office",
    gettext_lazy("Sell them and record the sale"),
)
LATE: Said = (
    gettext_lazy("It came in after the cut-off and is returned in full; the round that sends it is not scheduled yet."),
    gettext_lazy("This came in after the cut-off: it is returned to you in full. The round in which it is sent is being prepared."),
    "office",
    gettext_lazy("Schedule the round"),
)
NOTHING_YET: Said = (
    gettext_lazy("Nothing of it is scheduled: no run has given this line anything that can be paid yet."),
    gettext_lazy("Nothing has been distributed on this asset yet."),
    "office",
    gettext_lazy("Compute and declare the next run"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Why one line of a claim is where it is, in words for both sides."""

    asset: str
    gate: str  # the first closed gate, or the state of the return
    office: str
    customer: str
    owner: str
    next_act: str
    next_date: date | None
    amount: str = ""
    reference: str = ""


def closed(return_ids: Iterable[int]) -> dict[int, list[str]]:
    """The closed gates of each return, in order; an empty list: free to go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT return_id, closed FROM returns_gates WHERE return_id = ANY (%s)", [list(return_ids)])
        return dict(cursor.fetchall())


def why(number: str, *, at: datetime) -> dict[str, Any]:
    """Where a claim stands, why, and whose move it is: the object of the command and of the portal."""
    try:
        claim = Claim.objects.select_related("case").get(number=number)
    except Claim.DoesNotExist:
        raise NoSuchClaim(_("There is no claim %(number)s. Look at its number and try again.") % {"number": number}) from None
    answers = of_claim(claim, at=at)
    open_first = [answer for answer in answers if answer.owner != "nobody"] or answers
    first = open_first[0] if open_first else None
    return {
        "claim": claim.number,
        "office_sentence": first.office if first else _("The claim has no lines."),
        "customer_sentence": first.customer if first else _("There is nothing recorded for you."),
        "lines": [
            {
                "asset": answer.asset,
                "gate": answer.gate,
                "owner": answer.owner,
                "next_act": answer.next_act,
                "next_date": answer.next_date.isoformat() if answer.next_date else None,
                "amount": answer.amount,
                "reference": answer.reference,
                "office_sentence": answer.office,
                "customer_sentence": answer.customer,
            }
            for answer in answers
        ],
    }


def of_claim(claim: Claim, *, at: datetime) -> list[Answer]:
    """The newest return of each line of a claim, or what is missing to one."""
    lines = list(claim.lines.select_related("asset", "position").order_by("asset__code", "claim_class"))
    newest: dict[int, AssetReturn] = {}
    rows = AssetReturn.objects.filter(claim_line__in=lines).select_related("asset", "batch", "round").order_by("pk")
    for row in rows:
        newest[row.claim_line_id] = row
    shut = closed(row.pk for row in newest.values())
    holds = list(Hold.objects.filter(claim=claim, lifted_at__isnull=True).order_by("next_look"))
    cooling = {
        row.asset_id: timezone.localdate(row.usable_from)
        for row in claim.destinations.filter(state="cooling", usable_from__isnull=False)
        if row.usable_from is not None
    }
    proposed = _proposed(claim, lines) if len(newest) < len(lines) else set()
    apart = _apart(lines)
    return [
        apart.get(line.pk)
        or (_answer(line, newest[line.pk], shut, holds, cooling, at) if line.pk in newest else _before(line, line.pk in proposed))
        for line in lines
    ]


def _apart(lines: list[ClaimLine]) -> dict[int, Answer]:
    """Lines of which all that is left is set apart for a deposit or a sale, or deposited."""
    found: dict[int, Answer] = {}
    whole = {line.pk: line for line in lines if line.position.given <= line.position.scheduled + line.position.settled + line.position.deposited}
    sold = SaleShare.objects.filter(claim_line__in=whole, sale__state=TailState.APPROVED).select_related("sale")
    for share in sold.order_by("pk"):
        found[share.claim_line_id] = _said(whole[share.claim_line_id], "selling", SELLING, {"sale": str(share.sale)})
    deposits = CourtDeposit.objects.filter(claim_line__in=whole, filing__state__in=[TailState.APPROVED, TailState.DONE])
    for one in deposits.select_related("filing").order_by("pk"):
        line, words = whole[one.claim_line_id], {"filing": str(one.filing), "bureau": one.office, "number": one.number}
        if one.filing.state == TailState.APPROVED:
            found[line.pk] = _said(line, "depositing", DEPOSITING, words)
        elif not line.position.scheduled:
            found[line.pk] = _said(line, "deposited", DEPOSITED, words)
    return found


def _said(line: ClaimLine, gate: str, said: tuple[Words, Words, str, Words], words: dict[str, str]) -> Answer:
    office, customer, owner, act = said
    amount = show(line.position.given - line.position.settled, line.asset.scale)
    return Answer(line.asset.code, gate, str(office) % words, str(customer) % words, owner, str(act), None, amount)


def _proposed(claim: Claim, lines: list[ClaimLine]) -> set[int]:
    """The lines to which a run gives something that waits for signatures."""
    asked = ApprovalRequest.objects.filter(case=claim.case_id, act=RUN_ACT, state=RequestState.OPEN)
    waiting = list(Run.objects.filter(case=claim.case_id, state=RunState.COMPUTED, pk__in=asked.values("object_id")))
    shares = Entitlement.objects.filter(run__in=waiting, claim_line__in=lines, amount__gt=0)
    return set(shares.values_list("claim_line_id", flat=True)) if waiting else set()


def _before(line: ClaimLine, proposed: bool) -> Answer:
    """Where a line stands of which no return was made yet."""
    code, position = line.asset.code, line.position
    free = position.given - line.excess - position.scheduled - position.in_flight - position.settled - position.deposited
    small = BY_CODE["minimum"]
    gate, words = "given", LATE if line.claim_class == ClaimClass.AFTER_CUTOFF else GIVEN
    if proposed:
        gate, words = "proposed", PROPOSED
    elif not position.given:
        gate, words = "none", NOTHING_YET
    elif free < line.asset.payable_step or line.carried.exists():
        gate, words = small.code, (small.office, small.customer, small.owner, small.next_act)
    office, customer, owner, act = words
    amount = show(position.given, line.asset.scale) if gate in ("given", "minimum") else ""
    return Answer(code, gate, str(office), str(customer), owner, str(act), None, amount)


def _answer(
    line: ClaimLine,
    row: AssetReturn,
    shut: dict[int, list[str]],
    holds: list[Hold],
    cooling: dict[int, date],
    at: datetime,
) -> Answer:
    today = timezone.localdate(at)
    code = line.asset.code
    amount = show(row.amount, row.asset.scale)
    waiting = row.state in (ReturnState.SCHEDULED, ReturnState.HELD, ReturnState.BATCHED)
    gates = shut.get(row.pk, []) if waiting and not _is_out(row) else []
    if not gates:
        office, customer, owner, act = STAGES[row.state]
        words = {"batch": row.batch or "", "batch_state": row.batch.get_state_display().lower() if row.batch else ""}
        return Answer(
            code, row.state, str(office) % words, str(customer) % words, owner, str(act), None, amount, row.reference
        )
    gate = BY_CODE[gates[0]]
    if gate.code == "destination" and line.asset_id in cooling:
        usable = cooling[line.asset_id]
        words = {"asset": code, "date": usable.isoformat()}
        return Answer(
            code, gate.code, str(COOLING[0]) % words, str(COOLING[1]) % words, COOLING[2], str(COOLING[3]), usable, amount,
            row.reference,
        )  # fmt: skip
    own = [hold for hold in holds if _gate_of(hold) == gate.code]
    secret = any(hold.confidential or hold.kind in CONFIDENTIAL_KINDS for hold in holds)
    next_date = own[0].next_look if own else today + timedelta(days=gate.days) if gate.days else None
    words = {
        "asset": code,
        "date": next_date.isoformat() if next_date else "",
        "reason": ", ".join(hold.reason or hold.kind for hold in own) or gate.code,
    }
    told = str(gate.customer) % words
    if secret and gate.code in REVIEWS:
        told = str(BY_CODE["sanctions"].customer) % {**words, "date": (next_date or today).isoformat()}
    return Answer(
        code, gate.code, str(gate.office) % words, told, gate.owner, str(gate.next_act), next_date, amount, row.reference
    )


def _is_out(row: AssetReturn) -> bool:
    """What has left the house is not held back by a gate any more."""
    return row.batch is not None and row.batch.state in ("exported", "settling", "closed")


def _gate_of(hold: Hold) -> str:
    return {"sanctions": "sanctions", "dispute": "dispute", "attachment": "lien"}.get(hold.kind, "hold")


def for_customers(answer: Answer) -> dict[str, str]:
    """What the portal may show of an answer: never the gate of a confidential reason."""
    gate = "review" if answer.gate in REVIEWS else answer.gate
    return {
        "asset": answer.asset,
        "gate": gate,
        "sentence": answer.customer,
        "whose_move": "you" if answer.owner == "customer" else "us",
        "next_date": answer.next_date.isoformat() if answer.next_date else "",
    }
