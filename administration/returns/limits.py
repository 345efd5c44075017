"""
Limits of a rail: how much leaves within a time, how many returns one part holds, and above which sum one person more signs.

The database looks at them by its own clock; what would go over a limit waits. So a mistake that slipped through every
signature leaves slowly enough for somebody to press stop. A narrower limit is put at once by one person, a wider one
only as two people signed it (`pace`).

    NotALimit   a limit that cannot be, or that two people must sign
    NeverFits   a part is above a limit by itself: it would wait for ever
"""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.amounts import show
from administration.books.models import Asset
from administration.cases import appointments
from administration.cases.models import ApprovalRequest, Case
from administration.errors import Refused
from administration.people.models import User
from administration.rails.interface import Rail
from administration.record import log
from administration.returns import pace, routes
from administration.returns.models import Batch, LimitKind, PaceChange, RailLimit


class NotALimit(Refused):
    """Nothing was limited."""


class NeverFits(Refused):
    """A part is above a limit of its rail by itself: under that limit it would wait for ever."""


@transaction.atomic
def put(
    case: Case, rail_code: str, *, at_most: int, by: User, at: datetime, seconds: int = 0, asset: Asset | None = None,
    kind: str = LimitKind.RATE,
) -> RailLimit:  # fmt: skip
    """Limit a rail of a case from now on, more narrowly than before."""
    appointments.require(case, by, "returns.stop", at=at)
    wanted = _checked(RailLimit(case=case, rail=rail_code, kind=kind, asset=asset, seconds=seconds, at_most=at_most))
    held = before(wanted)
    if held is not None and at_most > held.at_most:
        raise NotALimit(
            _("That is more than holds now (%(now)s). Two people must sign it: ask them, with the reason.")
            % {"now": in_words(held)}
        )
    return _make(wanted, None, by=by, at=at)


@transaction.atomic
def ask(
    case: Case, rail_code: str, *, at_most: int, reason: str, by: User, at: datetime, seconds: int = 0,
    asset: Asset | None = None, kind: str = LimitKind.RATE,
) -> ApprovalRequest:  # fmt: skip
    """Ask two people for a wider limit. Until they have signed, the narrower one holds."""
    appointments.require(case, by, "returns.stop", at=at)
    wanted = _checked(RailLimit(case=case, rail=rail_code, kind=kind, asset=asset, seconds=seconds, at_most=at_most))
    held = before(wanted)
    if held is None or at_most <= held.at_most:
        raise NotALimit(_("That is not more than holds now. It can be put at once, by one person."))
    return pace.ask(case, rail_code, _body(wanted), reason=reason, by=by, at=at)


def widened(change: PaceChange, said: dict[str, str], *, by: User, at: datetime) -> RailLimit:
    """With the last signature."""
    asset = change.case.assets.get(code=said["asset"]) if said["asset"] else None
    wanted = RailLimit(
        case=change.case, rail=said["rail"], kind=said["kind"], asset=asset, seconds=int(said["seconds"]),
        at_most=int(said["at_most"]),
    )  # fmt: skip
    return _make(_checked(wanted), change, by=change.by, at=at)


# --- what holds ---------------------------------------------------------------------------------------


def in_force(case: Case, rail_code: str = "") -> list[RailLimit]:
    """The newest limit of each sort."""
    rows = case.rail_limits.select_related("asset", "by", "change")
    if rail_code:
        rows = rows.filter(rail=rail_code)
    return list(rows.order_by("rail", "kind", "asset_id", "seconds", "-pk").distinct("rail", "kind", "asset_id", "seconds"))


def before(wanted: RailLimit) -> RailLimit | None:
    """What holds now of the same sort."""
    same = RailLimit.objects.filter(
        case=wanted.case, rail=wanted.rail, kind=wanted.kind, asset=wanted.asset, seconds=wanted.seconds
    )
    return same.select_related("asset").order_by("-pk").first()


def items_max(case: Case, rail: Rail) -> int:
    """How many returns one part may hold: what the rail can carry, or fewer, so that fewer see each other."""
    capped = [limit.at_most for limit in in_force(case, rail.code) if limit.kind == LimitKind.PART]
    return min([rail.max_items, *capped])


def is_large(batch: Batch) -> bool:
    """Is more of an asset in the batch than the usual signatures carry?"""
    return any(
        int(batch.totals.get(limit.asset.code, 0)) > limit.at_most
        for limit in in_force(batch.case, batch.rail)
        if limit.kind == LimitKind.SIGN and limit.asset
    )


def never_fit(batch: Batch) -> dict[int, str]:
    """The parts of a batch that are above a limit of its rail by themselves, each with what it holds and may hold."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT part, asset, held, at_most FROM parts_above_a_limit(%s)", [batch.pk])
        found = cursor.fetchall()
    scales = dict(batch.case.assets.values_list("code", "scale")) if found else {}
    said: dict[int, str] = {}
    for part, code, held, most in found:
        held, most = (f"{show(int(units), scales[code])} {code}" if code else f"{int(units):,}" for units in (held, most))
        words = {"part": part, "batch": batch, "rail": batch.rail, "held": held, "most": most}
        said.setdefault(part, _("Part %(part)s of %(batch)s holds %(held)s, and %(rail)s lets through %(most)s at a time.") % words)
    return said


def refuse_what_never_fits(batch: Batch) -> None:
    """Before a batch is frozen: none of its parts would wait for ever."""
    for why in never_fit(batch).values():
        raise NeverFits(
            _("%(why)s Let a part hold fewer returns and draft anew, or have two people sign a wider limit.") % {"why": why}
        )


def in_words(limit: RailLimit) -> str:
    """One limit as a person reads it."""
    what = f"{show(limit.at_most, limit.asset.scale)} {limit.asset.code}" if limit.asset else f"{limit.at_most:,}"
    words = {"rail": limit.rail, "what": what, "seconds": limit.seconds}
    if limit.kind == LimitKind.PART:
        return _("%(rail)s: at most %(what)s returns in one part") % words
    if limit.kind == LimitKind.SIGN:
        return _("%(rail)s: one signature more for a batch above %(what)s") % words
    return _("%(rail)s: at most %(what)s in %(seconds)d seconds") % words


def _checked(wanted: RailLimit) -> RailLimit:
    rail = routes.rail(wanted.rail)
    fits = wanted.seconds > 0 if wanted.kind == LimitKind.RATE else wanted.seconds == 0
    if not fits or wanted.at_most <= 0 or wanted.kind not in LimitKind.values:
        raise NotALimit(_("A limit lets something through in some time. To let nothing through, stop the rail."))
    if (wanted.kind == LimitKind.SIGN and wanted.asset is None) or (wanted.kind == LimitKind.PART and wanted.asset is not None):
        raise NotALimit(_("A part is limited by its returns, signatures by the sum of one asset."))
    if wanted.kind == LimitKind.RATE and wanted.asset is None and wanted.at_most < items_max(wanted.case, rail):
        raise NotALimit(
            _("One part on rail %(rail)s carries up to %(items)d returns; a limit below that would hold parts for ever.")
            % {"rail": wanted.rail, "items": items_max(wanted.case, rail)}
        )
    if wanted.asset is not None and wanted.asset.case_id != wanted.case.pk:
        raise NotALimit(_("%(asset)s is no asset of case %(case)s.") % {"asset": wanted.asset, "case": wanted.case})
    return wanted


def _body(wanted: RailLimit) -> dict[str, str]:
    return {
        "asset": wanted.asset.code if wanted.asset else "", "at_most": str(wanted.at_most), "kind": str(wanted.kind),
        "rail": wanted.rail, "seconds": str(wanted.seconds),
    }  # fmt: skip


def _make(wanted: RailLimit, change: PaceChange | None, *, by: User, at: datetime) -> RailLimit:
    wanted.by, wanted.at, wanted.change = by, at, change
    wanted.save(force_insert=True)
    log.append(
        wanted.case, "rail.limited", subject=wanted, by=by, at=at,
        body={**_body(wanted), "change": str(change.pk) if change else ""},
    )  # fmt: skip
    return wanted
