"""
Claim codes: one letter for each claim, printed once. The database keeps the code's hash and nothing else of it.

    NothingToPrint  every claim has its letter, or none of those named is of the case
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log

END = "UPDATE portal_claimcode SET ended_at = %(at)s WHERE ended_at IS NULL AND claim_id = ANY (%(claims)s)"

# The codes exist in this one statement: their hashes go into the table, they themselves to the printer.
ISSUE = """
COPY (
    WITH fresh AS MATERIALIZED (
        SELECT c.id, c.number, c.claimant_id, portal_new_code() AS code
        FROM register_claim c
        WHERE c.case_id = {case} AND ({all} OR c.id = ANY ({claims}))
          AND NOT EXISTS (SELECT FROM portal_claimcode k WHERE k.claim_id = c.id AND k.ended_at IS NULL)
    ), kept AS (
        INSERT INTO portal_claimcode (claim_id, code_sha256, issued_at)
        SELECT id, portal_code_hash(code), {at} FROM fresh
    )
    SELECT f.number AS claim, i.name, i.postcode, i.address, i.residence_country AS country, i.language,
           substr(f.code, 1, 4) || '-' || substr(f.code, 5, 4) || '-' || substr(f.code, 9, 4) || '-' || substr(f.code, 13) AS code
    FROM fresh f JOIN register_claimant w ON w.id = f.claimant_id JOIN ledger_identity i ON i.id = w.identity_id
    ORDER BY f.number COLLATE "C"
) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')
"""


class NothingToPrint(Refused):
    """There is no claim without a code."""


def issue(case: Case, *, claims: list[int] | None = None, by: User, at: datetime) -> Path:
    """
    Make a code for every claim that has none, and one file of letters for the printer. Returns where it lies.

    With `claims` (their ids) new letters for just these: their older codes end. The file is the only place in which
    the codes stand; print it, then destroy it.
    """
    folder = Path(settings.ARCHIVE_DIR) / "letters"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{case.reference}-{at.strftime('%Y%m%dT%H%M%S%f')}.csv"
    try:
        with transaction.atomic():
            appointments.require(case, by, "claims.schedule", at=at)
            letters, sha256 = _written(path, case, claims, at)
            if not letters:
                raise NothingToPrint(_("Every claim of case %(case)s has its letter. Name those that need a new one.") % {"case": case})
            body = {"letters": letters, "again": "yes" if claims else "no", "file_sha256": sha256}
            log.append(case, "claims.codes_issued", subject=case, by=by, at=at, body=body)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _written(path: Path, case: Case, claims: list[int] | None, at: datetime) -> tuple[int, str]:
    sha256 = hashlib.sha256()
    with _private(path) as file, connection.cursor() as cursor:
        if claims:
            cursor.execute(END, {"at": at, "claims": claims})
        for block in _copied(cursor, case, claims, at):
            sha256.update(block)
            file.write(block)
        cursor.execute("SELECT count(*) FROM portal_claimcode WHERE issued_at = %s AND ended_at IS NULL", [at])
        (letters,) = cursor.fetchone()
    return int(letters), sha256.hexdigest()


def _copied(cursor: Any, case: Case, claims: list[int] | None, at: datetime) -> Iterator[bytes]:
    from psycopg import sql

    # COPY takes no parameters: literals, quoted by the driver.
    query = sql.SQL(ISSUE).format(
        case=sql.Literal(case.pk), all=sql.Literal(claims is None), claims=sql.Literal(claims or [0]), at=sql.Literal(at)
    )
    with cursor.copy(query) as copy:
        for block in copy:
            yield bytes(block)


@contextmanager
def _private(path: Path) -> Iterator[Any]:
    """A new file that nobody else can read, on the disk when it is closed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
