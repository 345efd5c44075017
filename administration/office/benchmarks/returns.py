"""
Returns: scheduled, batched, exported, sent and settled by the engine's own acts, all guards on.

The bound is CREATE TABLE AS of the same returns: the rows, without a key, a check or a rule. The rail is a stub that
accepts at once, so that what is timed is the engine. Steps in place (HOT) are read from the server.

Then the same by Celery workers, one and four, and beside it, by the same workers just before, the naive design: a task for
each payout, which takes the payout in one transaction and writes what came of it in another. It is let off lightly: it
schedules nothing, has nothing signed, reads no statement, keeps no books, and its rail answers at once too. At the end
stands how much the broker's memory grew while the engine worked.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from celery import current_app
from django.conf import settings
from django.db import ProgrammingError, connection, connections, transaction
from django.utils.translation import gettext as _

from administration.books import books
from administration.books.models import Asset
from administration.cases import appointments, approvals
from administration.cases.models import AppointmentKind, Case
from administration.distribution.models import Plan, Run
from administration.fields import db_now
from administration.ledger.models import Identity, Intake, SourceFile
from administration.office.benchmarks import NoScratch, Stopwatch, result, rounds, scratch
from administration.people import users
from administration.people.models import User
from administration.rails.interface import Accepted, Observation, ObservationKind
from administration.rails.rehearsal import Rehearsal
from administration.returns import batches, evidence, routes, sending, settlement, submissions
from administration.returns import rounds as scheduling
from administration.returns.models import AssetReturn, Batch, Submission
from administration.work import jobs
from administration.work.models import Job
from claims.register import positions
from claims.register.models import Claimant, Decision

LINES_A_CLAIM = 4
PAYOUTS = 500  # of the naive design, each round: it is slow
WARM = 20  # before them, uncounted: workers have opened their connections by then
BOUND = "CTAS"
HOT_MIN = 0.99
GROWTH_MAX = 0.05  # of the tables of batches and submissions while everything is sent
QUEUE = "bench-returns"  # nobody else's workers listen to it
PAY = "bench.pay"
CREWS = (1, 4)
QUEUE_MB_MAX = 4.0  # one message rings for a job of thousands, so a million returns take no more than a few

CLAIMS = """
INSERT INTO register_claim (case_id, number, kind, claimant_id, fraction_num, fraction_den, confirmed_how)
SELECT %(case)s, 'B-1-C' || lpad(n::text, 8, '0'), 'lodged', %(claimant)s, 1, 1, '' FROM generate_series(1, %(claims)s) n
"""
LINES = """
INSERT INTO register_claimline (case_id, claim_id, asset_id, claim_class, recorded, lodged, admitted, disputed, rejected,
    out_of_scope, converted_in, converted_out, excess, decision_id)
SELECT %(case)s, c.id, a.id, 'priority_segregated', 0, u, u, 0, 0, 0, 0, 0, 0, %(decision)s
FROM register_claim c JOIN books_asset a ON a.case_id = c.case_id
CROSS JOIN LATERAL (SELECT 1000000 * (1 + c.id %% 9973) AS u) w
WHERE c.case_id = %(case)s ORDER BY c.id, a.id
"""
POSITIONS = """
INSERT INTO register_position (claim_line_id, case_id, asset_id, given, scheduled, in_flight, settled, deposited)
SELECT id, case_id, asset_id, 0, 0, 0, 0, 0 FROM register_claimline WHERE case_id = %(case)s ORDER BY id
"""
DESTINATIONS = """
INSERT INTO destinations_destination (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state,
    proposed_at, revoke_reason, recorded_at, usable_from)
SELECT l.case_id, l.claim_id, l.asset_id, 1, 'bitcoin', d.details, destination_fingerprint('bitcoin', d.details), 'claimant',
    'usable', now(), '', now(), now()
FROM register_claimline l CROSS JOIN LATERAL (SELECT jsonb_build_object('to', l.id) AS details) d WHERE l.case_id = %(case)s
"""
RUN = """
INSERT INTO distribution_run (case_id, plan_id, number, kind, state, inputs_sha256, outputs_root, entitlement_count,
    computed_by_id, computed_at)
VALUES (%(case)s, %(plan)s, 1, 'interim', 'declared', sha256('in'), sha256('out'), 0, %(by)s, now())
"""
SHARE = "SELECT claim_line_id, 1000 * (1 + claim_line_id %% 97) FROM register_position WHERE case_id = %s ORDER BY claim_line_id"
IN_PLACE = """
SELECT sum(n_tup_upd), sum(n_tup_hot_upd), sum(pg_table_size(relid)) FROM pg_stat_user_tables
WHERE relname IN ('returns_batch', 'returns_submission')
"""


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        case = an_estate(rows)
        naive = NaiveDesign()
        hot: list[float] = []
        growth: list[float] = []
        queued: list[float] = []

        def one(watch: Stopwatch) -> None:
            in_place, grown = a_round(case, rows, watch, done)
            hot.append(in_place)
            growth.append(grown)
            carried = sum(watch.seconds[name][-1] for name in STEPS)
            watch.seconds.setdefault("scheduled to settled", []).append(carried)
            with connections["owner"].cursor() as owner:
                owner.execute("DROP TABLE IF EXISTS bench_rows")
                with watch.time(BOUND):
                    owner.execute(
                        "CREATE TABLE bench_rows AS SELECT * FROM returns_assetreturn WHERE round_id = "
                        "(SELECT max(id) FROM returns_round)"
                    )
            for many in CREWS:
                crew = Stopwatch()
                with workers(many):
                    naive.carry(WARM)
                    each = naive.carry(PAYOUTS) / PAYOUTS
                    watch.seconds.setdefault(naively(many), []).append(each * rows)  # as many as the engine carries
                    queue = Queue()
                    a_round(case, rows, crew, partial(by_workers, queue))
                queued.append(queue.mb)
                watch.seconds.setdefault(crew_of(many), []).append(sum(crew.seconds[name][-1] for name in STEPS))

        watch = rounds(repeat, one)
    found = [
        result(watch, "schedule", bound=BOUND, target=1.5, rows=rows),
        result(watch, "send", bound=BOUND, target=1.5, rows=rows),
        result(watch, "settle", bound=BOUND, target=30.0, rows=rows),
        result(watch, "scheduled to settled", bound=BOUND, target=60.0, rows=rows),
    ]
    in_place = min(hot)
    grown = max(growth)
    in_order = in_place >= HOT_MIN and grown <= GROWTH_MAX
    found[1] |= {"in_place": round(in_place, 4), "growth": round(grown, 4), "ok": found[1]["ok"] and in_order}
    # A hundred times the naive design's speed.
    found += [result(watch, crew_of(many), bound=naively(many), target=0.01, rows=rows) for many in CREWS]
    most = max(queued)
    found[-1] |= {"queue_mb": round(most, 2), "queue_mb_max": QUEUE_MB_MAX, "ok": found[-1]["ok"] and most <= QUEUE_MB_MAX}
    return found


STEPS = ("schedule", "batch", "export", "send", "receive", "settle")


def crew_of(many: int) -> str:
    return f"scheduled to settled, {many} worker{'s' if many > 1 else ''}"


def naively(many: int) -> str:
    return f"a task for each payout, {many} worker{'s' if many > 1 else ''}"


def a_round(case: Case, rows: int, watch: Stopwatch, carry: Callable[..., None]) -> tuple[float, float]:
    """
    One round through every step.

    Gives how many of the steps of batches and submissions were made in place, and by how much their tables grew.
    """
    goto = User.objects.get(username="goto")
    declare(case)
    latest = Run.objects.get(case=case)
    with watch.time("schedule"):
        carry(scheduling.schedule(case, latest, by=goto, at=db_now()))
    current = case.rounds.latest("number")
    made: list[Batch] = []
    with watch.time("batch"):
        while True:
            try:
                batch = batches.draft(case, current, "rehearsal", by=goto, at=db_now())
            except batches.NothingToBatch:
                break
            request = batches.freeze(batch, by=goto, at=db_now())
            for name in ("aoki", "baba"):
                approvals.sign(request, by=User.objects.get(username=name), at=db_now())
            batch.refresh_from_db()
            made.append(batch)
    with watch.time("export"):
        carry(*(submissions.export(batch, by=goto, at=db_now()) for batch in made))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(IN_PLACE)
        before = cursor.fetchone()
    with watch.time("send"):
        for batch in made:
            batch.refresh_from_db()
        carry(*(submissions.submit(batch, by=goto, at=db_now()) for batch in made))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_sleep(0.1)")
        cursor.execute(IN_PLACE)
        after = cursor.fetchone()
    pages = list(statement_of(made))
    with watch.time("receive"):
        for number, page in enumerate(pages):
            data = f"{current.pk}/{number}".encode()
            evidence.receive(
                case, "rehearsal", name=f"page {number}", data=data, by=None, at=db_now(), cursor=str(number), page=page
            )
    with watch.time("settle"):
        carry(settlement.settle(case, by=goto, at=db_now()))
    settled = AssetReturn.objects.filter(round=current, state="settled").count()
    if settled != rows:
        raise AssertionError(settled)  # a wrong answer has no speed
    stepped = int(after[0] - before[0])
    return float(after[1] - before[1]) / stepped if stepped else 1.0, float(after[2]) / float(before[2]) - 1


def statement_of(made: Sequence[Batch]) -> Any:
    """What the rail says of these batches: everything settled, in pages."""
    for batch in made:
        rows = (
            AssetReturn.objects.filter(batch=batch).order_by("part", "reference")
            .values_list("reference", "asset__code", "amount", "part")
        )  # fmt: skip
        at, page = datetime.now(UTC), []
        for reference, asset, amount, part in rows.iterator(chunk_size=routes.PAGE):
            page.append(
                Observation(
                    line_ref=f"{batch.reference}/{reference}", kind=ObservationKind.SETTLED, asset=asset, amount=amount, at=at,
                    reference=reference, part=f"{batch.reference}/{part}",
                )
            )  # fmt: skip
            if len(page) == routes.PAGE:
                yield page
                page = []
        if page:
            yield page


class NaiveDesign:
    """One task for each payout, one row and one transaction at a time; carried by whatever workers listen."""

    def __init__(self) -> None:
        with connections["owner"].cursor() as owner:
            owner.execute(
                """CREATE TABLE bench_payout (id bigserial PRIMARY KEY, reference text UNIQUE, amount numeric(78,0) NOT NULL,
                       state text NOT NULL DEFAULT 'scheduled');
                   CREATE TABLE bench_payout_event (id bigserial PRIMARY KEY, payout_id bigint REFERENCES bench_payout,
                       state text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
                   GRANT ALL ON bench_payout, bench_payout_event, bench_payout_id_seq, bench_payout_event_id_seq TO henkan_app"""
            )
        self.made = 0

    def carry(self, many: int) -> float:
        """Seconds from the first task published to the last payout settled."""
        first = self.made + 1
        self.made += many
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO bench_payout (id, reference, amount) SELECT n, 'P' || n, n * 7919 FROM generate_series(%s, %s) n",
                [first, self.made],
            )
            began = time.perf_counter()
            with current_app.connection_for_write() as broker, current_app.amqp.Producer(broker) as producer:
                for pk in range(first, self.made + 1):
                    current_app.send_task(PAY, args=[pk], producer=producer)
            left = many
            while left:
                time.sleep(0.02)
                cursor.execute("SELECT count(*) FROM bench_payout WHERE id >= %s AND state <> 'settled'", [first])
                (left,) = cursor.fetchone()
        return time.perf_counter() - began


def pay(pk: int) -> None:
    """What the naive design does in a worker for one payout."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT amount FROM bench_payout WHERE id = %s AND state = 'scheduled' FOR UPDATE", [pk])
        cursor.fetchone()
        cursor.execute("UPDATE bench_payout SET state = 'submitting' WHERE id = %s", [pk])
        cursor.execute("INSERT INTO bench_payout_event (payout_id, state) VALUES (%s, 'submitting')", [pk])
    with transaction.atomic(), connection.cursor() as cursor:  # the rail's call stands between the two
        cursor.execute("UPDATE bench_payout SET state = 'settled' WHERE id = %s", [pk])
        cursor.execute("INSERT INTO bench_payout_event (payout_id, state) VALUES (%s, 'settled')", [pk])


# --- the estate -----------------------------------------------------------------------------------


def an_estate(rows: int) -> Case:
    """A case with so many claim lines and a usable destination for each; what is free pays every round of the benchmark."""
    if not settings.REDIS_URL:
        raise NoScratch(_("The naive design needs a broker, and there is none. Set REDIS_URL, or use the embedded stack."))
    at = db_now()
    case = Case.objects.create(
        reference="B-1", name="Benchmark", regime="JP-PSA-2020", proceeding="bankruptcy", trigger="", cutoff_at=at,
        is_sample=True, salt=hashlib.sha256(b"salt").digest(), opened_at=at,
    )  # fmt: skip
    people = {}
    for name, kind in (
        ("aoki", AppointmentKind.OFFICE_HOLDER), ("baba", AppointmentKind.APPROVER), ("goto", AppointmentKind.CASE_OFFICER),
    ):  # fmt: skip
        people[name] = users.ensure(name)
        with transaction.atomic():
            appointments.record(
                case, user=people[name], kind=kind, authority="", instrument="", instrument_sha256=bytes(32), powers=None,
                from_at=at, to_at=None, joint=False, by=people.get("aoki") if name != "aoki" else None, at=at,
            )  # fmt: skip
    assets = [
        Asset.objects.create(case=case, code=f"A{n:02d}", scale=8, kind="coin", network="bitcoin") for n in range(LINES_A_CLAIM)
    ]
    plan = Plan.objects.create(
        case=case, version=1, name="All", body="all", sha256=hashlib.sha256(b"all").digest(), drafted_by=people["goto"],
        drafted_at=at,
    )
    params = {
        "case": case.pk, "claims": -(-rows // LINES_A_CLAIM), "claimant": a_claimant(case, people["goto"]).pk,
        "decision": Decision.objects.create(case=case, rule="benchmark", reason_code="scheduled", at=at).pk,
        "plan": plan.pk, "by": people["goto"].pk,
    }  # fmt: skip
    with connections["owner"].cursor() as owner:
        try:
            owner.execute("SET ROLE NONE")
            owner.execute("SET session_replication_role = replica")
        except ProgrammingError:
            raise NoScratch(_("This benchmark makes rows with triggers off, and this login may not. Use a superuser.")) from None
        for sql in (CLAIMS, RUN, LINES, POSITIONS, DESTINATIONS):
            owner.execute(sql, params)
        owner.execute("SET session_replication_role = origin")
        owner.execute("SET ROLE henkan_owner")
        owner.execute("VACUUM ANALYZE")
    lines = [(asset, rows * 10**9) for asset in assets]
    books.post(case, "opening", idem_key="opening", lines=lines, subject=case, by=people["aoki"], at=at)
    accept_at_once()
    return case


def accept_at_once() -> None:
    """In this process the rail takes whatever it is given, at once: what is timed is the engine."""
    Rehearsal.submit = lambda self, content, key: Accepted(key)  # type: ignore[method-assign]
    sending.HELPERS = 0


def a_claimant(case: Case, user: User) -> Claimant:
    """Whose claims they are does not matter here, but that they were identified does."""
    at, sha256 = db_now(), hashlib.sha256(b"file").digest()
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha256, directory="", cutoff_at=at, received_by=user, received_at=at
    )
    file = SourceFile.objects.create(
        case=case, intake=intake, name="customers.csv", sha256=sha256, bytes=1, received_at=at
    )
    identity = Identity.objects.create(case=case, customer_ref="K1", entity_type="individual", name="K1", file=file, row=2)
    return Claimant.objects.create(case=case, identity=identity)


def declare(case: Case) -> None:
    """What the next round pays: a share of every line."""
    with connection.cursor() as cursor:
        cursor.execute(SHARE, [case.pk])
        share = [(line, int(units)) for line, units in cursor.fetchall()]
    number = case.rounds.count()
    for start in range(0, len(share), positions.ROWS_MAX):
        positions.move(
            case, "declare", key=f"declare:{number}:{start}", rows=share[start : start + positions.ROWS_MAX], subject=case,
            by=None, at=db_now(),
        )  # fmt: skip


def done(*carried: Job) -> None:
    """Do the jobs here and now: no worker is waited for."""
    for job in carried:
        while jobs.advance(job.pk):
            pass
        jobs.wait(job)
    _nothing_in_doubt()


def by_workers(queue: "Queue", *carried: Job) -> None:
    """The jobs are done when the workers have done them."""
    for job in carried:
        jobs.wait(job, work_too=False, progress=queue.look)
    _nothing_in_doubt()


def _nothing_in_doubt() -> None:
    if Submission.objects.filter(state="unknown").exists():
        raise AssertionError("a stub of a rail left a part in doubt")


# --- workers --------------------------------------------------------------------------------------


@contextlib.contextmanager
def workers(many: int) -> Iterator[None]:
    """A Celery worker of so many processes on the scratch database, listening to a queue of its own."""
    there = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit((there.scheme, there.netloc, "/" + connection.settings_dict["NAME"], there.query, ""))
    before, current_app.conf.task_default_queue = current_app.conf.task_default_queue, QUEUE
    process = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "administration.office.benchmarks.returns_worker", "worker", "--concurrency",
            str(many), "--queues", QUEUE, "--without-gossip", "--without-mingle", "--loglevel", "ERROR", "--hostname", f"bench-{many}@%h",
        ],
        cwd=settings.PROJECT,
        env={**os.environ, "DATABASE_URL": url, "NO_BOOTSTRAP": "1", "HENKAN_SECRET_KEY": settings.SECRET_KEY},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not current_app.control.ping(timeout=1.0):
            if process.poll() is not None:
                raise NoScratch(_("The benchmark's workers ended before they began. Look at their messages above."))
        yield
    finally:
        current_app.conf.task_default_queue = before
        process.terminate()
        process.wait()


class Queue:
    """How much more memory the broker holds at the most than at first, looked at while somebody waits for a job."""

    def __init__(self) -> None:
        with current_app.connection_for_write() as broker:
            self._broker = broker.default_channel.client  # type: ignore[attr-defined]  # of the Redis transport
        self._before = self._used()
        self.mb = 0.0

    def look(self, _job: Job) -> None:
        self.mb = max(self.mb, (self._used() - self._before) / 2**20)

    def _used(self) -> int:
        return int(self._broker.info("memory")["used_memory"])
