"""
The auditor's pulls: the return log and all it takes to check it without us.

    NotPulled   the pull was not made

A JSONL pull begins with its population statement (as-of head and instant, definition, first and last number, gaps,
counts and sums, filter, schema) and holds the record, its signed heads, the manifests that were approved, every
return with its attempts and evidence, and the rows that bulk events cover. A CSV pull is the returns alone,
its population beside it. Both are streamed; neither grows in memory.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.audit import lines
from administration.audit.models import Pull
from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import covers, heads, log
from administration.record.encoding import micros
from administration.record.models import Counter, Head

SCHEMA = "henkan-pull/1"
DEFINITION = "Every asset return ever scheduled in the case, whatever its state, ordered by reference."
FORMATS = ("csv", "jsonl")
TRIES = 5
BUFFER = 256 * 1024

# Control characters that JSON always escapes, so that COPY leaves a line of JSON as it is.
AS_LINES = "COPY ({}) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02', ENCODING 'UTF8')"
AS_CSV = "COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"
COVERED = "SELECT number, body FROM record_event WHERE case_id = %s AND body LIKE '%%\"cover\":%%' ORDER BY number"
SUMS = """
SELECT a.code, r.state, count(*), sum(r.amount)
FROM returns_assetreturn r JOIN books_asset a ON a.id = r.asset_id
WHERE r.case_id = %s GROUP BY a.code, r.state ORDER BY a.code COLLATE "C", r.state
"""
NUMBERS = """
SELECT count(*), min(reference COLLATE "C"), max(reference COLLATE "C"), max(substr(reference, 2, 9)::bigint)
FROM returns_assetreturn WHERE case_id = %s
"""


class NotPulled(Refused):
    """The pull was not made; the message says why."""


def make(
    case: Case,
    *,
    format: str,  # noqa: A002  the word of the command
    out: Path | None = None,
    by: User,
    at: datetime,
) -> Pull:
    """
    Pull the return log of a case into the archive, and into the directory `out` as well if one is given.

    What has happened is sealed first, so that the pull speaks under a signed head.
    """
    appointments.require(case, by, "audit.pull", at=at)
    if format not in FORMATS:
        raise NotPulled(
            _("There is no pull format %(format)s. Choose one of: %(formats)s.")
            % {"format": format, "formats": ", ".join(FORMATS)}
        )
    if not settings.ARCHIVE_DIR:
        raise NotPulled(_("Nothing was pulled: ARCHIVE_DIR is not set. Name the directory where pulls are kept."))
    archive = Path(settings.ARCHIVE_DIR) / "pulls"
    archive.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as until_done:
        half = until_done.enter_context(_half(archive))
        statement, sha256 = _write(case, format, half, at)
        pull = _record(case, format, statement, sha256, half, by=by, at=at)
    if out is not None:
        _hand_out(pull, out)
    return pull


@transaction.atomic
def hand_out_again(pull: Pull, *, out: Path, by: User, at: datetime) -> Path:
    """The same pull from the archive, byte for byte; refused if the archive's file is not what was recorded."""
    appointments.require(pull.case, by, "audit.pull", at=at)
    path = path_of(pull)
    if not path.exists():
        raise NotPulled(_("The archive has no %(file)s any more. Restore it from its copy.") % {"file": pull.file_name})
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").digest() != bytes(pull.sha256):
            raise NotPulled(
                _("%(file)s in the archive is not the file that was pulled. Restore it from its copy.")
                % {"file": pull.file_name}
            )
    _hand_out(pull, out)
    log.append(
        pull.case, "pull.handed_out", subject=pull, by=by, at=at, body={"number": pull.number, "file": pull.file_name}
    )
    return out / pull.file_name


def path_of(pull: Pull) -> Path:
    """Where the archive keeps the pull's file."""
    return Path(settings.ARCHIVE_DIR) / "pulls" / pull.file_name


# --- one consistent look ----------------------------------------------------------------------


def _write(case: Case, form: str, path: Path, at: datetime) -> tuple[dict[str, Any], bytes]:
    """Everything in one snapshot that holds no event newer than the newest head, if the office lets us."""
    for left in reversed(range(TRIES)):
        heads.seal(case, at=at)
        with _snapshot():
            counted = Counter.objects.filter(case_id=case.pk).first()
            head = heads.latest(case)
            if counted is None or head is None:
                raise NotPulled(_("Case %(case)s has no record yet.") % {"case": case})
            if counted.last == head.size or not left:
                statement = _population(case, head, counted.last, at)
                with path.open("wb") as file:
                    output = _Output(file)
                    if form == "csv":
                        output.copy(AS_CSV.format(lines.CSV), {"case": case.pk})
                    else:
                        _write_lines(output, case, statement, counted.last)
                    return statement, output.finish()
    raise AssertionError


@contextlib.contextmanager
def _snapshot() -> Iterator[None]:
    """All reads see one instant. (Inside somebody's transaction they see what it sees.)"""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _population(case: Case, head: Head, size: int, at: datetime) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS, [case.pk])
        count, first, last, highest = cursor.fetchone()
        cursor.execute(SUMS, [case.pk])
        sums = [
            {"asset": asset, "state": state, "count": str(many), "amount": str(int(amount))}
            for asset, state, many, amount in cursor.fetchall()
        ]
    return {
        "type": "population",
        "schema": SCHEMA,
        "case": case.reference,
        "as_of": micros(at),
        "head": heads.as_json(head),
        "definition": DEFINITION,
        "filter": "none",
        "events": {"first": "1", "last": str(size), "gaps": "none", "unsealed": str(size - head.size)},
        "returns": {
            "count": str(count),
            "first": first,
            "last": last,
            "gaps": "none" if (highest or 0) == count else f"{(highest or 0) - count} numbers are not used",
            "sums": sums,
        },
    }


def _write_lines(output: "_Output", case: Case, statement: dict[str, Any], size: int) -> None:
    output.line(statement)
    for query in lines.KINDS:
        _copy_lines(output, query, {"case": case.pk, "size": size})
    with connection.cursor() as cursor:
        cursor.execute(COVERED, [case.pk])
        events = cursor.fetchall()
    for number, body in events:
        stated = json.loads(body)["cover"]
        try:
            _write_cover(output, number, stated)
        except (LookupError, DatabaseError, psycopg.Error) as error:
            raise NotPulled(
                _("Nothing was pulled: the rows that event %(number)s covers cannot be read (%(error)s). Run verify_record.")
                % {"number": number, "error": str(error).splitlines()[0]}
            ) from error
    output.line({"type": "end", "lines": str(output.count + 1)})


def _write_cover(output: "_Output", number: int, stated: dict[str, Any]) -> None:
    rows = covers.Rows(stated["name"], **stated["params"])
    output.line({"type": "cover", "event": str(number), "name": rows.name, "columns": rows.columns})
    cells = ", ".join(f'covered."{column}"' for column in rows.columns)
    query = f"SELECT 'row' AS type, ARRAY[{cells}] AS v FROM ({rows.sql}) covered"  # noqa: S608  registered code
    _copy_lines(output, query, rows.params)


def _copy_lines(output: "_Output", query: str, params: dict[str, Any]) -> None:
    output.copy(AS_LINES.format(f"SELECT row_to_json(pull_line) FROM ({query}) pull_line"), params)  # noqa: S608  our own queries


class _Output:
    """A file, its hash and its lines, written in large pieces."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest, self._buffer = file, hashlib.sha256(), bytearray()
        self.count = 0

    def line(self, value: dict[str, Any]) -> None:
        self._buffer += json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.count += 1

    def copy(self, sql: str, params: dict[str, Any]) -> None:
        with connection.cursor() as cursor, cursor.copy(sql, params) as copy:
            for data in copy:
                self._buffer += data
                self.count += 1
                if len(self._buffer) >= BUFFER:
                    self._flush()

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._digest.update(self._buffer)
        self._buffer.clear()

    def finish(self) -> bytes:
        self._flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.digest()


# --- keeping it -------------------------------------------------------------------------------


@contextlib.contextmanager
def _half(directory: Path) -> Iterator[Path]:
    path = directory / f".{secrets.token_hex(8)}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@transaction.atomic
def _record(
    case: Case, form: str, statement: dict[str, Any], sha256: bytes, half: Path, *, by: User, at: datetime
) -> Pull:
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    number = (Pull.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0) + 1
    name = f"{_as_file_name(case.reference)}-pull-{number:04d}.{form}"
    pull = Pull.objects.create(
        case=case,
        number=number,
        format=form,
        population=statement,
        file_name=name,
        sha256=sha256,
        head_size=int(statement["head"]["size"]),
        by=by,
        at=at,
    )
    if form == "csv":
        _put(_population_file(half.with_name(name)), _pretty(statement, name, sha256))
    half.replace(half.with_name(name))
    _sync(half.parent)
    log.append(
        case,
        "pull.made",
        subject=pull,
        by=by,
        at=at,
        body={
            "number": number,
            "format": form,
            "file": name,
            "sha256": sha256,
            "head_size": statement["head"]["size"],
            "returns": statement["returns"]["count"],
        },
    )
    return pull


def _hand_out(pull: Pull, directory: Path) -> None:
    """A copy for the auditor. It appears whole or not at all."""
    source = path_of(pull)
    directory.mkdir(parents=True, exist_ok=True)
    for path in (source, _population_file(source)):
        if path.exists():
            half = directory / f".{path.name}.{secrets.token_hex(4)}"
            with path.open("rb") as original, half.open("xb") as copy:
                while piece := original.read(BUFFER):
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
            half.replace(directory / path.name)
    _sync(directory)


def _put(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with half.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _pretty(statement: dict[str, Any], name: str, sha256: bytes) -> str:
    return json.dumps({**statement, "file": name, "sha256": sha256.hex()}, ensure_ascii=False, indent=1) + "\n"


def _population_file(path: Path) -> Path:
    return path.with_suffix(".population.json")


def _as_file_name(reference: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in reference)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
