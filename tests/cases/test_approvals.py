"""Signatures: by distinct people in office, under the content's hash, and what follows the last one."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from administration.cases import appointments, approvals, orders, policies
from administration.cases.models import Appointment, ApprovalRequest, Case, RequestState, Signature
from administration.people.models import User
from administration.record.models import Event
from tests.cast import LONG_AGO, NOON, Cast, gather, open_sample_case, sha

ACT = "tests.pay"
CONTENT = sha("content").hex()


class Room:
    """A room that has one object, and remembers what followed."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.followed: list[str] = []
        self.tie = True

    def precondition(self, request: ApprovalRequest) -> None:
        if not self.tie:
            raise approvals.Unsigned("It does not tie.")

    def after(self, request: ApprovalRequest, by: User, at: Any) -> str:
        self.followed.append(by.username)
        return "a job"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setattr(approvals, "_registered", dict(approvals._registered))
    approvals.register(
        ACT, content=lambda pk: room.content, precondition=room.precondition, after=room.after,
        find=lambda text: 7 if text == "T-1-PAY" else None,
    )  # fmt: skip
    approvals.register("ledger.accept", content=lambda pk: room.content, after=room.after)
    return room


@pytest.fixture
def request_(room: Room, case: Case, cast: Cast) -> ApprovalRequest:
    return approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)


def kinds() -> list[str]:
    return list(Event.objects.order_by("number").values_list("kind", flat=True))


# --- the way ----------------------------------------------------------------------------------


def test_two_signatures_with_the_office_holders_grant_and_the_act_follows_at_once(
    room: Room, request_: ApprovalRequest, cast: Cast
) -> None:
    assert approvals.awaiting(request_, at=NOON) == ["aoki", "baba"]
    approvals.sign(request_, by=cast.baba, at=NOON)
    assert (room.followed, ApprovalRequest.objects.get().state) == ([], RequestState.OPEN)

    signed = approvals.sign(request_, by=cast.aoki, at=NOON)

    assert (signed.state, signed.followed_by, room.followed) == (RequestState.GRANTED, "a job", ["aoki"])
    assert approvals.granted(signed.case, ACT, 7) == signed
    assert kinds() == ["approval.requested", "approval.signed", "approval.signed", "approval.granted"]
    assert '"signers":["baba","aoki"]' in Event.objects.get(kind="approval.granted").body


def test_the_acceptance_of_a_ledger_needs_one_signature_besides_the_preparers(
    room: Room, case: Case, cast: Cast
) -> None:
    asked = approvals.request(1, case=case, act="ledger.accept", content_sha256=CONTENT, by=cast.goto, at=NOON)

    assert approvals.sign(asked, by=cast.baba, at=NOON).state == RequestState.GRANTED


def test_a_rejected_request_says_why_and_is_never_signed(request_: ApprovalRequest, cast: Cast) -> None:
    with pytest.raises(approvals.Unsigned, match="why"):
        approvals.reject(request_, by=cast.baba, at=NOON, reason=" ")
    approvals.reject(request_, by=cast.baba, at=NOON, reason="Two payees are one person.")

    with pytest.raises(approvals.NotOpen, match="rejected"):
        approvals.sign(request_, by=cast.aoki, at=NOON)
    assert kinds() == ["approval.requested", "approval.rejected"]


def test_a_request_is_found_by_its_number_its_object_and_its_reference(request_: ApprovalRequest) -> None:
    for text in (str(request_.pk), f"{ACT}:7", "T-1-PAY"):
        assert approvals.find(text) == request_
    with pytest.raises(approvals.Refused, match="Nothing called"):
        approvals.find("T-1-OTHER")


# --- who does not sign ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        ("goto", approvals.NotASigner),  # who prepared it, and holds no signing office
        ("chiba", approvals.NotASigner),
        ("fujii", approvals.NotASigner),
    ],
)
def test_only_the_office_holder_and_approvers_sign(
    request_: ApprovalRequest, cast: Cast, who: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        approvals.sign(request_, by=getattr(cast, who), at=NOON)

    assert not Signature.objects.exists()
    assert kinds() == ["approval.requested"]


def test_the_person_who_prepared_it_cannot_sign_it(room: Room, case: Case, cast: Cast) -> None:
    asked = approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.baba, at=NOON)

    with pytest.raises(approvals.SamePerson):
        approvals.sign(asked, by=cast.baba, at=NOON)
    assert not Signature.objects.exists()


def test_nobody_signs_twice(request_: ApprovalRequest, cast: Cast) -> None:
    approvals.sign(request_, by=cast.baba, at=NOON)

    with pytest.raises(approvals.SamePerson):
        approvals.sign(request_, by=cast.baba, at=NOON)
    assert Signature.objects.count() == 1


def test_what_the_only_office_holder_prepared_could_never_be_signed_so_it_is_refused_at_once(
    room: Room, case: Case, cast: Cast
) -> None:
    with pytest.raises(approvals.NotRequested, match="Let the case officer prepare it"):
        approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.aoki, at=NOON)


def test_an_approver_whose_term_is_over_does_not_sign(request_: ApprovalRequest, case: Case, cast: Cast) -> None:
    baba = Appointment.objects.get(user=cast.baba)
    appointments.end(baba, by=cast.aoki, at=NOON - timedelta(hours=1), reason="left the office")

    with pytest.raises(approvals.NotASigner):
        approvals.sign(request_, by=cast.baba, at=NOON)


def test_a_signature_stops_counting_when_its_signer_leaves_before_the_grant(
    room: Room, request_: ApprovalRequest, case: Case, cast: Cast
) -> None:
    approvals.sign(request_, by=cast.baba, at=NOON)
    appointments.end(Appointment.objects.get(user=cast.baba), by=cast.aoki, at=NOON, reason="left the office")
    doi = User.objects.create(username="doi")
    appointments.grant(
        case, user=doi, kind="approver", authority="Aoki", instrument="memo 2", instrument_sha256=sha("memo"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip

    assert approvals.sign(request_, by=cast.aoki, at=NOON).state == RequestState.OPEN
    assert approvals.sign(request_, by=doi, at=NOON).state == RequestState.GRANTED


def test_joint_office_holders_all_sign(room: Room, case: Case, cast: Cast) -> None:
    for name in ("doi", "endo"):
        appointments.grant(
            case, user=User.objects.create(username=name), kind="office_holder", authority="Tokyo District Court",
            instrument="order 2", instrument_sha256=sha("order 2"), from_at=LONG_AGO, joint=True, by=cast.aoki, at=NOON,
        )  # fmt: skip
    doi, endo = (User.objects.get(username=name) for name in ("doi", "endo"))
    asked = approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)

    states = [approvals.sign(asked, by=who, at=NOON).state for who in (cast.baba, cast.aoki, doi, endo)]

    assert states == ["open", "open", "open", "granted"]


# --- what is signed ---------------------------------------------------------------------------


def test_a_changed_object_closes_the_request_and_that_outlives_the_refusal(
    room: Room, request_: ApprovalRequest, cast: Cast
) -> None:
    room.content = sha("other content").hex()

    with pytest.raises(approvals.StaleContent, match="has changed"):
        approvals.sign(request_, by=cast.aoki, at=NOON)

    assert ApprovalRequest.objects.get().state == RequestState.STALE
    assert not Signature.objects.exists()
    assert kinds() == ["approval.requested", "approval.stale"]


def test_a_signer_who_was_shown_something_else_signs_nothing(request_: ApprovalRequest, cast: Cast) -> None:
    with pytest.raises(approvals.StaleContent, match="shown"):
        approvals.sign(request_, by=cast.aoki, at=NOON, content_sha256=sha("an older page"))
    assert not Signature.objects.exists()


def test_sign_wants_no_transaction_around_it(request_: ApprovalRequest, cast: Cast) -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        approvals.sign(request_, by=cast.aoki, at=NOON)


def test_the_last_signature_is_not_given_while_the_precondition_fails(
    room: Room, request_: ApprovalRequest, cast: Cast
) -> None:
    room.tie = False
    approvals.sign(request_, by=cast.baba, at=NOON)

    with pytest.raises(approvals.Unsigned, match="tie"):
        approvals.sign(request_, by=cast.aoki, at=NOON)
    assert (Signature.objects.count(), room.followed) == (1, [])


def test_one_object_has_one_live_request_for_an_act_and_new_content_replaces_it(
    room: Room, request_: ApprovalRequest, case: Case, cast: Cast
) -> None:
    with pytest.raises(approvals.NotRequested, match="already"):
        approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)

    room.content = sha("second").hex()
    newer = approvals.request(7, case=case, act=ACT, content_sha256=room.content, by=cast.goto, at=NOON)

    request_.refresh_from_db()
    assert (request_.state, newer.state) == ("stale", "open")


def test_what_rests_on_a_stayed_order_is_not_signed_and_not_carried_out(room: Room, case: Case, cast: Cast) -> None:
    order = orders.register(
        case, number="2026 (mo) 1", issuer="Tokyo District Court", issued_date=LONG_AGO.date(), scan=b"%PDF order",
        scan_name="order.pdf", permits=[ACT], served_date=LONG_AGO.date(), by=cast.goto, at=NOON,
    )  # fmt: skip
    asked = approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON, order=order)
    approvals.sign(asked, by=cast.baba, at=NOON)
    orders.stand(order, "stayed", since=NOON, evidence=b"%PDF stay", by=cast.goto, at=NOON)

    with pytest.raises(orders.NotInForce, match="frozen"):
        approvals.sign(asked, by=cast.aoki, at=NOON)

    orders.stand(order, "in_force", since=NOON + timedelta(hours=1), evidence=b"%PDF lift", by=cast.goto, at=NOON)
    later = NOON + timedelta(hours=2)
    granted = approvals.sign(asked, by=cast.aoki, at=later)
    orders.stand(order, "reversed", since=later, evidence=b"%PDF reversal", by=cast.goto, at=later)
    with pytest.raises(orders.NotInForce, match="reversed"):
        approvals.require(case, ACT, 7, content_sha256=CONTENT, at=later)
    assert approvals.granted(case, ACT, 7) == granted
    assert approvals.granted(case, ACT, 7, at=later) is None


# --- policy -----------------------------------------------------------------------------------


def test_a_case_asks_for_more_signatures_and_never_for_fewer(room: Room, case: Case, cast: Cast) -> None:
    with pytest.raises(appointments.NotEmpowered):
        policies.ask_more(case, ACT, signers=3, office_holder=True, by=cast.goto, at=NOON)
    chief = User.objects.create(username="chief")
    appointments.grant(
        case, user=chief, kind="office_holder", authority="court", instrument="order", instrument_sha256=sha("o"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip

    policies.ask_more(case, ACT, signers=3, office_holder=True, by=chief, at=NOON)
    asked = approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)

    assert asked.signers == 3
    with pytest.raises(policies.NotStricter):
        policies.ask_more(case, ACT, signers=2, office_holder=True, by=chief, at=NOON)
    with pytest.raises(policies.NotStricter):
        policies.ask_more(case, "other", signers=2, office_holder=False, by=chief, at=NOON)


# --- the database refuses, whatever the code does ---------------------------------------------

SIGN = """
INSERT INTO cases_signature (request_id, case_id, prepared_by_id, content_sha256, signer_id, appointment_id, signed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


@pytest.fixture
def sign_raw(request_: ApprovalRequest, as_role: Any) -> Any:
    def sign(signer: User, *, role: str = "henkan_app", **other: Any) -> None:
        office = Appointment.objects.filter(user=signer).first()
        row = {
            "case": request_.case_id,
            "prepared_by": request_.prepared_by_id,
            "content": bytes(request_.content_sha256),
            "appointment": office.pk if office else 0,
            "at": NOON,
            **other,
        }
        with as_role(role) as cursor:
            cursor.execute(
                SIGN,
                [
                    request_.pk,
                    row["case"],
                    row["prepared_by"],
                    row["content"],
                    signer.pk,
                    row["appointment"],
                    row["at"],
                ],
            )

    return sign


def test_the_database_lets_a_good_signature_in(sign_raw: Any, cast: Cast) -> None:
    sign_raw(cast.baba)
    assert Signature.objects.count() == 1


def test_the_database_refuses_a_second_signature_by_one_person(sign_raw: Any, cast: Cast) -> None:
    sign_raw(cast.baba)
    with pytest.raises(IntegrityError, match="signature_is_given_once_by_a_person"):
        sign_raw(cast.baba)


def test_the_database_refuses_the_preparers_signature(sign_raw: Any, room: Room, case: Case, cast: Cast) -> None:
    own = approvals.request(8, case=case, act=ACT, content_sha256=CONTENT, by=cast.baba, at=NOON)
    office = Appointment.objects.get(user=cast.baba)
    with pytest.raises(IntegrityError, match="signature_is_not_the_preparers"), transaction.atomic():
        connection.cursor().execute(
            SIGN, [own.pk, case.pk, cast.baba.pk, bytes(own.content_sha256), cast.baba.pk, office.pk, NOON]
        )
    # nor under another preparer's name
    with pytest.raises(IntegrityError, match="signature_is_under_the_requests_content"), transaction.atomic():
        connection.cursor().execute(
            SIGN, [own.pk, case.pk, cast.goto.pk, bytes(own.content_sha256), cast.baba.pk, office.pk, NOON]
        )


def test_the_database_refuses_a_signature_under_other_content(sign_raw: Any, cast: Cast) -> None:
    with pytest.raises(IntegrityError, match="signature_is_under_the_requests_content"):
        sign_raw(cast.baba, content=sha("stale"))


def test_the_database_refuses_a_signature_by_another_persons_office(sign_raw: Any, cast: Cast) -> None:
    with pytest.raises(IntegrityError, match="the signer's own office"):
        sign_raw(cast.fujii, appointment=Appointment.objects.get(user=cast.baba).pk)
    for name in ("goto", "chiba"):
        with pytest.raises(IntegrityError, match="the signer's own office"):
            sign_raw(getattr(cast, name), prepared_by=cast.fujii.pk)


def test_the_database_refuses_a_signature_by_an_office_in_another_case(sign_raw: Any, cast: Cast) -> None:
    other = open_sample_case("T-2")
    gather(other)
    with pytest.raises(IntegrityError, match="the signer's own office"):
        sign_raw(cast.baba, appointment=Appointment.objects.get(user=cast.baba, case=other).pk)


def test_the_database_refuses_a_signature_outside_the_term(sign_raw: Any, cast: Cast) -> None:
    with pytest.raises(IntegrityError, match="within the term"):
        sign_raw(cast.baba, at=LONG_AGO - timedelta(days=1))
    appointments.end(Appointment.objects.get(user=cast.baba), by=cast.aoki, at=NOON, reason="left")
    # even with an instant at which the appointment still ran
    with pytest.raises(IntegrityError, match="within the term"):
        sign_raw(cast.baba, at=NOON - timedelta(days=1))


def test_the_database_refuses_a_signature_on_a_decided_request(sign_raw: Any, request_: Any, cast: Cast) -> None:
    approvals.reject(request_, by=cast.baba, at=NOON, reason="no")
    with pytest.raises(IntegrityError, match="while the request is open"):
        sign_raw(cast.aoki)


def test_the_database_refuses_a_signature_by_somebody_shut_out(sign_raw: Any, cast: Cast) -> None:
    User.objects.filter(pk=cast.baba.pk).update(is_active=False)
    with pytest.raises(IntegrityError, match="may sign in"):
        sign_raw(cast.baba)


GRANT = "UPDATE cases_approvalrequest SET state = 'granted', decided_at = now() WHERE id = %s"


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_a_grant_with_too_few_signatures(
    request_: ApprovalRequest, as_role: Any, sign_raw: Any, cast: Cast, role: str
) -> None:
    with pytest.raises(IntegrityError, match="enough signatures"), as_role(role) as cursor:
        cursor.execute(GRANT, [request_.pk])
    sign_raw(cast.aoki)
    with pytest.raises(IntegrityError, match="enough signatures"), as_role(role) as cursor:
        cursor.execute(GRANT, [request_.pk])


def test_the_database_refuses_a_grant_without_the_office_holder(
    request_: ApprovalRequest, as_role: Any, sign_raw: Any, case: Case, cast: Cast
) -> None:
    doi = User.objects.create(username="doi")
    appointments.grant(
        case, user=doi, kind="approver", authority="Aoki", instrument="memo", instrument_sha256=sha("memo"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip
    sign_raw(cast.baba)
    sign_raw(doi)
    with pytest.raises(IntegrityError, match="office-holder among the signers"), as_role("henkan_app") as cursor:
        cursor.execute(GRANT, [request_.pk])


def test_the_database_refuses_a_grant_without_every_joint_office_holder(
    request_: ApprovalRequest, as_role: Any, sign_raw: Any, case: Case, cast: Cast
) -> None:
    doi = User.objects.create(username="doi")
    appointments.grant(
        case, user=doi, kind="office_holder", authority="court", instrument="order", instrument_sha256=sha("o"),
        from_at=LONG_AGO, joint=True, by=cast.aoki, at=NOON,
    )  # fmt: skip
    sign_raw(cast.baba)
    sign_raw(cast.aoki)
    with pytest.raises(IntegrityError, match="all joint office-holders"), as_role("henkan_app") as cursor:
        cursor.execute(GRANT, [request_.pk])


ASK = """
INSERT INTO cases_approvalrequest
    (case_id, act, object_id, content_sha256, prepared_by_id, signers, office_holder, state, requested_at, reason)
VALUES (%s, %s, 9, %s, %s, %s, %s, %s, now(), '')
"""


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_a_request_that_is_granted_already_or_asks_for_too_little(
    as_role: Any, case: Case, cast: Cast, role: str
) -> None:
    for act, signers, office_holder, state, why in (
        ("returns.batch", 2, True, "granted", "begins open"),
        ("returns.batch", 1, True, "open", "its policy demands"),
        ("returns.batch", 2, False, "open", "its policy demands"),
        ("returns.batch.resume", 1, True, "open", "its policy demands"),
        ("ledger.accept", 0, False, "open", "approval_needs_a_signer|its policy demands"),
    ):
        with pytest.raises(IntegrityError, match=why), as_role(role) as cursor:
            cursor.execute(ASK, [case.pk, act, sha("x"), cast.goto.pk, signers, office_holder, state])


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
@pytest.mark.parametrize("change", ["content_sha256 = '\\x00'", "signers = 1", "object_id = 8", "prepared_by_id = 1"])
def test_the_database_refuses_any_change_of_what_a_request_asks(
    request_: ApprovalRequest, as_role: Any, role: str, change: str
) -> None:
    with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
        cursor.execute(f"UPDATE cases_approvalrequest SET {change} WHERE id = %s", [request_.pk])
    with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request_.pk).update(signers=1)


def test_the_database_refuses_steps_that_are_not_in_the_table(request_: Any, as_role: Any, cast: Cast) -> None:
    approvals.reject(request_, by=cast.baba, at=NOON, reason="no")
    for state in ("open", "granted", "stale"):
        with pytest.raises(IntegrityError, match="does not go from rejected"), as_role("henkan_app") as cursor:
            cursor.execute("UPDATE cases_approvalrequest SET state = %s WHERE id = %s", [state, request_.pk])


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cases_signature SET signed_at = now()",
        "DELETE FROM cases_signature",
        "TRUNCATE cases_signature",
        "DELETE FROM cases_approvalrequest",
        "TRUNCATE cases_approvalrequest CASCADE",
        "UPDATE cases_policyoverride SET signers = 1",
    ],
)
def test_signatures_and_requests_stay(request_: Any, as_role: Any, cast: Cast, role: str, statement: str) -> None:
    approvals.sign(request_, by=cast.baba, at=NOON)
    connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")  # or TRUNCATE stumbles over what is pending
    with (
        pytest.raises((IntegrityError, ProgrammingError), match=r"append only|denied|permission"),
        as_role(role) as cursor,
    ):
        cursor.execute(statement)
    assert Signature.objects.count() == 1


def test_bulk_ways_of_the_orm_are_refused_too(request_: ApprovalRequest, cast: Cast) -> None:
    approvals.sign(request_, by=cast.baba, at=NOON)
    signature = Signature.objects.get()
    again = Signature(
        request=request_, case=request_.case, prepared_by=cast.goto, content_sha256=bytes(request_.content_sha256),
        signer=cast.baba, appointment=signature.appointment, signed_at=NOON,
    )  # fmt: skip
    for attempt in (
        lambda: Signature.objects.bulk_create([again]),
        lambda: Signature.objects.update(signed_at=LONG_AGO),
        lambda: Signature.objects.all().delete(),
        lambda: ApprovalRequest.objects.update(state="granted", decided_at=NOON),
        lambda: ApprovalRequest.objects.bulk_update([request_], ["content_sha256"]),
    ):
        with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
            attempt()
    assert ApprovalRequest.objects.get().state == RequestState.OPEN


def test_the_portal_sees_nothing_of_this(request_: ApprovalRequest, as_role: Any) -> None:
    for table in ("cases_case", "cases_appointment", "cases_approvalrequest", "cases_signature", "people_user"):
        with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_portal") as cursor:
            cursor.execute(f"SELECT FROM {table}")


# --- at the same moment -----------------------------------------------------------------------


@pytest.fixture
def pressed(committed: Any, room: Room) -> Any:
    """A committed request, and many hands on it at once."""
    case = open_sample_case()
    cast = gather(case)
    asked = approvals.request(7, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)

    def press(*people: User) -> list[Any]:
        outcomes: list[Any] = []
        ready = threading.Barrier(len(people))

        def one(person: User) -> None:
            try:
                ready.wait(30)
                outcomes.append(approvals.sign(asked, by=person, at=NOON).state)
            except approvals.Refused as refusal:
                outcomes.append(type(refusal))
            finally:
                connection.close()

        hands = [threading.Thread(target=one, args=(person,)) for person in people]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join(60)
        return outcomes

    press.cast = cast  # type: ignore[attr-defined]
    return press


def test_that_a_request_went_stale_is_committed_before_the_refusal(pressed: Any, room: Room) -> None:
    room.content = sha("other content").hex()

    assert pressed(pressed.cast.aoki) == [approvals.StaleContent]
    connection.close()  # another connection sees it
    assert ApprovalRequest.objects.get().state == RequestState.STALE


def test_two_signers_at_the_same_moment_grant_once(pressed: Any, room: Room) -> None:
    outcomes = pressed(pressed.cast.aoki, pressed.cast.baba)

    assert sorted(outcomes) == ["granted", "open"]
    assert len(room.followed) == 1


def test_fifty_presses_at_once_sign_once_for_each_and_the_act_follows_once(pressed: Any, room: Room) -> None:
    outcomes = pressed(*[pressed.cast.aoki, pressed.cast.baba] * 25)

    assert outcomes.count("granted") == 1 and outcomes.count("open") == 1 and len(outcomes) == 50
    assert (Signature.objects.count(), len(room.followed)) == (2, 1)
    assert Event.objects.filter(kind="approval.granted").count() == 1
