"""
Doubt that no machine can end: a part went out, or may have, and nobody answers for it.

Evidence of the rail's own settles or refuses it as it always does. Where none comes, people find out what became of the
part, or of one return in it: paid, or not paid, from a paper that covers the whole time in which it could have been. Two
people sign it, bound to that paper; then it counts as evidence does. A timeout alone is never a finding.

    StillInDoubt   it is too early to say, or the rail has spoken
"""

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from administration.cases import archive
from administration.errors import Refused
from administration.fields import db_now
from administration.people.models import User
from administration.rails.interface import CarriedRail, Observation, ObservationKind
from administration.record import covers, log
from administration.returns import evidence, routes, settlement, statements
from administration.returns.models import (
    EXPLAINED,
    Attempt,
    AttemptState,
    Correction,
    Evidence,
    EvidenceLine,
    Finding,
    Submission,
    SubmissionState,
)

OPEN = (AttemptState.PENDING, AttemptState.UNKNOWN)
CAME_OUT = (AttemptState.SETTLED, AttemptState.RETURNED)  # money of the part moved: it is not dead

MATCHES = """
INSERT INTO returns_match (line_id, attempt_id, amount)
SELECT l.id, t.id, l.amount FROM returns_evidenceline l
JOIN returns_assetreturn r ON r.case_id = l.case_id AND r.reference = l.reference
JOIN returns_attempt t ON t.holds_return_id = r.id
WHERE l.evidence_id = %s AND t.batch_id = %s AND t.part = %s ORDER BY l.id
RETURNING id, attempt_id
"""


class StillInDoubt(Refused):
    """Nobody can say yet what became of it."""


def part_of(thing: Submission | Attempt) -> Submission:
    """The part itself, or the one in which the attempt was made."""
    if isinstance(thing, Submission):
        return thing
    parts = Submission.objects.select_related("batch__case").filter(batch=thing.batch_id, part=thing.part)
    return parts.latest("version")


def step(thing: Submission | Attempt, finding: str) -> str:
    """Where the finding takes it. A part of which something was paid is not dead, whatever became of the rest."""
    if isinstance(thing, Attempt):
        return str(AttemptState.SETTLED if finding == Finding.PAID else AttemptState.DEAD)
    if finding == Finding.PAID or _of(thing).filter(state__in=CAME_OUT).exists():
        return str(SubmissionState.ACCEPTED)
    return str(SubmissionState.DEAD)


def refuse_unless_in_doubt(thing: Submission | Attempt, finding: str = Finding.NOT_PAID, *, at: datetime) -> None:
    """The outcome is unknown, the time in which it could come is over by the database's clock, and no line speaks of it."""
    part = part_of(thing)
    if part.state != SubmissionState.UNKNOWN:
        raise StillInDoubt(
            _("The outcome of %(part)s is not unknown (%(state)s). Nothing is to be declared.")
            % {"part": part.rail_key, "state": part.get_state_display().lower()}
        )
    if isinstance(thing, Attempt) and thing.state != AttemptState.UNKNOWN:
        raise StillInDoubt(
            _("The attempt of %(return)s is %(state)s. Nothing is to be declared.")
            % {"return": thing.asset_return.reference, "state": thing.get_state_display().lower()}
        )
    until = _on_its_way_until(part)
    if until and until > db_now():
        raise StillInDoubt(
            _("%(part)s may still be on its way until %(at)s. Look at the statement after that.")
            % {"part": part.rail_key, "at": until.isoformat(timespec="seconds")}
        )
    if not _of(part).filter(state__in=OPEN).exists():
        raise StillInDoubt(_("Nothing of %(part)s is open any more. Settle.") % {"part": part.rail_key})
    if part.batch.rail == statements.CODE:
        _refuse_of_a_bank(thing, part, finding)
    if _has_spoken(thing, part):
        raise StillInDoubt(_("The rail has spoken of %(part)s. Settle; its evidence decides.") % {"part": part.rail_key})


def _on_its_way_until(part: Submission) -> datetime | None:
    """A machine's call rests until its lease is over; a file that people carried, as long as its answer may take."""
    rail = routes.rail(part.batch.rail)
    if part.fence == 0 and part.sent_at and isinstance(rail, CarriedRail) and part.batch.rail != statements.CODE:
        return part.sent_at + rail.quiet_period
    return part.lease_until


def _refuse_of_a_bank(thing: Submission | Attempt, part: Submission, finding: str) -> None:
    """A bank's file is paid by one debit, and that debit is what shows it."""
    if finding == Finding.PAID or isinstance(thing, Attempt):
        raise StillInDoubt(
            _("A bank pays %(part)s as a whole, by one debit. Receive the statement that has it; then settle.")
            % {"part": part.rail_key}
        )
    if statements.speak_of(part):
        raise StillInDoubt(
            _("A line of the bank's statement has the sum of %(part)s, or brings back one of its returns. Settle; then "
              "decide the line if it waits for an answer. Not paid can only be what no line speaks of.")
            % {"part": part.rail_key}
        )  # fmt: skip


def _has_spoken(thing: Submission | Attempt, part: Submission) -> bool:
    """
    The rail has named the part since the doubt began, or has said of something open in it what nobody has applied yet.

    What people found of single returns is not the rail's word, nor is a line that they explained.
    """
    said = EvidenceLine.objects.filter(case=part.batch.case, part=part.rail_key, evidence__correction__isnull=True)
    said = said.exclude(problem=EXPLAINED)
    open_ones = _of(part).filter(state__in=OPEN).values("asset_return__reference")
    news = Q(evidence__received_at__gte=part.doubted_at) if part.doubted_at else Q()
    return said.filter(news).exists() or said.filter(reference__in=open_ones, matches__isnull=True).exclude(kind="seen").exists()


def _of(part: Submission) -> QuerySet[Attempt]:
    return Attempt.objects.filter(batch=part.batch_id, part=part.part)


def declare(made: Correction, *, by: User, at: datetime) -> int:
    """
    With the last signature: the finding becomes evidence and is applied, and what is finished with it is.

    Gives 0 when it was taken up meanwhile; the caller then undoes everything.
    """
    thing = _thing(made)
    part = part_of(thing)
    case = part.batch.case
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.evidence', %s))", [case.pk])
        cursor.execute("SELECT FROM attempts_held_still(ARRAY(SELECT id FROM returns_attempt WHERE batch_id = %s AND part = %s))",
                       [part.batch_id, part.part])  # fmt: skip
    part.refresh_from_db(fields=["state", "lease_until", "doubted_at", "sent_at"])
    thing.refresh_from_db(fields=["state"])
    refuse_unless_in_doubt(thing, made.finding, at=at)
    if part.doubted_at and made.at < part.doubted_at:
        raise StillInDoubt(
            _("Since this was proposed the rail has spoken of %(part)s, and then fallen silent again. Turn it down, and "
              "propose it anew with a paper of today.") % {"part": part.rail_key}
        )  # fmt: skip
    if made.to_state != step(thing, made.finding):
        raise StillInDoubt(
            _("Since this was proposed something of %(part)s was found paid. Turn it down, and propose it anew.")
            % {"part": part.rail_key}
        )
    attempts = _open_ones(part, None if isinstance(thing, Submission) else thing)
    matches = _write_down(made, part, attempts, by=by, at=at)
    dies = isinstance(thing, Submission) and made.to_state == SubmissionState.DEAD
    moved = _step(part, SubmissionState.DEAD) if dies else 0
    if matches:
        settlement.apply_found(case, matches, paid=made.finding == Finding.PAID, by=by, at=at)
    if not dies:
        moved = _finish(part, thing, made)
    return moved


def _open_ones(part: Submission, only: Attempt | None) -> list[Attempt]:
    rows = _of(part).filter(state__in=OPEN).select_related("asset_return__asset").order_by("asset_return__reference")
    return list(rows.filter(pk=only.pk) if only else rows)


def _finish(part: Submission, thing: Submission | Attempt, made: Correction) -> int:
    """A finding of one return may have been the last that was open in its part; one of a part always is."""
    moved = 1
    if isinstance(thing, Attempt):
        moved = Correction.objects.filter(pk=made.pk, applied_at__isnull=False).count()
        if _of(part).filter(state__in=OPEN).exists():
            return moved
        if not _of(part).filter(state__in=CAME_OUT).exists():
            _step(part, SubmissionState.DEAD)
            return moved
    moved = min(moved, _step(part, SubmissionState.ACCEPTED))
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], 'accepted', 'final')", [part.pk])
    return moved


def _step(part: Submission, to_state: SubmissionState) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], 'unknown', %s)", [part.pk, to_state.value])
        return int(cursor.fetchone()[0])


def _thing(made: Correction) -> Submission | Attempt:
    if made.machine == "submission":
        return Submission.objects.select_related("batch__case").get(pk=made.object_id)
    return Attempt.objects.select_related("asset_return").get(pk=made.object_id)


def _write_down(made: Correction, part: Submission, attempts: Sequence[Attempt], *, by: User, at: datetime) -> dict[int, int]:
    """The finding as evidence, a line for each return, matched to its attempt: match → attempt."""
    batch, case, paid = part.batch, part.batch.case, made.finding == Finding.PAID
    finding = "paid" if paid else "not paid"
    paper = {
        "part": part.rail_key, "finding": finding, "reason": made.reason, "correction": str(made.pk),
        "paper_sha256": bytes(made.evidence_sha256).hex(),
        "returns": [attempt.asset_return.reference for attempt in attempts],
    }  # fmt: skip
    data = json.dumps(paper, ensure_ascii=False, sort_keys=True).encode()
    sha256 = archive.keep(data)
    lines = [
        Observation(
            line_ref=f"declared/{made.pk}/{number}", kind=ObservationKind.SETTLED if paid else ObservationKind.DEAD,
            asset=attempt.asset_return.asset.code, amount=attempt.asset_return.amount, at=at,
            reference=attempt.asset_return.reference, part=part.rail_key, reason=f"found {finding}",
        )
        for number, attempt in enumerate(attempts, start=1)
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('returns_evidence', 'id'))")
        (evidence_id,) = cursor.fetchone()
        cursor.execute(evidence.INSERT, [evidence_id, case.pk, evidence.as_json(batch.rail, enumerate(lines, start=1))])
        received = Evidence.objects.create(
            pk=evidence_id, case=case, rail=batch.rail, name=f"{part.rail_key}: found {finding}", sha256=sha256,
            bytes=len(data), lines_count=len(lines), received_by=made.by, received_at=at, correction=made,
        )  # fmt: skip
        cursor.execute(MATCHES, [evidence_id, batch.pk, part.part])
        matches = dict(cursor.fetchall())
    cover = covers.cover("returns.evidence", case=case.reference, sha256=sha256.hex())
    log.append(
        case, "evidence.received", subject=received, by=by, at=at, covers=cover,
        body={
            "name": received.name, "rail": batch.rail, "sha256": sha256.hex(), "bytes": len(data), "new_lines": len(lines),
            "finding": made.finding, "found_under": correction_sha256(made),
        },
    )  # fmt: skip
    return matches


def correction_sha256(made: Correction) -> str:
    """What the two people signed, as their approval names it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(correction_sha256(c), 'hex') FROM returns_correction c WHERE id = %s", [made.pk])
        return str(cursor.fetchone()[0])
