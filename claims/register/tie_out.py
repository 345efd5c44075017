"""
Both statements of the estate, per asset, proved to the unit: nothing is lost, nothing is owed twice.

    DoesNotTie   an asset's figures differ; its approvals and exports stop until it is explained
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from administration.amounts import show
from administration.books.models import Asset
from administration.cases.models import Case
from administration.errors import Refused

# Lines of the asset statement that add to custody, and those that take from it.
COMING = ("opening", "receipts", "conversions_in", "bounced", "recovered")
GOING = ("conversions_out", "costs", "settled", "deposited", "overpaid", "disposed")
SET_ASIDE = ("free", "suspense", "reserved", "entitled", "in_flight", "residue")
PARTS = ("admitted", "disputed", "rejected", "out_of_scope")

Row = dict[str, Any]


class DoesNotTie(Refused):
    """An asset's statements do not balance, or positions and books differ."""


# Custody's movements by line of the statement; every other movement of custody shows as a difference.
STATEMENT = """
SELECT p.asset_id, k.statement_line, sum(p.amount)
FROM books_posting p
JOIN books_entry e ON e.id = p.entry_id
JOIN books_entrykind k ON k.kind = e.kind
JOIN books_account a ON a.id = p.account_id
WHERE e.case_id = %s AND a.kind = 'custody' GROUP BY 1, 2
"""

# Settled by netting and by finding a return in suspense: claims' side of lines that custody does not show.
BESIDE_CUSTODY = """
SELECT p.asset_id, e.kind, sum(p.amount)
FROM books_posting p JOIN books_entry e ON e.id = p.entry_id
WHERE e.case_id = %s AND e.kind IN ('net', 'identify_entitled') AND p.side = 'D' GROUP BY 1, 2
"""

BALANCES = """
SELECT a.asset_id, a.kind, sum(CASE b.side WHEN 'D' THEN b.debits - b.credits ELSE b.credits - b.debits END)
FROM books_balance b JOIN books_account a ON a.id = b.account_id WHERE a.case_id = %s GROUP BY 1, 2
"""

POSTED = """
SELECT a.asset_id, a.kind, sum(CASE WHEN p.side = a.side THEN p.amount ELSE -p.amount END)
FROM books_posting p JOIN books_account a ON a.id = p.account_id WHERE a.case_id = %s GROUP BY 1, 2
"""

# One pass over lines and positions.
CLAIMS = """
SELECT l.asset_id, sum(l.recorded + l.corrected), sum(l.lodged), sum(l.admitted), sum(l.disputed), sum(l.rejected), sum(l.out_of_scope),
       sum(l.converted_in), sum(l.converted_out), sum(l.excess),
       sum(p.given), sum(p.scheduled), sum(p.in_flight), sum(p.settled), sum(p.deposited)
FROM register_claimline l JOIN register_position p ON p.claim_line_id = l.id
WHERE l.case_id = %s GROUP BY 1
"""
CLAIM_SUMS = (
    "recorded", "lodged", "admitted", "disputed", "rejected", "out_of_scope", "converted_in", "converted_out", "excess",
    "given", "scheduled", "in_flight", "settled", "deposited",
)  # fmt: skip

# What the ledger says of accounts that have their claim; and its entries after the cut-off, of those that are claimed.
LEDGER = """
SELECT b.asset_id, sum(b.amount)
FROM (
    SELECT ledger_account_id, asset_id, amount FROM ledger_ledgerbalance WHERE case_id = %(case)s
    UNION ALL
    SELECT ledger_account_id, asset_id, amount FROM ledger_adjustment WHERE case_id = %(case)s
    UNION ALL
    SELECT e.ledger_account_id, e.asset_id, e.amount FROM ledger_keptentry e
    JOIN register_claim c ON c.ledger_account_id = e.ledger_account_id AND c.kind = 'scheduled'
    JOIN register_claimline l ON l.claim_id = c.id AND l.asset_id = e.asset_id AND l.claim_class = 'after_cutoff' AND l.recorded > 0
    WHERE e.case_id = %(case)s AND e.after_cutoff
) b
WHERE EXISTS (SELECT FROM register_claim c WHERE c.ledger_account_id = b.ledger_account_id AND c.kind = 'scheduled')
GROUP BY 1
"""


def tie_out(case: Case) -> Row:
    """
    Both statements of every asset, with their differences, and whether all of them are zero.

    `assets` is the books' statement, `claims` the customers' (settled net of what bounced). `difference` is the
    first thing that does not fit, zero when everything does: the statement itself, balances and postings, positions and
    books, claims and ledger.
    """
    figures = _figures(case)
    assets, claims, ok = [], [], True
    for asset in Asset.objects.filter(case=case).order_by("code"):
        book, claim = _statement(asset, figures), _claim_statement(asset, figures)
        for row in (book, claim):
            ok = ok and row["difference"] == 0
        assets.append(_text(book))
        claims.append(_text(claim))
    return {"ok": ok, "case": case.reference, "assets": assets, "claims": claims}


def require(case: Case, assets: Iterable[Asset] | None = None) -> None:
    """Refuse to go on while one of these assets (all, if none are named) does not tie."""
    wanted = None if assets is None else {asset.code for asset in assets}
    found = tie_out(case)
    scales = dict(Asset.objects.filter(case=case).values_list("code", "scale"))
    for statement, rows in (("assets", found["assets"]), ("claims", found["claims"])):
        for row in rows:
            if row["difference"] != "0" and (wanted is None or row["code"] in wanted):
                raise DoesNotTie(
                    _(
                        "%(asset)s does not tie: the statement of %(statement)s is off by %(difference)s. "
                        "Nothing more is approved or exported in it until the difference is explained."
                    )
                    % {
                        "asset": row["code"],
                        "statement": _("assets") if statement == "assets" else _("claims"),
                        "difference": show(int(row["difference"]), scales[row["code"]]),
                    }
                )


Figures = dict[str, dict[int, dict[str, int]]]


def _figures(case: Case) -> Figures:
    """All sums of one case: figures[what][asset][line]. One snapshot of the database for all of them."""
    found: Figures = {}
    with connection.cursor() as cursor:
        # One statement, so one snapshot: what is posted meanwhile shows in all of its parts or in none.
        cursor.execute(ALL_AT_ONCE, {"case": case.pk})
        for what, asset, line, total in cursor.fetchall():
            found.setdefault(what, {}).setdefault(asset, {})[line] = int(total)
    return found


def _one(sql: str) -> str:
    return sql.replace("%s", "%(case)s").strip()


ALL_AT_ONCE = f"""
SELECT 'statement' AS what, s.* FROM ({_one(STATEMENT)}) AS s (asset, line, total)
UNION ALL SELECT 'beside', s.* FROM ({_one(BESIDE_CUSTODY)}) AS s (asset, line, total)
UNION ALL SELECT 'balance', s.* FROM ({_one(BALANCES)}) AS s (asset, line, total)
UNION ALL SELECT 'posted', s.* FROM ({_one(POSTED)}) AS s (asset, line, total)
UNION ALL SELECT 'claim', c.asset, c.line, c.total FROM (
    SELECT s.asset, v.line, v.total FROM ({_one(CLAIMS)}) AS s (asset, {", ".join(CLAIM_SUMS)})
    CROSS JOIN LATERAL (VALUES {", ".join(f"('{name}', s.{name})" for name in CLAIM_SUMS)}) AS v (line, total)
) c
UNION ALL SELECT 'ledger', s.asset, 'ledger', s.total FROM ({_one(LEDGER)}) AS s (asset, total)
"""  # noqa: S608 - of our own texts only


def _statement(asset: Asset, figures: Figures) -> Row:
    """What the estate received, gave away and still has, and to whom that is set aside."""
    moved = figures.get("statement", {}).get(asset.pk, {})
    balance = figures.get("balance", {}).get(asset.pk, {})
    posted = figures.get("posted", {}).get(asset.pk, {})
    claim = figures.get("claim", {}).get(asset.pk, {})
    row: Row = {"code": asset.code, "scale": asset.scale}
    row |= {line: moved.get(line, 0) for line in (*COMING, *GOING)}
    row |= {"closing": balance.get("custody", 0), "receivable": balance.get("receivable", 0)}
    row |= {kind: balance.get(kind, 0) for kind in SET_ASIDE}
    row["difference"] = _first(
        sum(row[line] for line in COMING) - sum(row[line] for line in GOING) - row["closing"],
        row["closing"] + row["receivable"] - sum(row[kind] for kind in SET_ASIDE),
        *(balance.get(kind, 0) - posted.get(kind, 0) for kind in ("custody", "receivable", *SET_ASIDE)),
        _entitled(claim) - row["entitled"],
        claim.get("in_flight", 0) - row["in_flight"],
    )
    return row


def _claim_statement(asset: Asset, figures: Figures) -> Row:
    """What customers are owed, and where each unit of it stands."""
    claim = dict.fromkeys(CLAIM_SUMS, 0) | figures.get("claim", {}).get(asset.pk, {})
    moved = figures.get("statement", {}).get(asset.pk, {})
    beside = figures.get("beside", {}).get(asset.pk, {})
    recorded = claim["recorded"] + claim["lodged"]
    undeclared = claim["admitted"] + claim["converted_in"] + claim["excess"] - claim["converted_out"] - claim["given"]
    row: Row = {"code": asset.code, "recorded": recorded}
    row |= {part: claim[part] for part in (*PARTS, "converted_in", "excess", "settled", "deposited", "in_flight")}
    row |= {"entitled": _entitled(claim), "converted_out": claim["converted_out"], "undeclared": undeclared}
    settled = (
        moved.get("settled", 0) - moved.get("bounced", 0) + beside.get("net", 0) - beside.get("identify_entitled", 0)
    )
    row["difference"] = _first(
        recorded - sum(row[part] for part in PARTS),
        row["admitted"] + row["converted_in"] + row["excess"]
        - sum(row[line] for line in ("settled", "deposited", "in_flight", "entitled", "converted_out", "undeclared")),
        min(0, undeclared),
        claim["recorded"] - figures.get("ledger", {}).get(asset.pk, {}).get("ledger", 0),
        row["settled"] - settled,
        row["deposited"] - moved.get("deposited", 0),
    )  # fmt: skip
    return row


def _entitled(claim: dict[str, int]) -> int:
    """Given, and not yet on its way: scheduled or not."""
    return claim.get("given", 0) - claim.get("in_flight", 0) - claim.get("settled", 0) - claim.get("deposited", 0)


def _first(*differences: int) -> int:
    return next((difference for difference in differences if difference), 0)


def _text(row: Row) -> Row:
    """Amounts as strings of whole units; `scale` stays a number."""
    return {key: str(value) if isinstance(value, int) and key != "scale" else value for key, value in row.items()}
