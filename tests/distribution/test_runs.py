"""Runs: what each line gets, round after round."""

from tests.distribution.conftest import amounts


def test_an_interim_round_gives_each_line_its_share_rounded_down(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    run = estate.compute()

    assert run.state == "computed"
    assert amounts(run, "BTC") == [4, 4, 1]
    (line,) = run.pools.all()
    assert (line.amount, line.weights, line.effective, line.distributed, line.left) == (10, 14, 10, 9, 1)


def test_rounds_add_up_and_none_goes_backwards(open_estate):
    estate = open_estate({"BTC": 6}, {"BTC": 6}, {"BTC": 2}, BTC=10)
    estate.round()
    estate.receive(BTC=1)
    estate.round()
    assert estate.given("BTC") == [4, 4, 1]
    estate.receive(BTC=3)
    run = estate.round()
    assert estate.given("BTC") == [6, 6, 2]
    assert run.state == "declared"
