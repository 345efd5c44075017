"""
Faults of our own making, one at a time, so that the judge is judged: each must be caught.

Most are laid over functions of a worker; some are done to the database, some to the people's own process. The product
knows nothing of them. What catches each, in a storm of 200 returns and 10 kills:

    no unique attempt     I2: the index is missed in the database
    no quiet period       I2: paid twice by the rail's own file; I4: more held than owed
    retry on unknown      I2: paid twice by the rail's own file; I4: more held than owed
    other amount          I4: more left than is owed and approved; I6: the rail's lines are of another amount
    early cursor          I3: fewer returns scheduled than are owed; I7: the event of it covers fewer
    no fence              I7: two outcomes of one call in the record
    stale digest          I5: a signature was taken under the hash of another batch
    ignored return        I6: the rail's word that money came back waits for a person
    reused conflict key   I2: two batches under one key; the index is missed in the database
    float                 I4: wei that no float can hold are off
    settled by answer     I9: settled, and no line of a statement says so
    ignored stop          I5: sent, or arrived at the rail, while it was stopped
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction

_in_a_worker: dict[str, Callable[[], None]] = {}
_in_the_database: dict[str, Callable[[Any], None]] = {}
_in_the_office: dict[str, Callable[[], None]] = {}

NAMES = {
    "no unique attempt": "the unique column that lets one attempt hold a return is dropped",
    "no quiet period": "a rail that can be asked is asked at once, and believed",
    "retry on unknown": "what went out on a rail that cannot be asked is simply sent again",
    "other amount": "an amount is changed after it was approved",
    "early cursor": "a job's cursor is committed before its chunk",
    "no fence": "an outcome is written whoever's turn it is",
    "stale digest": "a signature counts whatever its signer was shown",
    "ignored return": "money that comes back is not looked at",
    "reused conflict key": "two batches may share a conflict key",
    "float": "amounts pass through a float",
    "settled by answer": "the rail's yes counts as settled, whatever its statement says later",
    "ignored stop": "sending goes on while it is stopped",
}


def in_a_worker(name: str) -> None:
    _in_a_worker.get(name, lambda: None)()


def in_the_database(name: str, cursor: Any) -> None:
    _in_the_database.get(name, lambda cursor: None)(cursor)


def in_the_office(name: str) -> None:
    _in_the_office.get(name, lambda: None)()


def worker(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    return lambda function: _in_a_worker.setdefault(name, function)


def database(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    return lambda function: _in_the_database.setdefault(name, function)


def people(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    return lambda function: _in_the_office.setdefault(name, function)


@database("no unique attempt")
def drop_the_unique_column(cursor: Any) -> None:
    cursor.execute("ALTER TABLE returns_attempt DROP CONSTRAINT returns_attempt_holds_return_id_key")


@worker("no quiet period")
def believe_at_once() -> None:
    from administration.returns import routes, sending

    sending._pause = lambda fence, rail: 0  # type: ignore[assignment]
    routes._quiet = lambda: timedelta(seconds=-1)  # type: ignore[assignment]


@worker("retry on unknown")
def send_again() -> None:
    from administration.fields import db_now
    from administration.rails.interface import RailClass
    from administration.rails.rehearsal import RehearsalR3
    from administration.returns import sending

    RehearsalR3.rail_class = RailClass.R1
    sending._may_send_again = lambda batch, rail: db_now()  # type: ignore[assignment]
    # At once, before the rail's statement can say better.
    pause = sending._pause
    sending._pause = lambda fence, rail: 0 if isinstance(rail, RehearsalR3) else pause(fence, rail)  # type: ignore[assignment]


@worker("other amount")
def one_unit_more() -> None:
    from administration.rails.interface import Item
    from administration.returns import submissions

    def item(reference: str, asset: str, amount: int, *rest: Any) -> Item:
        return Item(reference, asset, amount + (1 if reference.endswith("7") else 0), *rest)

    submissions.Item = item  # type: ignore[misc,assignment]


@worker("early cursor")
def cursor_first() -> None:
    """The step is tried to learn where it ends, its cursor committed, and only then is the step done."""
    from administration.returns import rounds
    from administration.work import jobs

    rounds.CHUNK = 5
    inner = jobs._chunk

    class Undone(Exception):
        pass

    def early(job: Any) -> None:
        step, atomic = jobs._steps[job.kind]
        if not atomic or job.kind != rounds.JOB:
            inner(job)
            return
        progress: Any = None
        try:
            with transaction.atomic():
                progress = step(job)
                raise Undone
        except Undone:
            pass
        before = job.cursor
        jobs._advance_to(job, progress)
        job.cursor = before
        with transaction.atomic():
            step(job)
        job.cursor = progress.cursor

    jobs._chunk = early


@database("no fence")
def record_without_fence(cursor: Any) -> None:
    cursor.execute(
        """CREATE OR REPLACE FUNCTION submission_record(p_id bigint, p_fence bigint, p_to text, p_answer jsonb,
               p_pause integer DEFAULT 0)
           RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
           BEGIN
               UPDATE returns_submission SET state = p_to, answer = p_answer,
                   lease_until = CASE WHEN p_to = 'unknown' THEN clock_timestamp() + make_interval(secs => p_pause) END
               WHERE id = p_id;
           END $$"""
    )
    cursor.execute("INSERT INTO returns_transition SELECT 'submission', f, t, 0 FROM unnest(ARRAY['final', 'accepted', 'refused'])"
                   " f CROSS JOIN unnest(ARRAY['accepted', 'unknown', 'refused']) t WHERE f <> t ON CONFLICT DO NOTHING")  # fmt: skip


@people("stale digest")
def whatever_was_shown() -> None:
    from administration.cases import approvals

    inner = approvals.sign

    def sign(request: Any, *, by: Any, at: Any, content_sha256: Any = None) -> Any:
        return inner(request, by=by, at=at)

    approvals.sign = sign


@worker("ignored return")
def look_away() -> None:
    from administration.returns import matching

    matching.COME_BACK = "SELECT WHERE %(lines)s::bigint[] IS NULL"


@database("reused conflict key")
def share_keys(cursor: Any) -> None:
    cursor.execute("DROP INDEX conflict_key_is_in_one_live_batch")


@worker("reused conflict key")
def one_key_for_all() -> None:
    from dataclasses import replace

    from administration.rails.rehearsal import Rehearsal

    inner = Rehearsal.prepare

    def prepare(self: Any, key: str, items: Any, **more: Any) -> Any:
        return replace(inner(self, key, items, **more), conflict_keys=(f"{self.code}:the same",))

    Rehearsal.prepare = prepare  # type: ignore[method-assign]


@worker("float")
def by_float() -> None:
    from administration.rails.interface import Item
    from administration.returns import submissions

    def item(reference: str, asset: str, amount: int, *rest: Any) -> Item:
        return Item(reference, asset, int(float(amount)), *rest)

    submissions.Item = item  # type: ignore[misc,assignment]


@database("settled by answer")
def no_evidence_needed(cursor: Any) -> None:
    cursor.execute("DROP TRIGGER attempt_moves_by_evidence ON returns_attempt")


@worker("settled by answer")
def settle_on_yes() -> None:
    """What was accepted is booked as settled at once; the statement's later word finds nothing open."""
    from administration.fields import db_now
    from administration.rails.interface import Accepted, AlreadyKnown
    from administration.returns import sending
    from administration.returns.models import AssetReturn, Attempt
    from claims.register import positions

    inner = sending.record

    def record(batch: Any, claim: Any, outcome: Any, rail: Any) -> None:
        inner(batch, claim, outcome, rail)
        if not isinstance(outcome, Accepted | AlreadyKnown):
            return
        with transaction.atomic():
            rows = list(
                Attempt.objects.filter(batch=batch, part=claim.part, state="pending").values_list(
                    "pk", "asset_return_id", "asset_return__claim_line_id", "asset_return__amount"
                )
            )
            Attempt.objects.filter(pk__in=[row[0] for row in rows]).update(state="settled")
            AssetReturn.objects.filter(pk__in=[row[1] for row in rows]).update(state="settled")
            if rows:
                positions.move(
                    batch.case, "settle", key=f"yes:{claim.rail_key}", rows=sorted((row[2], int(row[3])) for row in rows),
                    subject=("submission", claim.rail_key), by=None, at=db_now(),
                )  # fmt: skip

    sending.record = record


@database("ignored stop")
def no_stop_in_the_database(cursor: Any) -> None:
    cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'submission_keeps_its_bytes'")
    (source,) = cursor.fetchone()
    first, last = source.index("IF EXISTS (SELECT FROM cases_stop"), source.index("IF NOT engine_is_at_home()")
    cursor.execute(
        "CREATE OR REPLACE FUNCTION submission_keeps_its_bytes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, public, pg_temp AS $body$" + source[:first] + source[last:] + "$body$"
    )


@worker("ignored stop")
def go_on() -> None:
    from administration.cases import stops
    from administration.returns import sending

    stops.check = lambda case, rail=None: None  # type: ignore[assignment]
    sending.may_go = lambda claim: True  # type: ignore[assignment]
