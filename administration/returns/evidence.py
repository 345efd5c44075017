"""
Evidence: what the rail says became of payments, kept as received, read line by line, counted once.

    NotReceived   the file is not what it should be; nothing of it was taken
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

from django.db import connection, transaction
from django.utils.translation import gettext as _

from administration import wording
from administration.cases import appointments, archive
from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import db_now
from administration.people.models import User
from administration.rails.interface import AnsweringRail, EvidenceRefused, Observation, Rail
from administration.record import covers, log
from administration.record.encoding import frame, micros
from administration.returns import routes, statements
from administration.returns.models import Evidence, Submission, SubmissionState
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job

JOB = "returns.observe"
BLOCK = 2_000  # lines read and written at once
WHOLE_MAX = 64 * 1024 * 1024  # a statement that cannot be read by lines
LINE_RAILS = ("rehearsal", "rehearsal-r2", "rehearsal-r3")  # rails whose evidence is one line after another


class NotReceived(Refused):
    """The evidence cannot be taken as it is; nothing of it was."""


INSERT = """
INSERT INTO returns_evidenceline
    (evidence_id, case_id, line, fingerprint, reference, part, kind, asset_code, amount, at, reason, problem)
SELECT %s, %s, line, decode(fingerprint, 'hex'), reference, part, kind, asset_code, amount, at, reason, ''
FROM json_to_recordset(%s::json) AS l (line bigint, fingerprint text, reference text, part text, kind text, asset_code text,
    amount numeric, at timestamptz, reason text)
ON CONFLICT (case_id, fingerprint) DO NOTHING
"""


def receive(
    case: Case,
    rail_code: str,
    *,
    name: str,
    data: bytes | Path,
    by: User | None,
    at: datetime,
    cursor: str = "",
    page: Sequence[Observation] | None = None,
) -> Evidence:
    """
    Take a statement or report in, as it is. The same bytes again are no news; a broken file is refused whole.

    `by` is None when we asked the rail ourselves; `cursor` is then where its next page begins, and `page` what its
    lines say, already read.
    """
    if by is not None:
        appointments.require(case, by, "returns.evidence", at=at)
    rail = routes.rail(rail_code)
    sha256, size = _digest(data)
    known = Evidence.objects.filter(case=case, sha256=sha256).first()
    if known is not None:
        return known
    if not size:
        raise NotReceived(_("%(name)s is empty.") % {"name": name})
    _keep(data, sha256)
    with transaction.atomic():
        with connection.cursor() as db:
            db.execute("SELECT pg_advisory_xact_lock(hashtextextended('returns.evidence', %s))", [case.pk])
            known = Evidence.objects.filter(case=case, sha256=sha256).first()
            if known is not None:
                return known
            db.execute("SELECT nextval(pg_get_serial_sequence('returns_evidence', 'id'))")
            (evidence_id,) = db.fetchone()
            fresh = 0
            for block in _blocks(case, rail, name, data) if page is None else [list(enumerate(page, start=1))]:
                db.execute(INSERT, [evidence_id, case.pk, as_json(rail.code, block)])
                fresh += db.rowcount
        made = Evidence.objects.create(
            pk=evidence_id, case=case, rail=rail.code, name=name, sha256=sha256, bytes=size, lines_count=fresh,
            cursor=cursor, received_by=by, received_at=at,
        )  # fmt: skip
        cover = covers.cover("returns.evidence", case=case.reference, sha256=sha256.hex())
        log.append(
            case, "evidence.received", subject=made, by=by, at=at, covers=cover,
            body={"name": name, "rail": rail.code, "sha256": sha256.hex(), "bytes": size, "new_lines": fresh},
        )  # fmt: skip
    return made


# --- asking the rail itself -----------------------------------------------------------------------


@transaction.atomic
def observe(case: Case, rail_code: str, *, by: User | None, at: datetime) -> Job:
    """Ask the rail for its statement, page after page, until there is nothing new."""
    if by is not None:
        appointments.require(case, by, "returns.evidence", at=at)
    if not routes.rail(rail_code).can_observe:
        raise NotReceived(_("Rail %(rail)s cannot be asked. Import its statement as a file.") % {"rail": rail_code})
    return jobs.start(case, job_of(rail_code), case.pk, params={"rail": rail_code})


def job_of(rail_code: str) -> str:
    """The kind of job that reads this rail's statement: one at a time for each rail of a case."""
    return f"{JOB}.{rail_code}"


def step(job: Job) -> Progress:
    """One page: the call outside any transaction, then the page and the place where the next begins, together."""
    case, rail_code = Case.objects.get(pk=job.subject_id), str(job.params["rail"])
    begins = job.cursor or cursor_of(case, rail_code)
    lines, following = take_page(case, rail_code, begins)
    done = job.done + lines
    ended = following == begins
    return Progress(following, done, "reading the rail's statement", finished=ended, result={"count": done})


def observe_now(case: Case, rail_code: str) -> int:
    """Read the statement to its end at once. Returns how many lines of it were the case's."""
    total, cursor, following = 0, None, cursor_of(case, rail_code)
    while following != cursor:
        cursor = following
        lines, following = take_page(case, rail_code, cursor)
        total += lines
    return total


def take_page(case: Case, rail_code: str, cursor: str) -> tuple[int, str]:
    """
    How many lines of the page after `cursor` are the case's, and where the next begins: at `cursor`, if there is none.

    A rail may carry the returns of several cases. What is said of another case's part is that case's evidence, not ours.
    """
    observations, following = routes.rail(rail_code).observe(cursor)
    foreign = _parts_of_others(case, {seen.part for seen in observations if seen.part})
    ours = [seen for seen in observations if seen.part not in foreign]
    if ours:
        data = "".join(seen.raw + "\n" for seen in ours).encode()
        name = f"{rail_code} statement {cursor or '0'}-{following}"
        receive(case, rail_code, name=name, data=data, by=None, at=db_now(), cursor=following, page=ours)
    return len(ours), following if observations else cursor


def _parts_of_others(case: Case, parts: set[str]) -> set[str]:
    others = Submission.objects.filter(rail_key__in=parts).exclude(batch__case=case)
    return set(others.values_list("rail_key", flat=True))


def cursor_of(case: Case, rail_code: str) -> str:
    """Where the next page of the rail's statement begins."""
    newest = case.evidence.filter(rail=rail_code).exclude(cursor="").order_by("-pk").values_list("cursor", flat=True)
    return newest.first() or ""


def accept_what_was_seen(case: Case) -> int:
    """
    Parts whose outcome was unknown and which the rail's statement names were accepted after all.

    What the rail had said before the doubt began does not end it, and neither does what people found of one return.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT submission_step(coalesce(array_agg(s.id), '{}'), 'unknown', 'accepted')
               FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
               WHERE b.case_id = %s AND s.state = 'unknown' AND EXISTS (
                   SELECT FROM returns_evidenceline e JOIN returns_evidence v ON v.id = e.evidence_id
                   WHERE e.case_id = b.case_id AND e.part = s.rail_key AND e.problem <> 'explained' AND v.correction_id IS NULL
                     AND v.received_at >= coalesce(s.doubted_at, '-infinity'))""",
            [case.pk],
        )
        (many,) = cursor.fetchone()
    return int(many)


# --- reading ------------------------------------------------------------------------------------


def fingerprint(rail_code: str, seen: Observation) -> bytes:
    """The same line in two statements has the same; a line that says something else has another."""
    return hashlib.sha256(
        _known("henkan-evidence-line/1") + _known(rail_code) + frame(seen.line_ref) + _known(seen.kind.value)
        + frame(seen.reference) + _known(seen.part) + _known(seen.asset) + frame(str(seen.amount)) + frame(micros(seen.at))
    ).digest()  # fmt: skip


_known = lru_cache(maxsize=1024)(frame)  # what many lines say alike


def _blocks(case: Case, rail: Rail, name: str, data: bytes | Path) -> Iterator[list[tuple[int, Observation]]]:
    """(line number, observation) in blocks. A file is either read to its end or refused."""
    if rail.code not in LINE_RAILS:
        whole = data if isinstance(data, bytes) else data.read_bytes()
        if len(whole) > WHOLE_MAX:
            raise NotReceived(
                _("%(name)s is larger than %(max)d MB, which this rail's files never are.")
                % {"name": name, "max": WHOLE_MAX // 2**20}
            )
        _refuse_unless_answer(case, rail, name, whole)
        yield list(enumerate(statements.in_units(case, rail.code, _read(rail, name, whole, 1)), start=1))
        return
    number = 1
    lines = iter(data.splitlines(keepends=True)) if isinstance(data, bytes) else _lines(data)
    while block := list(islice(lines, BLOCK)):
        if not block[-1].endswith(b"\n"):
            raise NotReceived(
                _("%(name)s, line %(line)d: the file is cut off here. Fetch it again. Nothing of it was taken.")
                % {"name": name, "line": number + len(block) - 1}
            )
        found = _read(rail, name, b"".join(block), number)
        yield list(enumerate(found, start=number))
        number += len(block)


def _refuse_unless_answer(case: Case, rail: Rail, name: str, whole: bytes) -> None:
    """What answers one part is held against that part: foreign references and other amounts are refused."""
    if not isinstance(rail, AnsweringRail):
        return
    keys = {seen.part for seen in _read(rail, name, whole, 1)}
    asked = Submission.objects.filter(batch__case=case, batch__rail=rail.code, rail_key__in=keys).exclude(
        state=SubmissionState.PREPARED
    )
    payload = asked.values_list("payload", flat=True).first()
    if payload is None:
        raise NotReceived(
            _("%(name)s answers %(part)s, which nobody was asked. Nothing of it was taken.")
            % {"name": name, "part": ", ".join(sorted(keys))}
        )
    try:
        rail.read_answer(bytes(payload), whole)
    except EvidenceRefused as refusal:
        raise NotReceived(
            _("%(name)s was refused and nothing of it taken. %(reason)s") % {"name": name, "reason": wording.said(str(refusal))}
        ) from refusal


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _read(rail: Rail, name: str, content: bytes, first: int) -> tuple[Observation, ...]:
    try:
        return rail.read(content)
    except EvidenceRefused as refusal:
        said = str(refusal)
        found = re.match(r"Line (\d+) ", said)
        if found:
            said = f"Line {first + int(found[1]) - 1} {said[found.end() :]}"
        raise NotReceived(
            _("%(name)s was refused and nothing of it taken. %(reason)s") % {"name": name, "reason": wording.said(said)}
        ) from refusal


def as_json(rail_code: str, block: Iterable[tuple[int, Observation]]) -> str:
    """A block of lines as INSERT takes it. Amounts are texts: no number of JSON's own stands near value."""
    return json.dumps(
        [
            {
                "line": line, "fingerprint": fingerprint(rail_code, seen).hex(), "reference": seen.reference, "part": seen.part,
                "kind": seen.kind.value, "asset_code": seen.asset, "amount": str(seen.amount), "at": seen.at.isoformat(),
                "reason": seen.reason,
            }
            for line, seen in block
        ],
        ensure_ascii=False,
    )  # fmt: skip


def _digest(data: bytes | Path) -> tuple[bytes, int]:
    if isinstance(data, bytes):
        return hashlib.sha256(data).digest(), len(data)
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest(), os.fstat(file.fileno()).st_size


def _keep(data: bytes | Path, sha256: bytes) -> None:
    """The bytes as received, in the archive under their hash, before any row speaks of them."""
    if isinstance(data, bytes):
        archive.keep(data)
        return
    path = archive.path_of(sha256)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with data.open("rb") as source, half.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    half.replace(path)
