"""Nothing is held without evidence; what is proved opens in the books once."""

import json
from datetime import timedelta

import pytest

from administration.books.models import Balance, Entry
from administration.cases import archive
from administration.cases.appointments import NotEmpowered
from administration.custody import holdings
from administration.custody.models import Holding, HoldingPlace
from administration.record import covers
from administration.record.models import Event
from tests.cast import CUTOFF, NOON, open_sample_case

LATER = CUTOFF + timedelta(days=7)


def free(code):
    row = Balance.objects.filter(account__asset__code=code, account__kind="free").first()
    return row.credits - row.debits if row else 0


def test_a_holding_keeps_its_evidence(hold):
    holding = hold()

    assert archive.read(holding.evidence_sha256) == b"statement"
    event = Event.objects.get()
    assert event.kind == "holding.recorded" and event.subject_id == str(holding.pk)
    assert json.loads(event.body)["amount"] == "400000000"


@pytest.mark.parametrize("tag", ["segregated", "guarantee"])
def test_the_first_proved_holding_of_a_customers_place_opens_it_in_the_books(hold, tag):
    holding = hold(tag=tag)

    assert free("BTC") == 4_0000_0000
    assert Entry.objects.get().idem_key == f"holding:{holding.pk}"


@pytest.mark.parametrize("other", [{"tag": "own"}, {"access": "unproved"}, {"access": "contested"}, {"amount": 0}])
def test_what_is_not_the_customers_or_not_proved_opens_nothing(hold, other):
    hold(**other)

    assert not Entry.objects.exists()


def test_later_statements_of_a_place_post_nothing(hold):
    hold()
    hold(as_of=LATER, amount=3_0000_0000)

    assert HoldingPlace.objects.count() == 1
    assert Entry.objects.count() == 1 and free("BTC") == 4_0000_0000


def test_a_place_opens_when_it_is_first_proved(hold):
    hold(access="unproved", proof="")
    hold(as_of=LATER, amount=3_0000_0000)

    assert free("BTC") == 3_0000_0000


def test_one_address_on_two_networks_is_two_places(hold):
    hold("ETH", 5, network="ethereum", locator="0xaa")
    hold("ETH", 7, network="polygon", locator="0xaa")

    assert HoldingPlace.objects.count() == 2 and free("ETH") == 12


def test_the_newest_holding_of_a_place_counts(hold, case):
    hold(as_of=LATER, access="lost", proof="")
    hold()

    assert [row.access for row in holdings.newest(case)] == ["lost"]


@pytest.mark.parametrize(
    ("other", "refusal"),
    [
        ({"evidence": b""}, holdings.NotEvidenced),
        ({"evidence_name": ""}, holdings.NotEvidenced),
        ({"proof": " "}, holdings.NotEvidenced),
        ({"amount": -1}, holdings.NotAHolding),
        ({"locator": ""}, holdings.NotAHolding),
        ({"tag": "ours"}, holdings.NotAHolding),
        ({"kind": "drawer"}, holdings.NotAHolding),
        ({"access": "perhaps"}, holdings.NotAHolding),
        ({"as_of": NOON + timedelta(seconds=1)}, holdings.NotAHolding),
    ],
    ids=str,
)
def test_what_cannot_be_a_holding_is_refused(hold, other, refusal):
    with pytest.raises(refusal):
        hold(**other)

    assert not Holding.objects.exists() and not HoldingPlace.objects.exists() and not Event.objects.exists()


def test_an_amount_is_a_whole_number(hold):
    with pytest.raises(TypeError, match="whole int"):
        hold(amount=1.5)


def test_a_place_is_recorded_once_for_an_instant(hold):
    hold()
    with pytest.raises(holdings.AlreadyRecorded, match="stays as it is"):
        hold(amount=5)

    assert Holding.objects.count() == Event.objects.count() == 1


def test_a_place_does_not_change_hands(hold):
    hold(tag="own")
    with pytest.raises(holdings.NotAHolding, match="does not become"):
        hold(as_of=LATER)

    assert not Entry.objects.exists()


def test_an_asset_of_another_case_is_refused(hold, assets, goto):
    with pytest.raises(NotEmpowered):
        holdings.record(
            open_sample_case("T-2"), asset=assets["BTC"], kind="wallet", network="bitcoin", locator="x", tag="own",
            amount=1, as_of=CUTOFF, access="unproved", evidence=b"e", evidence_name="e", by=goto, at=NOON,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["fujii", "chiba"])
def test_who_has_not_the_power_records_nothing(hold, cast, name):
    with pytest.raises(NotEmpowered):
        hold(by=getattr(cast, name))

    assert not Holding.objects.exists()


# --- from the handover package ----------------------------------------------------------------

PLACES = [
    ("BTC", "bc1-hot", "segregated", "proved", 100),
    ("BTC", "bc1-old", "segregated", "unproved", 30),
    ("ETH", "0xaa", "guarantee", "proved", 7),
    ("ETH", "0xbb", "own", "proved", 5),
]


def test_every_place_of_the_package_is_recorded_with_its_paper(hand_over, case, goto):
    hand_over(*PLACES)

    held = holdings.from_handover(case, by=goto, at=NOON)

    assert [(row.place.locator, row.access, row.amount) for row in held] == [(p[1], p[3], p[4]) for p in PLACES]
    assert archive.read(held[0].evidence_sha256) == b"bc1-hot holds 100 BTC"
    assert (free("BTC"), free("ETH")) == (100, 7)


def test_the_one_event_covers_them_all(hand_over, case, goto):
    hand_over(*PLACES)
    held = holdings.from_handover(case, by=goto, at=NOON)

    said = json.loads(Event.objects.get().body)["cover"]
    assert said["count"] == "4" and said["sums"] == {"BTC": "130", "ETH": "12"}
    assert said["sha256"] == covers.cover(said["name"], **said["params"]).sha256
    assert said["params"] == {"case": "T-1", "first": str(held[0].pk), "last": str(held[-1].pk)}


def test_recording_the_package_again_changes_nothing(hand_over, case, goto):
    hand_over(*PLACES)
    first = holdings.from_handover(case, by=goto, at=NOON)

    assert holdings.from_handover(case, by=goto, at=NOON) == first
    assert Holding.objects.count() == 4 and Event.objects.count() == 1 and Entry.objects.count() == 2


def test_a_paper_of_another_hash_refuses_the_whole(hand_over, case, goto):
    folder = hand_over(*PLACES)
    (folder / "evidence" / "4.txt").write_text("0xaa holds 700 ETH")

    with pytest.raises(holdings.NotEvidenced, match=r"row 4: the paper evidence/4\.txt is not the one"):
        holdings.from_handover(case, by=goto, at=NOON)

    assert not Holding.objects.exists() and not Entry.objects.exists()


def test_a_missing_paper_refuses_the_whole(hand_over, case, goto):
    folder = hand_over(*PLACES)
    (folder / "evidence" / "5.txt").unlink()

    with pytest.raises(holdings.NotEvidenced, match=r"row 5: the paper evidence/5\.txt is not in the package"):
        holdings.from_handover(case, by=goto, at=NOON)

    assert not Holding.objects.exists()


def test_one_place_listed_twice_is_refused(hand_over, case, goto):
    hand_over(*PLACES[:1], *PLACES[:1])

    with pytest.raises(holdings.AlreadyRecorded):
        holdings.from_handover(case, by=goto, at=NOON)


def test_a_package_not_accepted_says_nothing_of_what_is_held(case, ledger, goto):
    with pytest.raises(holdings.NothingTaken):
        holdings.from_handover(case, by=goto, at=NOON)
