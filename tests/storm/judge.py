"""
The judge: what the rail's own truth file says, against the approved manifests, the books and the record.

Each finding is one sentence under the invariant it breaks; no finding means that the invariant holds. It believes nothing
that a worker wrote about a payment: who was paid what is read from the simulator's file alone.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from administration.fields import db_now
from administration.record import heads, verify
from administration.returns import evidence, settlement, submissions
from administration.returns.models import AssetReturn, Batch, Submission
from claims.register import tie_out
from config.celery import app
from tests.storm.estate import RAILS
from tests.storm.office import Office
from tests.storm.plant import Plant

DESK_OF = {"rehearsal": "r1", "rehearsal-r2": "r2", "rehearsal-r3": "r3"}
INVARIANTS = {
    "I1": "every unit is accounted for, in our books and against the rail's",
    "I2": "no obligation is paid twice",
    "I3": "every obligation ends settled, or with an owner",
    "I4": "every payment is what was approved",
    "I5": "two people besides the preparer signed exactly what went out",
    "I6": "ours and the rail's agree both ways",
    "I7": "only listed steps, one outcome for each call, a record without gaps that verifies",
    "I8": "whatever is said or pressed again changes nothing",
    "I9": "states follow from the evidence",
    "I10": "no decision hangs on a worker's clock",
}
# The promises that the database keeps by an index; a storm may not need them, and must not be without.
BELTS = {
    "returns_attempt_holds_return_id_key": "at most one attempt holds a return",
    "conflict_key_is_in_one_live_batch": "a conflict key is in one live batch",
    "returns_submission_rail_key_key": "a key at the rail is used once",
    "evidence_line_counts_once": "a line of evidence counts once",
}


@dataclass
class Verdict:
    """What the judge found."""

    findings: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in INVARIANTS})
    paid_twice: int = 0
    lost: int = 0
    wrong: int = 0
    unowned_unknown: int = 0
    conservation: dict[str, str] = field(default_factory=dict)

    def finds(self, invariant: str, sentence: str) -> None:
        if len(self.findings[invariant]) < 20:
            self.findings[invariant].append(sentence)

    @property
    def ok(self) -> bool:
        return not any(self.findings.values())


@dataclass
class Paid:
    """One line of the truth file: what the rail did with one item."""

    desk: str
    key: str
    reference: str
    kind: str
    asset: str
    amount: int
    at: datetime
    destination: dict[str, str]


def judge(plant: Plant, office: Office, *, returns: int, began_at: datetime, moving: bool) -> Verdict:
    """`moving`: workers still live, so that everything can be said and pressed once more."""
    verdict = Verdict()
    bookings, events = read_truth(plant)
    of_obligations(verdict, events, returns)
    of_approvals(verdict, events, office)
    of_both_sides(verdict, bookings, events, plant)
    of_the_books(verdict, events, office)
    of_the_record(verdict, office)
    of_clocks(verdict, began_at)
    of_stops(verdict, events, office)
    if moving:
        of_replays(verdict, plant, office)
    return verdict


def read_truth(plant: Plant) -> tuple[list[tuple[str, str, str]], list[Paid]]:
    """(desk, key, body) of every booking, and everything that happened to every item, in order."""
    bookings, events = [], []
    where: dict[tuple[str, str], dict[str, str]] = {}
    for record in plant.truth():
        if "lines" not in record:
            continue
        desk = record.get("desk", "r1")
        if "key" in record:
            bookings.append((desk, record["key"], record["body"]))
            for line, (destination, _memo) in zip(record["lines"], record["to"], strict=True):
                where[line["key"], line["reference"]] = destination
        for line in record["lines"]:
            key, reference = line["key"], line["reference"]
            at, amount = datetime.fromisoformat(line["at"]), int(line["amount"])
            events.append(Paid(desk, key, reference, line["kind"], line["asset"], amount, at, where[key, reference]))
    return bookings, events


def obligation(paid: Paid) -> tuple[str, str]:
    """Whom the rail paid, by where the money went: (claim, asset)."""
    claim, asset, _version = paid.destination["to"].rsplit("/", 2)
    return claim, asset


# --- I2, I3: paid once ---------------------------------------------------------------------------


def of_obligations(verdict: Verdict, events: Iterable[Paid], returns: int) -> None:
    net: dict[tuple[str, str], int] = defaultdict(int)
    for paid in events:
        if paid.kind == "settled":
            net[obligation(paid)] += 1
            if net[obligation(paid)] > 1:
                verdict.paid_twice += 1
                verdict.finds("I2", f"{'/'.join(obligation(paid))} was paid {net[obligation(paid)]} times ({paid.key})")
        elif paid.kind == "returned":
            net[obligation(paid)] -= 1
    rows = AssetReturn.objects.filter(after=None).values_list("claim_line__claim__number", "asset__code", "pk", "state")
    followers = dict(AssetReturn.objects.exclude(after=None).values_list("after_id", "pk"))
    states = dict(AssetReturn.objects.values_list("pk", "state"))
    if len(rows) != returns:
        verdict.lost += abs(returns - len(rows))
        verdict.finds("I3", f"{returns} returns were owed and {len(rows)} scheduled")
    for claim, asset, pk, _state in rows:
        last = pk
        while last in followers:
            last = followers[last]
        paid_by_rail, ours = net.get((claim, asset), 0), states[last]
        if ours == "settled" and paid_by_rail < 1:
            verdict.lost += 1
            verdict.finds("I3", f"{claim}/{asset} is settled here, and the rail does not hold it paid")
        elif ours != "settled":
            verdict.lost += 1
            verdict.finds("I3", f"{claim}/{asset} ended {ours} with nobody to act")
    known = {(claim, asset) for claim, asset, _pk, _state in rows}
    for claim, asset in set(net) - known:
        verdict.wrong += 1
        verdict.finds("I4", f"{claim}/{asset} was paid and was owed nothing")
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
        verdict.finds("I3", f"{what} is still unknown or unsent and nobody comes back to it")


# --- I4, I5: as approved -------------------------------------------------------------------------


def of_approvals(verdict: Verdict, events: Iterable[Paid], office: Office) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT b.reference, b.rail, m.body, encode(b.manifest_sha256, 'hex'), b.prepared_by_id, b.id
               FROM returns_batch b JOIN returns_manifest m ON m.batch_id = b.id"""
        )
        manifests = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute("SELECT encode(fingerprint, 'hex'), details FROM destinations_destination")
        details = {mark: as_dict(found) for mark, found in cursor.fetchall()}
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
    for paid in events:
        if paid.kind == "returned":
            continue
        batch = paid.key.rpartition("/")[0]
        used.add(batch)
        item = items.get(batch, {}).get(paid.reference)
        if item is None:
            verdict.wrong += 1
            verdict.finds("I4", f"{paid.reference} was paid in {paid.key} and stands in no manifest of it")
        elif (item["asset"], int(item["amount"]), details.get(item["destination"])) != (
            paid.asset, paid.amount, paid.destination,
        ):  # fmt: skip
            verdict.wrong += 1
            verdict.finds("I4", f"{paid.reference}: {paid.amount} {paid.asset} went out, {item['amount']} was approved")
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


def of_both_sides(verdict: Verdict, bookings: list[tuple[str, str, str]], events: list[Paid], plant: Plant) -> None:
    ours = {
        key: (DESK_OF[rail], bytes(sha256).hex(), state)
        for key, rail, sha256, state in Submission.objects.values_list("rail_key", "batch__rail", "payload_sha256", "state")
    }
    booked = defaultdict(list)
    for desk, key, body in bookings:
        booked[key].append((desk, body))
    for key, found in booked.items():
        if key not in ours:
            verdict.finds("I6", f"the rail holds {key}, and we sent nothing of that name")
            continue
        for desk, body in found:
            if (desk, body) != ours[key][:2]:
                verdict.finds("I6", f"the rail holds other bytes under {key} than we stored")
    for key, (_desk, _sha256, state) in ours.items():
        if state in ("accepted", "final") and key not in booked:
            verdict.finds("I6", f"{key} is {state} here and unknown to the rail")
        if state == "dead" and key in booked:
            verdict.finds("I6", f"{key} is dead here and was paid")
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
    for paid in events:
        happened[paid.key, paid.reference, paid.kind] += 1
    for what, times in happened.items():
        if told.get(what, 0) != times:
            verdict.finds("I6", f"{what} happened {times} times at the rail; we hold {told.get(what, 0)} lines of it")
    for what in set(told) - set(happened):
        verdict.finds("I6", f"we hold a line of {what}, which never happened at the rail")


# --- I1, I7, I9: books and record ----------------------------------------------------------------


def of_the_books(verdict: Verdict, events: list[Paid], office: Office) -> None:
    case = office.world.case
    statements = tie_out.tie_out(case)
    for row in (*statements["assets"], *statements["claims"]):
        if row["difference"] != "0":
            verdict.finds("I1", f"{row['code']} is off by {row['difference']} in our own books")
    truth = dict.fromkeys(RAILS, 0)
    for paid in events:
        truth[paid.asset] += paid.amount if paid.kind == "settled" else -paid.amount if paid.kind == "returned" else 0
    for row in statements["assets"]:
        out = int(row["settled"]) + int(row["overpaid"]) - int(row["bounced"])
        difference = out - truth.get(row["code"], 0)
        verdict.conservation[row["code"]] = str(difference)
        if difference:
            verdict.finds("I1", f"our books say {out} {row['code']} left, the rail {truth.get(row['code'], 0)}")


def of_the_record(verdict: Verdict, office: Office) -> None:
    case = office.world.case
    heads.seal(case, at=db_now())
    verified = verify.verify(case)
    if not verified["ok"]:
        derived = str(verified["first_bad"]).split(":")[0] in ("books", "register", "returns")
        verdict.finds("I9" if derived else "I7", str(verified["first_bad"]))
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT kind, subject_id, body::jsonb ->> 'fence' FROM record_event
               WHERE kind IN ('submission.accepted', 'submission.unknown', 'submission.refused') ORDER BY number"""
        )
        outcomes = [(key, int(fence)) for _kind, key, fence in cursor.fetchall()]
        cursor.execute(
            """SELECT p ->> 'key', (p ->> 'fence')::bigint FROM record_event e
               CROSS JOIN LATERAL jsonb_array_elements(e.body::jsonb -> 'parts') p WHERE e.kind = 'submission.lapsed'"""
        )
        outcomes += [(key, int(fence)) for key, fence in cursor.fetchall()]
        cursor.execute("SELECT rail_key, fence FROM returns_submission")
        fences = dict(cursor.fetchall())
    seen = set()
    for outcome in outcomes:
        if outcome in seen:
            verdict.finds("I7", f"two outcomes were written for call {outcome[1]} of {outcome[0]}: a fence was ignored")
        seen.add(outcome)
        if outcome[1] > fences.get(outcome[0], 0):
            verdict.finds("I7", f"an outcome of {outcome[0]} was written under a fence that was never given")
    for key, fence in fences.items():
        missing = [number for number in range(1, fence + 1) if (key, number) not in seen]
        if missing:
            verdict.finds("I7", f"calls {missing} of {key} have no outcome in the record")


# --- I8, I10, stops ------------------------------------------------------------------------------


def of_clocks(verdict: Verdict, began_at: datetime) -> None:
    """Whatever a worker's clock says, rows carry the database's time."""
    with connection.cursor() as cursor:
        for table, column in (
            ("record_event", "at"), ("record_event", "recorded_at"), ("returns_submission", "sent_at"),
            ("returns_evidence", "received_at"), ("returns_match", "applied_at"), ("work_job", "beat_at"),
        ):  # fmt: skip
            cursor.execute(
                f"SELECT count(*) FROM {table} WHERE {column} > clock_timestamp() + interval '1 minute'"
                f" OR {column} < %s AND {column} > '2026-11-15'",
                [began_at - timedelta(minutes=1)],
            )
            (many,) = cursor.fetchone()
            if many:
                verdict.finds("I10", f"{many} rows of {table}.{column} lie outside the storm's time")


def of_stops(verdict: Verdict, events: Iterable[Paid], office: Office) -> None:
    """Once the page has said that it is stopped nothing is claimed any more, until somebody lifts it."""
    windows = [
        (rail, datetime.fromisoformat(pressed), datetime.fromisoformat(lifted))
        for rail, pressed, lifted in office.stop_windows
    ]
    for row in Submission.objects.exclude(sent_at=None).select_related("batch"):
        for rail, first, last in windows:
            if rail in ("", row.batch.rail) and row.sent_at and first < row.sent_at < last:
                verdict.finds("I5", f"{row.rail_key} was sent while {rail or 'everything'} was stopped")


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
        if "replayed" in what:
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
        }.items():  # fmt: skip
            cursor.execute(f"SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM (SELECT {columns} FROM {table}) r")
            (said[table],) = cursor.fetchone()
    return said


def as_dict(found: Any) -> dict[str, str]:
    return json.loads(found) if isinstance(found, str) else dict(found)
