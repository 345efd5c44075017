"""
How a run is computed: set-based, over one snapshot of the claims, in phases that any worker resumes.

    entitlements   totals, P′ of every pool, an entitlement for every line that shares: one transaction that reads one
                   snapshot of the database, so that a decision made meanwhile is in all of it or in none
    inputs         the hash over what those rows froze
    roots          the Merkle sum trees over what they give
    closing        the database checks the whole run and freezes it; the record covers every entitlement

Each phase leaves rows, and the next is found by looking at them: a phase cut short is done again from its beginning.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from administration import amounts
from administration.custody import holdings
from administration.custody.models import POOLED, Access
from administration.distribution import hashes, plans, shares
from administration.distribution.models import PoolHolding, PoolLine, Run, RunState
from administration.distribution.shares import Before, Shared
from administration.errors import Refused
from administration.record import covers, log
from administration.work.jobs import Progress
from administration.work.models import Job

COVER = "distribution.run"
COVERED = """
SELECT a.code::text AS asset, c.number::text AS claim, l.claim_class::text AS class, e.cumulative::text AS cumulative,
       e.amount::text AS amount
FROM distribution_entitlement e
JOIN register_claimline l ON l.id = e.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset a ON a.id = e.asset_id
WHERE e.run_id = %(run)s::bigint
ORDER BY a.code COLLATE "C", c.number COLLATE "C", l.claim_class COLLATE "C"
"""
PHASES = ("entitlements", "inputs", "roots", "closing")


class NothingToShare(Refused):
    """No claim line of the case shares in the plan's pools."""


class NotProved(Refused):
    """Value is free in the books that no proved holding stands behind."""


class StillDisputed(Refused):
    """A final round needs every dispute decided."""


class NotRight(Refused):
    """The database found the run wrong and did not freeze it."""


# --- the job ----------------------------------------------------------------------------------


def step(job: Job) -> Progress:
    """The next phase of a run. Done when the run is computed, or was withdrawn meanwhile."""
    run = Run.objects.select_related("case", "plan", "computed_by").get(pk=job.subject_id)
    at = datetime.fromisoformat(job.params["at"])
    done = advance(run, at=at)
    number = PHASES.index(done) + 1 if done else len(PHASES)
    finished = done in (None, "closing")
    result = {"run": run.number, "state": run.state} if finished else None
    return Progress(str(number), number, done or "", finished, result, total=len(PHASES))


def advance(run: Run, *, at: datetime, record: bool = True) -> str | None:
    """Do the phase a run is in and say which it was; None when it does not compute any more."""
    if run.state != RunState.COMPUTING:
        return None
    if not run.pools.exists():
        _write_entitlements(run)
        return "entitlements"
    if run.inputs_sha256 is None:
        _hash_inputs(run)
        return "inputs"
    if run.pools.filter(root__isnull=True).exists():
        _build_trees(run)
        return "roots"
    _close(run, at=at, record=record)
    return "closing"


# --- entitlements -----------------------------------------------------------------------------


@contextmanager
def one_snapshot() -> Iterator[None]:
    """
    A transaction all of whose statements see the database as it was at the first, planned for all rows at once.

    The planner knows little of rows just written, and would look up a million claim lines one by one.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute("SET LOCAL work_mem = '64MB'")
        yield
        cursor.execute("SET LOCAL enable_nestloop = DEFAULT")
        cursor.execute("SET LOCAL work_mem = DEFAULT")


def _write_entitlements(run: Run) -> None:
    with one_snapshot():
        Run.objects.select_for_update().get(pk=run.pk)
        sharings = plans.pairs(run.case, plans.read(run.plan.body))
        found = _sharing_now(run, sharings)
        _effective_pools(run, [shared for shared, _ in found])
        for shared, line in found:
            line.effective, line.weights = shared.effective, shared.total
        _write_pool_lines(run, found, _insert_entitlements(run, found))


Found = list[tuple[Shared, PoolLine]]


def _sharing_now(run: Run, sharings: list[plans.Sharing]) -> Found:
    """Which lines share in what, and how much there is: the pool of each asset."""
    earlier, there_is = _last_declared(run), free(run)
    every = {
        # A final round leaves nothing behind, so there disputes count whatever the plan says.
        one.asset.pk: Shared(
            one.asset.pk, one.classes, one.pool.reserve_disputed or run.kind == "final", earlier.get(one.asset.pk)
        )
        for one in sharings
    }
    before = _before(run, every.values())
    for asset_id, lines, total, given, kept, disputed in _rows(
        shares.totals(before=before), shares.parameters(run.case_id, every.values())
    ):
        one = every[asset_id]
        one.lines, one.total, one.given, one.kept, one.disputed = map(int, (lines, total, given, kept, disputed))
    found = []
    for sharing in sharings:
        one, asset = every[sharing.asset.pk], sharing.asset
        if not one.lines:
            continue
        if run.kind == "final" and one.disputed:
            raise StillDisputed(
                _("Claims in %(asset)s are still disputed, and a final round leaves nothing behind. Decide them first.")
                % {"asset": asset.code}
            )
        there = there_is.get(asset.pk, 0)
        held_back = min(there, sharing.pool.holdback.of(there + one.given, asset))
        one.pool = there + one.given - held_back
        line = PoolLine(
            run=run, asset=asset, pool=sharing.pool.name, classes=list(sharing.classes), rounding=sharing.rounding,
            free=there, held_back=held_back, given_before=one.given, amount=one.pool, lines=one.lines,
        )  # fmt: skip
        found.append((one, line))
    if not found:
        raise NothingToShare(
            _("No claim of case %(case)s shares in the pools of this plan. Schedule the claims, or change the plan.")
            % {"case": run.case}
        )
    return found


def _before(run: Run, every: Iterable[Shared]) -> Before:
    if any(one.earlier for one in every):
        return Before.DECLARED
    sql = "SELECT EXISTS (SELECT FROM register_movekey WHERE case_id = %(case)s AND kind = 'declare')"
    ((given,),) = _rows(sql, {"case": run.case_id})
    return Before.GIVEN if given else Before.NOTHING


def free(run: Run) -> dict[int, int]:
    """What is free of each asset in the books, less what came in after the cut-off and waits there to be returned in full."""
    sql = """SELECT a.asset_id, greatest(0, b.credits - b.debits - coalesce(o.units, 0))
             FROM books_account a JOIN books_balance b ON b.account_id = a.id
             LEFT JOIN register_apart_after_cutoff(%(case)s) o ON o.asset_id = a.asset_id
             WHERE a.case_id = %(case)s AND a.kind = 'free'"""
    return {asset_id: int(units) for asset_id, units in _rows(sql, {"case": run.case_id})}


def _last_declared(run: Run) -> dict[int, int]:
    """For each asset, the last declared run it was shared in."""
    sql = """SELECT DISTINCT ON (l.asset_id) l.asset_id, l.run_id
             FROM distribution_poolline l JOIN distribution_run r ON r.id = l.run_id
             WHERE r.case_id = %(case)s AND r.state = 'declared' ORDER BY l.asset_id, r.number DESC"""
    return dict(_rows(sql, {"case": run.case_id}))


def _effective_pools(run: Run, every: list[Shared]) -> None:
    """P′ of every pool. Only where something was given before must it be searched for, all pools side by side."""
    searches = {}
    for one in every:
        cap, left = min(one.pool, one.total), one.pool - one.kept
        one.effective = cap
        if one.kept:
            search = amounts.fit(cap=cap, left=left, total=one.total)
            try:
                one.effective = next(search)
                searches[one.asset_id] = one, search
            except StopIteration as end:
                one.effective = end.value
    while searches:
        asked = [one for one, _ in searches.values()]
        sql = shares.needed(before=_before(run, every))
        for asset_id, needed, weights in _rows(sql, shares.parameters(run.case_id, asked)):
            one, search = searches[asset_id]
            try:
                one.effective = search.send((int(needed), int(weights)))
            except StopIteration as end:
                one.effective = end.value
                del searches[asset_id]


# What was written, by asset: given now, taken back, raised above what is kept.
Written = dict[int, tuple[int, ...]]


def _insert_entitlements(run: Run, found: Found) -> Written:
    every = [shared for shared, _ in found]
    before = _before(run, every)
    by_remainder = [shared for shared, line in found if line.rounding == plans.LARGEST_REMAINDER]
    chosen = _lift(run, found, by_remainder, before) if by_remainder else []
    params = shares.parameters(
        run.case_id, every, run=run.pk, before=before.value, chosen=chosen,
        lifts=[one.lift for one in every for _ in one.classes] if by_remainder else None,
    )  # fmt: skip
    _rows(shares.ENTITLE, params)
    return {
        asset_id: tuple(map(int, figures))
        for asset_id, *figures in _rows(shares.written(before=before), {"run": run.pk})
    }


def _lift(run: Run, found: Found, by_remainder: list[Shared], before: Before) -> list[int]:
    """Set the lift of each pool shared by largest remainder; the lines that get one unit more among equals."""
    ended = _ends(_rows(shares.slots(before=before), shares.parameters(run.case_id, by_remainder)), by_remainder)
    if not ended:
        return []
    every = {one.asset_id: one for one in by_remainder}
    params = shares.parameters(
        run.case_id, [every[asset_id] for asset_id in ended], cut_assets=list(ended),
        # A slot's remainders lie from slot · T / SLOTS up to the next slot's; remainders are whole numbers.
        low=[-(-slot * every[asset_id].total // shares.SLOTS) for asset_id, (slot, _) in ended.items()],
        high=[-(-(slot + 1) * every[asset_id].total // shares.SLOTS) for asset_id, (slot, _) in ended.items()],
        units=[units for _, units in ended.values()],
    )  # fmt: skip
    tied: dict[int, tuple[int, list[int]]] = {}
    for asset_id, rest, units, equals in _rows(shares.cuts(before=before), params):
        # All from that remainder on are lifted to the next whole number; if not all of those that equal it, then all above.
        every[asset_id].lift = every[asset_id].total - int(rest) - (1 if equals else 0)
        if equals:
            tied[asset_id] = int(units), equals
    if not tied:
        return []
    lines = (shares.lines(before=before), shares.parameters(run.case_id, [one for one, _ in found]))
    inputs = hashes.inputs_sha256(run, hashes.heads(line for _, line in found), live=lines)
    params = {
        "inputs": inputs.hex(),
        "tied": [line for _, equals in tied.values() for line in equals],
        "tied_assets": list(tied),
        "tied_units": [units for units, _ in tied.values()],
    }
    return [line for (line,) in _rows(shares.chosen(), params)]


def _ends(slots: list[tuple[Any, ...]], by_remainder: list[Shared]) -> dict[int, tuple[int, int]]:
    """For each asset that rounding down leaves units of: the slot in which they end, and how many reach it."""
    raises: dict[int, int] = {}
    waiting: dict[int, dict[int, int]] = {}
    for asset_id, slot, units, lines in slots:
        raises[asset_id] = raises.get(asset_id, 0) + int(units)
        waiting.setdefault(asset_id, {})[slot] = lines
    ends = {}
    for one in by_remainder:
        units = one.pool - one.kept - raises.get(one.asset_id, 0)
        for slot in sorted(waiting.get(one.asset_id, {}), reverse=True):
            if 0 < units <= waiting[one.asset_id][slot]:
                ends[one.asset_id] = slot, units
                break
            units -= waiting[one.asset_id][slot]
    return ends


def _write_pool_lines(run: Run, found: Found, written: Written) -> None:
    reserved = {}
    if any(one.disputed for one, _ in found):
        params = {
            "run": run.pk,
            "asset": [one.asset_id for one, _ in found],
            "pool": [one.effective for one, _ in found],
            "total": [max(1, one.total) for one, _ in found],
        }
        reserved = {asset_id: int(units) for asset_id, units in _rows(shares.RESERVED, params)}
    for one, line in found:
        line.distributed, line.withdrawn, raised = written[one.asset_id]
        line.reserved = reserved.get(one.asset_id, 0)
        line.left = line.amount - one.kept - raised
    PoolLine.objects.bulk_create([line for _, line in found])
    _name_holdings(run, [line for _, line in found])


def _name_holdings(run: Run, lines: list[PoolLine]) -> None:
    """The newest proved holding at every place of each asset. Free value that none stands behind is not shared."""
    newest = holdings.newest(run.case).select_related("place")
    proved = [holding for holding in newest if holding.access == Access.PROVED and holding.place.tag in POOLED]
    for line in lines:
        behind = [holding for holding in proved if holding.asset_id == line.asset_id]
        if line.free and not behind:
            raise NotProved(
                _("%(asset)s is free in the books, but no proved holding stands behind it. Record one with its proof.")
                % {"asset": line.asset.code}
            )
        PoolHolding.objects.bulk_create(
            PoolHolding(pool_line=line, holding=holding, access=holding.access, asset_id=line.asset_id)
            for holding in behind
        )


# --- inputs, roots, closing -------------------------------------------------------------------


def _hash_inputs(run: Run) -> None:
    with one_snapshot():
        sha256 = hashes.inputs_sha256(run, hashes.heads(run.pools.select_related("asset")))
        Run.objects.filter(pk=run.pk, inputs_sha256__isnull=True).update(inputs_sha256=sha256)
    run.inputs_sha256 = sha256


def _build_trees(run: Run) -> None:
    with one_snapshot():
        for asset_id, (root, _size, _total) in hashes.roots(run).items():
            PoolLine.objects.filter(run=run, asset_id=asset_id, root__isnull=True).update(root=root)


def _close(run: Run, *, at: datetime, record: bool) -> None:
    pools = list(run.pools.select_related("asset"))
    root, count = hashes.outputs_root(run, pools), sum(line.lines for line in pools)
    try:
        with transaction.atomic():
            moved = Run.objects.filter(pk=run.pk, state=RunState.COMPUTING).update(
                state=RunState.COMPUTED, outputs_root=root, entitlement_count=count, computed_at=at
            )
            run.refresh_from_db()
            if moved and record:
                log.append(
                    run.case, "run.computed", subject=run, by=run.computed_by, at=at,
                    body={
                        "run": run.number, "plan_sha256": bytes(run.plan.sha256).hex(),
                        "inputs_sha256": bytes(run.inputs_sha256 or b"").hex(), "outputs_root": root.hex(),
                        "entitlements": count,
                    },
                    covers=covers.cover(COVER, run=run.pk),
                )  # fmt: skip
    except IntegrityError as error:
        if "run_gives_nothing_above_what_is_admitted" in str(error):
            raise NotRight(
                _("Claims were lowered while run %(run)s was computed. Withdraw it and compute again.")
                % {"run": run.number}
            ) from error
        raise NotRight(
            _(
                "The database found run %(run)s wrong and did not freeze it: %(reason)s. Withdraw it, and have it looked at."
            )
            % {"run": run.number, "reason": str(error).splitlines()[0]}
        ) from error


# --- statements -------------------------------------------------------------------------------


def _rows(sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
