"""
Distribution: rounds over claim lines of twelve assets, by the very phases that a run goes through.

The bound is what nobody can avoid: one scan that sums the claims, and CREATE TABLE AS of the entitlements written,
without a key, a check or a share. A round is timed from reading the claims to the last check of the database; its
Merkle sum trees apart, against CREATE TABLE AS alone.
"""

import hashlib
from typing import Any

from django.db import connection, connections

from administration.books import books
from administration.books.models import Asset
from administration.cases.models import Case
from administration.custody.models import Holding, HoldingPlace
from administration.distribution import computing
from administration.distribution.models import Plan, Run, RunState
from administration.fields import db_now
from administration.ledger.models import Identity, Intake, SourceFile
from administration.office.benchmarks import Stopwatch, result, rounds, scratch
from administration.people.models import User
from claims.register.models import Claimant, Decision

SCALES = (0, 8, 18, 6, 0, 8, 18, 6, 2, 8, 18, 12)  # yen, bitcoin, ether, ripple and so on
LINES_A_CLAIM = 4
PLAN = """
name = "Benchmark"
kind = "{kind}"
[[pool]]
name = "customers"
assets = "every asset"
classes = ["trust_beneficiary", "priority_segregated"]
rounding = "{rounding}"
"""
# Straight into the tables of steps 2 to 4: their own acts have benchmarks of their own.
CLAIMS = """
INSERT INTO register_claim (case_id, number, kind, claimant_id, fraction_num, fraction_den, confirmed_how)
SELECT %(case)s, 'B-1-C' || lpad(n::text, 8, '0'), 'lodged', %(claimant)s, 1, 1, '' FROM generate_series(1, %(claims)s) n
"""
LINES = """
INSERT INTO register_claimline (case_id, claim_id, asset_id, claim_class, recorded, lodged, admitted, disputed, rejected,
    out_of_scope, converted_in, converted_out, excess, decision_id)
SELECT %(case)s, c.id, a.id, CASE a.kind WHEN 'fiat' THEN 'trust_beneficiary' ELSE 'priority_segregated' END,
       units, 0, units, 0, 0, 0, 0, 0, 0, %(decision)s
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM register_claim WHERE case_id = %(case)s) c
CROSS JOIN generate_series(0, %(each)s - 1) k
JOIN (SELECT id, kind, scale, row_number() OVER (ORDER BY id) - 1 AS n, count(*) OVER () AS many
      FROM books_asset WHERE case_id = %(case)s) a ON a.n = (c.n + k * 5) %% a.many
-- A long tail of small balances and a few huge ones, the same every time.
CROSS JOIN LATERAL (SELECT trunc(power(10::numeric, a.scale) * 1000
    / (1 + (c.n * 7919 + k * 104729) %% 9973)) + (c.n * 31 + k) %% 1000 AS units) u
ORDER BY c.id, a.id
"""
BOUND = "sum scan + CTAS"
SUM_SCAN = "SELECT asset_id, sum(admitted) FROM register_claimline WHERE case_id = %s GROUP BY asset_id"
SAME_ROWS = "CREATE TABLE bench_rows AS SELECT * FROM distribution_entitlement WHERE run_id = %s"


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        case = an_estate(rows)
        interim, final = (
            a_plan(case, version, kind, rounding)
            for version, (kind, rounding) in enumerate((("interim", "floor"), ("final", "largest remainder")), start=1)
        )

        def one(watch: Stopwatch) -> None:
            a_round(case, final, watch)
            done = a_round(case, interim, watch)
            with connections["owner"].cursor() as owner:
                owner.execute("DROP TABLE IF EXISTS bench_rows")
                with watch.time(BOUND):
                    owner.execute(SUM_SCAN, [case.pk])
                    owner.fetchall()
                    owner.execute(SAME_ROWS, [done.pk])
                with watch.time("CTAS"):
                    owner.execute("CREATE TABLE bench_again AS SELECT * FROM bench_rows")
                owner.execute("DROP TABLE bench_again")
            for kind in ("interim", "final"):  # a round is what it writes and what the database checks of it
                both = watch.seconds[f"{kind} entitlements"][-1] + watch.seconds[f"{kind} closing"][-1]
                watch.seconds.setdefault(f"{kind} round", []).append(both)

        watch = rounds(repeat, one)
    return [
        result(watch, "interim round", bound=BOUND, target=3.0, rows=rows),
        result(watch, "final round", bound=BOUND, target=5.0, rows=rows),
        result(watch, "interim roots", bound="CTAS", target=5.0, rows=rows),
    ]


def a_round(case: Case, plan: Plan, watch: Stopwatch) -> Run:
    """One run through its phases, each timed by itself; it must come out right."""
    newest = Run.objects.filter(case=case).order_by("-number").first()
    made = Run.objects.create(
        case=case, plan=plan, number=newest.number + 1 if newest else 1, kind=plan.name, computed_by=plan.drafted_by
    )
    for phase in computing.PHASES:
        run = Run.objects.select_related("case", "plan", "computed_by").get(pk=made.pk)
        with watch.time(f"{plan.name} {phase}"):
            computing.advance(run, at=db_now(), record=False)
    if run.state != RunState.COMPUTED:
        raise AssertionError(run.state)  # a wrong answer has no speed
    return run


def a_plan(case: Case, version: int, kind: str, rounding: str) -> Plan:
    body = PLAN.format(kind=kind, rounding=rounding)
    return Plan.objects.create(
        case=case, version=version, name=kind, body=body, sha256=hashlib.sha256(body.encode()).digest(),
        drafted_by=User.objects.get(username="goto"), drafted_at=db_now(),
    )  # fmt: skip


def an_estate(rows: int) -> Case:
    """A case with so many claim lines, and about seven tenths of what they claim free in the books."""
    at, user = db_now(), User.objects.create(username="goto")
    case = Case.objects.create(
        reference="B-1", name="Benchmark", regime="JP-PSA-2020", proceeding="bankruptcy", trigger="", cutoff_at=at,
        is_sample=True, salt=hashlib.sha256(b"salt").digest(), opened_at=at,
    )  # fmt: skip
    assets = [
        Asset.objects.create(
            case=case, code=f"A{n:02d}", scale=scale, kind="coin" if scale else "fiat", network="bitcoin"
        )
        for n, scale in enumerate(SCALES)
    ]
    for asset in assets:
        place = HoldingPlace.objects.create(
            case=case, asset=asset, kind="wallet", network="bitcoin", locator=asset.code, tag="segregated"
        )
        Holding.objects.create(
            case=case, place=place, asset=asset, amount=1, as_of=at, access="proved", proof="signed message",
            evidence_name="paper", evidence_sha256=hashlib.sha256(b"paper").digest(), by=user, at=at,
        )  # fmt: skip
    decision = Decision.objects.create(case=case, rule="benchmark", reason_code="scheduled", at=at)
    each = min(LINES_A_CLAIM, rows)
    params = {
        "case": case.pk, "claimant": a_claimant(case, user).pk, "claims": rows // each, "each": each,
        "decision": decision.pk,
    }  # fmt: skip
    with connections["owner"].cursor() as owner:
        for sql in (CLAIMS, LINES):
            owner.execute(sql, params)
        owner.execute("VACUUM ANALYZE register_claim, register_claimline, register_position")
    with connection.cursor() as cursor:
        cursor.execute(SUM_SCAN, [case.pk])
        claimed = {asset: int(units) for asset, units in cursor.fetchall()}
    lines = [(asset, claimed[asset.pk] * 7213 // 10_000) for asset in assets if claimed.get(asset.pk)]
    books.post(case, "opening", idem_key="opening", lines=lines, subject=case, by=user, at=at)
    return case


def a_claimant(case: Case, user: User) -> Claimant:
    """Whose claims they are does not matter here."""
    at, sha256 = db_now(), hashlib.sha256(b"file").digest()
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha256, directory="", cutoff_at=at, received_by=user, received_at=at
    )
    file = SourceFile.objects.create(
        case=case, intake=intake, name="customers.csv", sha256=sha256, bytes=1, received_at=at
    )
    identity = Identity.objects.create(case=case, customer_ref="K1", entity_type="individual", file=file, row=2)
    return Claimant.objects.create(case=case, identity=identity)
