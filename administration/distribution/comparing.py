"""Two runs side by side: who gets more, the same, or less, per asset."""

from dataclasses import dataclass

from django.db import connection

from administration.books.models import Asset
from administration.distribution.models import Run, RunState

# What each line would hold after a run: its cumulative share, or what it keeps if that is more.
BESIDE = """
SELECT asset_id,
       count(*) FILTER (WHERE this > that), count(*) FILTER (WHERE this = that), count(*) FILTER (WHERE this < that),
       coalesce(sum(this - that) FILTER (WHERE this > that), 0), coalesce(sum(that - this) FILTER (WHERE this < that), 0)
FROM (
    SELECT coalesce(n.asset_id, o.asset_id) AS asset_id, coalesce(n.units, 0) AS this, coalesce(o.units, 0) AS that
    FROM (SELECT claim_line_id, asset_id, greatest(kept, cumulative) AS units FROM distribution_entitlement WHERE run_id = %s) n
    FULL JOIN (SELECT claim_line_id, asset_id, greatest(kept, cumulative) AS units FROM distribution_entitlement WHERE run_id = %s) o
        USING (claim_line_id)
) s GROUP BY 1
"""


@dataclass(frozen=True)
class Change:
    """How one run treats the lines of one asset beside another run."""

    asset: Asset
    more: int
    same: int
    less: int
    gained: int  # units, by those who get more
    lost: int


def earlier(run: Run) -> Run | None:
    """The run to compare with: the last one before it that was not withdrawn."""
    rows = Run.objects.filter(case_id=run.case_id, number__lt=run.number)
    return rows.exclude(state__in=[RunState.COMPUTING, RunState.WITHDRAWN]).order_by("-number").first()


def beside(run: Run, other: Run) -> list[Change]:
    """Per asset, how many lines `run` gives more, the same or less than `other`, and by how much."""
    with connection.cursor() as cursor:
        cursor.execute(BESIDE, [run.pk, other.pk])
        rows = {asset: tuple(map(int, figures)) for asset, *figures in cursor.fetchall()}
    assets = Asset.objects.filter(pk__in=rows).order_by("code")
    return [Change(asset, *rows[asset.pk]) for asset in assets]
