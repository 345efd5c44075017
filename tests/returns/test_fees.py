"""A bank that keeps a fee of what comes back: a person says which return it is, the claim is whole again, the estate bears it."""

import pytest

from administration.fields import db_now
from administration.returns import fees, settlement
from administration.returns.models import EvidenceLine
from claims.register import tie_out
from claims.register.models import Position
from tests.returns.test_zengin_way import NAMES, back, banks, carried, house, out, problems, told, yen  # noqa: F401  a fixture
from tests.returns.world import done


def test_less_came_back_than_was_sent(world, house, tmp_path):  # noqa: F811
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [out(batch), back(batch, NAMES[0], 340)], batch=batch)
    assert problems(world) == ["fee_kept"]
    line = EvidenceLine.objects.get(problem="fee_kept")
    row = world.returns(asset__code="JPY")[0]
    with pytest.raises(fees.NotAFee, match="Choose one of"):
        fees.decide(line, world.returns(asset__code="JPY")[1].reference, by=world.goto, at=db_now())

    assert fees.decide(line, row.reference, by=world.goto, at=db_now()) == 660
    with pytest.raises(fees.NotAFee, match="does not wait"):
        fees.decide(line, row.reference, by=world.goto, at=db_now())
    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    assert (yen(world)[row.reference], problems(world)) == ("returned", [])
    assert Position.objects.get(claim_line=row.claim_line).settled == 0
    found = tie_out.tie_out(world.case)
    [statement] = [one for one in found["assets"] if one["code"] == "JPY"]
    assert (found["ok"], statement["bounced"], statement["costs"]) == (True, "1000", "660")
