"""The estate of a storm: claims of three lines, each on a rail of its own class, with usable destinations and a declared run."""

from administration.books import books
from administration.books.models import Asset
from administration.distribution.models import Plan, Run
from administration.fields import db_now
from administration.ledger.models import Identity, Intake, LedgerAccount, LedgerBalance, SourceFile
from claims.register import positions
from claims.register import schedule as claims
from claims.register.models import ClaimLine
from tests.cast import CUTOFF, LONG_AGO, gather, open_sample_case, sha
from tests.returns.world import ASSETS, World, done, tampering

RAILS = {"BTC": "rehearsal", "ETH": "rehearsal-r2", "JPY": "rehearsal-r3"}
CHUNK = 5_000


def holder(n: int) -> dict[str, int]:
    """What claimant `n` is owed: no two alike, and more digits of ether than a float can hold."""
    return {"JPY": 10_000 + n, "BTC": 2 * 10**8 + 7919 * n, "ETH": 5_000 * 10**18 + (2 * n + 1) * 10**10 + 7}


def build(returns: int) -> World:
    """At least so many returns to come, three for each claim."""
    number = -(-returns // len(ASSETS))
    case = open_sample_case("T-1")
    people = gather(case)
    assets = {
        code: Asset.objects.create(case=case, code=code, name=code, scale=s, payable_step=p, network=n, kind=k)
        for code, (s, p, n, k) in ASSETS.items()
    }
    intake = Intake.objects.create(
        case=case, manifest={}, package_sha256=sha("package"), directory="", cutoff_at=CUTOFF, received_by=people.goto,
        received_at=LONG_AGO, accounts=number, balances=number * len(ASSETS),
    )  # fmt: skip
    files = {
        name: SourceFile.objects.create(
            case=case, intake=intake, name=name, sha256=sha(name), bytes=1, rows=number, received_at=LONG_AGO
        )
        for name in ("customers.csv", "accounts.csv", "balances.csv")
    }
    who = Identity.objects.bulk_create(
        Identity(
            case=case, customer_ref=f"K{n:06d}", entity_type="individual", name=f"利用者 {n}", kana=f"リヨウシャ {n}",
            file=files["customers.csv"], row=n + 1,
        )
        for n in range(1, number + 1)
    )  # fmt: skip
    accounts = LedgerAccount.objects.bulk_create(
        LedgerAccount(
            case=case, intake=intake, account_ref=f"A{n:06d}", identity=identity, capacity="own", status="open",
            file=files["accounts.csv"], row=n + 1,
        )
        for n, identity in enumerate(who, start=1)
    )  # fmt: skip
    rows = [
        (account, assets[code], units)
        for n, account in enumerate(accounts, start=1)
        for code, units in holder(n).items()
    ]
    LedgerBalance.objects.bulk_create(
        LedgerBalance(
            case=case, ledger_account=account, asset=asset, product="spot", amount=units, file=files["balances.csv"], row=row
        )
        for row, (account, asset, units) in enumerate(rows, start=2)
    )
    with tampering() as cursor:
        cursor.execute("UPDATE ledger_intake SET state = 'accepted' WHERE case_id = %s", [case.pk])
    done(claims.schedule(case, by=people.goto, at=db_now()))
    sums = dict.fromkeys(ASSETS, 0)
    for _account, asset, units in rows:
        sums[asset.code] += units
    lines = [(assets[code], units) for code, units in sums.items()]
    books.post(case, "opening", idem_key="opening", lines=lines, subject=case, by=people.aoki, at=db_now())
    plan = Plan.objects.create(
        case=case, version=1, name="All", body="all", sha256=sha("all"), drafted_by=people.goto, drafted_at=db_now()
    )
    with tampering() as cursor:
        cursor.execute(
            """INSERT INTO distribution_run (case_id, plan_id, number, kind, state, inputs_sha256, outputs_root,
                   entitlement_count, computed_by_id, computed_at)
               VALUES (%s, %s, 1, 'interim', 'declared', %s, %s, 0, %s, now())""",
            [case.pk, plan.pk, sha("in"), sha("out"), people.goto.pk],
        )
    given = list(ClaimLine.objects.filter(case=case).order_by("pk").values_list("pk", "admitted"))
    for start in range(0, len(given), CHUNK):
        positions.move(
            case, "declare", key=f"declare:{start}", rows=given[start : start + CHUNK], subject=case, by=people.aoki,
            at=db_now(),
        )  # fmt: skip
    world = World(case, people, assets, Run.objects.get(case=case))
    world.give_destinations(list(case.claims.values_list("pk", flat=True)))
    return world
