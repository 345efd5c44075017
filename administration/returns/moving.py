"""
A book that moves: the accounts of customers, or of some of them, go to another exchange, by a contract and an order.

Announced with its terms and the last day for a customer's word; each customer consents or opts out; after that day the
words are counted, and whoever moves gets a destination in the other exchange's book, which cools off as any does. The
rounds, batches, signatures and evidence that follow are those of every return, on rail `transferee`. The persons' file
of a batch is made for the handover, and every making of it is in the record.

    NotMoved   the move, or the word, cannot be like that
"""

import json
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.cases import appointments, archive, orders
from administration.cases.models import Case, CourtOrder
from administration.errors import Refused
from administration.people.models import User
from administration.rails.transferee import NETWORK, Transferee, book, identities
from administration.record import covers, log
from administration.returns.models import Batch, BatchState, BookMove, MoveChoice, SubmissionState, Terms
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job
from claims.register.models import Claim

PERMITS = "returns.move_book"
JOB = "returns.move_book"
COVER = "moves.destinations"
CHUNK = 2_000  # claims


class NotMoved(Refused):
    """The book is where it was."""


@transaction.atomic
def announce(
    case: Case, *, transferee: str, terms: str, choose_by: date, assets: Collection[str], order: CourtOrder, contract: bytes,
    by: User, at: datetime,
) -> BookMove:  # fmt: skip
    """Announce that the book moves: to whom, by which contract and order, on which terms, and until when customers choose."""
    appointments.require(case, by, "returns.schedule", at=at)
    case = Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    if order.case_id != case.pk or PERMITS not in order.permits:
        raise NotMoved(_("A book moves by an order that permits “%(permits)s” only. Name it.") % {"permits": PERMITS})
    orders.require(order, at)
    known = set(Asset.objects.filter(case=case).values_list("code", flat=True))
    if not transferee.strip() or terms not in Terms.values or not contract or not assets or not set(assets) <= known:
        raise NotMoved(_("Say to which exchange, by which contract, on which terms, and which assets of the case move."))
    if choose_by < timezone.localdate(at):
        raise NotMoved(_("The last day for customers to choose, %(day)s, is past.") % {"day": choose_by})
    number = (case.book_moves.aggregate(last=Max("number"))["last"] or 0) + 1
    made = BookMove.objects.create(
        case=case, number=number, transferee=transferee.strip(), terms=terms, choose_by=choose_by, assets=sorted(set(assets)),
        order=order, contract_sha256=archive.keep(contract), by=by, at=at,
    )  # fmt: skip
    log.append(
        case, "move.announced", subject=made, by=by, at=at,
        body={
            "number": number, "transferee": made.transferee, "terms": terms, "choose_by": choose_by.isoformat(),
            "assets": made.assets, "order": order.number, "contract_sha256": bytes(made.contract_sha256).hex(),
        },
    )  # fmt: skip
    return made


@transaction.atomic
def choose(move: BookMove, claim: Claim, *, moves: bool, paper: bytes, by: User, at: datetime) -> MoveChoice:
    """Write down a customer's word with its paper. The newest word that came by the last day counts."""
    case = move.case
    appointments.require(case, by, "claims.schedule", at=at)
    move = BookMove.objects.select_for_update(no_key=True, of=("self",)).get(pk=move.pk)
    if claim.case_id != case.pk or not paper:
        raise NotMoved(_("A customer's word needs its paper, and a claim of this case."))
    if move.closed_at is not None or timezone.localdate(at) > move.choose_by:
        raise NotMoved(_("The last day to choose was %(day)s.") % {"day": move.choose_by})
    made = MoveChoice.objects.create(
        move=move, claim=claim, moves=moves, evidence_sha256=archive.keep(paper), by=by, at=at
    )
    log.append(
        case, "move.chosen", subject=move, by=by, at=at,
        body={
            "number": move.number, "claim": claim.number, "moves": "yes" if moves else "no",
            "evidence_sha256": bytes(made.evidence_sha256).hex(),
        },
    )  # fmt: skip
    return made


# --- counting the words -----------------------------------------------------------------------------------

# Whoever moves: the newest word counts, and silence as the terms say.
MOVERS = """
SELECT c.id, c.number, coalesce(w.moves, %(silence)s) AS moves, w.moves IS NOT NULL AS said
FROM register_claim c
LEFT JOIN LATERAL (
    SELECT h.moves FROM returns_movechoice h WHERE h.move_id = %(move)s AND h.claim_id = c.id ORDER BY h.id DESC LIMIT 1
) w ON true
WHERE c.case_id = %(case)s
"""
COUNTED = f"""
SELECT count(*) FILTER (WHERE m.moves), count(*) FILTER (WHERE m.moves AND m.said), count(*) FILTER (WHERE NOT m.moves),
    count(*) FILTER (WHERE NOT m.moves AND m.said)
FROM ({MOVERS}) m
WHERE EXISTS (SELECT FROM register_claimline l JOIN books_asset a ON a.id = l.asset_id
              WHERE l.claim_id = m.id AND a.code = ANY (%(assets)s))
"""  # noqa: S608 - of our own texts only

PROPOSE = f"""
WITH claims AS MATERIALIZED (
    SELECT m.id, m.number, m.moves FROM ({MOVERS}) m WHERE m.id > %(after)s ORDER BY m.id LIMIT %(chunk)s
), made AS (
    INSERT INTO destinations_destination
        (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, order_id, proposed_at, revoke_reason)
    SELECT DISTINCT %(case)s, c.id, l.asset_id, coalesce(v.last, 0) + 1, %(network)s, d.details,
        destination_fingerprint(%(network)s, d.details), 'court_order', 'proposed', %(order)s, %(at)s, ''
    FROM claims c
    JOIN register_claimline l ON l.claim_id = c.id
    JOIN books_asset a ON a.id = l.asset_id AND a.code = ANY (%(assets)s)
    CROSS JOIN LATERAL (SELECT jsonb_build_object('network', %(network)s::text, 'address', c.number, 'memo', '') AS details) d
    LEFT JOIN LATERAL (
        SELECT max(e.version) AS last FROM destinations_destination e WHERE e.claim_id = c.id AND e.asset_id = l.asset_id
    ) v ON true
    WHERE c.moves
    RETURNING 1
)
SELECT coalesce(max(id), 0), count(*), (SELECT count(*) FROM made) FROM claims
"""  # noqa: S608 - of our own texts only

COOL = """
UPDATE destinations_destination SET state = 'cooling', proved_at = %(at)s,
    usable_from = clock_timestamp() + make_interval(hours => %(hours)s)
WHERE case_id = %(case)s AND order_id = %(order)s AND network = %(network)s AND origin = 'court_order' AND state = 'proposed'
  AND proposed_at = %(at)s AND claim_id > %(after)s AND claim_id <= %(last)s
"""

DESTINATIONS = """
SELECT c.number AS claim, a.code AS asset_code, d.version::text, encode(d.fingerprint, 'hex') AS fingerprint
FROM destinations_destination d
JOIN register_claim c ON c.id = d.claim_id JOIN books_asset a ON a.id = d.asset_id
WHERE d.order_id = %(order)s::bigint AND d.network = 'transferee' AND d.proved_at = %(at)s::timestamptz
ORDER BY c.number COLLATE "C", a.code COLLATE "C"
"""


def counted(move: BookMove) -> dict[str, int]:
    """Who moves and who does not, as far as words came: with the silent, as the terms say."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, _params(move))
        moving, said_so, staying, opted_out = cursor.fetchone()
    return {"moving": moving, "said_so": said_so, "staying": staying, "opted_out": opted_out}


@transaction.atomic
def close(move: BookMove, *, by: User, at: datetime) -> Job:
    """Count the words once the last day is over, and give whoever moves a destination in the other exchange's book."""
    case = move.case
    appointments.require(case, by, "returns.schedule", at=at)
    move = BookMove.objects.select_for_update(no_key=True, of=("self",)).select_related("order").get(pk=move.pk)
    if move.closed_at is not None:
        raise NotMoved(_("The words were counted already. Schedule a round: it goes where the customers said."))
    if timezone.localdate(at) <= move.choose_by:
        raise NotMoved(_("Customers choose until %(day)s. Count their words after that day.") % {"day": move.choose_by})
    orders.require(move.order, at)
    total = sum(counted(move)[name] for name in ("moving", "staying"))
    return jobs.start(case, JOB, move.pk, total=total, params={"by": by.pk, "at": at.isoformat()})


def step(job: Job) -> Progress:
    """The next claims: their destinations in one transaction with the cursor."""
    move = BookMove.objects.select_related("case", "order").get(pk=job.subject_id)
    case, by, at = move.case, User.objects.get(pk=job.params["by"]), datetime.fromisoformat(job.params["at"])
    params = {
        **_params(move), "after": int(job.cursor or "0"), "chunk": CHUNK, "order": move.order_id, "at": at, "network": NETWORK,
        "hours": case.cooling_off_hours,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(PROPOSE, params)
        last, looked_at, _made = cursor.fetchone()
        if looked_at:
            cursor.execute(COOL, {**params, "last": last})
    done = job.done + looked_at
    if looked_at == CHUNK:
        return Progress(str(last), done, "giving destinations")

    BookMove.objects.filter(pk=move.pk, closed_at__isnull=True).update(closed_at=at)
    cover = covers.cover(COVER, order=move.order_id, at=at.isoformat())
    log.append(
        case, "move.closed", subject=move, by=by, at=at, covers=cover,
        body={"number": move.number, "cooling_off_hours": case.cooling_off_hours, **counted(move)},
    )  # fmt: skip
    return Progress(
        str(last or job.cursor or "0"), done, "destinations given", finished=True, result={"count": cover.count, **counted(move)}
    )


def _params(move: BookMove) -> dict[str, Any]:
    return {
        "case": move.case_id, "move": move.pk, "silence": move.terms == Terms.OPT_OUT, "assets": list(move.assets)
    }


# --- the persons' file ----------------------------------------------------------------------------------------

PEOPLE = """
SELECT DISTINCT c.number, i.entity_type, i.name, i.kana, i.romaji, coalesce(i.birth_or_founding_date::text, ''), i.nationality,
    i.residence_country, i.postcode, i.address, i.phone, i.email, i.corporate_number, i.kyc_status, i.language
FROM returns_attempt t
JOIN returns_assetreturn r ON r.id = t.asset_return_id
JOIN register_claimline l ON l.id = r.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN register_claimant w ON w.id = c.claimant_id
JOIN ledger_identity i ON i.id = w.identity_id
WHERE t.batch_id = %s AND t.part = %s
ORDER BY c.number
"""


@transaction.atomic
def hand_over_identities(batch: Batch, part: int, *, reason: str, by: User, at: datetime) -> tuple[str, bytes]:
    """
    Who the customers of one book are: the file that goes with it, in the hands of whoever hands it over.

    Only once the book itself has been carried out; every time with its reason, in the record.
    """
    case = batch.case
    appointments.require(case, by, "returns.export", at=at)
    carried = (
        batch.submissions.filter(part=part)
        .exclude(state__in=[SubmissionState.PREPARED, SubmissionState.DEAD, SubmissionState.REFUSED])
        .order_by("-version").first()
    )  # fmt: skip
    if batch.rail != Transferee.code or batch.state not in (BatchState.EXPORTED, BatchState.SETTLING) or carried is None:
        raise NotMoved(
            _("There is no book of %(batch)s on its way to another exchange. Persons are handed over with a book only.")
            % {"batch": batch}
        )
    if not reason.strip():
        raise NotMoved(_("Say to whom the persons' file is handed over, and how."))
    key, digest, _items = book.read(bytes(carried.payload))
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, [batch.pk, part])
        people = [dict(zip(identities.FIELDS, row, strict=True)) for row in cursor.fetchall()]
    content = identities.write(key, digest, people)
    said = json.loads(content)
    log.append(
        case, "move.identities_handed_over", subject=batch, by=by, at=at,
        body={
            "reference": batch.reference, "part": part, "people": len(people), "reason": reason,
            "content_sha256": said["content_sha256"],
        },
    )  # fmt: skip
    return f"{key.replace('/', '-')}-identities.json", content
