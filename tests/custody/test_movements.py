"""What comes and goes at a place is in the books, with its reason and its paper."""

import pytest

from administration.books.books import Overdrawn
from administration.books.models import Entry
from administration.cases.appointments import NotEmpowered
from administration.cases.models import CourtOrder
from administration.cases.orders import NotInForce
from administration.custody import holdings, movements
from administration.custody.models import HoldingPlace, Movement
from administration.record.models import Event
from tests.cast import NOON, open_sample_case, sha
from tests.custody.test_holdings import free


@pytest.fixture
def place(hold):
    return hold(amount=1000).place


@pytest.fixture
def move(place, goto):
    def move(kind="receipt", amount=50, at=place, **other):
        said = {"reason": "found", "evidence": b"paper", "evidence_name": "paper.txt", "by": goto, "at": NOON}
        return movements.record(at, kind=kind, amount=amount, **(said | other))

    return move


@pytest.mark.parametrize(
    ("kind", "amount", "entry", "left"),
    [
        ("receipt", 50, "receipt", 1050),
        ("recovery", 50, "receipt", 1050),
        ("fee", -50, "cost_free", 950),
        ("cost", -50, "cost_free", 950),
    ],
)
def test_a_movement_posts_what_it_is(move, kind, amount, entry, left):
    movement = move(kind, amount)

    assert Entry.objects.get(idem_key=f"movement:{movement.pk}").kind_id == entry
    assert free("BTC") == left
    assert Event.objects.last().kind == "movement.recorded"


def test_a_sweep_posts_nothing(move):
    move("sweep", -50)

    assert Movement.objects.count() == 1 and free("BTC") == 1000


def test_what_happens_at_the_exchanges_own_places_is_not_the_customers(move, hold):
    move(at=hold(tag="own", locator="bc1-own").place)

    assert free("BTC") == 1000


def test_a_movement_before_anything_is_proved_would_count_twice(move, hold):
    unproved = hold(access="unproved", locator="bc1-old").place
    with pytest.raises(movements.NotAMovement, match="Nothing is proved"):
        move(at=unproved)

    assert not Movement.objects.exists()


def test_more_than_is_free_does_not_go(move):
    with pytest.raises(Overdrawn):
        move("fee", -1001)

    assert not Movement.objects.exists()


@pytest.mark.parametrize(
    ("other", "refusal"),
    [
        ({"amount": 0}, movements.NotAMovement),
        ({"amount": -1}, movements.NotAMovement),
        ({"kind": "fee"}, movements.NotAMovement),
        ({"kind": "gift"}, movements.NotAMovement),
        ({"reason": ""}, movements.NotAMovement),
        ({"evidence": b""}, holdings.NotEvidenced),
        ({"evidence_name": ""}, holdings.NotEvidenced),
    ],
    ids=str,
)
def test_what_cannot_be_a_movement_is_refused(move, other, refusal):
    with pytest.raises(refusal):
        move(**other)

    assert not Movement.objects.exists()


def test_a_movement_rests_on_an_order_of_its_case_that_stands(move, case, aoki):
    def order(of):
        return CourtOrder.objects.create(
            case=of, number="1", issuer="court", issued_date="2026-10-01", scan_name="scan", scan_sha256=sha("scan"),
            registered_by=aoki, registered_at=NOON,
        )  # fmt: skip

    with pytest.raises(NotInForce):
        move(order=order(case))
    with pytest.raises(movements.NotAMovement, match="another case"):
        move(order=order(open_sample_case("T-2")))

    assert not Movement.objects.exists()


def test_a_stranger_moves_nothing(move, fujii):
    with pytest.raises(NotEmpowered):
        move(by=fujii)

    assert HoldingPlace.objects.count() == 1 and not Movement.objects.exists()
