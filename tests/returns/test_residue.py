"""What is left is a residue only once nobody could still be given it."""

from administration.returns import closing
from tests.returns.test_tail import claims_of
from tests.returns.world import tampering


def test_what_is_free_is_no_residue_while_a_line_is_admitted_for_more(world):
    line = claims_of(world)[0].lines.get(asset__code="JPY")
    with tampering() as cursor:  # nothing waits; but one line was given half
        cursor.execute("UPDATE register_position SET settled = given")
        cursor.execute("UPDATE register_position SET given = 500, settled = 500 WHERE claim_line_id = %s", [line.pk])
    said = " ".join(closing.what_stands_in_the_way(world.case))
    assert f"Claim {line.claim} is admitted for more JPY than it was given" in said
