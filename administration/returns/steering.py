"""
Steering a round: paused and resumed, and gone on with after the first few.

A pause is the office's own; what is on its way goes on. (What must not leave at all is stopped: `stops`.) Nothing but
the first few of a round leaves on a rail until they arrived, were reconciled, and a person said so.

    NotSteered   the round goes on as it did
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns.models import (
    EXPLAINED,
    Attempt,
    AttemptState,
    Batch,
    BatchState,
    EvidenceLine,
    GoAhead,
    Round,
    RoundPause,
)
from claims.register import tie_out


class NotSteered(Refused):
    """The round goes on as it did."""


# --- pause --------------------------------------------------------------------------------------------


@transaction.atomic
def pause(current: Round, *, reason: str, by: User, at: datetime) -> RoundPause:
    """From now on nothing of the round is batched, exported or claimed to be sent."""
    case = held_still(current)
    appointments.require(case, by, "returns.schedule", at=at)
    if not reason.strip():
        raise NotSteered(_("Say in one sentence why the round is paused."))
    if current.pauses.filter(resumed_at__isnull=True).exists():
        raise NotSteered(_("Round %(round)s is paused already.") % {"round": current.number})
    made = RoundPause.objects.create(round=current, reason=reason, by=by, at=at)
    log.append(case, "round.paused", subject=current, by=by, at=at, body={"number": current.number, "reason": reason})
    return made


@transaction.atomic
def resume(current: Round, *, by: User, at: datetime) -> None:
    """The round goes on where it was."""
    case = held_still(current)
    appointments.require(case, by, "returns.schedule", at=at)
    moved = current.pauses.filter(resumed_at__isnull=True).update(resumed_at=at, resumed_by=by)
    if moved != 1:
        raise NotSteered(_("Round %(round)s is not paused.") % {"round": current.number})
    log.append(case, "round.resumed", subject=current, by=by, at=at, body={"number": current.number})


def refuse_if_paused(current: Round) -> None:
    """Nothing is prepared for leaving while its round is paused."""
    paused = current.pauses.filter(resumed_at__isnull=True).first()
    if paused is not None:
        raise NotSteered(
            _("Round %(round)s is paused (%(reason)s). Resume it first.") % {"round": current.number, "reason": paused.reason}
        )


# --- the first few first --------------------------------------------------------------------------------


def wants_canary(current: Round, rail: str) -> bool:
    """Is the next batch of this rail to be the first few?"""
    if not current.canary or current.go_aheads.filter(rail=rail).exists():
        return False
    return not current.batches.filter(rail=rail, canary=True).exclude(state__in=[BatchState.VOIDED, BatchState.CLOSED]).exists()


def refuse_before_the_canary(batch: Batch) -> None:
    """What is not among the first few leaves once they arrived and a person said so."""
    current = batch.round
    if not current.canary or batch.canary or current.go_aheads.filter(rail=batch.rail).exists():
        return
    raise NotSteered(
        _("%(batch)s waits: the first %(count)d returns of round %(round)s on rail %(rail)s must arrive and be reconciled "
          "before the others follow.")
        % {"batch": batch, "count": current.canary, "round": current.number, "rail": batch.rail}
    )  # fmt: skip


OF_NO_RETURN = ("unknown_debit", "unknown_credit", "correction")  # what a bank does besides: no act takes it off the queue


@transaction.atomic
def go_on(canary: Batch, *, note: str = "", by: User, at: datetime) -> GoAhead:
    """
    The first few arrived and both statements tie: the others may follow.

    Where not all of them arrived, the note says why the others may follow all the same.
    """
    case = canary.case
    appointments.require(case, by, "returns.export", at=at)
    canary = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("case", "round").get(pk=canary.pk)
    said = findings(canary)
    if said["open"] or canary.state != BatchState.CLOSED:
        raise NotSteered(
            _("%(count)d of the first returns have not arrived yet. Read the evidence and settle first.")
            % {"count": said["open"] or canary.items}
        )
    if said["queued"]:
        raise NotSteered(
            _("%(count)d lines of evidence on this rail wait for a person. Explain them first.") % {"count": said["queued"]}
        )
    if not said["settled"]:
        raise NotSteered(_("None of the first returns arrived. Draft another few, and look into why."))
    if said["lost"] and not note.strip():
        raise NotSteered(
            _("%(count)d of the first returns did not arrive. Say why the others may follow all the same.")
            % {"count": said["lost"]}
        )
    if said["unnamed"] and not note.strip():
        raise NotSteered(
            _("%(count)d lines of the bank's statement speak of no return, such as a fee. Say what they are before the others follow.")
            % {"count": said["unnamed"]}
        )
    if canary.round.go_aheads.filter(rail=canary.rail).exists():
        raise NotSteered(_("The others of this round follow on this rail already."))
    tie_out.require(case, list(Asset.objects.filter(case=case, code__in=canary.totals)))
    made = GoAhead.objects.create(round=canary.round, rail=canary.rail, canary=canary, note=note, by=by, at=at)
    log.append(
        case, "round.went_on", subject=canary.round, by=by, at=at,
        body={
            "number": canary.round.number, "rail": canary.rail, "batch": canary.reference, "settled": said["settled"],
            "lost": said["lost"], "note": note,
        },
    )  # fmt: skip
    return made


def findings(canary: Batch) -> dict[str, int]:
    """What became of the first few, and what on their rail waits for a person."""
    states = list(Attempt.objects.filter(batch=canary).values_list("state", flat=True))
    settled = states.count(AttemptState.SETTLED)
    undecided = states.count(AttemptState.PENDING) + states.count(AttemptState.UNKNOWN)
    # What waited before them is not about them; and an over-payment was recorded, and is being recovered.
    since = EvidenceLine.objects.filter(case=canary.case, evidence__rail=canary.rail, evidence__received_at__gte=canary.drafted_at)
    waiting = since.exclude(problem__in=["", "overpaid", EXPLAINED])
    unnamed = waiting.filter(problem__in=OF_NO_RETURN).count()
    return {
        "settled": settled, "open": undecided, "lost": len(states) - settled - undecided,
        "queued": waiting.count() - unnamed, "unnamed": unnamed,
    }  # fmt: skip


def held_still(current: Round) -> Case:
    """The case, held still: two people do not steer a round at once."""
    return Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=current.case_id)
