"""
The auditor's pulls: the return log and all it takes to check it without us.

    NotPulled   the pull was not made

A pull of the whole (JSONL) begins with its population statement (as-of head and instant, definition, first and last
number, gaps, counts and sums, filter, schema) and holds the record, its signed heads, the manifests that were
approved, every return with its attempts and evidence, and the rows that bulk events cover. Pulls of returns or of
events (CSV, Parquet or JSONL) are those alone, filtered if one likes. `make` writes one into the archive; `stream` sends one
while it is written. Neither grows in memory.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max
from django.utils.translation import gettext as _

from administration.audit import archive, lines, parquet, populations
from administration.audit.archive import NotPulled, Output, path_of
from administration.audit.filters import Filter, Period
from administration.audit.models import Pull, PullOf, Token
from administration.cases import appointments
from administration.cases.models import Case
from administration.people.models import User
from administration.record import covers, log
from administration.record.encoding import canonical

__all__ = ["FORMATS", "NotPulled", "Request", "hand_out_again", "made_before", "make", "path_of", "stream"]

# Each format and its media type.
FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
NOTHING_LEFT_OUT = Filter()

# Control characters that JSON always escapes, so that COPY leaves a line of JSON as it is.
AS_LINES = "COPY ({}) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02', ENCODING 'UTF8')"
AS_CSV = "COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"
COVERED = "SELECT number, body FROM record_event WHERE case_id = %s AND body LIKE '%%\"cover\":%%' ORDER BY number"


class OtherRequest(NotPulled):
    """The key was used before, for another request."""


class Request:
    """What a caller asks for under a key of its own: asked twice, it is done once."""

    def __init__(self, key: str, body: dict[str, Any]) -> None:
        self.key, self.sha256 = key, hashlib.sha256(canonical(body).encode()).digest()


def make(
    case: Case,
    *,
    format: str,  # noqa: A002  the word of the command
    of: str = "",
    chosen: Filter = NOTHING_LEFT_OUT,
    out: Path | None = None,
    token: Token | None = None,
    request: Request | None = None,
    by: User,
    at: datetime,
) -> Pull:
    """
    Pull into the archive, and into the directory `out` as well if one is given.

    What has happened is sealed first, so that the pull speaks under a signed head. By default a JSONL is of the
    whole, a CSV or Parquet of the returns.
    """
    of = _asked(
        case, format, of or (PullOf.WHOLE if format == "jsonl" else PullOf.RETURNS), chosen, by=by, at=at, token=token
    )
    if request is not None and token is not None and (before := made_before(token, request)):
        return before
    with archive.half() as half:
        with populations.look(case, connection, at=at) as (head, size), Output(half) as output:
            period = Period.of(token)
            statement = populations.state(
                case, connection, of, head=head, size=size, chosen=chosen, period=period, at=at
            )
            if of == PullOf.WHOLE:
                _write_whole(output, case, statement, size)
            else:
                for _piece in _written(output, connection, case, of, format, statement, size, chosen, period):
                    pass
            sha256, length = output.finish()
        try:
            pull = _made(case, of, format, statement, sha256, length, half, token, request, by=by, at=at)
        except IntegrityError:  # the same request at the same time, and the other was first
            if request is None or token is None or (before := made_before(token, request)) is None:
                raise
            return before
    if out is not None:
        archive.copy_to(pull, out)
    return pull


def made_before(token: Token, request: Request) -> Pull | None:
    """The pull that this request made, if it was asked before. Under the key of another request it is refused."""
    before = Pull.objects.filter(token=token, request_key=request.key).first()
    if before is not None and bytes(before.request_sha256 or b"") != request.sha256:
        raise OtherRequest(
            _("The key “%(key)s” was used for another request. Give each request a key of its own.")
            % {"key": request.key}
        )
    return before


def stream(
    case: Case,
    *,
    format: str,  # noqa: A002  as above
    of: str,
    chosen: Filter,
    token: Token | None = None,
    by: User,
    at: datetime,
) -> tuple[Pull, Iterator[bytes]]:
    """
    Pull and send at once: the pull, and its pieces of 256 KiB as the database gives them.

    The pull is recorded before its first byte leaves; when the last has left, its hash is recorded and the archive has
    the same bytes. It reads on a connection of its own, so that a reader who goes away leaves nothing half done.
    """
    of = _asked(case, format, of, chosen, by=by, at=at, token=token)
    if of == PullOf.WHOLE:
        raise NotPulled(_("A pull of the whole is made first and fetched afterwards: POST it, then get its file."))
    period = Period.of(token)
    with ExitStack() as until_failed:
        database = until_failed.enter_context(closing(_own_connection()))
        half = until_failed.enter_context(archive.half())
        head, size = until_failed.enter_context(populations.look(case, database, at=at))
        output = until_failed.enter_context(Output(half))
        statement = populations.state(case, database, of, head=head, size=size, chosen=chosen, period=period, at=at)
        pull = _begun(case, of, format, statement, token, by=by, at=at)
        until_done = until_failed.pop_all()

    def pieces() -> Iterator[bytes]:
        with until_done:
            yield from _written(output, database, case, of, format, statement, size, chosen, period)
            if piece := output.flush():
                yield piece
            _finished(pull, *output.finish(), half, by=by, at=at)

    return pull, Pieces(pieces(), until_done)


class Pieces(Iterator[bytes]):
    """What was begun is let go also when nobody takes the first piece."""

    def __init__(self, pieces: Iterator[bytes], until_done: ExitStack) -> None:
        self._pieces, self._until_done = pieces, until_done

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]  # a generator
        self._until_done.close()


@transaction.atomic
def hand_out_again(pull: Pull, *, out: Path | None = None, token: Token | None = None, by: User, at: datetime) -> Path:
    """The same pull from the archive, byte for byte; refused if the archive's file is not what was recorded."""
    if token is None:
        appointments.require(pull.case, by, "audit.pull", at=at)
    path = archive.checked(pull)
    if out is not None:
        archive.copy_to(pull, out)
        path = out / pull.file_name
    log.append(
        pull.case, "pull.handed_out", subject=pull, by=by, at=at,
        body={"number": pull.number, "file": pull.file_name, **_by_token(token)},
    )  # fmt: skip
    return path


def _asked(case: Case, form: str, of: str, chosen: Filter, *, by: User, at: datetime, token: Token | None) -> str:
    """What may be asked for. A token was recognised at the door; without one the person needs the power."""
    if token is None:
        appointments.require(case, by, "audit.pull", at=at)
    if form not in FORMATS:
        raise NotPulled(
            _("There is no pull format %(format)s. Choose one of: %(formats)s.")
            % {"format": form, "formats": ", ".join(FORMATS)}
        )
    if of not in PullOf.values:
        raise NotPulled(
            _("There is no pull of %(of)s. Choose one of: %(choices)s.")
            % {"of": of, "choices": ", ".join(PullOf.values)}
        )
    if of == PullOf.WHOLE and (form != "jsonl" or chosen or Period.of(token) != Period()):
        raise NotPulled(
            _(
                "What is pulled to be verified is the whole record, as JSONL, without a filter or a period. Pull returns or events."
            )
        )
    archive.directory()
    return of


# --- what is written --------------------------------------------------------------------------


def _written(
    output: Output,
    database: BaseDatabaseWrapper,
    case: Case,
    of: str,
    form: str,
    statement: dict[str, Any],
    size: int,
    chosen: Filter,
    period: Period,
) -> Iterator[bytes]:
    """Returns or events, piece by piece as they are written."""
    if of == PullOf.RETURNS:
        (where, params), (inside, bounds) = chosen.of_returns(), period.of_returns()
        query = (
            lines.returns([*where, *inside], marked=True) if form == "jsonl" else lines.returns_csv([*where, *inside])
        )
    else:
        (where, params), (inside, bounds) = chosen.of_events(), period.of_events()
        query = lines.events([*where, *inside], marked=True) if form == "jsonl" else lines.events_csv([*where, *inside])
    if form == "jsonl":
        output.line(statement)
        query = f"SELECT row_to_json(pull_line) FROM ({query}) pull_line"  # noqa: S608  our own queries
    sql = (AS_LINES if form == "jsonl" else AS_CSV).format(query)
    given = {"case": case.pk, "size": size, **params, **bounds}
    with database.cursor() as cursor, cursor.copy(sql, given) as copy:
        if form == "parquet":
            yield from output.take(parquet.pieces(iter(copy), population=statement))
        else:
            yield from output.take(iter(copy))
    if form == "jsonl":
        output.line({"type": "end", "lines": str(output.lines + 1)})


def _write_whole(output: Output, case: Case, statement: dict[str, Any], size: int) -> None:
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
                _(
                    "Nothing was pulled: the rows that event %(number)s covers cannot be read (%(error)s). Run verify_record."
                )
                % {"number": number, "error": str(error).splitlines()[0]}
            ) from error
    output.line({"type": "end", "lines": str(output.lines + 1)})


def _write_cover(output: Output, number: int, stated: dict[str, Any]) -> None:
    rows = covers.Rows(stated["name"], **stated["params"])
    output.line({"type": "cover", "event": str(number), "name": rows.name, "columns": rows.columns})
    cells = ", ".join(f'covered."{column}"' for column in rows.columns)
    query = f"SELECT 'row' AS type, ARRAY[{cells}] AS v FROM ({rows.sql}) covered"  # noqa: S608  registered code
    _copy_lines(output, query, rows.params)


def _copy_lines(output: Output, query: str, params: dict[str, Any]) -> None:
    sql = AS_LINES.format(f"SELECT row_to_json(pull_line) FROM ({query}) pull_line")  # noqa: S608  our own queries
    with connection.cursor() as cursor, cursor.copy(sql, params) as copy:
        for _piece in output.take(iter(copy)):
            pass


def _own_connection() -> BaseDatabaseWrapper:
    database = connection.copy()
    database.inc_thread_sharing()  # a web server may ask for pieces from any of its threads
    return database


# --- keeping it -------------------------------------------------------------------------------


def _row(
    case: Case,
    of: str,
    form: str,
    statement: dict[str, Any],
    token: Token | None,
    *,
    by: User,
    at: datetime,
    **more: Any,
) -> Pull:
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    number = (Pull.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0) + 1
    return Pull.objects.create(
        case=case,
        number=number,
        of=of,
        format=form,
        population=statement,
        file_name=archive.name_of(case, number, form),
        head_size=int(statement["head"]["size"]),
        by=by,
        token=token,
        at=at,
        **more,
    )


@transaction.atomic
def _made(
    case: Case, of: str, form: str, statement: dict[str, Any], sha256: bytes, length: int, half: Path,
    token: Token | None, request: Request | None, *, by: User, at: datetime,
) -> Pull:  # fmt: skip
    asked = {"request_key": request.key, "request_sha256": request.sha256} if request and token else {}
    pull = _row(case, of, form, statement, token, by=by, at=at, sha256=sha256, bytes=length, **asked)
    archive.keep(pull, half)
    _append(pull, "pull.made", by=by, at=at)
    return pull


@transaction.atomic
def _begun(
    case: Case, of: str, form: str, statement: dict[str, Any], token: Token | None, *, by: User, at: datetime
) -> Pull:
    pull = _row(case, of, form, statement, token, by=by, at=at)
    _append(pull, "pull.begun", by=by, at=at)
    return pull


@transaction.atomic
def _finished(pull: Pull, sha256: bytes, length: int, half: Path, *, by: User, at: datetime) -> None:
    Pull.objects.filter(pk=pull.pk, sha256__isnull=True).update(sha256=sha256, bytes=length)
    pull.sha256, pull.bytes = sha256, length
    archive.keep(pull, half)
    _append(pull, "pull.made", by=by, at=at)


def _append(pull: Pull, kind: str, *, by: User, at: datetime) -> None:
    population = pull.population
    said = {
        "number": pull.number,
        "of": pull.of,
        "format": pull.format,
        "file": pull.file_name,
        "head_size": population["head"]["size"],
        "filter": population["filter"],
        "period": population["period"],
        pull.of if pull.of == PullOf.EVENTS else "returns": population[
            "events" if pull.of == PullOf.EVENTS else "returns"
        ]["count"],
        **_by_token(pull.token),
    }
    if pull.sha256 is not None:
        said["sha256"] = bytes(pull.sha256)
    log.append(pull.case, kind, subject=pull, by=by, at=at, body=said)


def _by_token(token: Token | None) -> dict[str, Any]:
    return {"token": token.number} if token else {}
