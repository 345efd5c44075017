"""How the lines of evidence of one item add up to a judgement."""

import datetime

import pytest

from administration.rails.interface import Item, Observation, ObservationKind, Verdict, judge_lines

AT = datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC)
ITEM = Item("R1", "JPY", 100, 0, {"bank_code": "0005"})


def line(kind, number=1, amount=100, asset="JPY"):
    return Observation(str(number), ObservationKind(kind), asset, amount, AT, "R1")


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [
        ([], Verdict.PENDING),
        (["seen"], Verdict.PENDING),
        (["settled"], Verdict.SETTLED),
        (["seen", "settled"], Verdict.SETTLED),
        (["refused"], Verdict.REFUSED),
        (["dead"], Verdict.DEAD),
        (["settled", "returned"], Verdict.RETURNED),
    ],
)
def test_lines_that_follow_each_other_decide(kinds, verdict):
    judgement = judge_lines(ITEM, [line(kind, number) for number, kind in enumerate(kinds)])

    assert judgement.verdict is verdict
    assert judgement.lines == tuple(str(number) for number in range(len(kinds)))


@pytest.mark.parametrize(
    "kinds", [["settled", "settled"], ["returned"], ["refused", "settled"], ["settled", "refused"]]
)
def test_lines_that_contradict_each_other_are_for_a_person(kinds):
    assert judge_lines(ITEM, [line(kind, number) for number, kind in enumerate(kinds)]).verdict is Verdict.UNKNOWN


def test_a_line_of_another_amount_or_asset_is_for_a_person():
    assert judge_lines(ITEM, [line("settled", amount=99)]).verdict is Verdict.UNKNOWN
    assert judge_lines(ITEM, [line("settled", asset="JPYC")]).verdict is Verdict.UNKNOWN
