"""The office passes on: without the predecessor's help, and nothing moves until the successor accepts."""

import hashlib
import json
import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction

from administration.cases import appointments, approvals, orders, stops, succession
from administration.cases.models import Appointment, ApprovalRequest, Case, CourtOrder, Succession
from administration.people.models import User
from administration.record.encoding import canonical
from administration.record.models import Event
from tests.cast import LONG_AGO, NOON, Cast, gather, open_sample_case, sha

ACT = "tests.send"
CONTENT = sha("manifest").hex()
LATER = NOON + timedelta(days=1)


class Sending:
    def __init__(self) -> None:
        self.content, self.live, self.said = CONTENT, True, list[str]()


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Sending:
    room = Sending()
    monkeypatch.setattr(approvals, "_registered", dict(approvals._registered))
    monkeypatch.setattr(succession, "_accounts", {"sending": lambda case: {"scheduled": {"BTC": str(10**20)}}})
    approvals.register(
        ACT, content=lambda pk: room.content, live=lambda pk: room.live,
        after=lambda request, by, at: room.said.append("approved"),
        resumed=lambda request, by, at: room.said.append("resumed"),
        declined=lambda request, by, at: room.said.append("declined"),
    )  # fmt: skip
    approvals.register("tests.done", content=lambda pk: room.content)
    return room


@pytest.fixture
def hara(case: Case, cast: Cast) -> User:
    """The second approver."""
    hara = User.objects.create(username="hara")
    appointments.grant(
        case, user=hara, kind="approver", authority="Aoki", instrument="memo", instrument_sha256=sha("memo"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip
    return hara


@pytest.fixture
def endo(db: None) -> User:
    """The successor."""
    return User.objects.create(username="endo")


@pytest.fixture
def order(case: Case, cast: Cast) -> CourtOrder:
    return an_order(case, cast.goto)


def an_order(case: Case, by: User, number: str = "2026 (fu) 118-9", **other: Any) -> CourtOrder:
    entries: dict[str, Any] = {
        "issuer": "Tokyo District Court", "issued_date": LONG_AGO.date(), "scan": b"%PDF appoints Endo",
        "scan_name": "appointing.pdf", "permits": ["cases.succeed"], "served_date": LONG_AGO.date(), "by": by, "at": NOON,
    }  # fmt: skip
    return orders.register(case, number=number, **{**entries, **other})


@pytest.fixture
def approved(sending: Sending, case: Case, cast: Cast) -> ApprovalRequest:
    """Something approved that could still move."""
    return approve(case, cast, ACT, 7)


def approve(case: Case, cast: Cast, act: str, object_id: int) -> ApprovalRequest:
    asked = approvals.request(object_id, case=case, act=act, content_sha256=CONTENT, by=cast.goto, at=NOON)
    approvals.sign(asked, by=cast.baba, at=NOON)
    return approvals.sign(asked, by=cast.aoki, at=NOON)


def pass_on(case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder) -> Succession:
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    approvals.sign(asked, by=cast.baba, at=NOON)
    return approvals.sign(asked, by=hara, at=NOON).followed_by


# --- the way ----------------------------------------------------------------------------------


def test_the_office_passes_on_without_the_predecessor(
    approved: ApprovalRequest, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    done = approve(case, cast, "tests.done", 8)
    session = SessionStore()
    session["_auth_user_id"] = str(cast.aoki.pk)
    session.create()
    other = SessionStore()
    other["_auth_user_id"] = str(cast.baba.pk)
    other.create()

    made = pass_on(case, cast, hara, endo, order)

    # the old office is over, the sign-in shut, the sessions gone
    assert appointments.holders(case, "office_holder", NOON) == [endo]
    cast.aoki.refresh_from_db()
    assert not cast.aoki.is_active
    assert not SessionStore().exists(session.session_key) and SessionStore().exists(other.session_key)
    # what could still move is suspended, what is over stays
    for row, state in ((approved, "suspended"), (done, "granted")):
        row.refresh_from_db()
        assert row.state == state
    assert approvals.granted(case, ACT, 7) is None
    # nothing is sent
    with pytest.raises(stops.Stopped, match="office passes on"):
        stops.check(case, "zengin")
    # the account is frozen as it was
    assert made.account["sending"] == {"scheduled": {"BTC": str(10**20)}}
    assert made.account["cases"]["appointments"]
    assert bytes(made.account_sha256) == hashlib.sha256(canonical(made.account).encode()).digest()
    assert not made.by_operator
    said = json.loads(Event.objects.get(kind="case.succeeded").body)
    assert (said["predecessor"], said["successor"], said["approvers"]) == ("aoki", "endo", ["baba", "hara"])


def test_the_successor_accepts_with_reservations_and_resumes_what_is_to_go_on(
    approved: ApprovalRequest, sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    pass_on(case, cast, hara, endo, order)
    with pytest.raises(succession.NotSucceeded, match="not accepted"):
        succession.resume(case, ACT, 7, by=cast.goto, at=LATER)
    with pytest.raises(succession.NotSucceeded, match="awaits"):
        succession.accept(case, by=cast.baba, at=LATER)

    succession.accept(case, by=endo, at=LATER, reservations="The zengin account was not shown to me.")

    stops.check(case, "zengin")
    assert approvals.granted(case, ACT, 7) is None  # still: nobody has signed it anew
    assert succession.suspended(case) == [approved]
    again = succession.resume(case, ACT, 7, by=cast.goto, at=LATER)
    assert (again.act, bytes(again.content_sha256).hex(), again.signers) == (ACT + ".resume", CONTENT, 2)
    approvals.sign(again, by=cast.baba, at=LATER)
    assert approvals.granted(case, ACT, 7) is None
    approvals.sign(again, by=endo, at=LATER)
    assert approvals.granted(case, ACT, 7) == again
    assert sending.said == ["approved", "resumed"]
    assert succession.suspended(case) == []
    with pytest.raises(succession.NotSucceeded, match="taken up already"):
        succession.resume(case, ACT, 7, by=cast.goto, at=LATER)


def test_what_the_successor_declines_goes_nowhere(
    approved: ApprovalRequest, sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    pass_on(case, cast, hara, endo, order)
    succession.accept(case, by=endo, at=LATER)
    again = succession.resume(case, ACT, 7, by=cast.goto, at=LATER)

    approvals.reject(again, by=endo, at=LATER, reason="I do not know these payees.")

    assert sending.said == ["approved", "declined"]
    assert approvals.granted(case, ACT, 7) is None
    with pytest.raises(succession.NotSucceeded, match="taken up already"):
        succession.resume(case, ACT, 7, by=cast.goto, at=LATER)


def test_what_changed_meanwhile_is_not_resumed(
    approved: ApprovalRequest, sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    pass_on(case, cast, hara, endo, order)
    succession.accept(case, by=endo, at=LATER)
    sending.content = sha("something else").hex()
    with pytest.raises(approvals.StaleContent):
        succession.resume(case, ACT, 7, by=cast.goto, at=LATER)


def test_a_second_succession_suspends_what_the_first_successor_resumed(
    approved: ApprovalRequest, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    pass_on(case, cast, hara, endo, order)
    succession.accept(case, by=endo, at=LATER)
    again = succession.resume(case, ACT, 7, by=cast.goto, at=LATER)
    for signer in (cast.baba, endo):
        approvals.sign(again, by=signer, at=LATER)
    third = User.objects.create(username="third")
    order2 = an_order(case, cast.goto, number="2026 (fu) 118-10")
    asked = succession.propose(case, order=order2, predecessor=endo, successor=third, by=cast.goto, at=LATER)
    for signer in (cast.baba, hara):
        approvals.sign(asked, by=signer, at=LATER)

    assert [row.pk for row in succession.suspended(case)] == [again.pk]
    succession.accept(case, by=third, at=LATER)
    once_more = succession.resume(case, ACT, 7, by=cast.goto, at=LATER)
    for signer in (cast.baba, third):
        approvals.sign(once_more, by=signer, at=LATER)
    assert approvals.granted(case, ACT, 7) == once_more


def test_a_room_that_cannot_account_for_itself_does_not_keep_the_predecessor_in_office(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    def broken(case: Case) -> dict[str, Any]:
        connection.cursor().execute("SELECT 1/0")
        return {}

    succession.register_account("sending", broken)

    assert "division by zero" in pass_on(case, cast, hara, endo, order).account["sending"]["no_account"]
    assert appointments.holders(case, "office_holder", NOON) == [endo]


# --- who decides ------------------------------------------------------------------------------


def test_neither_predecessor_nor_successor_nor_one_approver_alone_decides(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    grant = {"authority": "court", "instrument": "x", "instrument_sha256": sha("x"), "from_at": LONG_AGO, "at": NOON}
    appointments.grant(case, user=endo, kind="approver", by=cast.aoki, **grant)
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    for who in (cast.aoki, endo):
        with pytest.raises(approvals.NotASigner, match="neither predecessor nor successor"):
            approvals.sign(asked, by=who, at=NOON)

    approvals.sign(asked, by=cast.baba, at=NOON)

    assert not Succession.objects.exists()
    with pytest.raises(approvals.SamePerson):
        approvals.sign(asked, by=cast.baba, at=NOON)


def test_a_succession_needs_an_order_that_appoints_and_stands(case: Case, cast: Cast, endo: User) -> None:
    who = {"predecessor": cast.aoki, "successor": endo, "by": cast.goto, "at": NOON}
    with pytest.raises(orders.NotInForce):
        succession.propose(case, order=an_order(case, cast.goto, number="1", served_date=None), **who)
    with pytest.raises(succession.NotSucceeded, match="does not appoint"):
        succession.propose(case, order=an_order(case, cast.goto, number="2", permits=["returns.sell"]), **who)
    good = an_order(case, cast.goto, number="3")
    with pytest.raises(succession.NotSucceeded, match="never was"):
        succession.propose(case, order=good, **{**who, "predecessor": cast.goto})
    with pytest.raises(succession.NotSucceeded, match="one person"):
        succession.propose(case, order=good, **{**who, "successor": cast.aoki})
    for outsider in (cast.fujii, cast.chiba):
        with pytest.raises(approvals.Refused):
            succession.propose(case, order=good, **{**who, "by": outsider})


def test_a_stayed_order_stops_a_succession_that_is_half_signed(
    case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    approvals.sign(asked, by=cast.baba, at=NOON)
    orders.stand(order, "stayed", since=NOON, evidence=b"stay", by=cast.goto, at=NOON)
    with pytest.raises(orders.NotInForce):
        approvals.sign(asked, by=hara, at=NOON)
    assert not Succession.objects.exists()


def test_the_predecessors_earlier_signature_counts_no_more(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    asked = approvals.request(9, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)
    approvals.sign(asked, by=cast.aoki, at=NOON)
    pass_on(case, cast, hara, endo, order)
    with pytest.raises(approvals.NotASigner, match="after accepting"):
        approvals.sign(asked, by=endo, at=LATER)
    succession.accept(case, by=endo, at=LATER)

    assert approvals.sign(asked, by=cast.baba, at=LATER).state == "open"
    assert approvals.sign(asked, by=endo, at=LATER).state == "granted"


def test_nobody_lifts_the_stop_of_a_succession_but_its_acceptance(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    made = pass_on(case, cast, hara, endo, order)
    with pytest.raises(stops.NotLifted, match="accepts the office"):
        stops.lift(made.stop, by=cast.baba, at=LATER)
    with pytest.raises(IntegrityError, match="successor has accepted"), transaction.atomic():
        connection.cursor().execute("UPDATE cases_stop SET lifted_at = now()")


def test_another_stop_outlives_the_acceptance(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder
) -> None:
    stops.stop(case, rail="zengin", reason="Look first.", by=cast.goto, at=NOON)
    pass_on(case, cast, hara, endo, order)
    succession.accept(case, by=endo, at=LATER)
    stops.check(case, "bitcoin")
    with pytest.raises(stops.Stopped, match="Look first"):
        stops.check(case, "zengin")


# --- the operator's way -----------------------------------------------------------------------

FILE = """
case = "T-1"
predecessor = "aoki"
approvers = []
[successor]
sign_in = "endo"
[order]
number = "2026 (fu) 118-9"
issuer = "Tokyo District Court"
issued_date = 2026-10-20
served_date = 2026-10-21
scan = "order.pdf"
permits = ["cases.succeed"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "order.pdf").write_bytes(b"%PDF appoints Endo")
    path = tmp_path / "succession.toml"
    path.write_text(FILE)
    return path


def test_the_operator_succeeds_only_where_nobody_is_left_to_sign(
    sending: Sending, case: Case, cast: Cast, file: Path
) -> None:
    with pytest.raises(CommandError, match="baba can still approve"):
        call_command("succeed_case", str(file), "--json", stdout=StringIO())
    appointments.end(Appointment.objects.get(user=cast.baba), by=cast.aoki, at=NOON, reason="left")

    out = StringIO()
    call_command("succeed_case", str(file), "--json", stdout=out)

    said = json.loads(out.getvalue())
    assert (said["ok"], said["successor"], said["by_operator"], said["awaiting"]) == (True, "endo", True, ["endo"])
    event = Event.objects.get(kind="case.succeeded")
    assert event.by == "" and json.loads(event.body)["by_operator"] == "yes"
    connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_last_approver_cannot_be_passed_over_by_the_operator(
    sending: Sending, case: Case, cast: Cast, file: Path
) -> None:
    file.write_text(FILE.replace("approvers = []", 'approvers = ["baba"]'))
    call_command("succeed_case", str(file), "--json", stdout=StringIO())
    connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert [user.username for user in Succession.objects.get().approvers.all()] == ["baba"]


# --- the database refuses, whatever the code does ---------------------------------------------

SUCCEED = """
WITH stop AS (
    INSERT INTO cases_stop (case_id, rail, reason, at) VALUES (%(case)s, '', 'x', now()) RETURNING id
), succession AS (
    INSERT INTO cases_succession
        (case_id, order_id, predecessor_id, successor_id, by_operator, account, account_sha256, stop_id, at, reservations,
         request_id)
    SELECT %(case)s, %(order)s, %(old)s, %(new)s, %(operator)s, '{}', '\\x00', id, now(), '', %(request)s FROM stop
    RETURNING id
) INSERT INTO cases_succession_approvers (succession_id, user_id) SELECT id, unnest(%(approvers)s::bigint[]) FROM succession
"""


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_refuses_a_succession_nobody_signed(
    case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder, as_role: Any, role: str
) -> None:
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    other = an_order(case, cast.goto, number="other", permits=["x"])
    good = {
        "case": case.pk, "order": order.pk, "old": cast.aoki.pk, "new": endo.pk, "operator": False,
        "request": asked.pk, "approvers": [cast.baba.pk, hara.pk],
    }  # fmt: skip
    for wrong, why in (
        ({}, "what its approvers signed"),
        ({"request": None}, "what its approvers signed"),
        ({"operator": True, "request": None}, "two approvers are not left"),
        ({"order": other.pk}, "rests on an order"),
        ({"new": cast.aoki.pk}, "one office-holder of the case to another"),
        ({"old": cast.goto.pk}, "one office-holder of the case to another"),
    ):
        with pytest.raises(IntegrityError, match=why), as_role(role) as cursor:
            cursor.execute(SUCCEED, {**good, **wrong})


@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_the_database_keeps_a_succession_as_it_was(
    sending: Sending, case: Case, cast: Cast, hara: User, endo: User, order: CourtOrder, as_role: Any, role: str
) -> None:
    pass_on(case, cast, hara, endo, order)
    succession.accept(case, by=endo, at=LATER)
    for statement in (
        "UPDATE cases_succession SET account = '{}'", "UPDATE cases_succession SET accepted_at = NULL",
        "UPDATE cases_succession SET reservations = 'none'", "DELETE FROM cases_succession_approvers",
        "DELETE FROM cases_succession", "UPDATE cases_successionproposal SET successor_id = predecessor_id",
    ):  # fmt: skip
        with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
            cursor.execute(statement)


# --- at the same moment -----------------------------------------------------------------------


def test_a_grant_at_the_very_moment_of_a_succession_never_survives_it(committed: Any, sending: Sending) -> None:
    case = open_sample_case()
    cast = gather(case)
    hara, endo = User.objects.create(username="hara"), User.objects.create(username="endo")
    appointments.grant(
        case, user=hara, kind="approver", authority="Aoki", instrument="memo", instrument_sha256=sha("memo"),
        from_at=LONG_AGO, by=cast.aoki, at=NOON,
    )  # fmt: skip
    order = an_order(case, cast.goto)
    pending = []
    for number in range(8):
        asked = approvals.request(number, case=case, act=ACT, content_sha256=CONTENT, by=cast.goto, at=NOON)
        approvals.sign(asked, by=cast.baba, at=NOON)
        pending.append(asked)
    asked = succession.propose(case, order=order, predecessor=cast.aoki, successor=endo, by=cast.goto, at=NOON)
    approvals.sign(asked, by=cast.baba, at=NOON)
    ready, wrong = threading.Barrier(len(pending) + 1), list[Exception]()

    def sign(request: ApprovalRequest, by: User) -> None:
        try:
            ready.wait(30)
            approvals.sign(request, by=by, at=NOON)
        except (approvals.Refused, IntegrityError):
            pass  # out of office by then
        except Exception as error:  # noqa: BLE001  a thread's surprise must reach the test
            wrong.append(error)
        finally:
            connection.close()

    hands = [threading.Thread(target=sign, args=(request, cast.aoki)) for request in pending]
    hands.append(threading.Thread(target=sign, args=(asked, hara)))
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)

    assert wrong == []
    assert Succession.objects.count() == 1
    assert set(case.approvals.filter(act=ACT).values_list("state", flat=True)) <= {"open", "suspended"}
