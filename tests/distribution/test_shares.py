"""The share rule in SQL, held to plain integers; whole rounds at random, held to the independent program."""

import io
import random

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from administration import amounts
from administration.distribution import recompute, runs
from administration.distribution.models import Entitlement
from claims.register import positions, review, schedule
from claims.register.models import ClaimLine, Dispute, Position
from tests.cast import NOON
from tests.distribution.conftest import FINAL, PLAN

HUGE = 10**60
figures = st.one_of(st.integers(0, 100), st.integers(0, HUGE))


@pytest.mark.usefixtures("db")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(figures, min_size=1, max_size=30), figures)
def test_division_in_the_database_is_exact_at_every_size(weights, pool):
    total = sum(weights) or 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT div(w * %s::numeric, %s::numeric), mod(w * %s::numeric, %s::numeric)"
            " FROM unnest(%s::numeric[]) WITH ORDINALITY AS x (w, n) ORDER BY n",
            [pool, total, pool, total, weights],
        )
        found = [(int(share), int(rest)) for share, rest in cursor.fetchall()]
    assert found == [divmod(weight * pool, total) for weight in weights]


@pytest.mark.parametrize("scale", [1, 10**60])
def test_an_interim_round_in_the_database_is_the_pure_rule(open_estate, scale):
    chance = random.Random(scale)
    claims = [chance.randrange(1, 1000) * scale + chance.randrange(scale) for _ in range(20)]
    pool = sum(claims) * 7 // 10 + 1
    run = open_estate(*({"ETH": units} for units in claims), ETH=pool).compute()
    found = list(
        Entitlement.objects.filter(run=run).order_by("claim_line__claim__number").values_list("cumulative", flat=True)
    )
    assert found == [amounts.cumulative_share(units, pool=pool, total=sum(claims)) for units in claims]


@pytest.mark.parametrize("scale", [1, 10**60])
def test_a_final_round_in_the_database_is_the_pure_rule(open_estate, scale):
    chance = random.Random(scale)
    claims = [chance.randrange(1, 9) * scale for _ in range(24)]  # few different claims: many ties
    pool = sum(claims) * 5 // 9 + 5
    run = open_estate(*({"ETH": units} for units in claims), ETH=pool).compute(FINAL)
    rows = Entitlement.objects.filter(run=run).select_related("claim_line__claim")
    found = {row.claim_line.claim.number: row.cumulative for row in rows}
    weights = {row.claim_line.claim.number: (row.weight, 0) for row in rows}

    def tie(number):
        inputs = bytes(run.inputs_sha256)
        return recompute.sha256(recompute.frames(inputs.hex(), number, "ETH", "priority_segregated"))

    assert found == amounts.largest_remainder(weights, pool=pool, tie=tie)
    assert sum(found.values()) == min(pool, sum(claims))


@pytest.mark.parametrize("seed", range(3))
def test_rounds_at_random_never_go_wrong_and_agree_with_the_independent_program(open_estate, seed):
    """Value arrives, claims rise and fall, part is paid out; after each round everything is recomputed from outside."""
    chance = random.Random(seed)
    big = 10 ** chance.choice([2, 9, 40])
    estate = open_estate(*({"BTC": chance.randrange(1, big)} for _ in range(10)), BTC=chance.randrange(1, 3 * big))
    lines = list(ClaimLine.objects.filter(asset__code="BTC").order_by("pk"))
    for number in range(5):
        run = estate.compute(chance.choice([PLAN, PLAN, PLAN + "reserve_disputed = false\n"]))
        out = io.StringIO()
        runs.export_inputs(run, out)
        result, _ = recompute.recompute(out.getvalue().splitlines())
        assert result["outputs_root"] == bytes(run.outputs_root).hex()

        before = dict(Position.objects.values_list("pk", "given"))
        lowered = {row.claim_line_id for row in Entitlement.objects.filter(run=run) if row.kept < row.given}
        estate.approve(run)
        for position in Position.objects.select_related("claim_line"):
            covered = position.claim_line.admitted
            assert position.given >= before[position.pk] or position.pk in lowered
            assert position.given <= max(covered, before[position.pk])
        something_happens(estate, chance, chance.sample(lines, 3), number, big)


def something_happens(estate, chance, lines, number, big):
    estate.receive(BTC=chance.randrange(1, big))
    for line in lines:
        line.refresh_from_db()
        dispute = Dispute.objects.filter(claim_line=line, decision__isnull=True).first()
        most = line.recorded + line.lodged - line.out_of_scope
        if dispute is None and chance.random() < 0.5:
            schedule.dispute(line, most + chance.randrange(1, big), ground="more", by=estate.by, at=NOON)
        else:
            decide = {"reason_code": "in_part", "by": estate.by, "at": NOON}
            review.decide_line(line, chance.randrange(most + 1), dispute=dispute, **decide)
        position = Position.objects.get(pk=line.pk)
        here = position.given - position.scheduled - position.in_flight - position.settled
        if here > 0 and chance.random() < 0.7:
            units = chance.randrange(1, here + 1)
            for kind in ("schedule", "take", "settle"):
                key, rows = f"{kind}:{number}:{line.pk}", [(line.pk, units)]
                positions.move(estate.case, kind, key=key, rows=rows, subject=("test", 1), by=None, at=NOON)
