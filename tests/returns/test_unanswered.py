"""Files that people carried out and nobody answered: in doubt once an answer is due, and ended by two people's finding."""

import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from administration.cases import approvals
from administration.fields import db_now
from administration.rails.custodian import Custodian, manifest, results
from administration.record import verify
from administration.record.models import Event
from administration.returns import corrections, doubt, evidence, gates, settlement, tasks
from administration.returns.models import (
    AssetReturn,
    Attempt,
    Correction,
    Evidence,
    EvidenceLine,
    Match,
    Submission,
)
from claims.register import tie_out
from tests.cast import sha
from tests.returns.test_zengin_way import banks, carried, house, yen  # noqa: F401
from tests.returns.world import done, sign

REFUSED = (IntegrityError, InternalError, ProgrammingError)


@pytest.fixture
def asked(world, house, tmp_path):  # noqa: F811
    """Four returns in a custodian's manifest, carried out; the manifest as the custodian got it."""
    banks(world)
    carried(world, tmp_path, "custodian", "JPY")
    (file,) = tmp_path.glob("*[0-9].json")
    return manifest.read(file.read_bytes())


@pytest.fixture
def go_by(as_superuser):
    """Days go by: whatever was sent or received is so much older, and so is every doubt."""

    def go_by(days):
        with as_superuser() as cursor:
            for table, column in (("submission", "sent_at"), ("submission", "doubted_at"), ("evidence", "received_at"), ("correction", "at")):
                cursor.execute(f"UPDATE returns_{table} SET {column} = {column} - make_interval(days => %s)", [days])

    return go_by


def part():
    return Submission.objects.get()


def answer(world, asked, *statuses, name="results.json"):
    key, digest, items = asked
    rows = tuple(
        results.Result(0, key, digest, item.reference, status, item.asset, item.amount, db_now(), "", "closed" * (status == "refused"))
        for item, status in zip(items, statuses, strict=False) if status
    )  # fmt: skip
    evidence.receive(world.case, "custodian", name=name, data=results.write(rows), by=world.goto, at=db_now())
    return settle(world)


def settle(world):
    return done(settlement.settle(world.case, by=world.goto, at=db_now()))


def find(world, thing, finding, **changes):
    words = {"reason": "the custodian's letter", "evidence": b"letter", "by": world.goto, **changes}
    return corrections.find(world.case, thing, finding, at=db_now(), **words)


def signed(world, thing, finding):
    request = find(world, thing, finding)
    for user in (world.people.aoki, world.people.baba):
        sign(request, user)
    return request


def attempt_of(item):
    return Attempt.objects.get(asset_return__reference=item.reference, state="unknown")


def states(asked, world):
    return [yen(world)[item.reference] for item in asked[2]]


@pytest.fixture
def in_doubt(world, asked, go_by):
    go_by(Custodian().quiet_period.days + 1)
    tasks.tick()
    assert part().state == "unknown"
    return asked


# --- when the doubt begins, and what ends it by itself ----------------------------------------------------------------


def test_what_nobody_answered_is_in_doubt_once_its_answer_is_due_and_not_before(world, asked, go_by):
    go_by(Custodian().quiet_period.days - 1)
    tasks.tick()
    assert part().state == "exported"

    go_by(2)
    tasks.tick()
    tasks.tick()

    assert part().state == "unknown" and part().doubted_at is not None
    assert set(Attempt.objects.values_list("state", flat=True)) == {"unknown"}
    assert set(yen(world).values()) == {"batched"}  # a timeout is not a failure
    assert Event.objects.get(kind="submission.unanswered").body.count(part().rail_key) == 1


def test_the_first_settlement_finds_it_too(world, asked, go_by):
    go_by(Custodian().quiet_period.days + 1)
    settle(world)
    assert part().state == "unknown"


def test_an_answer_that_comes_late_ends_the_doubt(world, in_doubt):
    answer(world, in_doubt, "settled", "settled", "refused", "settled")

    assert states(in_doubt, world) == ["settled", "settled", "scheduled", "settled"]
    assert part().state == "final"
    tie_out.require(world.case)


def test_seen_is_a_reason_to_wait_as_long_again_and_no_answer(world, in_doubt, go_by):
    answer(world, in_doubt, "accepted", "unknown", "accepted", "accepted")
    tasks.tick()
    assert part().state == "accepted"
    assert set(yen(world).values()) == {"batched"}

    go_by(Custodian().quiet_period.days + 1)
    tasks.tick()
    settle(world)  # what was said before the doubt does not end it

    assert part().state == "unknown"


def test_what_is_left_of_a_part_that_was_answered_half_is_in_doubt_too(world, asked, go_by):
    answer(world, asked, "settled", "refused")
    assert part().state == "accepted"

    go_by(Custodian().quiet_period.days + 1)
    tasks.tick()

    assert part().state == "unknown"
    assert states(asked, world) == ["settled", "scheduled", "batched", "batched"]


# --- what two people find ---------------------------------------------------------------------------------------------


def test_two_people_find_a_part_not_paid_and_its_returns_go_out_again(world, in_doubt):
    request = find(world, part(), "not_paid")
    sign(request, world.people.aoki)
    assert part().state == "unknown"
    sign(request, world.people.baba)

    assert part().state == "dead"
    assert set(yen(world).values()) == {"scheduled"}
    assert Correction.objects.get().applied_at is not None
    assert Evidence.objects.get().correction == Correction.objects.get()
    settle(world)
    assert world.case.batches.get().state == "closed"
    tie_out.require(world.case)
    world.proves()


def test_two_people_find_a_part_paid_and_it_settles(world, in_doubt):
    signed(world, part(), "paid")

    assert part().state == "final"
    assert set(yen(world).values()) == {"settled"}
    settle(world)
    assert world.case.batches.get().state == "closed"
    tie_out.require(world.case)
    world.proves()


def test_the_rest_of_a_part_of_which_something_was_paid_is_found_not_paid_and_the_part_is_not_dead(world, asked, go_by):
    answer(world, asked, "settled", "refused", "accepted")
    go_by(Custodian().quiet_period.days + 1)
    tasks.tick()

    signed(world, part(), "not_paid")

    assert states(asked, world) == ["settled", "scheduled", "scheduled", "scheduled"]
    assert part().state == "final"
    tie_out.require(world.case)
    world.proves()


def test_people_can_tell_the_returns_of_a_part_apart(world, in_doubt):
    one, two, three, four = in_doubt[2]
    signed(world, attempt_of(one), "paid")
    signed(world, attempt_of(two), "not_paid")
    settle(world)  # what people found is not the rail's word on the others
    assert part().state == "unknown"
    assert states(in_doubt, world) == ["settled", "scheduled", "batched", "batched"]

    signed(world, attempt_of(three), "not_paid")
    signed(world, attempt_of(four), "paid")

    assert states(in_doubt, world) == ["settled", "scheduled", "scheduled", "settled"]
    assert part().state == "final"
    tie_out.require(world.case)
    world.proves()


def test_the_last_return_found_not_paid_ends_a_part_of_which_nothing_was_paid(world, in_doubt):
    for item in in_doubt[2]:
        signed(world, attempt_of(item), "not_paid")
    assert part().state == "dead"


def test_nothing_is_found_while_an_answer_is_not_due_or_when_it_has_come(world, asked, go_by, as_superuser):
    with pytest.raises(doubt.StillInDoubt, match="is not unknown"):
        find(world, part(), "not_paid")
    with connection.cursor() as cursor:  # in doubt too early, as after a restore
        cursor.execute("SELECT submission_step(ARRAY[%s]::bigint[], 'exported', 'unknown')", [part().pk])
    with pytest.raises(doubt.StillInDoubt, match="may still be on its way until"):
        find(world, part(), "not_paid")
    go_by(Custodian().quiet_period.days + 1)
    request = find(world, part(), "not_paid")
    sign(request, world.people.aoki)
    key, digest, (first, *_others) = asked
    row = results.Result(0, key, digest, first.reference, "settled", first.asset, first.amount, db_now(), "", "")
    evidence.receive(world.case, "custodian", name="late", data=results.write((row,)), by=world.goto, at=db_now())

    with pytest.raises(doubt.StillInDoubt, match="has spoken"), transaction.atomic():
        sign(request, world.people.baba)
    settle(world)
    assert states(asked, world) == ["settled", "batched", "batched", "batched"]


def test_who_proposed_a_finding_does_not_sign_it(world, in_doubt):
    request = find(world, part(), "paid")
    with pytest.raises(approvals.Unsigned):
        sign(request, world.goto)


def test_a_finding_that_was_turned_down_makes_room_for_another(world, in_doubt):
    request = find(world, part(), "paid")
    with pytest.raises(corrections.NotCorrected, match="waits for signatures already"):
        find(world, part(), "not_paid")

    approvals.reject(request, by=world.people.aoki, at=db_now(), reason="the letter is of another file")

    assert Correction.objects.get().rejected_at is not None
    signed(world, part(), "not_paid")
    assert part().state == "dead"


def test_a_finding_from_before_the_rail_spoke_again_is_not_signed_any_more(world, in_doubt, go_by):
    request = find(world, part(), "not_paid")
    answer(world, in_doubt, "accepted")
    go_by(Custodian().quiet_period.days + 1)
    tasks.tick()
    assert part().state == "unknown"

    sign(request, world.people.aoki)
    with pytest.raises(doubt.StillInDoubt, match="fallen silent again"), transaction.atomic():
        sign(request, world.people.baba)


# --- the rail speaks after all ----------------------------------------------------------------------------------------


def problems():
    return list(EvidenceLine.objects.exclude(problem="").values_list("problem", flat=True))


def test_the_rail_that_confirms_what_was_found_leaves_nothing_to_decide(world, in_doubt):
    one, two, *_others = in_doubt[2]
    signed(world, attempt_of(one), "paid")
    signed(world, attempt_of(two), "not_paid")

    answer(world, in_doubt, "settled", "refused")
    settle(world)

    assert problems() == []
    assert not world.case.stops.filter(lifted_at=None).exists()
    assert states(in_doubt, world)[:2] == ["settled", "scheduled"]
    tie_out.require(world.case)
    world.proves()


def test_the_rail_that_pays_what_was_found_not_paid_is_not_paid_again(world, in_doubt):
    signed(world, part(), "not_paid")
    answer(world, in_doubt, "settled")

    assert problems() == ["paid_after_refusal"]
    row = AssetReturn.objects.get(reference=in_doubt[2][0].reference)
    assert "evidence" in gates.closed([row.pk])[row.pk]


# --- what the database refuses, whoever asks --------------------------------------------------------------------------

LINE = """
INSERT INTO returns_evidenceline (evidence_id, case_id, line, fingerprint, reference, part, kind, asset_code, amount, at, reason, problem)
SELECT %s, r.case_id, 1, sha256(r.reference::bytea), r.reference, %s, %s, 'JPY', r.amount, now(), '', ''
FROM returns_assetreturn r WHERE r.reference = %s
"""
EVIDENCE = """
INSERT INTO returns_evidence (id, case_id, rail, name, sha256, bytes, lines_count, cursor, received_at, correction_id)
VALUES (%s, %s, 'custodian', 'x', sha256('x'), 1, 1, '', now(), %s)
"""
MATCH = "INSERT INTO returns_match (line_id, attempt_id, amount) SELECT l.id, t.id, l.amount FROM returns_evidenceline l, returns_attempt t WHERE l.evidence_id = %s AND t.id = %s"


def by_the_application(*steps):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE henkan_app")
        for sql, params in steps:
            cursor.execute(sql, params)


def by_the_room(*steps, attempt):
    """The same with a queryset, as a mistake in a module of ours would do it."""
    by_the_application(*steps)
    line = EvidenceLine.objects.get()
    Match.objects.create(line=line, attempt=attempt, amount=line.amount)


@pytest.mark.parametrize("kind", ["settled", "dead"])
def test_the_database_takes_no_finding_that_two_people_have_not_signed(world, in_doubt, kind):
    finding = {"settled": "paid", "dead": "not_paid"}[kind]
    request = find(world, part(), finding)
    sign(request, world.people.aoki)
    item = in_doubt[2][0]
    steps = [(LINE, [777, part().rail_key, kind, item.reference]), (EVIDENCE, [777, world.case.pk, request.object_id])]

    with pytest.raises(REFUSED, match="finding_is_signed_by_two"):
        by_the_application(*steps)
    assert not Evidence.objects.exists()


def test_the_database_lets_nobody_say_never_paid_of_a_carried_file_but_two_people(world, in_doubt):
    """Not as a line in a file of the rail's, either: no custodian says that."""
    item = in_doubt[2][0]
    steps = [
        (LINE, [777, part().rail_key, "dead", item.reference]), (EVIDENCE, [777, world.case.pk, None]),
        (MATCH, [777, attempt_of(item).pk]),
    ]  # fmt: skip
    with pytest.raises(REFUSED, match="never_paid_is_found_by_two"):
        by_the_application(*steps)
    with pytest.raises(REFUSED, match="never_paid_is_found_by_two"), transaction.atomic():
        by_the_room(*steps[:2], attempt=attempt_of(item))
    for state in ("dead", "refused", "final"):
        with pytest.raises(REFUSED, match=r"submission_is_|step_is_listed"):
            by_the_application(("SELECT submission_step(ARRAY[%s]::bigint[], 'unknown', %s)", [part().pk, state]))
    for state in ("dead", "settled", "refused"):
        with pytest.raises(REFUSED, match="attempt_"), transaction.atomic():
            Attempt.objects.update(state=state, holds_return_id=None)
    assert part().state == "unknown" and not Match.objects.exists()


def test_a_signed_finding_is_not_used_for_another_part_or_a_second_time(world, in_doubt):
    one, two, *_others = in_doubt[2]
    request = signed(world, attempt_of(one), "not_paid")
    steps = [(LINE, [777, part().rail_key, "dead", two.reference]), (EVIDENCE, [777, world.case.pk, request.object_id])]
    with pytest.raises(REFUSED, match=r"finding_is_signed_by_two|duplicate key"):
        by_the_application(*steps)
    found = Evidence.objects.get()
    with pytest.raises(REFUSED, match=r"never_paid_is_found_by_two|matches_fit"):
        by_the_application((MATCH, [found.pk, attempt_of(two).pk]))


def test_what_two_people_are_asked_does_not_change_and_is_turned_down_by_one_of_them_only(world, in_doubt):
    find(world, part(), "not_paid")
    for sql in (
        "UPDATE returns_correction SET finding = 'paid'",
        "UPDATE returns_correction SET applied_at = now()",
        "UPDATE returns_correction SET rejected_at = now()",
    ):
        with pytest.raises(REFUSED, match=r"permission denied|correction_is_as_signed"):
            by_the_application((sql, []))
    with pytest.raises(IntegrityError, match="correction_is_as_signed"), transaction.atomic():
        Correction.objects.update(rejected_at=db_now())
    with pytest.raises(IntegrityError, match="finding_ends_a_doubt"), transaction.atomic():
        Correction.objects.create(
            case=world.case, machine="submission", object_id=1, from_state="unknown", to_state="dead", reason="x",
            evidence_sha256=sha("x"), by=world.goto, at=db_now(),
        )  # fmt: skip


@pytest.mark.parametrize("sql", [
    "UPDATE returns_evidence SET correction_id = NULL",
    "UPDATE cases_approvalrequest SET state = 'open' WHERE act = 'returns.correct'",
    "UPDATE returns_correction SET reason = 'another'",
])  # fmt: skip
def test_a_finding_whose_signatures_somebody_took_away_with_the_triggers_off_is_named(world, in_doubt, as_superuser, sql):
    signed(world, part(), "not_paid")
    assert verify.verify(world.case)["first_bad"] is None
    with as_superuser() as cursor:
        cursor.execute(sql)

    assert "is what people found, and no two of them have signed it" in str(verify.verify(world.case))
