"""What the database itself refuses of the return engine, whoever asks: the application's role, querysets, the owner."""

import hashlib
import threading

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.models import F

from administration.books.models import Asset
from administration.fields import db_now
from administration.returns import batches
from administration.returns.models import (
    AssetReturn,
    Attempt,
    AttemptState,
    Batch,
    BatchState,
    ConflictKey,
    Evidence,
    EvidenceLine,
    Manifest,
    Match,
    ReturnState,
    Round,
    Submission,
    Transition,
)
from tests.cast import sha
from tests.returns.world import build

REFUSED = (IntegrityError, InternalError, ProgrammingError)

# Design §7, word for word.
LISTED = {
    "return": {
        "scheduled": {"batched", "held", "cancelled", "settled"},
        "held": {"scheduled", "cancelled"},
        "batched": {"settled", "scheduled", "held"},
        "settled": {"returned", "batched"},
    },
    "batch": {
        "draft": {"frozen", "voided"},
        "frozen": {"approved", "voided"},
        "approved": {"exported", "voided"},
        "exported": {"settling"},
        "settling": {"closed"},
    },
    "submission": {
        "prepared": {"exported", "submitting", "dead"},
        "exported": {"signed", "submitting", "accepted", "unknown", "refused", "dead"},
        "signed": {"submitting", "dead"},
        "submitting": {"accepted", "unknown", "refused"},
        "unknown": {"submitting", "accepted", "refused", "dead"},
        "accepted": {"final", "unknown", "dead"},
        "final": {"unknown"},
        "dead": {"accepted"},
    },
    "attempt": {
        "pending": {"settled", "refused", "dead", "unknown"},
        "unknown": {"settled", "refused", "dead", "pending"},
        "settled": {"returned", "pending"},
        "refused": {"settled"},
        "dead": {"settled"},
    },
}
TWO_PEOPLE = {
    ("return", "settled", "batched"), ("return", "scheduled", "settled"), ("submission", "final", "unknown"),
    ("submission", "dead", "accepted"), ("attempt", "settled", "pending"), ("attempt", "refused", "settled"),
    ("attempt", "dead", "settled"),
}  # fmt: skip


@pytest.fixture
def app(as_role):
    """Raw SQL as henkan_app; the statement must be refused, naming the rule."""

    def app(rule, sql, *params):
        with pytest.raises(REFUSED, match=rule), as_role("henkan_app") as cursor:
            cursor.execute(sql, params)

    return app


@pytest.fixture
def owner(as_owner):
    def owner(rule, sql, *params):
        with pytest.raises(REFUSED, match=rule), as_owner() as cursor:
            cursor.execute(sql, params)

    return owner


def test_the_steps_are_those_of_the_design(db):
    rows = Transition.objects.values_list("machine", "from_state", "to_state", "people")
    found: dict[str, dict[str, set[str]]] = {}
    for machine, before, after, _people in rows:
        found.setdefault(machine, {}).setdefault(before, set()).add(after)
    assert found == LISTED
    assert {(m, f, t) for m, f, t, people in rows if people} == TWO_PEOPLE
    assert {people for *_step, people in rows} == {0, 2}


@pytest.mark.parametrize("table", ["returns_transition", "returns_assetreturn", "returns_batch", "returns_manifest",
                                   "returns_submission", "returns_attempt", "returns_conflictkey", "returns_evidence",
                                   "returns_evidenceline", "returns_match", "returns_overpayment", "returns_courtdeposit",
                                   "returns_round", "returns_correction", "returns_explanation"])  # fmt: skip
def test_nothing_of_the_engine_is_ever_deleted(world, app, owner, table):
    app("append only|permission denied", f"DELETE FROM {table}")
    owner("append only", f"DELETE FROM {table}")
    app("append only|permission denied", f"TRUNCATE {table} CASCADE")


def test_the_list_of_steps_is_not_extended(world, app):
    app("permission denied", "INSERT INTO returns_transition VALUES ('attempt', 'unknown', 'refunded', 0)")
    app("permission denied", "UPDATE returns_transition SET people = 0")


# --- returns ----------------------------------------------------------------------------------------


def test_a_return_takes_listed_steps_only(world, app, owner):
    world.scheduled()
    for state in ("settled", "returned", "nonsense"):
        app("step_|batched_return_", "UPDATE returns_assetreturn SET state = %s", state)
        owner("step_|batched_return_", "UPDATE returns_assetreturn SET state = %s", state)
    with pytest.raises(IntegrityError, match="step_is_listed"), transaction.atomic():
        AssetReturn.objects.update(state=ReturnState.RETURNED)
    assert set(AssetReturn.objects.values_list("state", flat=True)) == {"scheduled"}


def test_a_return_begins_as_scheduled(world, app):
    world.scheduled()
    app(
        "row_begins_at_the_beginning",
        """INSERT INTO returns_assetreturn (case_id, round_id, reference, claim_line_id, asset_id, amount, rail, state, tries,
               held_by_gate, after_id)
           SELECT case_id, round_id, 'R9', claim_line_id, asset_id, amount, rail, 'held', 0, '', id
           FROM returns_assetreturn LIMIT 1""",
    )


def test_a_round_owes_a_line_one_return(world, app):
    world.scheduled()
    app(
        "round_owes_a_line_one_return",
        """INSERT INTO returns_assetreturn (case_id, round_id, reference, claim_line_id, asset_id, amount, rail, state, tries,
               held_by_gate)
           SELECT case_id, round_id, 'R9', claim_line_id, asset_id, amount, rail, 'scheduled', 0, ''
           FROM returns_assetreturn LIMIT 1""",
    )


@pytest.mark.parametrize("column", ["claim_line_id", "round_id", "asset_id", "case_id"])
def test_a_return_is_of_rows_that_are_there_and_belong_together(world, app, column):
    world.scheduled()
    columns = ["case_id", "round_id", "claim_line_id", "asset_id"]
    values = ", ".join("0" if name == column else name for name in columns)
    app(
        "return_is_of_its_line|round_owes",
        f"""INSERT INTO returns_assetreturn ({", ".join(columns)}, reference, amount, rail, state, tries, held_by_gate, after_id)
            SELECT {values}, 'R9', amount, rail, 'scheduled', 0, '', NULL FROM returns_assetreturn LIMIT 1""",
    )


@pytest.mark.parametrize("destination", ["0", "(SELECT max(id) FROM destinations_destination)"])
def test_a_return_goes_where_its_own_claim_says(world, app, owner, destination):
    """A destination that is not there, and another claim's."""
    first = world.scheduled()
    sql = f"UPDATE returns_assetreturn SET destination_id = {destination} WHERE id = (SELECT min(id) FROM returns_assetreturn)"
    app("return_goes_where_its_claim_says", sql)
    owner("return_goes_where_its_claim_says", sql)
    second = Round.objects.create(
        case=world.case, number=2, run=world.run, record_at=db_now(), value_date=first.value_date, by=world.goto
    )
    app(
        "return_is_of_its_line",
        f"""INSERT INTO returns_assetreturn (case_id, round_id, reference, claim_line_id, asset_id, amount, destination_id, rail,
                state, tries, held_by_gate)
            SELECT case_id, %s, 'R9', claim_line_id, asset_id, amount, {destination}, rail, 'scheduled', 0, ''
            FROM returns_assetreturn ORDER BY id LIMIT 1""",
        second.pk,
    )


@pytest.mark.parametrize("change", ["amount = amount + 1", "claim_line_id = 0", "asset_id = asset_id + 1",
                                    "reference = 'x' || reference", "round_id = 0"])  # fmt: skip
def test_what_a_return_owes_never_changes(world, app, owner, change):
    world.scheduled()
    app("permission denied", f"UPDATE returns_assetreturn SET {change}")
    owner("return_never_changes_what_it_owes", f"UPDATE returns_assetreturn SET {change} WHERE id = (SELECT min(id) FROM returns_assetreturn)")  # fmt: skip


def test_a_batched_return_keeps_its_destination(world, app):
    world.frozen()
    other = "(SELECT max(id) FROM destinations_destination)"
    app(
        "return_keeps_its_destination_once_batched",
        f"UPDATE returns_assetreturn SET destination_id = {other} WHERE id = (SELECT min(id) FROM returns_assetreturn)",
    )
    with pytest.raises(IntegrityError, match="keeps_its_destination"), transaction.atomic():
        AssetReturn.objects.filter(asset__code="JPY").update(destination=AssetReturn.objects.first().destination)


def test_a_return_joins_no_batch_that_is_not_there(world, app, owner):
    world.scheduled()
    for whoever in (app, owner):
        whoever("return_joins_a_draft_batch", "UPDATE returns_assetreturn SET state = 'batched', batch_id = 0, part = 1")


def test_returns_join_and_leave_a_frozen_batch_no_more(world, app):
    batch = world.frozen(limit=5)
    app(
        "return_joins_a_draft_batch",
        "UPDATE returns_assetreturn SET state = 'batched', batch_id = %s, part = 1 WHERE state = 'scheduled'", batch.pk,
    )  # fmt: skip
    app(
        "return_agrees_with_its_attempt_and_batch",
        "UPDATE returns_assetreturn SET state = 'scheduled', batch_id = NULL, part = NULL WHERE state = 'batched'",
    )


def test_a_return_settles_with_its_attempt_only(world, app):
    world.exported()
    app("return_agrees_with_its_attempt", "UPDATE returns_assetreturn SET state = 'settled'")
    app(
        "return_agrees_with_its_attempt",
        "UPDATE returns_assetreturn SET state = 'scheduled', batch_id = NULL, part = NULL",
    )


# --- batches ------------------------------------------------------------------------------------------


def test_a_batch_begins_as_a_draft(world, app):
    current = world.scheduled()
    app(
        "row_begins_at_the_beginning",
        """INSERT INTO returns_batch (case_id, reference, rail, rail_version, round_id, state, items, totals, parts,
               prepared_by_id, drafted_at, manifest_sha256, lane, canary)
           VALUES (%s, 'x', 'rehearsal', '1', %s, 'approved', 1, '{}', 1, %s, now(), %s, '', false)""",
        world.case.pk, current.pk, world.goto.pk, sha("m"),
    )  # fmt: skip


@pytest.mark.parametrize("change", ["items = 1", "totals = '{}'", "manifest_sha256 = sha256('x')", "parts = 9",
                                    "frozen_at = now()", "rail_version = '2'"])  # fmt: skip
def test_a_frozen_batch_never_changes(world, app, change):
    world.frozen()
    app("batch_never_changes_once_frozen", f"UPDATE returns_batch SET {change}")


def test_whose_a_batch_is_never_changes_even_as_a_draft(world, app, owner):
    world.drafted()
    app("permission denied", "UPDATE returns_batch SET prepared_by_id = %s", world.people.aoki.pk)
    owner("batch_never_changes_whose_it_is", "UPDATE returns_batch SET prepared_by_id = %s", world.people.aoki.pk)


def test_a_batch_is_approved_by_its_signatures_only(world, app):
    world.frozen()
    app("batch_is_approved_by_its_signatures_only", "UPDATE returns_batch SET state = 'approved'")
    with pytest.raises(IntegrityError, match="signatures_only"), transaction.atomic():
        Batch.objects.update(state=BatchState.APPROVED)


def test_a_batch_skips_no_step(world, app):
    world.approved()
    for state in ("settling", "closed", "draft", "frozen"):
        app("step_is_listed|once_frozen|batch_", "UPDATE returns_batch SET state = %s", state)
    app("batch_is_exported_whole", "UPDATE returns_batch SET state = 'exported'")


def test_a_batch_is_not_exported_once_its_approval_is_suspended(world, app, as_superuser):
    batch = world.approved()
    with as_superuser() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'suspended' WHERE object_id = %s", [batch.pk])
    app("batch_is_exported_while_its_approval_stands", "UPDATE returns_batch SET state = 'exported'")
    app("attempt_is_made_while_its_approval_stands", ATTEMPT, batch.pk)


def test_an_exported_batch_is_not_voided(world, app):
    world.exported()
    app("step_is_listed|batch_is_voided", "UPDATE returns_batch SET state = 'voided'")


def test_a_manifest_is_hashed_by_its_own_bytes(world, app):
    batch = world.drafted()
    app("manifest_is_hashed", "INSERT INTO returns_manifest VALUES (%s, '{}', %s)", batch.pk, sha("other"))
    batches.freeze(batch, by=world.goto, at=db_now())
    app("permission denied", "UPDATE returns_manifest SET body = body || ' '")
    assert Manifest.objects.get().sha256 == hashlib.sha256(Manifest.objects.get().body.encode()).digest()


# --- attempts -------------------------------------------------------------------------------------------

ATTEMPT = """
INSERT INTO returns_attempt (asset_return_id, batch_id, part, state, holds_return_id, reason_code)
SELECT id, batch_id, part, 'pending', id, '' FROM returns_assetreturn WHERE batch_id = %s ORDER BY id LIMIT 1
"""


def test_one_return_is_held_by_one_attempt(world, app):
    batch = world.exported()
    app("holds_return_id|batch_tries_a_return_once|carries_what_was_approved", ATTEMPT, batch.pk)


def test_an_attempt_begins_pending_and_holds_its_return(world, app):
    batch = world.approved()
    app("row_begins_at_the_beginning", ATTEMPT.replace("'pending'", "'settled'"), batch.pk)
    app("attempt_holds_its_return_exactly", ATTEMPT.replace("'pending', id", "'pending', NULL"), batch.pk)
    app("attempt_holds_its_return_exactly", ATTEMPT.replace("'pending', id", "'pending', id + 1"), batch.pk)


def test_an_attempt_carries_what_was_approved(world, app):
    batch = world.frozen()
    app("attempt_carries_what_was_approved", ATTEMPT, batch.pk)
    world.approve(batch)
    app("attempt_carries_what_was_approved", ATTEMPT.replace("part, 'pending'", "part + 1, 'pending'"), batch.pk)


def test_an_attempt_that_lets_go_lets_go_of_its_return(world, app):
    world.exported()
    app("attempt_holds_its_return_exactly", "UPDATE returns_attempt SET state = 'refused'")
    app("attempt_holds_its_return_exactly", "UPDATE returns_attempt SET holds_return_id = NULL")


@pytest.mark.parametrize("state", ["settled", "refused", "dead"])
def test_an_attempt_moves_by_evidence_only(world, app, state):
    world.exported()
    app(
        "attempt_moves_by_evidence",
        "UPDATE returns_attempt SET state = %s, holds_return_id = CASE WHEN %s = 'settled' THEN asset_return_id END", state, state,
    )  # fmt: skip


def test_an_attempt_takes_listed_steps_only(world, app):
    world.exported()
    app("step_is_listed|by_evidence", "UPDATE returns_attempt SET state = 'returned', holds_return_id = NULL")
    with pytest.raises(IntegrityError, match=r"step_is_listed|by_evidence"), transaction.atomic():
        Attempt.objects.update(state=AttemptState.RETURNED, holds_return_id=None)
    with pytest.raises(DatabaseError), transaction.atomic():
        Attempt.objects.bulk_update([Attempt(pk=row.pk, part=9) for row in Attempt.objects.all()], ["part"])


# --- submissions ----------------------------------------------------------------------------------------


def test_the_bytes_of_a_submission_never_change(world, app, owner):
    world.exported()
    app("permission denied", "UPDATE returns_submission SET payload = 'x', payload_sha256 = sha256('x')")
    owner("submission_keeps_its_bytes", "UPDATE returns_submission SET payload = 'x', payload_sha256 = sha256('x')")
    owner("submission_keeps_its_bytes", "UPDATE returns_submission SET rail_key = 'other'")


def test_a_submission_moves_through_its_functions_only(world, app, owner):
    world.exported()
    app("permission denied", "UPDATE returns_submission SET state = 'accepted'")
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Submission.objects.update(state="accepted")
    owner("step_is_listed", "UPDATE returns_submission SET state = 'accepted'")
    app("submission_step: submitting", "SELECT submission_step(ARRAY[1], 'submitting', 'accepted')")


def test_a_stale_fence_writes_nothing(world, as_role, as_owner):
    batch = world.exported()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, fence FROM submission_claim(%s, 20, NULL)", [batch.pk])
        pk, fence = cursor.fetchone()
    for other in (fence - 1, fence + 1):
        with pytest.raises(OperationalError, match="stale fence"), as_role("henkan_app") as cursor:
            cursor.execute("SELECT submission_record(%s, %s, 'accepted', '{}')", [pk, other])
    with pytest.raises(OperationalError, match="stale fence"), as_owner() as cursor:
        cursor.execute("UPDATE returns_submission SET fence = fence - 1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT submission_record(%s, %s, 'accepted', '{}')", [pk, fence])
    with pytest.raises(OperationalError, match="stale fence"), as_role("henkan_app") as cursor:
        cursor.execute("SELECT submission_record(%s, %s, 'refused', '{}')", [pk, fence])
    assert Submission.objects.get().state == "accepted"


def test_a_part_is_claimed_once(world):
    batch = world.exported()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM submission_claim(%s, 20, NULL)", [batch.pk])
        assert cursor.fetchone()
        cursor.execute("SELECT id FROM submission_claim(%s, 20, clock_timestamp())", [batch.pk])
        assert cursor.fetchone() is None


def test_nothing_is_claimed_while_stopped_or_unapproved(world, app, as_superuser):
    batch = world.exported()
    with as_superuser() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'suspended' WHERE object_id = %s", [batch.pk])
    app("submission_is_sent_while_its_approval_stands", "SELECT submission_claim(%s, 20, NULL)", batch.pk)
    with as_superuser() as cursor:
        cursor.execute("UPDATE cases_approvalrequest SET state = 'granted' WHERE object_id = %s", [batch.pk])
        cursor.execute("INSERT INTO cases_stop (case_id, rail, reason, at) VALUES (%s, '', 'x', now())", [world.case.pk])
    app("submission_is_not_sent_while_sending_is_stopped", "SELECT submission_claim(%s, 20, NULL)", batch.pk)


def test_what_left_the_house_is_dead_by_evidence_only(world, app):
    batch = world.exported()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, fence FROM submission_claim(%s, 20, NULL)", [batch.pk])
        pk, fence = cursor.fetchone()
        cursor.execute("SELECT submission_record(%s, %s, 'unknown', '{}')", [pk, fence])
    app("submission_is_dead_by_evidence_only", "SELECT submission_step(ARRAY[%s]::bigint[], 'unknown', 'dead')", pk)
    app("submission_is_final_when|step_is_listed", "SELECT submission_step(ARRAY[%s]::bigint[], 'unknown', 'final')", pk)


def test_a_conflict_key_is_in_one_live_batch(world, app):
    first = world.exported(limit=5)
    second = world.exported()
    key = ConflictKey.objects.get(batch=first).key
    app(
        "conflict_key_is_in_one_live_batch",
        "INSERT INTO returns_conflictkey (key, batch_id, part) VALUES (%s, %s, 1)", key, second.pk,
    )  # fmt: skip
    app("conflict_key_is_released_with_its_batch", "UPDATE returns_conflictkey SET released_at = now()")
    app("permission denied", "UPDATE returns_conflictkey SET batch_id = %s", second.pk)


# --- evidence and matches -------------------------------------------------------------------------------


@pytest.fixture
def line(world):
    """A line that says the first return settled."""
    world.exported()
    row = world.returns()[0]
    received = Evidence.objects.create(
        case=world.case, rail="rehearsal", name="s", sha256=sha("s"), bytes=1, lines_count=1, received_at=db_now()
    )
    return EvidenceLine.objects.create(
        evidence=received, case=world.case, line=1, fingerprint=sha("l"), reference=row.reference, kind="settled",
        asset_code=row.asset.code, amount=row.amount, at=db_now(),
    )  # fmt: skip


MATCH = "INSERT INTO returns_match (line_id, attempt_id, amount) SELECT %s, id, %s FROM returns_attempt WHERE asset_return_id = %s"


def test_matches_are_at_most_their_line(world, line, app):
    first, second = Attempt.objects.filter(asset_return__asset__code=line.asset_code).order_by("pk")[:2]
    app("matches_fit_in_their_line|match_is_of", MATCH, line.pk, line.amount + 1, first.asset_return_id)
    Match.objects.create(line=line, attempt=first, amount=line.amount)
    app("matches_fit_in_their_line", MATCH, line.pk, 1, second.asset_return_id)
    app("line_matches_an_attempt_once|matches_fit", MATCH, line.pk, 1, first.asset_return_id)


def test_a_match_is_of_a_line_and_an_attempt_that_are_there(world, line, app):
    app("match_is_of_one_case_and_asset", "INSERT INTO returns_match (line_id, attempt_id, amount) VALUES (%s, 0, 1)", line.pk)
    attempt = Attempt.objects.all()[0]
    app("match_is_of_one_case_and_asset", "INSERT INTO returns_match (line_id, attempt_id, amount) VALUES (0, %s, 1)", attempt.pk)


def test_a_match_is_of_one_asset(world, line, app):
    other = AssetReturn.objects.exclude(asset__code=line.asset_code)[0]
    app("match_is_of_one_case_and_asset", MATCH, line.pk, 1, other.pk)


def test_a_match_is_applied_once_and_never_edited(world, line, app, owner):
    attempt = Attempt.objects.filter(asset_return__asset__code=line.asset_code).order_by("pk")[0]
    match = Match.objects.create(line=line, attempt=attempt, amount=line.amount)
    app("permission denied", "UPDATE returns_match SET amount = 1")
    owner("match_is_applied_once", "UPDATE returns_match SET amount = 1")
    Match.objects.filter(pk=match.pk).update(applied_at=db_now())
    app("match_is_applied_once", "UPDATE returns_match SET applied_at = now()")
    app("match_is_applied_once", "UPDATE returns_match SET applied_at = NULL")


def test_evidence_is_as_it_was_received(world, line, app, owner):
    app("permission denied|append only", "UPDATE returns_evidence SET name = 'x'")
    app("permission denied", "UPDATE returns_evidenceline SET amount = 1")
    owner("evidence_line_is_as_received", "UPDATE returns_evidenceline SET amount = 1")
    app(
        "evidence_line_counts_once",
        """INSERT INTO returns_evidenceline (evidence_id, case_id, line, fingerprint, reference, part, kind, asset_code, amount,
               at, reason, problem)
           SELECT evidence_id, case_id, 2, fingerprint, reference, part, kind, asset_code, amount, at, reason, problem
           FROM returns_evidenceline""",
    )


def test_a_round_never_changes(world, app, owner):
    world.scheduled()
    app("permission denied", "UPDATE returns_round SET number = 9")
    owner("round_is_fixed", "UPDATE returns_round SET rails = '{}'")
    with pytest.raises(DatabaseError, match="round_is_fixed"), transaction.atomic():
        Round.objects.update(scheduled_at=db_now())


# --- steps of two people --------------------------------------------------------------------------------


def test_a_step_of_two_people_needs_their_signed_correction(world, app, owner, as_superuser):
    world.exported()
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_attempt SET state = 'settled'")
    app("step_needs_two_people", "UPDATE returns_attempt SET state = 'pending'")
    owner("step_needs_two_people", "UPDATE returns_attempt SET state = 'pending'")


def test_a_signed_correction_carries_its_step_once(world, as_superuser):
    from administration.returns.models import Correction

    world.exported()
    attempt = Attempt.objects.order_by("pk")[0]
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_attempt SET state = 'settled'")
        cursor.execute(
            """INSERT INTO returns_correction (case_id, machine, object_id, from_state, to_state, finding, reason,
                   evidence_sha256, by_id, at)
               VALUES (%s, 'attempt', %s, 'settled', 'pending', '', 'recalled', %s, %s, now()) RETURNING id""",
            [world.case.pk, attempt.pk, sha("paper"), world.goto.pk],
        )
        (correction,) = cursor.fetchone()
        cursor.execute(
            """INSERT INTO cases_approvalrequest (case_id, act, object_id, content_sha256, prepared_by_id, signers,
                   office_holder, state, requested_at, reason)
               SELECT case_id, 'returns.correct', id, correction_sha256(c), by_id, 2, true, 'granted', now(), ''
               FROM returns_correction c WHERE id = %s""",
            [correction],
        )
    with pytest.raises(IntegrityError, match="step_needs_two_people"), transaction.atomic():
        Attempt.objects.update(state=AttemptState.PENDING)  # one is signed, not all
    Attempt.objects.filter(pk=attempt.pk).update(state=AttemptState.PENDING)
    assert Correction.objects.get().applied_at is not None
    with as_superuser() as cursor:
        cursor.execute("UPDATE returns_attempt SET state = 'settled'")
    with pytest.raises(IntegrityError, match="step_needs_two_people"), transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk).update(state=AttemptState.PENDING)


# --- races ----------------------------------------------------------------------------------------------


@pytest.fixture
def open_world(committed, as_superuser):
    return build(as_superuser, claims_count=2)


def race(count, act):
    """The same act in as many threads, let go at once; what each came to."""
    start, outcomes = threading.Barrier(count), []

    def run():
        start.wait()
        try:
            act()
            outcomes.append("done")
        except DatabaseError as refused:
            outcomes.append(type(refused).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_eight_attempts_at_one_return_at_once_one_wins(open_world):
    batch = open_world.approved()

    def attempt():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ATTEMPT, [batch.pk])

    assert sorted(race(8, attempt)) == ["IntegrityError"] * 7 + ["done"]
    assert Attempt.objects.count() == 1


def test_of_eight_workers_that_claim_a_part_at_once_one_has_it(open_world):
    batch = open_world.exported()
    claimed = []

    def claim():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT id FROM submission_claim(%s, 20, NULL)", [batch.pk])
            claimed.extend(cursor.fetchall())

    race(8, claim)
    assert len(claimed) == 1
    assert Submission.objects.get().fence == 1


def test_two_matches_that_only_together_exceed_their_line_do_not_both_fit(open_world):
    open_world.exported()
    first, second = Attempt.objects.filter(asset_return__asset__code="JPY").order_by("pk")
    received = Evidence.objects.create(
        case=open_world.case, rail="rehearsal", name="s", sha256=sha("s"), bytes=1, lines_count=1, received_at=db_now()
    )
    line = EvidenceLine.objects.create(
        evidence=received, case=open_world.case, line=1, fingerprint=sha("l"), reference="", kind="settled", asset_code="JPY",
        amount=1000, at=db_now(),
    )  # fmt: skip
    attempts = [first.pk, second.pk]

    def match():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO returns_match (line_id, attempt_id, amount) VALUES (%s, %s, 600)", [line.pk, attempts.pop()]
            )

    assert sorted(race(2, match)) == ["IntegrityError", "done"]
    assert Match.objects.filter(amount__lt=F("line__amount")).count() == 1
    assert Asset.objects.filter(code="JPY").exists()
