"""
Export: returns and events as an auditor's program downloads them, against COPY TO STDOUT of the same query, drained.

The subject is the whole answer of the API: token, population statement, the pull's row and events, the archive's
copy and its hash. Memory: the most that the process held during a download above what it held before, whatever the rows.
"""

import datetime
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import ProgrammingError, connection, connections, transaction
from django.test import Client
from django.utils.translation import gettext as _

from administration.audit import lines, pulls, tokens
from administration.cases import appointments
from administration.cases.models import AppointmentKind, Case
from administration.fields import db_now
from administration.office.benchmarks import NoScratch, Stopwatch, result, rounds, scratch
from administration.office.benchmarks.record import ROWS as EVENT_ROWS
from administration.office.benchmarks.record import a_case, append
from administration.people import users
from administration.people.models import User
from administration.record import heads

FLAT_MB = 32
SAMPLE_SECONDS = 0.005
LINES_A_CLAIM = 4

# An estate whose returns went out and most of which settled, by rows with triggers off: the rules of other rooms are
# measured in those rooms.
ESTATE = (
    """INSERT INTO books_asset (case_id, code, name, scale, payable_step, network, kind)
    SELECT %(case)s, 'A' || n, 'Asset', 8, 1, 'bitcoin', 'coin' FROM generate_series(1, %(each)s) n""",
    """INSERT INTO returns_round (id, case_id, number, run_id, record_at, value_date, rails, minimums, large_from, canary,
        scheduled_at, by_id)
    VALUES (1, %(case)s, 1, 1, now(), current_date, '{}', '{}', '{}', 0, now(), %(by)s)""",
    """INSERT INTO returns_batch (id, case_id, reference, rail, rail_version, round_id, state, items, totals, parts,
        manifest_sha256, prepared_by_id, drafted_at, frozen_at, lane, canary)
    SELECT n, %(case)s, 'B-1-B01-' || lpad(n::text, 3, '0'), 'bitcoin', '1', 1, 'settling', 5000, '{}', 1, sha256('manifest'),
        %(by)s, now(), now(), '', false
    FROM generate_series(1, %(rows)s / 5000 + 1) n""",
    """INSERT INTO register_claim (id, case_id, number, kind, claimant_id, fraction_num, fraction_den, confirmed_how)
    SELECT n, %(case)s, 'B-1-C' || lpad(n::text, 8, '0'), 'lodged', 1, 1, 1, ''
    FROM generate_series(1, %(rows)s / %(each)s + 1) n""",
    """INSERT INTO register_claimline (id, case_id, claim_id, asset_id, claim_class, recorded, lodged, admitted, disputed,
        rejected, out_of_scope, converted_in, converted_out, excess, decision_id)
    SELECT n, %(case)s, (n - 1) / %(each)s + 1, a.id, 'priority_segregated', n, 0, n, 0, 0, 0, 0, 0, 0, 1
    FROM generate_series(1, %(rows)s) n JOIN books_asset a ON a.code = 'A' || (n - 1) %% %(each)s + 1""",
    """INSERT INTO destinations_destination (id, case_id, claim_id, asset_id, version, network, details, fingerprint, origin,
        state, proposed_at, revoke_reason, recorded_at)
    SELECT l.id, %(case)s, l.claim_id, l.asset_id, 1, 'bitcoin', d.details, destination_fingerprint('bitcoin', d.details),
        'claimant', 'usable', now(), '', now()
    FROM register_claimline l CROSS JOIN LATERAL (SELECT jsonb_build_object('to', l.id) AS details) d""",
    """INSERT INTO returns_assetreturn (id, case_id, round_id, reference, claim_line_id, asset_id, amount, destination_id, rail,
        state, batch_id, part, tries, held_by_gate)
    SELECT l.id, %(case)s, 1, 'R' || lpad(l.id::text, 9, '0') || '0', l.id, l.asset_id, l.id::numeric * 7919, l.id, 'bitcoin',
        CASE WHEN open THEN 'scheduled' ELSE 'settled' END, CASE WHEN open THEN NULL ELSE l.id / 5000 + 1 END,
        CASE WHEN open THEN NULL ELSE 1 END, 0, ''
    FROM register_claimline l CROSS JOIN LATERAL (SELECT l.id %% 10 = 0 AS open) o""",
    """INSERT INTO returns_attempt (id, asset_return_id, batch_id, part, state, holds_return_id, reason_code)
    SELECT id, id, batch_id, 1, 'settled', id, '' FROM returns_assetreturn WHERE state = 'settled'""",
    """INSERT INTO returns_evidenceline (id, evidence_id, case_id, line, fingerprint, reference, part, kind, asset_code, amount,
        at, reason, problem)
    SELECT id, 1, %(case)s, id, sha256(int8send(id)), reference, '', 'settled', '', amount, now(), '', ''
    FROM returns_assetreturn WHERE state = 'settled'""",
    """INSERT INTO returns_match (line_id, attempt_id, amount, applied_at)
    SELECT id, id, amount, now() FROM returns_assetreturn WHERE state = 'settled'""",
)


def run(rows: int, repeat: int) -> list[dict[str, Any]]:
    with scratch():
        case = an_estate(rows)
        auditor = a_program(case)
        subjects = {
            "returns, CSV": ("returns.csv", pulls.AS_CSV.format(lines.returns_csv())),
            "returns, JSONL": ("returns.jsonl", _as_lines(lines.returns(marked=True))),
            "returns, Parquet": ("returns.parquet", pulls.AS_CSV.format(lines.returns_csv())),
            "events, CSV": ("return-events.csv", pulls.AS_CSV.format(lines.events_csv())),
        }
        most: dict[str, list[float]] = {name: [] for name in subjects}

        def one(watch: Stopwatch) -> None:
            for name, (address, bare) in subjects.items():
                with watch.time(f"COPY of {name}, drained"):
                    drain(bare, case)
                with Memory() as memory, watch.time(name):
                    length = auditor(address)
                most[name].append(memory.mb)
                if length < rows * (2 if name.endswith("Parquet") else 50):
                    raise AssertionError(length)  # a wrong answer has no speed

        one(Stopwatch())  # what is loaded once is loaded now
        for seen in most.values():
            seen.clear()
        watch = rounds(repeat, one)
    found = []
    for name in subjects:
        figure = result(watch, name, bound=f"COPY of {name}, drained", target=1.3 if name.endswith("Parquet") else 1.2, rows=rows)
        flat = max(most[name])
        found.append(figure | {"ok": figure["ok"] and flat <= FLAT_MB, "memory_mb": round(flat, 1), "memory_mb_max": FLAT_MB})
    return found


def _as_lines(query: str) -> str:
    return pulls.AS_LINES.format(f"SELECT row_to_json(pull_line) FROM ({query}) pull_line")  # noqa: S608  our own queries


def drain(sql: str, case: Case) -> None:
    """The bound: what the database sends, taken and thrown away."""
    with connection.cursor() as cursor, cursor.copy(sql, {"case": case.pk, "size": 1 << 62}) as copy:
        for _data in copy:
            pass


def a_program(case: Case) -> Callable[[str], int]:
    """An auditor's program with its token: asks for an address, takes the whole answer, says how long it was."""
    at = db_now()
    chiba = users.ensure("chiba")
    aoki = User.objects.get(username="aoki")
    held = appointments.grant(
        case, user=chiba, kind=AppointmentKind.AUDITOR, authority="", instrument="", instrument_sha256=bytes(32), by=aoki, at=at
    )
    token = tokens.issue(
        case, appointment=held, purpose="benchmark", expires_at=at + datetime.timedelta(days=1), by=aoki, at=at
    )
    bearer = {"Authorization": f"Bearer {tokens.collect(token, by=chiba, at=db_now())}", "Host": "localhost"}

    def ask(address: str) -> int:
        response = Client().get(f"/api/v1/{address}", headers=bearer, secure=True)
        if response.status_code != 200:
            raise AssertionError(response.content)
        length = sum(len(piece) for piece in response)
        response.close()
        return length

    return ask


def an_estate(rows: int) -> Case:
    """So many returns, most of them settled by evidence, and as many events."""
    at, case = db_now(), a_case(1, db_now())
    aoki = users.ensure("aoki")
    with transaction.atomic():
        appointments.record(
            case, user=aoki, kind=AppointmentKind.OFFICE_HOLDER, authority="", instrument="", instrument_sha256=bytes(32),
            powers=None, from_at=at, to_at=None, joint=False, by=None, at=at,
        )  # fmt: skip
    params = {"case": case.pk, "by": aoki.pk, "rows": rows, "each": LINES_A_CLAIM}
    with connections["owner"].cursor() as owner:
        try:
            owner.execute("SET ROLE NONE")
            owner.execute("SET session_replication_role = replica")
        except ProgrammingError:
            raise NoScratch(_("This benchmark makes rows with triggers off, and this login may not. Use a superuser.")) from None
        for sql in ESTATE:
            owner.execute(sql, params)
        owner.execute("SET session_replication_role = origin")
        owner.execute("SET ROLE henkan_owner")
        owner.execute(EVENT_ROWS, [rows])
        with transaction.atomic():
            append(case, 0, rows, at)
        owner.execute("VACUUM ANALYZE")
    heads.seal(case, at=db_now())
    return case


class Memory:
    """The most that this process held while it was watched, in megabytes above what it held before."""

    def __enter__(self) -> "Memory":
        self._before = self._most = _resident_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._most = max(self._most, _resident_mb())

    def __exit__(self, *_error: Any) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def mb(self) -> float:
        return self._most - self._before


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")
