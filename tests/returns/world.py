"""A small estate up to step 5, made by rows: claims with positions, usable destinations, a declared run."""

from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from administration.audit import henkan_verify, pulls
from administration.books import books
from administration.books.models import Asset
from administration.cases import approvals
from administration.cases.models import Case
from administration.distribution.models import Plan, Run
from administration.fields import db_now
from administration.people.models import User
from administration.record import verify
from administration.returns import batches, rounds, submissions
from administration.returns.models import AssetReturn, Batch, Round
from administration.work import jobs
from claims.register import positions
from claims.register import schedule as claims
from claims.register.models import ClaimLine
from tests.cast import Cast, gather, open_sample_case, sha
from tests.factories import ledger_of

ASSETS = {"JPY": (0, 1, "bank", "fiat"), "BTC": (8, 1, "bitcoin", "coin"), "ETH": (18, 10**10, "ethereum", "coin")}

DESTINATIONS = """
INSERT INTO destinations_destination
    (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, keyed_by_id, proposed_at,
     revoke_reason, recorded_at)
SELECT l.case_id, l.claim_id, l.asset_id, %(version)s, a.network, d.details, destination_fingerprint(a.network, d.details),
       'paper', 'proposed', %(keyed)s, now(), '', now()
FROM (SELECT DISTINCT case_id, claim_id, asset_id FROM register_claimline WHERE case_id = %(case)s) l
JOIN books_asset a ON a.id = l.asset_id JOIN register_claim c ON c.id = l.claim_id
CROSS JOIN LATERAL (SELECT jsonb_build_object('to', c.number || '/' || a.code || '/' || %(version)s) AS details) d
WHERE c.id = ANY (%(claims)s) AND a.code LIKE %(asset)s
"""
STEPS = (
    "UPDATE destinations_destination SET state = 'proved', proved_at = now(), second_keyed_by_id = %(second)s"
    " WHERE state = 'proposed' AND claim_id = ANY (%(claims)s)",
    "UPDATE destinations_destination SET state = 'cooling', usable_from = transaction_timestamp()"
    " WHERE state = 'proved' AND claim_id = ANY (%(claims)s)",
    "UPDATE destinations_destination SET state = 'usable' WHERE state = 'cooling' AND claim_id = ANY (%(claims)s)",
)


def found(reference: str = "T-1") -> "World":
    """The estate that stands in the database."""
    case = Case.objects.get(reference=reference)
    people = Cast(**{name: User.objects.get(username=name) for name in ("aoki", "baba", "goto", "chiba", "fujii")})
    return World(case, people, {asset.code: asset for asset in case.assets.all()}, Run.objects.get(case=case))


@dataclass
class World:
    """The estate and its people. Acts are called with `by` and the database's time."""

    case: Case
    people: Cast
    assets: dict[str, Asset]
    run: Run

    @property
    def goto(self) -> User:
        return self.people.goto

    def scheduled(self) -> Round:
        done(rounds.schedule(self.case, self.run, by=self.goto, at=db_now()))
        return self.case.rounds.latest("number")

    def drafted(self, limit: int | None = None) -> Batch:
        current = self.case.rounds.filter(scheduled_at__isnull=False).last() or self.scheduled()
        return batches.draft(self.case, current, "rehearsal", by=self.goto, at=db_now(), limit=limit)

    def frozen(self, limit: int | None = None) -> Batch:
        batch = self.drafted(limit)
        batches.freeze(batch, by=self.goto, at=db_now())
        batch.refresh_from_db()
        return batch

    def approve(self, batch: Batch, act: str = batches.ACT) -> Batch:
        """Signed by Aoki and Baba; not committed in a transaction of its own where the test has one already."""
        request = batch.case.approvals.filter(act=act, object_id=batch.pk).latest("pk")
        for user in (self.people.aoki, self.people.baba):
            sign(request, user)
        batch.refresh_from_db()
        return batch

    def approved(self, limit: int | None = None) -> Batch:
        return self.approve(self.frozen(limit))

    def exported(self, limit: int | None = None) -> Batch:
        batch = self.approved(limit)
        done(submissions.export(batch, by=self.goto, at=db_now()))
        batch.refresh_from_db()
        return batch

    def returns(self, **which: object) -> list[AssetReturn]:
        return list(AssetReturn.objects.filter(case=self.case, **which).order_by("reference"))

    def proves(self) -> None:
        """The record holds, looked at from inside and, pulled, by the program that auditors have."""
        assert verify.verify(self.case)["first_bad"] is None
        henkan_verify.verify(pulls.path_of(pulls.make(self.case, format="jsonl", by=self.people.chiba, at=db_now())))

    def give_destinations(self, claim_ids: list[int], version: int = 1, asset: str = "%") -> None:
        params = {
            "case": self.case.pk, "keyed": self.people.goto.pk, "second": self.people.aoki.pk, "version": version,
            "claims": claim_ids, "asset": asset,
        }  # fmt: skip
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(DESTINATIONS, params)
            for step in STEPS:
                cursor.execute(step, params)


def sign(request, user):
    """approvals.sign wants a transaction of its own; a test inside one calls its inner part."""
    if connection.in_atomic_block:
        return approvals._sign(request.pk, by=user, at=db_now())
    return approvals.sign(request, by=user, at=db_now())


def done(job):
    """Do the job here and now."""
    while jobs.advance(job.pk):
        pass
    return jobs.wait(job)


@contextmanager
def tampering():
    """Triggers off, as a superuser: rows of rooms whose own acts are tested elsewhere."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        before = cursor.fetchone()[0]
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute(f"SET LOCAL ROLE {before}")


def build(as_superuser=tampering, *, claims_count: int = 4, reference: str = "T-1", destinations: bool = True) -> World:
    """`claims_count` claims of three lines each: 1,000 yen, 2 BTC, 3 ETH and a bit that no rail can pay."""
    case = open_sample_case(reference)
    people = gather(case)
    assets = {
        code: Asset.objects.create(case=case, code=code, name=code, scale=s, payable_step=p, network=n, kind=k)
        for code, (s, p, n, k) in ASSETS.items()
    }
    holder = {"JPY": 1000, "BTC": 2 * 10**8, "ETH": 3 * 10**18 + 7}
    ledger_of(case, assets, [holder] * claims_count, by=people.goto)
    with as_superuser() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE case_id = %s", [case.pk])
    done(claims.schedule(case, by=people.goto, at=db_now()))
    lines = [(asset, claims_count * holder[code] * 2) for code, asset in assets.items()]
    books.post(case, "opening", idem_key="opening", lines=lines, subject=case, by=people.aoki, at=db_now())
    plan = Plan.objects.create(
        case=case, version=1, name="All", body="all", sha256=sha("all"), drafted_by=people.goto, drafted_at=db_now()
    )
    with as_superuser() as cursor:
        cursor.execute(
            """INSERT INTO distribution_run (case_id, plan_id, number, kind, state, inputs_sha256, outputs_root,
                   entitlement_count, computed_by_id, computed_at)
               VALUES (%s, %s, 1, 'interim', 'declared', %s, %s, 0, %s, now())""",
            [case.pk, plan.pk, sha("in"), sha("out"), people.goto.pk],
        )
    rows = list(ClaimLine.objects.filter(case=case).values_list("pk", "admitted"))
    for start in range(0, len(rows), 5000):
        positions.move(
            case, "declare", key=f"declare:{start}", rows=rows[start : start + 5000], subject=case, by=people.aoki, at=db_now()
        )
    world = World(case, people, assets, Run.objects.get(case=case))
    if destinations:
        world.give_destinations(list(case.claims.values_list("pk", flat=True)))
    return world


