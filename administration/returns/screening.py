"""
Screening under the sanctions list: every claimant is compared with every new version before anybody is paid again.

A version of the list comes as a file. Until everybody was screened under it, the sanctions gate is closed for all of
the case. A hit (the same name in its compared form, and no other birth date) puts every claim of the person on hold, for
a person to decide; that there was none lets the others go.

    NotScreened   the list cannot be read, or nobody was screened
"""

import csv
import io
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from administration.cases import appointments, archive
from administration.cases.models import Case
from administration.errors import Refused
from administration.people.models import User
from administration.record import log
from administration.returns.models import SanctionedName, SanctionsList, Screening
from claims.register.models import Claimant

COLUMNS = ("name", "born_on")
LOOK_DAYS = 14  # somebody looks at a hit within so many days
SIZE_MAX = 64 * 1024 * 1024


class NotScreened(Refused):
    """Nobody was screened."""


@transaction.atomic
def receive(case: Case, *, version: str, content: bytes, by: User, at: datetime) -> SanctionsList:
    """Take in a version of the list: CSV, a name and (if known) a birth date a row. From now on it is the one that counts."""
    appointments.require(case, by, "claims.decide", at=at)
    if not version.strip() or SanctionsList.objects.filter(case=case, version=version.strip()).exists():
        raise NotScreened(_("Give the list's version, as its issuer names it; each version comes once."))
    rows = _read(content)
    made = SanctionsList.objects.create(
        case=case, version=version.strip(), sha256=archive.keep(content), names=len(rows), by=by, at=at
    )
    SanctionedName.objects.bulk_create(
        [SanctionedName(list=made, entry=n, name_key=key, born_on=born) for n, (key, born) in enumerate(rows, start=1)],
        batch_size=5_000,
    )
    log.append(
        case, "sanctions.list_received", subject=made, by=by, at=at,
        body={"version": made.version, "names": made.names, "sha256": bytes(made.sha256).hex()},
    )  # fmt: skip
    return made


# A name in the form in which names are compared: one width, capitals, no spaces or marks. The list's names and the
# customers' both go through this one expression, since Python and PostgreSQL do not agree on the capital of every letter;
# what has no single capital, or another in Turkish, is written out.
KEY = r"""upper(translate(replace(replace(regexp_replace(
    normalize({name}, NFKC), '[[:space:][:punct:]]', '', 'g'), 'ß', 'ss'), 'ẞ', 'SS'), 'İı', 'Ii'))"""
KEYS = f"SELECT {KEY.format(name='n.name')} FROM unnest(%s::text[]) WITH ORDINALITY AS n (name, place) ORDER BY n.place"  # noqa: S608 - constants
HITS = f"""
WITH people AS (
    SELECT w.id AS claimant_id, i.birth_or_founding_date AS born, k.name_key
    FROM register_claimant w
    JOIN ledger_identity i ON i.id = w.identity_id
    CROSS JOIN LATERAL (
        SELECT DISTINCT {KEY.format(name="n")} AS name_key
        FROM unnest(ARRAY[i.name, i.kana, i.romaji]) AS n
    ) k
    WHERE w.case_id = %(case)s AND k.name_key <> ''
), hits AS (
    SELECT p.claimant_id, min(s.entry) AS entry FROM people p
    JOIN returns_sanctionedname s ON s.list_id = %(list)s AND s.name_key = p.name_key
        AND (s.born_on IS NULL OR p.born IS NULL OR s.born_on = p.born)
    GROUP BY p.claimant_id
), held AS (
    INSERT INTO register_hold (claim_id, kind, confidential, reason, next_look, placed_by_id, placed_at, lift_reason)
    SELECT c.id, 'sanctions', false, %(reason)s || h.entry, %(next_look)s, %(by)s, %(at)s, ''
    FROM hits h JOIN register_claim c ON c.claimant_id = h.claimant_id
    WHERE NOT EXISTS (
        SELECT FROM register_hold o WHERE o.claim_id = c.id AND o.kind = 'sanctions' AND o.lifted_at IS NULL)
    RETURNING 1
)
SELECT (SELECT count(*) FROM hits), (SELECT count(*) FROM held)
"""  # noqa: S608 - constants


@transaction.atomic
def screen(listed: SanctionsList, *, by: User, at: datetime) -> Screening:
    """Compare every claimant of the case with this version; hits are put on hold. In one statement, whatever their number."""
    case = listed.case
    appointments.require(case, by, "claims.decide", at=at)
    Case.objects.select_for_update(no_key=True, of=("self",)).get(pk=case.pk)
    people = Claimant.objects.filter(case=case)
    last = people.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        raise NotScreened(_("Case %(case)s has no claimants yet.") % {"case": case})
    params: dict[str, Any] = {
        "case": case.pk, "list": listed.pk, "reason": f"list {listed.version}, entry ", "by": by.pk, "at": at,
        "next_look": timezone.localdate(at) + timedelta(days=LOOK_DAYS),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(HITS, params)
        hits, held = cursor.fetchone()
    made = Screening.objects.create(
        list=listed, through_claimant_id=last, people=people.filter(pk__lte=last).count(), hits=hits, by=by, at=at
    )
    log.append(
        case, "sanctions.screened", subject=listed, by=by, at=at,
        body={"version": listed.version, "people": made.people, "hits": hits, "claims_held": held},
    )  # fmt: skip
    return made


def newest(case: Case) -> SanctionsList | None:
    """The version that counts."""
    return case.sanctions_lists.order_by("-pk").first()


def keys_of(names: list[str]) -> list[str]:
    """These names in the form in which names are compared."""
    with connection.cursor() as cursor:
        cursor.execute(KEYS, [names])
        return [key for (key,) in cursor.fetchall()]


def _read(content: bytes) -> list[tuple[str, date | None]]:
    if len(content) > SIZE_MAX:
        raise NotScreened(_("The list is larger than any list is."))
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
        if b"\0" in content:
            raise csv.Error("NUL")
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise NotScreened(_("The list is no CSV in UTF-8 (%(why)s).") % {"why": wrong}) from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise NotScreened(_("The first row of the list is: %(columns)s.") % {"columns": ", ".join(COLUMNS)})
    found: list[tuple[str, date | None]] = []
    keys = keys_of([row[0] if row else "" for row in rows[1:]])
    for number, (key, row) in enumerate(zip(keys, rows[1:], strict=True), start=2):
        if len(row) != len(COLUMNS) or not key:
            raise NotScreened(_("Row %(row)d of the list has no name, or not two cells.") % {"row": number})
        try:
            born = date.fromisoformat(row[1]) if row[1] else None
        except ValueError:
            raise NotScreened(_("Row %(row)d of the list: “%(day)s” is no day.") % {"row": number, "day": row[1]}) from None
        found.append((key, born))
    if not found:
        raise NotScreened(_("There is no name in the list."))
    return found
