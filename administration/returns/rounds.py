"""
Scheduling: after an approved run, each claim line gets one return of what can be paid of it now.

What a person would get less of than the round's minimum is carried forward: it stays with the claim, in a row that says
so. The value date is a day on which banks in Japan are open. Returns of a round may go in lanes, the small ones apart
from the large ones, and the first few before the others (`steering`).

    NotScheduled   the round, or the return, cannot be scheduled like that
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.distribution.models import Run, RunState
from administration.errors import Refused
from administration.ledger import persons
from administration.people.models import User
from administration.rails.zengin import bank_days
from administration.record import covers, log
from administration.returns import batches, overpayments, planning, routes, unexplained
from administration.returns.models import AssetReturn, Batch, Cancellation, ReturnState, Round, RoundClosing
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job
from claims.register import positions
from claims.register.models import ClaimLine

JOB = "returns.schedule"
CHUNK = 5_000
DAYS_AHEAD = 370  # a round is planned for a day within about a year
CANARY_MAX = 1_000
SAMPLE_RAILS = {routes.EVERY_OTHER: "rehearsal"}  # where a case says nothing else


class NotScheduled(Refused):
    """Nothing was scheduled."""


# What a line has been given, is still admitted, and is not on its way, settled or deposited. Of it, what a rail can pay;
# the rest stays on the position and rides with the next round.
FREE = "p.given - l.excess - p.scheduled - p.in_flight - p.settled - p.deposited"

COUNT = f"""
SELECT count(*)
FROM register_position p
JOIN register_claimline l ON l.id = p.claim_line_id
JOIN books_asset a ON a.id = p.asset_id
WHERE p.case_id = %s AND {FREE} >= a.payable_step
"""  # noqa: S608 - FREE is a constant above

# What a person would get less of than the round's minimum, over all claims of the person.
CARRY = f"""
INSERT INTO returns_carried (round_id, claim_line_id, asset_id, amount)
SELECT %(round)s, s.id, s.asset_id, s.free FROM (
    SELECT l.id, l.asset_id, f.free, f.least, sum(f.free) OVER (PARTITION BY n.person, l.asset_id) AS together
    FROM register_position p
    JOIN register_claimline l ON l.id = p.claim_line_id
    JOIN books_asset a ON a.id = l.asset_id
    JOIN returns_person(%(case)s, %(as_of)s) n ON n.claim_id = l.claim_id
    CROSS JOIN LATERAL (SELECT ({FREE}) AS free, (%(minimums)s::jsonb ->> a.code)::numeric AS least) f
    WHERE p.case_id = %(case)s AND f.free > 0 AND f.least IS NOT NULL
) s
WHERE s.together < s.least ORDER BY s.id
"""  # noqa: S608 - FREE is a constant above

# The next lines after (claim number, asset code, class): in that order, which is also the order of the references.
SCHEDULE = f"""
WITH lines AS MATERIALIZED (
    SELECT l.id, l.asset_id, l.claim_id, c.number, a.code, l.claim_class, f.free - mod(f.free, a.payable_step) AS amount
    FROM register_claim c
    JOIN register_claimline l ON l.claim_id = c.id
    JOIN register_position p ON p.claim_line_id = l.id
    JOIN books_asset a ON a.id = l.asset_id
    CROSS JOIN LATERAL (SELECT {FREE} AS free OFFSET 0) f  -- reckoned once for each line
    WHERE c.case_id = %(case)s AND c.number >= %(number)s
      AND (c.number, a.code, l.claim_class) > (%(number)s, %(code)s, %(class)s) AND f.free >= a.payable_step
      {{of_this_round}}
    ORDER BY c.number, a.code, l.claim_class LIMIT %(chunk)s
), numbered AS MATERIALIZED (
    SELECT n.*, return_reference(%(before)s + row_number() OVER (ORDER BY n.number, n.code, n.claim_class)) AS reference
    FROM lines n
), made AS (
    INSERT INTO returns_assetreturn
        (case_id, round_id, reference, claim_line_id, asset_id, amount, destination_id, rail, state, tries, held_by_gate)
    SELECT %(case)s, %(round)s, n.reference, n.id, n.asset_id, n.amount, d.id,
        coalesce(
            %(rails)s::jsonb ->> (n.code || '@' || d.network), %(rails)s::jsonb ->> ('*@' || d.network),
            CASE WHEN d.network = 'transferee' THEN 'transferee' END,  -- a book that moves goes to nobody else
            %(rails)s::jsonb ->> n.code, %(rails)s::jsonb ->> '*', ''), 'scheduled', 0, ''
    FROM numbered n
    LEFT JOIN LATERAL (
        SELECT id, network FROM destinations_destination
        WHERE claim_id = n.claim_id AND asset_id = n.asset_id AND state = 'usable'
          AND (usable_from IS NULL OR usable_from <= statement_timestamp()) LIMIT 1
    ) d ON true
)
SELECT id, amount, reference, number, code, claim_class FROM numbered ORDER BY number, code, claim_class
"""  # noqa: S608 - FREE is a constant above

# The next few thousand lines are found by their keys. With these ways open, the planner may read every line of the case
# for every chunk, and a round of many chunks takes ever longer.
READING_ALL = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")

# Only where a round asks for it: every chunk of a million pays for what stands here.
# Begun again after a failure a round goes on: a line that has its return in it gets no second one, whatever of it is free.
NOT_IN_IT = """AND NOT EXISTS (
      SELECT FROM returns_assetreturn t WHERE t.claim_line_id = l.id AND t.round_id = %(round)s AND t.after_id IS NULL)"""
NOT_CARRIED = "AND NOT EXISTS (SELECT FROM returns_carried k WHERE k.claim_line_id = l.id AND k.round_id = %(round)s)"
OF_THE_RECORD_DATE = """AND c.recorded_at <= %(record_at)s
      AND EXISTS (SELECT FROM register_decision e WHERE e.id = l.decision_id AND e.at <= %(record_at)s)"""


@transaction.atomic
def schedule(
    case: Case,
    run: Run,
    *,
    by: User,
    at: datetime,
    rails: dict[str, str] | None = None,
    record_at: datetime | None = None,
    value_date: date | None = None,
    minimums: Mapping[str, int] | None = None,
    large_from: Mapping[str, int] | None = None,
    canary: int = 0,
) -> Job:
    """
    Open a round of returns after a declared run, and start scheduling it. Again while it lasts: the same job.

    Claims made or decided after `record_at` wait for a later round; without it, it is now. Files move money on
    `value_date` at the earliest. `minimums` and `large_from` are units by asset; `canary` returns go first on each rail.
    """
    appointments.require(case, by, "returns.schedule", at=at)
    case = Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    if run.case_id != case.pk or run.state != RunState.DECLARED:
        raise NotScheduled(
            _("Run %(run)s is not declared in case %(case)s. Have it approved first.") % {"run": run.number, "case": case}
        )
    open_round = case.rounds.filter(scheduled_at__isnull=True).first()
    if open_round and open_round.run_id != run.pk:
        raise NotScheduled(_("Round %(number)s is still being scheduled. Wait for it.") % {"number": open_round.number})
    rails = SAMPLE_RAILS if rails is None else rails
    for code in set(rails.values()):
        routes.rail(code)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [case.pk])
        (total,) = cursor.fetchone()
    if open_round is None:
        overpayments.net_open(case, by=by, at=at)
        if not total:
            raise NotScheduled(_("Nothing is left to schedule in case %(case)s.") % {"case": case})
        open_round = _open(
            case, run, rails, record_at=record_at, value_date=usable_value_date(value_date, at=at),
            minimums=_units(case, minimums), large_from=_units(case, large_from), canary=canary, by=by, at=at,
        )  # fmt: skip
    return jobs.start(case, JOB, open_round.pk, total=total, params={"by": by.pk, "at": at.isoformat()})


def _open(case: Case, run: Run, rails: dict[str, str], *, record_at: datetime | None, by: User, at: datetime, **plan: Any) -> Round:
    """The row of the round: what it is scheduled by never changes after this."""
    if record_at is not None and record_at > at:
        raise NotScheduled(_("The record date has not come yet. Schedule the round when it has."))
    if not 0 <= plan["canary"] <= CANARY_MAX:
        raise NotScheduled(_("The first few are at most %(max)d returns.") % {"max": CANARY_MAX})
    if Cancellation.objects.filter(round__case=case, done_at__isnull=True).exists():
        raise NotScheduled(_("A round of case %(case)s is being taken back. Wait for it.") % {"case": case})
    number = (case.rounds.aggregate(last=Max("number"))["last"] or 0) + 1
    made = Round.objects.create(
        case=case, number=number, run=run, record_at=record_at or at, rails=rails, by=by, **plan
    )
    body: dict[str, Any] = {
        "number": number, "run": run.number, "rails": rails, "record_at": made.record_at.isoformat(),
        "value_date": made.value_date.isoformat(),
    }  # fmt: skip
    body |= {name: value for name, value in plan.items() if value and name != "value_date"}
    log.append(case, "round.opened", subject=made, by=by, at=at, body=body)
    return made


def as_plan(case: Case, wanted: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    """A plan for a round to come, looked at now, in a form that can be kept: see from_plan."""
    for code in set(wanted.get("rails", {}).values()):
        routes.rail(code)
    day = wanted.get("value_date")
    return {
        "rails": wanted.get("rails"), "minimums": _units(case, wanted.get("minimums")),
        "large_from": _units(case, wanted.get("large_from")), "canary": int(wanted.get("canary") or 0),
        "value_date": usable_value_date(day, at=at).isoformat() if day else None,
    }  # fmt: skip


def from_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What schedule() takes."""
    return {
        "rails": plan["rails"], "canary": plan["canary"],
        "minimums": {code: int(units) for code, units in plan["minimums"].items()},
        "large_from": {code: int(units) for code, units in plan["large_from"].items()},
        "value_date": date.fromisoformat(plan["value_date"]) if plan["value_date"] else None,
    }  # fmt: skip


def usable_value_date(wanted: date | None, *, at: datetime) -> date:
    """The value date of a round: the day wanted, if banks are open on it; without one, the first on which they are."""
    today = timezone.localdate(at)
    if wanted is None:
        return bank_days.next_open(today)
    if wanted < today or (wanted - today).days > DAYS_AHEAD:
        raise NotScheduled(
            _("The value date %(day)s is past, or more than %(days)d days ahead. Today is %(today)s.")
            % {"day": wanted, "days": DAYS_AHEAD, "today": today}
        )
    if not bank_days.is_open(wanted):
        raise NotScheduled(
            _("Banks are closed on %(day)s: %(why)s. The next open day is %(next)s.")
            % {"day": wanted, "why": bank_days.why_closed(wanted), "next": bank_days.next_open(wanted)}
        )
    return wanted


def _units(case: Case, wanted: Mapping[str, int] | None) -> dict[str, str]:
    """Units by asset of the case, as the round keeps them."""
    known = set(case.assets.values_list("code", flat=True))
    for code, units in (wanted or {}).items():
        if code not in known or units <= 0:
            raise NotScheduled(
                _("%(units)s of %(asset)s is no amount in case %(case)s.") % {"units": units, "asset": code, "case": case}
            )
    return {code: str(units) for code, units in sorted((wanted or {}).items())}


def step(job: Job) -> Progress:
    """The next lines in the order of their claims: returns and positions in one transaction with the cursor."""
    current = Round.objects.select_related("case").get(pk=job.subject_id)
    case, by, at = current.case, User.objects.get(pk=job.params["by"]), datetime.fromisoformat(job.params["at"])
    number, code, claim_class = job.cursor.split("|") if job.cursor else ("", "", "")
    planning.rows_are_near()
    of_this_round = NOT_CARRIED if current.minimums else ""
    if current.record_at < at:
        of_this_round += f"\n      {OF_THE_RECORD_DATE}"
    begun_again = jobs.before(job) is not None
    if begun_again:
        of_this_round += f"\n      {NOT_IN_IT}"
    carried = 0
    if current.minimums and not job.cursor:
        # Said with the first chunk, once: what that has scheduled is not free any more, and would be missed from the sums.
        carried = current.carried.count() if begun_again else _carry(current, by=by, at=at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.reference', %s))", [case.pk])
        for way in READING_ALL:
            cursor.execute(f"SET LOCAL {way} = off")
        cursor.execute(
            SCHEDULE.format(of_this_round=of_this_round),
            {
                "record_at": current.record_at,
                "case": case.pk, "round": current.pk, "before": _last_number(case), "rails": json.dumps(current.rails),
                "number": number, "code": code, "class": claim_class, "chunk": CHUNK,
            },
        )  # fmt: skip
        rows = cursor.fetchall()
        for way in READING_ALL:
            cursor.execute(f"SET LOCAL {way} = DEFAULT")
    if rows:
        positions.move(
            case,
            "schedule",
            key=f"schedule:{current.number}:{rows[0][2]}-{rows[-1][2]}",
            rows=[(line, int(amount)) for line, amount, *_ in rows],
            subject=("round", current.number),
            by=by,
            at=at,
        )
        number, code, claim_class = rows[-1][3:]
    done = job.done + len(rows)
    if len(rows) == CHUNK:
        return Progress(f"{number}|{code}|{claim_class}", done, "scheduling", total=max(job.total - carried, done))

    with connection.cursor() as cursor:
        cursor.execute("SELECT returns_look_at_statistics('assetreturn')")
    Round.objects.filter(pk=current.pk, scheduled_at__isnull=True).update(scheduled_at=at)
    cover = covers.cover("returns.round", case=case.reference, round=current.number)
    log.append(case, "round.scheduled", subject=current, by=by, at=at, body={"number": current.number}, covers=cover)
    totals = {asset: str(units) for asset, units in cover.sums.items()}
    return Progress(
        f"{number}|{code}|{claim_class}", done, "scheduled", finished=True,
        result={"round": current.number, "count": cover.count, "totals": totals, "carried": current.carried.count()},
    )  # fmt: skip


def _carry(current: Round, *, by: User, at: datetime) -> int:
    """With the first chunk: who is one person is frozen, and what is below the round's minimum for a person is said."""
    case, people = current.case, persons.freeze(current.case)
    params: dict[str, Any] = {"case": case.pk, "round": current.pk, "minimums": json.dumps(current.minimums), "as_of": people.as_of}
    with connection.cursor() as cursor:
        cursor.execute(CARRY, params)
        carried = int(cursor.rowcount)
    cover = covers.cover("returns.carried", case=case.reference, round=current.number)
    log.append(
        case, "round.carried_forward", subject=current, by=by, at=at, covers=cover,
        body={"number": current.number, "minimums": current.minimums, "grouping_sha256": bytes(people.sha256).hex()},
    )  # fmt: skip
    return carried


@transaction.atomic
def schedule_again(back: AssetReturn, *, by: User, at: datetime) -> AssetReturn:
    """Schedule anew what came back, once a look at the destination has led to a usable one."""
    case = back.case
    appointments.require(case, by, "returns.schedule", at=at)
    with connection.cursor() as cursor:  # as a round does: references come before positions
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.reference', %s))", [case.pk])
    positions.lock([back.claim_line_id])
    back = AssetReturn.objects.select_for_update(of=("self",)).select_related("claim_line", "round", "asset").get(pk=back.pk)
    if back.state != ReturnState.RETURNED or back.followed_by.exists():
        raise NotScheduled(_("%(return)s did not come back, or is followed by a new return already.") % {"return": back})
    if case.rounds.filter(scheduled_at__isnull=True).exists():
        raise NotScheduled(_("A round is being scheduled in case %(case)s. Wait for it.") % {"case": case})
    if RoundClosing.objects.filter(round=back.round).exists():
        raise NotScheduled(
            _("Round %(number)s is closed. What came back is in the next round.") % {"number": back.round.number}
        )
    usable = back.claim_line.claim.destinations.filter(asset=back.asset, state="usable", usable_from__lte=at).first()
    if usable is None:
        raise NotScheduled(
            _("%(return)s came back, and the claim has no other usable destination for %(asset)s yet. Ask for one.")
            % {"return": back, "asset": back.asset}
        )
    position = back.claim_line.position
    free = position.given - back.claim_line.excess - position.scheduled - position.in_flight
    free -= position.settled + position.deposited
    amount = min(back.amount, free - free % back.asset.payable_step)
    if amount <= 0:
        raise NotScheduled(_("Nothing of %(return)s is left to schedule; a later round has it.") % {"return": back})
    with connection.cursor() as cursor:
        cursor.execute("SELECT return_reference(%s)", [_last_number(case) + 1])
        (reference,) = cursor.fetchone()
    made = AssetReturn.objects.create(
        case=case, round=back.round, reference=reference, claim_line=back.claim_line, asset=back.asset, amount=amount,
        destination=usable, rail=back.rail, after=back,
    )  # fmt: skip
    positions.move(
        case, "schedule", key=f"schedule:{reference}", rows=[(back.claim_line_id, amount)], subject=("return", reference),
        by=by, at=at,
    )  # fmt: skip
    log.append(
        case, "return.scheduled_again", subject=made, by=by, at=at,
        body={"reference": reference, "after": back.reference, "asset": back.asset.code, "amount": amount},
    )  # fmt: skip
    return made


@transaction.atomic
def cancel(asset_return: AssetReturn, *, reason: str, by: User, at: datetime) -> AssetReturn:
    """Take back what is scheduled or held and in no batch: the amount stays with the claim, for a later round."""
    appointments.require(asset_return.case, by, "returns.schedule", at=at)
    if not reason.strip():
        raise NotScheduled(_("Say why %(return)s is cancelled.") % {"return": asset_return})
    return _cancel(asset_return, reason=reason, by=by, at=at)


def _cancel(asset_return: AssetReturn, *, reason: str, by: User, at: datetime) -> AssetReturn:
    positions.lock([asset_return.claim_line_id])
    said_paid = unexplained.why_not(asset_return.case, [asset_return.claim_line_id])
    if said_paid:
        raise NotScheduled(said_paid)
    moved = AssetReturn.objects.filter(
        pk=asset_return.pk, state__in=[ReturnState.SCHEDULED, ReturnState.HELD]
    ).update(state=ReturnState.CANCELLED)
    if moved != 1:
        raise NotScheduled(
            _("%(return)s is %(state)s. Only what waits in no batch can be cancelled; void its batch first.")
            % {"return": asset_return, "state": asset_return.get_state_display().lower()}
        )
    asset_return.refresh_from_db()
    positions.move(
        asset_return.case, "unschedule", key=f"unschedule:{asset_return.reference}",
        rows=[(asset_return.claim_line_id, asset_return.amount)], subject=("return", asset_return.reference), by=by, at=at,
    )  # fmt: skip
    log.append(
        asset_return.case, "return.cancelled", subject=asset_return, by=by, at=at,
        body={"reference": asset_return.reference, "amount": asset_return.amount, "reason": reason},
    )  # fmt: skip
    return asset_return


def follow_decision(line: ClaimLine, *, by: User, at: datetime) -> None:
    """
    A decision lowered a line below what was given: what has not left the house stays there.

    Its scheduled and held returns are cancelled; a batch that holds one and of which nothing has left is voided. The
    next run takes the excess back. What the rail says that it paid counts as having left, though nobody has explained it
    yet: it stays where two people can correct it.
    """
    held_in = Batch.objects.filter(returns__claim_line=line, returns__state=ReturnState.BATCHED, attempts__isnull=True)
    for batch in held_in.filter(state__in=["draft", "frozen", "approved"]).distinct():
        reason = _("Claim %(claim)s was lowered.") % {"claim": line.claim.number}
        batches.give_up(batch, reason=reason, by=by, at=at)
    if unexplained.why_not(line.case, [line.pk]):
        return
    waiting = line.returns.filter(state__in=[ReturnState.SCHEDULED, ReturnState.HELD]).order_by("pk")
    for row in waiting.select_related("case"):
        _cancel(row, reason=_("The claim was lowered."), by=by, at=at)


def _last_number(case: Case) -> int:
    """References have one width, so the greatest text is the greatest number."""
    last: Any = AssetReturn.objects.filter(case=case).aggregate(last=Max("reference"))["last"]
    return int(last[1:-1]) if last else 0
