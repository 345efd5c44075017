"""The integrity light: lit by a signed head that stands in the log outside the database, and by nothing else."""

from administration.audit import verification
from administration.cases import stops
from administration.office import standing
from administration.record import heads
from administration.work import jobs
from tests.cast import NOON, gather, open_sample_case


def test_the_light_is_lit_by_a_head_that_stands_in_the_log(committed):
    case = open_sample_case()
    cast = gather(case)
    assert standing.light(case).head is None
    stops.stop(case, reason="To have an event.", by=cast.goto, at=NOON)
    heads.seal(case, at=NOON)
    light = standing.light(case)
    assert light.ok and light.since == 0

    heads.log_file().write_text("")
    assert not standing.light(case).ok


def test_the_light_says_what_the_last_verification_found(committed):
    case = open_sample_case()
    cast = gather(case)
    stops.stop(case, reason="To have an event.", by=cast.goto, at=NOON)
    heads.seal(case, at=NOON)
    jobs.wait(verification.start(case, by=cast.chiba, at=NOON))

    light = standing.light(case)
    assert light.verified and light.ok and light.found["events"] == 1
