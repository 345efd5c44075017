"""
The checks over all claims of a case: each one statement over all lines, in a file of its own.

A check warns and changes nothing. What it finds is said with how many and the first few by number.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection

from administration.cases.models import Case

EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """What one check found: a sentence for the office, how many, and the first claims by number."""

    name: str
    sentence: str
    count: int
    examples: list[str]


@dataclass(frozen=True)
class Check:
    """`sql` gives one column, the number of each claim it finds; `sentence` says it with the count."""

    name: str
    sql: str
    sentence: Callable[[int], str]


def run(case: Case) -> list[Finding]:
    """Run every check over the case, in the order of the registry."""
    return [_found(check, case) for check in registry()]


def registry() -> tuple[Check, ...]:
    from claims.checks import (
        ambiguous_destination,
        negative_balance,
        no_destination,
        several_accounts,
        shared_destination,
    )

    return (
        negative_balance.CHECK,
        no_destination.CHECK,
        ambiguous_destination.CHECK,
        shared_destination.CHECK,
        several_accounts.CHECK,
    )


def _found(check: Check, case: Case) -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT count(*), (array_agg(claim ORDER BY claim COLLATE "C"))[1:{EXAMPLES}] FROM ({check.sql}) found (claim)',  # noqa: S608 - of our own texts only
            {"case": case.pk},
        )
        count, examples = cursor.fetchone()
    return Finding(check.name, check.sentence(count), count, examples or [])
