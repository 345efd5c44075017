"""
The judge: what the rail's own truth file says, against the approved manifests, the books and the record.

Each finding is one sentence under the invariant it breaks; no finding means that the invariant holds. It believes nothing
that a worker wrote about a payment: who was paid what is read from the simulator's file alone.
"""

import hashlib
import json
import time
from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from psycopg import OperationalError

from administration.fields import db_now
from administration.returns import evidence, settlement, submissions
from administration.returns.models import AssetReturn, Batch, Round, Submission
from config.celery import app
from tests.storm import records, truth
from tests.storm.office import Office
from tests.storm.plant import Plant
from tests.storm.truth import Truth
from tests.storm.verdict import DESK_OF, Verdict

# The promises that the database keeps by an index; a storm may not need them, and must not be without.
BELTS = {
    "returns_attempt_holds_return_id_key": "at most one attempt holds a return",
    "conflict_key_is_in_one_live_batch": "a conflict key is in one live batch",
    "returns_submission_rail_key_key": "a key at the rail is used once",
    "evidence_line_counts_once": "a line of evidence counts once",
}


def judge(plant: Plant, office: Office, *, returns: int, began_at: datetime, moving: bool) -> Verdict:
    """
    `moving`: all is done and workers still live, so that everything can be said and pressed once more.

    With a seeded bug that does not end, only what is wrong already counts, not what is merely not done.
    """
    verdict = Verdict(moving=bool(plant.bug) and not moving)
    found = truth.read(plant)
    of_obligations(verdict, found, returns)
    of_approvals(verdict, found, office)
    of_both_sides(verdict, found)
    records.of_the_books(verdict, found, office)
    office.look("judged what was paid")
    records.of_the_record(verdict, office)
    records.of_clocks(verdict, began_at)
    records.of_stops(verdict, found, office, plant)
    office.look("judged the record")
    if moving:
        of_replays(verdict, plant, office)
        office.look("judged what was said again")
        records.of_pages(verdict, office)
        office.look("judged the pages")
        if not plant.bug:
            records.of_an_export(verdict, office)
            office.look("judged an export")
    return verdict


# What is worth stopping for, at a glance.
SMELLS = (
    "SELECT FROM returns_evidenceline WHERE problem <> ''",
    "SELECT FROM returns_conflictkey GROUP BY key HAVING count(DISTINCT batch_id) > 1",
    "SELECT FROM record_event WHERE kind IN ('submission.accepted', 'submission.unknown', 'submission.refused')"
    " GROUP BY subject_id, body::jsonb ->> 'fence' HAVING count(*) > 1",
    "SELECT FROM record_event e CROSS JOIN LATERAL jsonb_array_elements(e.body::jsonb -> 'parts') p JOIN record_event o"
    " ON o.subject_id = p ->> 'key' AND o.body::jsonb ->> 'fence' = p ->> 'fence' WHERE e.kind = 'submission.lapsed'"
    " AND o.kind IN ('submission.accepted', 'submission.unknown', 'submission.refused')",
    "SELECT FROM returns_round o WHERE o.scheduled_at IS NOT NULL AND 3 * (SELECT count(*) FROM register_claim)"
    " <> (SELECT count(*) FROM returns_assetreturn WHERE after_id IS NULL)",
    "SELECT FROM record_event WHERE kind = 'round.scheduled'"
    " AND (body::jsonb #>> '{cover,count}')::bigint <> 3 * (SELECT count(*) FROM register_claim)",
    records.SETTLED_WITHOUT_EVIDENCE,
)


def smells(plant: Plant, office: Office) -> bool:
    """A quick look while everything moves: whether it is worth while to stop and judge."""
    during = "".join(
        f" OR s.sent_at > '{first}' AND s.sent_at < '{last}' AND '{rail}' IN ('', b.rail)" for rail, first, last in office.stop_windows
    )
    stopped = f"SELECT FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id WHERE false{during}"
    try:
        if any(plant.sql(f"SELECT 1 WHERE EXISTS ({smell})") for smell in (*SMELLS, stopped)):
            return True
        there = {name for (name,) in plant.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique AND indisvalid")}
    except OperationalError:
        return False
    try:
        connection.close()  # it may be of a server that was crashed since
        owed = truth.owed()
    except DatabaseError:
        return False
    over = any(units > owed.get(claim, 0) for claim, units in truth.read(plant).net().items())
    return bool(over or office.wrongly_accepted or set(BELTS) - there)


# --- I2, I3: paid once ---------------------------------------------------------------------------


def of_obligations(verdict: Verdict, found: Truth, returns: int) -> None:
    times: dict[truth.Obligation, int] = defaultdict(int)
    for paid in found.events:
        if paid.kind == "settled":
            times[paid.to] += 1
            if times[paid.to] > 1:
                verdict.paid_twice += 1
                verdict.finds("I2", f"{'/'.join(paid.to)} was paid {times[paid.to]} times ({paid.key})")
        elif paid.kind == "returned":
            times[paid.to] -= 1
    owed, net = truth.owed(), found.net()
    for (claim, asset), units in owed.items():
        if net.get((claim, asset), 0) > units:
            verdict.wrong += 1
            verdict.finds("I4", f"{claim}/{asset} is owed {units} and holds {net[claim, asset]}")
        elif net.get((claim, asset), 0) < units:
            verdict.finds("I3", f"{claim}/{asset} is owed {units} and holds {net.get((claim, asset), 0)}", at_the_end=True)
    for claim, asset in set(net) - set(owed):
        verdict.wrong += 1
        verdict.finds("I4", f"{claim}/{asset} was paid and was owed nothing")
    rows = AssetReturn.objects.filter(after=None).values_list("claim_line__claim__number", "asset__code", "pk", "state")
    followers = dict(AssetReturn.objects.exclude(after=None).values_list("after_id", "pk"))
    states = dict(AssetReturn.objects.values_list("pk", "state"))
    if len(rows) != returns and Round.objects.exclude(scheduled_at=None).exists():
        verdict.lost += abs(returns - len(rows))
        verdict.finds("I3", f"{returns} returns were owed and {len(rows)} scheduled")
    for claim, asset, pk, _state in rows:
        last = pk
        while last in followers:
            last = followers[last]
        ours = states[last]
        if ours == "settled" and times.get((claim, asset), 0) < 1:
            verdict.lost += 1
            verdict.finds("I3", f"{claim}/{asset} is settled here, and the rail does not hold it paid", at_the_end=True)
        elif ours != "settled":
            verdict.lost += 1
            verdict.finds("I3", f"{claim}/{asset} ended {ours} with nobody to act", at_the_end=True)
    with connection.cursor() as cursor:
        # An unknown is owned while its machine comes back to it, or its line waits in a person's queue.
        cursor.execute(
            """SELECT s.rail_key FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
               WHERE s.state IN ('unknown', 'submitting', 'prepared')
               UNION ALL SELECT r.reference FROM returns_attempt t JOIN returns_assetreturn r ON r.id = t.asset_return_id
               WHERE t.state IN ('unknown', 'pending')"""
        )
        left = [row[0] for row in cursor.fetchall()]
    verdict.unowned_unknown = len(left)
    for what in left:
        verdict.finds("I3", f"{what} is still unknown or unsent and nobody comes back to it", at_the_end=True)


# --- I4, I5: as approved -------------------------------------------------------------------------


def of_approvals(verdict: Verdict, found: Truth, office: Office) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT b.reference, b.rail, m.body, encode(b.manifest_sha256, 'hex'), b.prepared_by_id, b.id
               FROM returns_batch b JOIN returns_manifest m ON m.batch_id = b.id"""
        )
        manifests = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute("SELECT encode(fingerprint, 'hex'), details FROM destinations_destination")
        details = {mark: as_dict(kept) for mark, kept in cursor.fetchall()}
        cursor.execute(
            """SELECT a.object_id, encode(a.content_sha256, 'hex'), a.state, array_agg(s.signer_id),
                      bool_and(s.content_sha256 = a.content_sha256)
               FROM cases_approvalrequest a JOIN cases_signature s ON s.request_id = a.id
               WHERE a.act = 'returns.batch' GROUP BY a.id"""
        )
        signed = {row[0]: row[1:] for row in cursor.fetchall()}
    items = {
        reference: {item["reference"]: item for item in json.loads(body)["items"]}
        for reference, (_rail, body, *_rest) in manifests.items()
    }
    used = set()
    for paid in found.settled:
        batch = paid.key.rpartition("/")[0]
        used.add(batch)
        item = items.get(batch, {}).get(paid.reference)
        if item is None:
            verdict.wrong += 1
            verdict.finds("I4", f"{paid.reference} was paid in {paid.key} and stands in no manifest of it")
        elif (item["asset"], int(item["amount"]), details.get(item["destination"]), (item["claim"], item["asset"]), "") != (
            paid.asset, paid.amount, paid.destination, paid.to, paid.memo,
        ):  # fmt: skip
            verdict.wrong += 1
            verdict.finds("I4", f"{paid.reference}: {paid.amount} {paid.asset} went out to {paid.destination}, {item['amount']} was approved for {item['claim']}")
        if batch in manifests and DESK_OF[manifests[batch][0]] != paid.desk:
            verdict.wrong += 1
            verdict.finds("I4", f"{paid.reference} left on another rail than approved")
    for batch in used & set(manifests):
        _rail, body, sha256, preparer, pk = manifests[batch]
        digest, state, signers, same = signed.get(pk, ("", "", [], False))
        if state != "granted" or not same or digest != sha256 or hashlib.sha256(body.encode()).hexdigest() != sha256:
            verdict.finds("I5", f"{batch} left without a signed hash of what it says")
        if len(set(signers)) < 2 or preparer in signers:
            verdict.finds("I5", f"{batch} was not signed by two others than its preparer")
    for what in office.wrongly_accepted:
        verdict.finds("I5", f"accepted: {what}")


# --- I6: both ways -------------------------------------------------------------------------------


def of_both_sides(verdict: Verdict, found: Truth) -> None:
    ours = {
        key: (DESK_OF[rail], bytes(sha256).hex(), state)
        for key, rail, sha256, state in Submission.objects.values_list("rail_key", "batch__rail", "payload_sha256", "state")
    }
    booked = {booking.key for booking in found.bookings}
    for booking in found.bookings:
        if booking.key not in ours:
            verdict.finds("I6", f"the rail holds {booking.key}, and we sent nothing of that name")
        elif (booking.desk, booking.body) != ours[booking.key][:2]:
            verdict.finds("I6", f"the rail holds other bytes under {booking.key} than we stored")
    for key, (_desk, _sha256, state) in ours.items():
        if state in ("accepted", "final") and key not in booked:
            verdict.finds("I6", f"{key} is {state} here and unknown to the rail")
        if state in ("dead", "refused") and key in booked:
            verdict.finds("I6", f"{key} is {state} here and was paid")
    with connection.cursor() as cursor:
        cursor.execute("SELECT part, reference, kind, count(*) FROM returns_evidenceline WHERE kind <> 'dead' GROUP BY 1, 2, 3")
        told = {row[:3]: row[3] for row in cursor.fetchall()}
        cursor.execute("SELECT reference, kind, problem FROM returns_evidenceline WHERE problem <> ''")
        for reference, kind, problem in cursor.fetchall():
            verdict.finds("I6", f"the rail's word on {reference} ({kind}) waits for a person: {problem}")
        cursor.execute(
            """SELECT key FROM returns_conflictkey GROUP BY key HAVING count(DISTINCT batch_id) > 1"""
        )
        for (key,) in cursor.fetchall():
            verdict.finds("I2", f"conflict key {key} was used by two batches")
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique AND indisvalid")
        there = {row[0] for row in cursor.fetchall()}
    for name, promise in BELTS.items():
        if name not in there:
            verdict.finds("I2", f"the database does not keep it any more: {promise}")
    happened: dict[tuple[str, str, str], int] = defaultdict(int)
    for paid in found.events:
        happened[paid.key, paid.reference, paid.kind] += 1
    for what, times in happened.items():
        lines = told.get(what, 0)
        if lines != times:
            sentence = f"{what} happened {times} times at the rail; we hold {lines} lines of it"
            verdict.finds("I6", sentence, at_the_end=lines < times)
    for what in set(told) - set(happened):
        verdict.finds("I6", f"we hold a line of {what}, which never happened at the rail")


# --- I8: said and pressed again ------------------------------------------------------------------


def of_replays(verdict: Verdict, plant: Plant, office: Office) -> None:
    """At the end everything is said and pressed once more: nothing moves, here or at the rail."""
    before = digest(plant)
    office.read_the_paper_statement()
    by, case = office.world.goto, office.world.case
    for rail in ("rehearsal", "rehearsal-r2"):
        office.wait(office.press(lambda rail=rail: evidence.observe(case, rail, by=by, at=db_now())))
        for page in office.press(lambda rail=rail: list(case.evidence.filter(rail=rail)[:3])) or []:
            office.press(lambda page=page, rail=rail: evidence.take_page(case, rail, "0"))
    for batch in Batch.objects.filter(case=case).order_by("pk")[:20]:
        office.press(lambda batch=batch: submissions.export(batch, by=by, at=db_now(), submit=True))
        office.press(lambda batch=batch: submissions.submit(batch, by=by, at=db_now()))
    for _n in range(5):
        office.replay_an_approval()
    if office.visitors:
        office.visitors.press_again()
    broker = plant.broker()
    with app.connection_for_write() as told:
        for pk in Submission.objects.values_list("batch_id", flat=True).distinct()[:30]:
            app.send_task("returns.send", args=[pk], connection=told)
            app.send_task("returns.send", args=[pk], connection=told)
    until = time.monotonic() + 5
    while broker.llen("work") and time.monotonic() < until:
        time.sleep(0.1)
    office.wait(office.press(lambda: settlement.settle(case, by=by, at=db_now())))
    for what in office.wrongly_accepted:
        if "again" in what or "replayed" in what:
            verdict.finds("I8", f"accepted: {what}")
    after = digest(plant)
    for name in before:
        if before[name] != after[name]:
            verdict.finds("I8", f"{name} changed when everything was said and pressed once more")


def digest(plant: Plant) -> dict[str, Any]:
    """What must not change any more. Events may be added: a look leaves its trace."""
    said: dict[str, Any] = {"the rail's truth": sum(len(r["lines"]) for r in plant.truth() if "lines" in r)}
    with connection.cursor() as cursor:
        for table, columns in {
            "returns_assetreturn": "id, state, batch_id, tries", "returns_attempt": "id, state", "returns_match": "id",
            "register_position": "claim_line_id, given, scheduled, in_flight, settled, deposited",
            "returns_submission": "id, state, fence", "returns_batch": "id, state", "books_balance": "account_id, debits, credits",
            "cases_approvalrequest": "id, state", "cases_signature": "id", "cases_stop": "id, lifted_at",
        }.items():  # fmt: skip
            cursor.execute(f"SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM (SELECT {columns} FROM {table}) r")
            (said[table],) = cursor.fetchone()
    return said


def as_dict(found: Any) -> dict[str, str]:
    return json.loads(found) if isinstance(found, str) else dict(found)
