"""A claim's own page says where each line stands, in any state that `why` knows."""

import datetime

from administration.returns import gates
from claims.register import holds
from tests.cast import NOON
from tests.office.estate import _estate, estate, goto_at  # noqa: F401


def test_a_claim_that_waits_until_a_day_says_the_day_as_people_read_it(goto_at):  # noqa: F811
    world = goto_at.world
    world.scheduled()
    claim = world.case.claims.order_by("number")[0]
    until = datetime.date(2027, 3, 1)
    holds.place(claim, "attachment", reason="seized", next_look=until, by=world.goto, at=NOON)
    assert any(line["next_date"] == "2027-03-01" for line in gates.why(claim.number, at=NOON)["lines"])

    page = goto_at.see(f"claims/{claim.number}/")

    assert page.status_code == 200 and "2027-03-01 (Mon)" in page.content.decode()
    goto_at.client.cookies["office_language"] = "ja"
    assert "令和9年3月1日（月）" in goto_at.see(f"claims/{claim.number}/").content.decode()
