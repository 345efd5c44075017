"""Several at once on the same lines: sums are right, nobody waits in a circle, nothing is given twice."""

import random

import psycopg
import pytest
from django.db import connection, transaction

from administration.books import books
from administration.books.models import Balance
from administration.errors import Refused
from claims.register import positions, review, schedule
from claims.register.models import Claim, ClaimKind, ClaimLine, Position, Transfer
from claims.register.tie_out import tie_out
from tests.at_once import at_once
from tests.cast import NOON, gather, open_sample_case, sha
from tests.factories import ledger_of
from tests.register.conftest import done


@pytest.fixture
def estate(committed):
    """A committed case: forty customers with 1,000 yen each, claims scheduled, enough free."""
    from administration.books.models import Asset

    case = open_sample_case()
    cast = gather(case)
    yen = Asset.objects.create(case=case, code="JPY", name="JPY", scale=0, network="bank", kind="fiat")
    ledger_of(case, {"JPY": yen}, [{"JPY": 1000}] * 40, by=cast.goto)
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE ledger_intake SET state = 'accepted'")
    done(schedule.schedule(case, by=cast.goto, at=NOON))
    books.post(case, "opening", idem_key="o", lines=[(yen, 10**6)], subject=case, by=cast.aoki, at=NOON)
    return case


def mover(case, kind, key, rows, *, pause=False):
    def move():
        try:
            return positions.move(case, kind, key=key, rows=rows, subject=case, by=None, at=NOON)
        except Refused as refusal:
            return str(refusal)

    return move


def test_movers_of_the_same_lines_in_any_order_never_deadlock_and_add_up(estate):
    lines = list(ClaimLine.objects.values_list("pk", flat=True))
    dice = random.Random(7)
    movers = []
    for n in range(8):
        dice.shuffle(lines)
        movers.append(mover(estate, "declare", f"k{n}", [(line, 10) for line in lines]))

    assert at_once(*movers) == [True] * 8
    assert set(Position.objects.values_list("given", flat=True)) == {80}
    assert Balance.objects.get(account__kind="entitled").credits == 80 * 40
    assert tie_out(estate)["ok"]


def test_the_same_move_by_several_at_once_is_made_once(estate):
    line = ClaimLine.objects.first()
    assert sorted(at_once(*[mover(estate, "declare", "once", [(line.pk, 5)])] * 5)) == [False] * 4 + [True]
    assert Position.objects.get(pk=line.pk).given == 5


def test_two_who_give_the_same_rest_do_not_both_give_it(estate):
    line = ClaimLine.objects.first()
    found = at_once(*(mover(estate, "declare", f"k{n}", [(line.pk, 700)]) for n in range(4)))

    assert found.count(True) == 1
    assert Position.objects.get(pk=line.pk).given == 700


def test_a_decision_and_a_run_at_once_leave_nothing_given_without_ground(estate):
    aoki = gather().aoki
    lines = list(ClaimLine.objects.all()[:12])

    def lower(line):
        return lambda: review.decide_line(line, 400, reason_code="in_part", by=aoki, at=NOON)

    pairs = [(lower(line), mover(estate, "declare", f"k{line.pk}", [(line.pk, 900)])) for line in lines]
    at_once(*(act for pair in pairs for act in pair))

    for line in ClaimLine.objects.filter(pk__in=[line.pk for line in lines]).select_related("position"):
        assert (line.admitted, line.rejected) == (400, 600)
        assert line.excess == max(0, line.position.given - 400)
    assert tie_out(estate)["ok"]


# --- transfers ------------------------------------------------------------------------------------


def transfer(claim, num, den, *, n):
    child = Claim.objects.create(
        case=claim.case, number=f"child {n}", kind=ClaimKind.CHILD, claimant=claim.claimant, parent=claim,
        fraction_num=num, fraction_den=den,
    )  # fmt: skip
    return Transfer.objects.create(
        parent=claim, child=child, ground="assignment", fraction_num=num, fraction_den=den,
        evidence_sha256=sha("deed"), by=gather().aoki, at=NOON,
    )  # fmt: skip


def test_transfers_of_a_claim_are_at_most_the_whole_also_when_two_come_at_once(estate):
    claim = Claim.objects.first()
    found = at_once(*[lambda n=n: transfer(claim, 2, 3, n=n) for n in range(3)])

    refused = [error for error in found if isinstance(error, Exception)]
    assert len(refused) == 2
    assert all("transfers_of_a_claim_are_at_most_the_whole" in str(error) for error in refused)
    transfer(claim, 1, 3, n="the rest")


def test_nothing_is_transferred_while_a_return_is_scheduled_not_even_by_somebody_else_right_now(estate):
    claim = Claim.objects.first()
    line = claim.lines.get()
    mover(estate, "declare", "d", [(line.pk, 100)])()
    with psycopg.connect(connection.get_connection_params()["dbname"] and _dsn()) as other:
        other.execute("SET ROLE henkan_app")
        other.execute(
            "SELECT positions_move(%s, 'schedule', 's', ARRAY[%s]::bigint[], ARRAY[100]::numeric[], '', '', '', now())",
            [estate.pk, line.pk],
        )
        # not committed yet: the transfer waits for it, and then sees it
        found = at_once(lambda: transfer(claim, 1, 2, n=1), lambda: other.commit() if _waiting() else None)
    assert "nothing_is_transferred_while_a_return_is_scheduled" in str(found[0])


def _dsn():
    params = connection.get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{name: params[name] for name in ("dbname", "user", "password", "host", "port") if params.get(name)}
    )


def _waiting():
    """Wait until somebody waits for a lock."""
    import time

    with psycopg.connect(_dsn(), autocommit=True) as looking:
        for _ in range(200):
            if looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
                return True
            time.sleep(0.02)
    return False


def test_a_transfer_opens_the_child_it_names(estate):
    first, second = Claim.objects.order_by("pk")[:2]
    child = Claim.objects.create(
        case=estate, number="child", kind=ClaimKind.CHILD, claimant=first.claimant, parent=second,
        fraction_num=1, fraction_den=2,
    )  # fmt: skip
    with pytest.raises(Exception, match="transfer_opens_a_child_with_its_fraction"):
        Transfer.objects.create(
            parent=first, child=child, ground="assignment", fraction_num=1, fraction_den=2,
            evidence_sha256=sha("deed"), by=gather().aoki, at=NOON,
        )  # fmt: skip
