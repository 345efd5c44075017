"""
What a living exchange can run every night: is this package one that an administrator could take over tomorrow?

No case, and no row written: the tables are read into temporary ones that end with the transaction. The findings are those
of a take-over, for the steps are the same. Beside them stand the figures a regulator asks for first: what customers are
owed, what is held apart for them, how much of it is hot.

    validate(directory) → Validation
    schema()            → the manifest of format version 1 as a JSON Schema; the file beside this one is the same
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection
from jsonschema import Draft202012Validator

from administration.ledger import inspection, package
from administration.ledger.control_totals import SCALES, scales
from administration.ledger.findings import Found, Report, grouped
from administration.ledger.staging import Package

SCHEMA = Path(__file__).with_name("manifest.schema.json")
HOT_MAX = Fraction(5, 100)  # of the value of customers' coins, Cabinet Office Order art. 27(2)
READY, REMARKS, SHORT, NOT_READY = "ready", "ready_with_remarks", "short", "not_ready"


@dataclass(frozen=True)
class Segregated:
    """One asset: what is owed to customers, and what is held apart for them, in whole units."""

    asset: str
    scale: int
    owed: int  # positive balances, lent coins apart
    lent: int
    segregated: int  # proved or partly proved, held apart for customers
    hot: int  # of it, in hot wallets
    guarantee: int  # own coins of the same kind that must match the hot ones
    own: int
    unproved: int

    @property
    def difference(self) -> int:
        """What is held above what is owed; negative where it falls short."""
        return self.segregated + self.guarantee - self.owed

    @property
    def guarantee_missing(self) -> int:
        return max(0, self.hot - self.guarantee)


@dataclass
class Validation:
    """What came of it."""

    report: Report
    manifest: package.Manifest | None = None
    assets: list[Segregated] = field(default_factory=list)
    hot_share: Fraction | None = None  # of the value of customers' coins; none where there is no price of one

    @property
    def verdict(self) -> str:
        if self.report.refused:
            return NOT_READY
        if any(one.difference < 0 or one.guarantee_missing for one in self.assets) or (self.hot_share or 0) > HOT_MAX:
            return SHORT
        return REMARKS if self.report.findings else READY

    def as_json(self) -> dict[str, Any]:
        """What the command adds to the report of a take-over. Amounts are texts of whole units."""
        return {
            "verdict": self.verdict,
            "hot_share": None if self.hot_share is None else f"{self.hot_share.numerator}/{self.hot_share.denominator}",
            "segregation": [
                {
                    "asset": one.asset,
                    **{
                        name: str(getattr(one, name))
                        for name in (
                            "owed", "lent", "segregated", "hot", "guarantee", "guarantee_missing", "own", "unproved",
                            "difference",
                        )
                    },
                }
                for one in self.assets
            ],
        }  # fmt: skip

    def first_findings(self) -> list[Found]:
        """One of each kind in each column, with how many rows it stands for."""
        return grouped(self.report)


def validate(directory: Path) -> Validation:
    """Look at the package in `directory` and leave no trace of it."""
    found = Validation(Report(0, 0, (), ()))

    def figures(this: Package) -> None:
        found.manifest = this.manifest
        found.assets = list(_segregated(this))
        found.hot_share = _hot_share(this, found.assets)

    found.report = inspection.validate(directory, also=figures)
    if not found.report.refused and (odd := schema_error((directory / package.MANIFEST).read_bytes())):
        raise AssertionError(f"The schema of the format refuses what its reader takes: {odd}")  # a test holds them together
    return found


# --- segregation ------------------------------------------------------------------------------

def _sum(where: str) -> str:
    """Whole units of what fulfils a condition."""
    return f"trunc(coalesce(sum(amount) FILTER (WHERE {where}), 0) * ('1e' || places)::numeric)"


_OURS = "tag = 'segregated' AND access <> 'unproved'"
_OWED = f"""
SELECT asset, {_sum("amount > 0 AND product <> 'lending'")}, {_sum("amount > 0 AND product = 'lending'")}
FROM ledger_staging_balances JOIN {SCALES} USING (asset) WHERE intake = %s GROUP BY asset, places
"""
_HELD = f"""
SELECT asset, {_sum(_OURS)}, {_sum(_OURS + " AND temperature = 'hot'")},
       {_sum("tag = 'guarantee' AND access <> 'unproved'")}, {_sum("tag = 'own' AND access <> 'unproved'")},
       {_sum("access = 'unproved'")}
FROM ledger_staging_wallets JOIN {SCALES} USING (asset) WHERE intake = %s GROUP BY asset, places
"""


def _segregated(this: Package) -> Iterator[Segregated]:
    with connection.cursor() as cursor:
        cursor.execute(_OWED, [*scales(this), this.key])
        owed = {asset: (int(due), int(lent)) for asset, due, lent in cursor.fetchall()}
        cursor.execute(_HELD, [*scales(this), this.key])
        held = {asset: tuple(map(int, figures)) for asset, *figures in cursor.fetchall()}
    for asset in this.manifest.assets:
        if asset.code in owed or asset.code in held:
            due, lent = owed.get(asset.code, (0, 0))
            yield Segregated(asset.code, asset.scale, due, lent, *held.get(asset.code, (0, 0, 0, 0, 0)))


def _hot_share(this: Package, assets: list[Segregated]) -> Fraction | None:
    """The share of hot coins in the value of all coins held for customers."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT ON (asset) asset, jpy_num::text, jpy_den::text FROM ledger_staging_prices
               WHERE intake = %s AND jpy_den > 0 AND jpy_num IS NOT NULL ORDER BY asset, "at" DESC""",
            [this.key],
        )
        prices = {asset: Fraction(int(num), int(den)) for asset, num, den in cursor.fetchall()}
    coins = {asset.code for asset in this.manifest.assets if asset.kind != "fiat"}
    held = [one for one in assets if one.asset in coins and one.segregated + one.guarantee]
    if not held or any(one.asset not in prices for one in held):
        return None
    value = {one.asset: prices[one.asset] / 10**one.scale for one in held}
    whole = sum((value[one.asset] * (one.segregated + one.guarantee) for one in held), Fraction(0))
    return sum((value[one.asset] * one.hot for one in held), Fraction(0)) / whole if whole else None


# --- the format as a schema -------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The manifest of a package as a JSON Schema (draft 2020-12)."""

    def told(names: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "properties": names, "required": list(names), "additionalProperties": False}

    text = {"type": "string", "pattern": r"\S"}
    count = {"type": "integer", "minimum": 0, "maximum": 2**53}
    tables = sorted(package.BY_FILE)
    file = told({
        "name": text, "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "bytes": count, "rows": {},
    }) | {
        "if": {"properties": {"name": {"enum": tables}}},
        "then": {"properties": {"rows": count}},
        "else": {"properties": {"name": {"pattern": r"^evidence/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}, "rows": {"type": "null"}}},
    }  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Handover package, version 1: manifest.json",
        **told({
            "format": {"const": package.FORMAT},
            "version": {"const": package.VERSION, "type": "integer"},
            "case": told({
                name: {"type": "string"} if name in package.MAY_BE_EMPTY else text
                for name in package.CaseFacts.__dataclass_fields__
            }),
            "cutoff_at": {
                "type": "string",
                "pattern": r"^(19|[2-8][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$",
            },
            "assets": {"type": "array", "minItems": 1, "items": told({
                "code": {"type": "string", "pattern": "^[A-Z0-9]{2,16}$"}, "name": text,
                "scale": {"type": "integer", "minimum": 0, "maximum": package.SCALE_MAX},
                "payable_step": {"type": "string", "pattern": "^[1-9][0-9]{0,76}$"}, "network": text,
                "kind": {"enum": list(package.ASSET_KINDS)},
            })},
            "files": {
                "type": "array", "items": file,
                "allOf": [
                    {"contains": {"type": "object", "properties": {"name": {"const": table.file}}, "required": ["name"]}}
                    for table in package.TABLES
                ],
            },
            "control_totals": {"type": "array", "items": told({
                "asset": text, "product": {"enum": list(package.PRODUCTS)},
                "declared": {"type": "string", "pattern": r"^-?[0-9]{1,78}(\.[0-9]{1,36})?$"},
                "accounts": count, "source": text,
            })},
        }),
    }  # fmt: skip


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))


def schema_error(content: bytes) -> str | None:
    """Where the schema says no to a manifest, if it does."""
    error = next(iter(_validator().iter_errors(json.loads(content))), None)
    return None if error is None else f"{error.json_path}: {error.message[:200]}"
