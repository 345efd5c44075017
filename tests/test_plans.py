"""
A chunk costs what it holds, not what the case holds: what it needs it looks up row by row, whatever the planner believes.

Each of these was once a join for which the server read a whole table for every chunk, so that the work grew with the square
of the case. No clock is asked: the server's own plan is.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from administration.ledger import nayose
from administration.returns import matching


def plan_of(sql: str, params: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def reads(node: dict[str, Any], table: str, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """For each reading of a table: what it is part of ("CTE", or "SubPlan": done for each row), and by what rows are found."""
    above = (*above, node.get("Subplan Name", "").partition(" ")[0])
    if node.get("Relation Name") == table and node["Node Type"] != "ModifyTable":
        yield above, "".join(node.get(by, "") for by in ("Index Cond", "Recheck Cond", "Filter"))
    for below in node.get("Plans", ()):
        yield from reads(below, table, above)


@pytest.mark.parametrize("sql", [matching.DECIDE, matching.COME_BACK])
@pytest.mark.parametrize("table", ["returns_submission", "returns_match"])
def test_evidence_looks_up_the_part_and_what_was_matched_before_for_each_line(db, sql, table):
    found = list(reads(plan_of(sql, {"lines": list(range(1, 5_000))}), table))

    assert found
    assert all("SubPlan" in above for above, _by in found)


def test_name_aggregation_looks_up_whom_it_likens(db):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")  # the planner is talked into anything else
    of_pairs = plan_of(nayose.CANDIDATES, {"run": 1, "after": 0, "upto": 500, "sounds": nayose.SOUNDS})

    found = [by for above, by in reads(of_pairs, "ledger_folded") if "CTE" not in above]

    assert len(found) == 2
    assert all("pairs." in by for by in found)


def test_name_aggregation_looks_up_the_accounts_of_whom_it_folds(db):
    found = list(reads(plan_of(nayose.CUSTOMERS, [1, 0, nayose.ROWS]), "ledger_ledgeraccount"))

    assert [("SubPlan" in above, "i.id" in by) for above, by in found] == [(True, True)]


def test_gates_find_what_a_rail_says_that_it_paid_once_and_from_the_lines_that_wait(db):
    """Not for each of the many returns: the few lines that wait are read once, and the return of each looked up."""
    both = {"returns_evidenceline", "returns_assetreturn"}
    plan = plan_of("SELECT return_id FROM returns_gates WHERE case_id = %s AND state = 'scheduled' AND cardinality(closed) > 0", [1])
    (said_paid,) = (node for node in below(plan) if "SubPlan" in node.get("Subplan Name", "") and both <= tables(node))

    assert f"hashed {said_paid['Subplan Name']}" in json.dumps(plan)
    ((_above, by),) = reads(said_paid, "returns_assetreturn")
    assert re.search(r"reference\S* = e\w*\.reference", by)


def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from below(part)


def tables(node: dict[str, Any]) -> set[str]:
    return {part["Relation Name"] for part in below(node) if "Relation Name" in part}
