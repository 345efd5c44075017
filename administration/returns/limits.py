"""
Limits of a rail: at most so many returns, or so much of an asset, within so many seconds.

The database looks at them when a part is claimed, by its own clock; what would go over a limit waits. So a mistake that
slipped through every signature leaves slowly enough for somebody to press stop.

    NotALimit   a limit that cannot be
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from administration.amounts import show
from administration.books.models import Asset
from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns import routes
from administration.returns.models import RailLimit


class NotALimit(Refused):
    """Nothing was limited."""


@transaction.atomic
def put(
    case: Case, rail_code: str, *, seconds: int, at_most: int, by: User, at: datetime, asset: Asset | None = None
) -> RailLimit:
    """Limit a rail of a case from now on: `at_most` returns, or units of `asset`, within `seconds`."""
    appointments.require(case, by, "returns.stop", at=at)
    rail = routes.rail(rail_code)
    if seconds <= 0 or at_most <= 0:
        raise NotALimit(_("A limit lets something through in some time. To let nothing through, stop the rail."))
    if asset is None and at_most < rail.max_items:
        raise NotALimit(
            _("One part on rail %(rail)s carries up to %(items)d returns; a limit below that would hold parts for ever.")
            % {"rail": rail_code, "items": rail.max_items}
        )
    if asset is not None and asset.case_id != case.pk:
        raise NotALimit(_("%(asset)s is no asset of case %(case)s.") % {"asset": asset, "case": case})
    made = RailLimit.objects.create(case=case, rail=rail_code, asset=asset, seconds=seconds, at_most=at_most, by=by, at=at)
    log.append(
        case, "rail.limited", subject=made, by=by, at=at,
        body={"rail": rail_code, "asset": asset.code if asset else "", "seconds": seconds, "at_most": at_most},
    )  # fmt: skip
    return made


def in_words(limit: RailLimit) -> str:
    """One limit as a person reads it."""
    what = f"{show(limit.at_most, limit.asset.scale)} {limit.asset.code}" if limit.asset else str(limit.at_most)
    return _("%(rail)s: at most %(what)s in %(seconds)d seconds") % {
        "rail": limit.rail, "what": what, "seconds": limit.seconds,
    }  # fmt: skip
