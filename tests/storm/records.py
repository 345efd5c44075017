"""The judge on books, record, clocks, stops and pages: what our own rows say must follow from the rail's truth."""

import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection

from administration.audit import henkan_verify, pulls
from administration.fields import db_now
from administration.record import heads, verify
from administration.returns.models import Submission
from claims.register import tie_out
from tests.storm.estate import RAILS, holder
from tests.storm.office import Office
from tests.storm.plant import Plant
from tests.storm.truth import Truth
from tests.storm.verdict import DESK_OF, Verdict

# Whatever a rail answers, only a line of its statement settles.
SETTLED_WITHOUT_EVIDENCE = """
SELECT FROM returns_attempt t WHERE t.state IN ('settled', 'returned') AND NOT EXISTS (
    SELECT FROM returns_match m JOIN returns_evidenceline e ON e.id = m.line_id
    WHERE m.attempt_id = t.id AND e.kind = 'settled')
"""
STOPS_WITHIN = 2.0  # seconds from pressing stop to the last booking at the rail


# --- I1, I9: books, positions, states ------------------------------------------------------------


def of_the_books(verdict: Verdict, found: Truth, office: Office) -> None:
    """Σ of the postings, the positions of each claim line and the attempts, each against the rail's own file."""
    net = found.net()
    paid = dict.fromkeys(RAILS, 0)
    for (_claim, asset), units in net.items():
        paid[asset] += units
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM register_claim")
        (claims,) = cursor.fetchone()
        cursor.execute(
            """SELECT a.code, sum(CASE p.side WHEN 'D' THEN p.amount ELSE -p.amount END),
                      sum(CASE WHEN k.kind IN ('custody', 'receivable') THEN 0 WHEN p.side = 'C' THEN p.amount ELSE -p.amount END),
                      sum(CASE WHEN k.kind <> 'custody' THEN 0 WHEN p.side = 'D' THEN p.amount ELSE -p.amount END)
               FROM books_posting p JOIN books_account k ON k.id = p.account_id JOIN books_asset a ON a.id = k.asset_id
               GROUP BY a.code"""
        )
        for code, balance, set_aside, custody in cursor.fetchall():
            had = sum(holder(n)[code] for n in range(1, claims + 1))
            difference = had - paid[code] - int(custody)
            verdict.conservation[code] = str(difference)
            if difference:
                verdict.finds("I1", f"{had} {code} were there and {paid[code]} left by the rail's word; the books hold {custody}", at_the_end=True)
            if balance or int(set_aside) != int(custody):
                verdict.finds("I1", f"{code}: debits and credits differ by {balance}; {custody} there, {set_aside} set aside")
        cursor.execute(
            """SELECT b.account_id FROM books_balance b LEFT JOIN books_posting p ON p.account_id = b.account_id
               GROUP BY b.account_id, b.debits, b.credits
               HAVING b.debits <> coalesce(sum(p.amount) FILTER (WHERE p.side = 'D'), 0)
                   OR b.credits <> coalesce(sum(p.amount) FILTER (WHERE p.side = 'C'), 0)"""
        )
        for (account,) in cursor.fetchall():
            verdict.finds("I9", f"the balance of account {account} is not the sum of its postings")
        cursor.execute(
            """SELECT c.number, a.code, p.settled FROM register_position p
               JOIN register_claimline l ON l.id = p.claim_line_id JOIN register_claim c ON c.id = l.claim_id
               JOIN books_asset a ON a.id = p.asset_id"""
        )
        for claim, code, settled in cursor.fetchall():
            held = net.get((claim, code), 0)
            if int(settled) != held:
                verdict.finds("I1", f"{claim}/{code}: {settled} settled here, {held} held by the rail's word", at_the_end=True)
        cursor.execute(SETTLED_WITHOUT_EVIDENCE.replace("SELECT FROM", "SELECT t.asset_return_id FROM", 1))
        for (pk,) in cursor.fetchall():
            verdict.finds("I9", f"return {pk} is settled, and no line of the rail's statement says so")
        said: dict[tuple[str, str], list[str]] = defaultdict(list)
        for event in found.events:
            said[event.key, event.reference].append(event.kind)
        cursor.execute(
            """SELECT s.rail_key, r.reference, t.state FROM returns_attempt t
               JOIN returns_assetreturn r ON r.id = t.asset_return_id
               JOIN returns_submission s ON s.batch_id = t.batch_id AND s.part = t.part"""
        )
        for key, reference, state in cursor.fetchall():
            truth = said.get((key, reference), [])
            if state in ("pending", "unknown") or (not truth and state in ("dead", "refused")):
                continue  # whether somebody still has to say is asked elsewhere
            if not truth or state != truth[-1]:
                sentence = f"{reference} in {key} is {state} here; by the rail's word {' and '.join(truth) or 'nothing happened'}"
                verdict.finds("I9", sentence, at_the_end=state in truth)
    statements = tie_out.tie_out(office.world.case)
    for row in (*statements["assets"], *statements["claims"]):
        if row["difference"] != "0":
            verdict.finds("I1", f"{row['code']} is off by {row['difference']} in our own statements")


# --- I7: the record ------------------------------------------------------------------------------


def of_the_record(verdict: Verdict, office: Office) -> None:
    case = office.world.case
    heads.seal(case, at=db_now())
    verified = verify.verify(case)
    if not verified["ok"]:
        derived = str(verified["first_bad"]).split(":")[0] in ("books", "register", "returns")
        verdict.finds("I9" if derived else "I7", str(verified["first_bad"]))
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT subject_id, (body::jsonb ->> 'fence')::bigint FROM record_event
               WHERE kind IN ('submission.accepted', 'submission.unknown', 'submission.refused') ORDER BY number"""
        )
        outcomes = cursor.fetchall()
        cursor.execute(
            """SELECT p ->> 'key', (p ->> 'fence')::bigint FROM record_event e
               CROSS JOIN LATERAL jsonb_array_elements(e.body::jsonb -> 'parts') p WHERE e.kind = 'submission.lapsed'"""
        )
        outcomes += cursor.fetchall()
        cursor.execute("SELECT rail_key, fence FROM returns_submission")
        fences = dict(cursor.fetchall())
    told: dict[str, set[int]] = defaultdict(set)
    for key, fence in outcomes:
        if fence in told[key]:
            verdict.finds("I7", f"two outcomes were written for call {fence} of {key}: a fence was ignored")
        told[key].add(fence)
        if fence > fences.get(key, 0):
            verdict.finds("I7", f"an outcome of {key} was written under a fence that was never given")
    for key, fence in fences.items():
        missing = sorted(set(range(1, fence + 1)) - told[key])
        if missing:
            verdict.finds("I7", f"calls {missing} of {key} have no outcome in the record", at_the_end=True)


def of_an_export(verdict: Verdict, office: Office) -> None:
    """The same record and the same returns once more, from a pull alone, by the program that auditors have."""
    pull = pulls.make(office.world.case, format="jsonl", by=office.world.people.chiba, at=db_now())
    program = [sys.executable, "-I", str(Path(henkan_verify.__file__)), str(pulls.path_of(pull))]
    checked = subprocess.run(program, capture_output=True, text=True, check=False)
    if checked.returncode:
        verdict.finds("I7", f"the auditors' program says of the export: {checked.stdout.strip()} {checked.stderr.strip()[-300:]}")


# --- I10, stops, pages ---------------------------------------------------------------------------


def of_clocks(verdict: Verdict, began_at: datetime) -> None:
    """Whatever a worker's clock says, rows carry the database's time."""
    with connection.cursor() as cursor:
        for table, column in (
            ("record_event", "at"), ("record_event", "recorded_at"), ("returns_submission", "sent_at"),
            ("returns_evidence", "received_at"), ("returns_match", "applied_at"), ("work_job", "beat_at"),
        ):  # fmt: skip
            cursor.execute(
                f"SELECT count(*) FROM {table} WHERE {column} > clock_timestamp() + interval '1 minute'"
                f" OR {column} < %s AND {column} > %s",
                [began_at - timedelta(minutes=1), began_at - timedelta(days=7)],
            )
            (many,) = cursor.fetchone()
            if many:
                verdict.finds("I10", f"{many} rows of {table}.{column} lie outside the storm's time")


def of_stops(verdict: Verdict, found: Truth, office: Office, plant: Plant) -> None:
    """Once the page has said that it is stopped nothing is claimed any more, and soon nothing arrives at the rail."""
    windows = [
        (rail, datetime.fromisoformat(pressed), datetime.fromisoformat(lifted))
        for rail, pressed, lifted in office.stop_windows
    ]
    if not windows:
        return
    for key, rail, sent_at in Submission.objects.exclude(sent_at=None).values_list("rail_key", "batch__rail", "sent_at"):
        for stopped, first, last in windows:
            if stopped in ("", rail) and first < sent_at < last:
                verdict.finds("I5", f"{key} was sent while {stopped or 'everything'} was stopped")
    grace = timedelta(seconds=STOPS_WITHIN * plant.slow)
    for booking in found.bookings:
        for stopped, first, last in windows:
            if (not stopped or DESK_OF[stopped] == booking.desk) and first + grace < booking.at < last:
                verdict.finds("I5", f"{booking.key} arrived at the rail while {stopped or 'everything'} was stopped")


def of_pages(verdict: Verdict, office: Office) -> None:
    """What the office's own web process answered meanwhile, and whether its board says what the rows say now."""
    if office.visitors is None:
        return
    for what in office.visitors.troubles:
        verdict.finds("I9", what)
    shown = office.visitors.board_at_the_end()
    if shown is None:
        verdict.finds("I9", "the board could not be looked at")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM returns_assetreturn GROUP BY state")
        rows = dict(cursor.fetchall())
    if {stage: count for stage, count in shown.items() if count} != rows:
        verdict.finds("I9", f"the board shows {shown}, the rows say {rows}")
