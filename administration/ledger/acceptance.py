"""
Writing the accepted ledger: from staging into the case, a range of rows a step, each in one set-based statement.

A step and its cursor commit together, so a killed worker costs one step and nothing is written twice. The database
looks at the whole before it lets the intake become accepted (refusals.sql).
"""

# ruff: noqa: S608 - statements are put together from names of our own tables, never from what is read

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.books.models import Asset
from administration.errors import Refused
from administration.ledger import entries, inspection, package, sessions, setting_aside, staging, takeover
from administration.ledger.control_totals import WORK_MEM
from administration.ledger.models import Intake, IntakeState, NegativePolicy
from administration.ledger.sessions import Meanwhile
from administration.people.models import User
from administration.record import covers, log
from administration.work import jobs
from administration.work.models import Job

ROWS = 1_000_000  # written by one step; of a larger ledger half as many as it has accounts, which each step joins with all of
WORTH_TWO = 5_000  # destinations from which on a second session pays
KEPT_TABLES = ("ledger_identity", "ledger_ledgeraccount", "ledger_ledgerbalance", "ledger_handedoverdestination")
BALANCES, EXCLUDED = "ledger.balances", "ledger.negatives_excluded"
NEGATIVE = "negative_balance_excluded"

# What the events of an acceptance cover, in natural keys.
BALANCES_SQL = """
SELECT account.account_ref, asset.code AS asset, balance.product, balance.amount::text AS amount
FROM ledger_ledgerbalance balance
JOIN ledger_ledgeraccount account ON account.id = balance.ledger_account_id
JOIN books_asset asset ON asset.id = balance.asset_id
WHERE balance.case_id = (SELECT id FROM cases_case WHERE reference = %(case)s)
ORDER BY account.account_ref COLLATE "C", asset.code COLLATE "C", balance.product COLLATE "C"
"""
EXCLUDED_SQL = f"""
SELECT account.account_ref, asset.code AS asset, adjustment.product, adjustment.amount::text AS amount
FROM ledger_adjustment adjustment
JOIN ledger_ledgeraccount account ON account.id = adjustment.ledger_account_id
JOIN books_asset asset ON asset.id = adjustment.asset_id
WHERE adjustment.case_id = (SELECT id FROM cases_case WHERE reference = %(case)s) AND adjustment.reason = '{NEGATIVE}'
ORDER BY account.account_ref COLLATE "C", asset.code COLLATE "C", adjustment.product COLLATE "C"
"""


@dataclass(frozen=True)
class Part:
    """
    One kind of rows: the table of the package they come from, and the statement that writes a range of them.

    `ends` names the table that is complete once these are written: its keys are put back.
    """

    table: package.Table
    insert: str
    ends: str = ""


_IN_RANGE = 'staged.intake = %(intake)s AND staged."row" > %(after)s AND staged."row" <= %(upto)s'
_ACCOUNT = "JOIN ledger_ledgeraccount account ON account.case_id = %(case)s AND account.account_ref = staged.account_id"
# OFFSET 0: the factor is worked out for each asset, not for each row
_ASSET = """JOIN (SELECT id, code, ('1e' || scale)::numeric AS factor FROM books_asset WHERE case_id = %(case)s OFFSET 0) asset
            ON asset.code = staged.asset"""
_UNITS = "(staged.amount * asset.factor)::numeric(78,0)"

PARTS = (
    Part(
        package.CUSTOMERS,
        f"""
        INSERT INTO ledger_identity (case_id, customer_ref, entity_type, name, kana, romaji, birth_or_founding_date,
            nationality, residence_country, postcode, address, address_kana, phone, email, corporate_number, kyc_status,
            language, file_id, "row")
        SELECT %(case)s, customer_id, entity_type, name, kana, romaji, birth_or_founding_date, nationality,
            residence_country, postcode, address, address_kana, phone, email, corporate_number, kyc_status, language,
            %(file)s, "row"
        FROM ledger_staging_customers staged WHERE {_IN_RANGE}""",
        ends="ledger_identity",
    ),
    Part(
        package.ACCOUNTS,
        f"""
        INSERT INTO ledger_ledgeraccount (case_id, intake_id, account_ref, identity_id, capacity, status, opened_on,
            file_id, "row")
        SELECT %(case)s, %(intake)s, staged.account_id, identity.id, staged.capacity, staged.status, staged.opened_on, %(file)s, staged."row"
        FROM ledger_staging_accounts staged
        JOIN ledger_identity identity ON identity.case_id = %(case)s AND identity.customer_ref = staged.customer_id
        WHERE {_IN_RANGE}""",
        ends="ledger_ledgeraccount",
    ),
    Part(
        package.BALANCES,
        f"""
        INSERT INTO ledger_ledgerbalance (case_id, ledger_account_id, asset_id, product, amount, file_id, "row")
        SELECT %(case)s, account.id, asset.id, staged.product, {_UNITS}, %(file)s, staged."row"
        FROM ledger_staging_balances staged {_ACCOUNT} {_ASSET}
        WHERE {_IN_RANGE}""",
        ends="ledger_ledgerbalance",
    ),
    Part(
        package.BANK_ACCOUNTS,
        f"""
        INSERT INTO ledger_handedoverdestination (case_id, ledger_account_id, asset_id, network, details, valid, problem,
            file_id, "row")
        SELECT %(case)s, account.id, asset.id, 'bank', jsonb_build_object('bank_code', staged.bank_code, 'branch_code',
            staged.branch_code, 'kind', staged.kind, 'number', staged.number, 'holder_kana', staged.holder_kana),
            staged.problem IS NULL, coalesce(staged.problem, ''), %(file)s, staged."row"
        FROM ledger_staging_bank_accounts staged {_ACCOUNT} {_ASSET.replace("staged.asset", "'JPY'")}
        WHERE {_IN_RANGE}""",
    ),
    Part(
        package.WITHDRAWAL_ADDRESSES,
        f"""
        INSERT INTO ledger_handedoverdestination (case_id, ledger_account_id, asset_id, network, details, valid, problem,
            file_id, "row")
        SELECT %(case)s, account.id, asset.id, staged.network, jsonb_build_object('network', staged.network,
            'address', staged.address, 'memo', staged.memo), staged.problem IS NULL, coalesce(staged.problem, ''),
            %(file)s, staged."row"
        FROM ledger_staging_withdrawal_addresses staged {_ACCOUNT} {_ASSET}
        WHERE {_IN_RANGE}""",
        ends="ledger_handedoverdestination",
    ),
    Part(
        package.HOLDS,
        f"""
        INSERT INTO ledger_handedoverhold (case_id, ledger_account_id, kind, since, reference, file_id, "row")
        SELECT %(case)s, account.id, staged.kind, staged.since, staged.reference, %(file)s, staged."row"
        FROM ledger_staging_holds staged {_ACCOUNT}
        WHERE {_IN_RANGE}""",
    ),
    Part(
        package.PRICES,
        f"""
        INSERT INTO ledger_handedoverprice (case_id, asset_id, num, den, quoted_at, source)
        SELECT %(case)s, asset.id, staged.jpy_num, staged.jpy_den, staged."at", staged.source
        FROM ledger_staging_prices staged {_ASSET} WHERE {_IN_RANGE}""",
    ),
    Part(
        package.WALLETS,
        f"""
        INSERT INTO ledger_handedoverplace (case_id, intake_id, asset_id, details, amount, "row")
        SELECT %(case)s, %(intake)s, asset.id,
            to_jsonb(staged) - 'intake' - 'row' || jsonb_build_object('amount', staged.amount::text),
            {_UNITS}, staged."row"
        FROM ledger_staging_wallets staged {_ASSET}
        WHERE {_IN_RANGE}""",
    ),
)


BALANCES_PART = 2
DESTINATIONS = range(3, 5)  # numbers of parts


class NotAccepted(Refused):
    """The ledger could not be written as it was signed."""


@dataclass(frozen=True)
class _Work:
    """What every step needs to know."""

    intake: Intake
    by: User
    prepared_by: User
    at: datetime

    @property
    def rows(self) -> dict[str, int]:
        return {file["name"]: file["rows"] or 0 for file in self.intake.manifest["files"]}


def work_of(job: Job) -> _Work:
    return _Work(
        Intake.objects.select_related("case").get(pk=job.subject_id),
        by=User.objects.get(pk=job.params["by"]),
        prepared_by=User.objects.get(pk=job.params["prepared_by"]),
        at=datetime.fromisoformat(job.params["at"]),
    )


def step(job: Job) -> jobs.Progress:
    """One step of writing the ledger. The cursor says which, and up to which row the rows of a part are written."""
    work = work_of(job)
    state = begin(job)
    finished = _STAGES[state["stage"]](work, state)
    return jobs.Progress(
        json.dumps(state), state["done"], state["stage"], finished=bool(finished), result=finished or None
    )


Stage = Callable[[_Work, dict[str, Any]], dict[str, Any] | None]


def _assets(work: _Work, state: dict[str, Any]) -> None:
    """The assets of the manifest that the case does not have yet."""
    case = work.intake.case
    known = set(Asset.objects.filter(case=case).values_list("code", flat=True))
    Asset.objects.bulk_create(
        Asset(
            case=case, code=asset["code"], name=asset["name"], scale=asset["scale"],
            payable_step=int(asset["payable_step"]), network=asset["network"], kind=asset["kind"],
        )
        for asset in work.intake.manifest["assets"]
        if asset["code"] not in known
    )  # fmt: skip
    with connection.cursor() as cursor:
        for table in KEPT_TABLES:
            cursor.execute("SELECT ledger_lay_aside(%s)", [table])
    state["stage"] = "rows"


def _rows(work: _Work, state: dict[str, Any]) -> None:
    """The next rows of a part. If the server lost the staging in a crash, read the files again first."""
    if state["part"] in DESTINATIONS:
        _move(work, state, *_where(work, state["part"], state["row"]))
    part = state["part"]
    before = transaction.savepoint()
    with Meanwhile(partial(_beside, work)) if part == BALANCES_PART and _worth_two(work) else nullcontext():
        came_to = _write(work, part, state["row"])
    if came_to is None:
        transaction.savepoint_rollback(before)
        _begin_again(work, state)
        return
    transaction.savepoint_commit(before)
    _move(work, state, *came_to)
    if part in DESTINATIONS:
        _say_where(work, *came_to)


def _write(work: _Work, number: int, after: int) -> tuple[int, int] | None:
    """Write the rows of a part that follow one; where the next begin. None where they are not all in staging any more."""
    part = PARTS[number]
    last = work.rows[part.table.file] + 1  # the header is row 1
    upto = min(after + max(ROWS, work.rows[package.ACCOUNTS.file] // 2), last)
    expected = upto - after - setting_aside.between(work.intake.pk, part.table.file, after, upto)
    file = work.intake.files.get(name=part.table.file)
    params = {"intake": work.intake.pk, "case": work.intake.case_id, "file": file.pk, "after": after, "upto": upto}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
        cursor.execute(part.insert, params)
        written = cursor.rowcount
        if written != expected:
            cursor.execute(
                f'SELECT count(*) FROM {staging.TABLES[part.table.file]} WHERE intake = %s AND "row" > %s AND "row" <= %s',
                [work.intake.pk, after, upto],
            )
            if cursor.fetchone()[0] != expected:
                return None
            raise NotAccepted(
                _("%(file)s: only %(many)d of rows %(first)d to %(last)d fit what is written already.")
                % {"file": part.table.file, "many": written, "first": after + 1, "last": upto}
            )
        if upto == last and part.ends:
            cursor.execute("SELECT ledger_put_back(%s)", [part.ends])
            cursor.execute("SELECT ledger_analyze(%s)", [part.ends])  # the next part looks it up
    return (number + 1, 1) if upto == last else (number, upto)


def _move(work: _Work, state: dict[str, Any], part: int, row: int) -> None:
    """Everything up to that row of that part is written."""

    def before(part: int, row: int) -> int:
        return sum(work.rows[one.table.file] for one in PARTS[:part]) + row - 1

    state["done"] += before(part, row) - before(state["part"], state["row"])
    state.update(part=part, row=row)
    if part == len(PARTS):
        state["stage"] = "entries"


# --- in a second session ----------------------------------------------------------------------

# Destinations hang on accounts, as balances do, and not on each other: where there are many, both are written at the same
# time. The second session commits by itself, so how far it came is a row of its own, locked while it writes: whoever
# writes destinations goes on from there, and nothing is written twice.


def _worth_two(work: _Work) -> bool:
    return sum(work.rows[PARTS[part].table.file] for part in DESTINATIONS) >= WORTH_TWO and sessions.are_worth_it()


def _where(work: _Work, part: int, row: int) -> tuple[int, int]:
    """Up to which part and row destinations are written, if they were begun; locked until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO ledger_written_beside (intake, part, "row") VALUES (%s, %s, %s) ON CONFLICT DO NOTHING',
            [work.intake.pk, part, row],
        )
        cursor.execute('SELECT part, "row" FROM ledger_written_beside WHERE intake = %s FOR UPDATE', [work.intake.pk])
        came_to: tuple[int, int] = cursor.fetchone()
        return came_to


def _say_where(work: _Work, part: int, row: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute('UPDATE ledger_written_beside SET part = %s, "row" = %s WHERE intake = %s', [part, row, work.intake.pk])


def _beside(work: _Work, other: Meanwhile[None]) -> None:
    """Write destinations for as long as balances are written. What this does not come to is done after them."""
    going_on = True
    while going_on and not other.enough.is_set():
        with transaction.atomic():
            part, row = _where(work, DESTINATIONS[0], 1)
            came_to = _write(work, part, row) if part in DESTINATIONS else None
            going_on = came_to is not None
            if came_to is not None:
                _say_where(work, *came_to)


def _begin_again(work: _Work, state: dict[str, Any]) -> None:
    """Read the files as they were signed; once, unless the server fell again: whatever else is amiss, reading does not mend it."""
    this = takeover.staged(work.intake)
    if (state.get("read_again") and not staging.is_lost(work.intake.pk)) or package.check_files(this.directory, this.manifest):
        raise NotAccepted(
            _("The files of %(intake)s in the archive are not what was signed. Bring them back from the backup.")
            % {"intake": work.intake}
        )
    staging.clear(work.intake.pk)
    state.update(stage="read again", inspection="", read_again=True)


def _read_again(work: _Work, state: dict[str, Any]) -> None:
    did = inspection.step(takeover.staged(work.intake), state["inspection"])
    state["inspection"] = did.cursor
    if inspection.all_read(did.cursor):
        del state["inspection"]
        setting_aside.again(work.intake.pk)
        state["stage"] = "rows" if state["part"] < len(PARTS) else "entries"


def _entries(work: _Work, state: dict[str, Any]) -> None:
    """What was booked around the cut-off is kept, from the books of entries if there are any."""
    this = takeover.staged(work.intake)
    for table in this.manifest.tables[len(package.TABLES) :]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {staging.TABLES[table.file]} WHERE intake = %s", [work.intake.pk])
            rows = work.rows[table.file]
            if cursor.fetchone()[0] != rows - setting_aside.between(work.intake.pk, table.file, 1, rows + 1):
                _begin_again(work, state)
                return
    state.update(stage="negatives", kept=entries.keep(work.intake, this))


def begin(job: Job) -> dict[str, Any]:
    """Where a job begins: at the beginning, or where an earlier one that failed had come to."""
    earlier = jobs.before(job)
    cursor = job.cursor or (earlier.cursor if earlier else "")
    state: dict[str, Any] = json.loads(cursor or '{"stage": "assets", "part": 0, "row": 1, "done": 0}')
    if not job.cursor:
        state.pop("read_again", None)
    return state


def _negatives(work: _Work, state: dict[str, Any]) -> None:
    """One decision, stated by who prepared the acceptance: each negative balance is brought to nothing."""
    state["stage"] = "accept"
    if work.intake.negative_policy != NegativePolicy.EXCLUDE:
        return
    case = work.intake.case
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO ledger_adjustment (case_id, ledger_account_id, asset_id, product, amount, reason, note,
                   decided_by_id, at)
               SELECT case_id, ledger_account_id, asset_id, product, -amount, %s, '', %s, %s
               FROM ledger_ledgerbalance WHERE case_id = %s AND amount < 0 ORDER BY id""",
            [NEGATIVE, work.prepared_by.pk, work.at, case.pk],
        )
        many = cursor.rowcount
    if many:
        covered = covers.cover(EXCLUDED, case=case.reference)
        log.append(
            case, "ledger.negatives_excluded", subject=work.intake, by=work.prepared_by, at=work.at, covers=covered
        )


def _is_what_was_checked(intake: Intake, covered: covers.Cover) -> bool:
    """Another session read the balances a moment before or after the database compared them: were they these?"""
    computed: dict[str, int] = {}
    for total in intake.control_totals.all():
        computed[total.asset_code] = computed.get(total.asset_code, 0) + total.computed
    return covered.count == intake.balances and {**dict.fromkeys(computed, 0), **covered.sums} == computed


def _accept(work: _Work, state: dict[str, Any]) -> dict[str, Any]:
    """Close it: the database compares every count and sum with what was signed."""
    intake, case = work.intake, work.intake.case

    def cover(_other: object = None) -> covers.Cover:
        return covers.cover(BALANCES, case=case.reference)

    with Meanwhile(cover) if _worth_two(work) else nullcontext() as other:
        moved = Intake.objects.filter(pk=intake.pk, state=IntakeState.ACCEPTING).update(
            state=IntakeState.ACCEPTED, accepted_at=work.at
        )
    if moved != 1:
        raise NotAccepted(_("%(intake)s is not being accepted. Reload it and look again.") % {"intake": intake})
    staging.clear(intake.pk)
    covered = other.result if other else None
    if covered is None or not _is_what_was_checked(intake, covered):
        covered = cover()
    content = bytes(intake.content_sha256 or b"").hex()
    log.append(
        case, "ledger.accepted", subject=intake, by=work.by, at=work.at, covers=covered,
        body={"content_sha256": content, "prepared_by": work.prepared_by.username, "accounts": intake.accounts,
              "negative_policy": intake.negative_policy, **({"remark": intake.remark} if intake.remark else {})},
    )  # fmt: skip
    return {"accounts": intake.accounts, "balances": intake.balances, "content_sha256": content}


_STAGES: dict[str, Stage] = {
    "assets": _assets,
    "rows": _rows,
    "read again": _read_again,
    "entries": _entries,
    "negatives": _negatives,
    "accept": _accept,
}
