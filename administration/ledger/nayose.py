"""
The name aggregation (nayose): a run over all customers of an accepted ledger that proposes who is one person.

    fold      each customer's particulars are folded, and the customer is filed under some keys (folding.py)
    crowd     a key that hundreds share (a placeholder telephone) says nothing, and is put aside and counted
    liken     who shares a key and sounds alike (trigrams, in the database) is likened (likeness.py) and proposed
    link      in one transaction, the pairs that nobody would dispute are linked; all others wait for a person

Each step is a range of customers, committed with its cursor: a killed worker costs one, and nothing is proposed twice.
"""

# ruff: noqa: S608 - statements are put together from names of our own columns, never from what is read

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _
from psycopg.copy import QueuedLibpqWriter

from administration.cases import appointments
from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import ClockTimestamp
from administration.ledger import folding, likeness
from administration.ledger.folding import Folded
from administration.ledger.models import Aggregation, AggregationState, Intake, IntakeState
from administration.people.models import User
from administration.record import covers, log
from administration.work import jobs
from administration.work.models import Job, JobState

POWER = "ledger.take_over"
KIND = "ledger.nayose"
LINKED = "ledger.persons_linked"
ROWS = 5_000  # customers of one step
PORTION = 500  # of them, whom the database looks for while others are likened
CROWD = 400  # who share a key with more than so many are not likened by it
SOUNDS = 0.15  # trigram similarity from which two names are likened at all

# What the event of a run covers, in natural keys: whom it linked by itself.
LINKED_SQL = """
SELECT person.number::text AS person, identity.customer_ref AS customer, link.level::text AS level
FROM ledger_personlink link
JOIN ledger_person person ON person.id = link.person_id JOIN ledger_identity identity ON identity.id = link.identity_id
WHERE link.aggregation_id = (SELECT id FROM ledger_aggregation WHERE number = %(aggregation)s::int
                             AND case_id = (SELECT id FROM cases_case WHERE reference = %(case)s))
ORDER BY person.number, identity.customer_ref COLLATE "C"
"""


class NotAggregated(Refused):
    """Names cannot be aggregated now."""


# --- begin ------------------------------------------------------------------------------------


@transaction.atomic
def run(case: Case, *, by: User, at: datetime) -> Job:
    """Begin a run over the customers of the accepted ledger. A run that failed earlier is put aside."""
    appointments.require(case, by, POWER, at=at)
    if not Intake.objects.filter(case=case, state=IntakeState.ACCEPTED).exists():
        raise NotAggregated(
            _("The ledger of case %(case)s is not accepted yet: there is nobody to compare. Accept it first.") % {"case": case}
        )
    in_turn(case)
    running = Aggregation.objects.filter(case=case, state=AggregationState.RUNNING).first()
    if running is not None:
        if Job.objects.filter(kind=KIND, subject_id=running.pk, state=JobState.WAITING).exists():
            raise NotAggregated(_("Name aggregation %(run)s is under way. Wait until it is done.") % {"run": running.number})
        _clear(running)
        Aggregation.objects.filter(pk=running.pk).update(state=AggregationState.ABANDONED, finished_at=ClockTimestamp())
    newest = Aggregation.objects.filter(case=case).order_by("-number").first()
    made = Aggregation.objects.create(
        case=case, number=newest.number + 1 if newest else 1, rules=likeness.RULES, started_by=by, started_at=at,
        customers=_one("SELECT count(*) FROM ledger_identity WHERE case_id = %s", [case.pk]),
    )  # fmt: skip
    params = {"by": by.pk, "at": at.isoformat()}
    job = jobs.start(case, KIND, made.pk, total=2 * made.customers, params=params)
    log.append(
        case, "persons.aggregation_begun", subject=made, by=by, at=at,
        body={"aggregation": made.number, "rules": made.rules, "customers": made.customers},
    )  # fmt: skip
    return job


def in_turn(case: Case) -> None:
    """Whoever links, decides or freezes in a case does so one after the other; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_persons_in_turn(%s)", [case.pk])


# --- the steps --------------------------------------------------------------------------------


def step(job: Job) -> jobs.Progress:
    """The next step of a run. The cursor: phase, last customer of it, pairs so far, and where likening goes on after folding."""
    this = Aggregation.objects.select_related("case").get(pk=job.subject_id)
    if this.state != AggregationState.RUNNING:
        raise NotAggregated(_("Name aggregation %(run)s was put aside.") % {"run": this.number})
    phase, after, pairs, goes_on = _cursor(job.cursor)
    if phase == "liken" and not _is_folded(this):  # the server fell, and the workshop was emptied
        return jobs.Progress(f"fold:0:{pairs}:{after}", 0, "folding")
    if phase == "fold":
        last, rows = _fold(this, after)
        if rows:
            return jobs.Progress(f"fold:{last}:{pairs}:{goes_on}", min(job.done + rows, this.customers), "folding")
        if _one("SELECT count(*) FROM ledger_folded WHERE aggregation = %s", [this.pk]) != this.customers:
            return jobs.Progress(f"fold:0:{pairs}:{goes_on}", 0, "folding")
        Aggregation.objects.filter(pk=this.pk).update(crowded=_put_crowds_aside(this))
        return jobs.Progress(f"liken:{goes_on}:{pairs}:0", this.customers, "folding")
    if phase == "liken":
        last, rows, found = _liken(this, after, pairs)
        if rows:
            return jobs.Progress(f"liken:{last}:{pairs + found}:0", min(job.done + rows, 2 * this.customers), "comparing")
        return jobs.Progress(f"link:0:{pairs}:0", 2 * this.customers, "linking")
    result = _link(this, pairs, by=User.objects.get(pk=job.params["by"]), at=datetime.fromisoformat(job.params["at"]))
    return jobs.Progress("done:0:0:0", 2 * this.customers, "concluded", finished=True, result=result)


def _cursor(text: str) -> tuple[str, int, int, int]:
    phase, after, pairs, goes_on = (text or "fold:0:0:0").split(":")
    return phase, int(after), int(pairs), int(goes_on)


COLUMNS = (
    "kind", "kana", "sound", "latin", "written", "form", "born", "phone", "email", "postcode", "place", "corporate_number",
    "nationality", "for_others",
)  # fmt: skip
CUSTOMERS = """
SELECT i.id, i.entity_type, i.name, i.kana, i.romaji, i.birth_or_founding_date, i.phone, i.email, i.postcode, i.address,
       i.corporate_number, i.nationality,
       EXISTS (
           SELECT FROM ledger_ledgeraccount a
           WHERE a.identity_id = i.id AND a.capacity IN ('joint', 'trustee', 'guardian')
           OFFSET 0  -- looked up for each, not all accounts hashed for every five thousand customers
       )
FROM ledger_identity i WHERE i.case_id = %s AND i.id > %s ORDER BY i.id LIMIT %s
"""


def fold_row(row: tuple[Any, ...]) -> Folded:
    """A customer as CUSTOMERS reads it, folded."""
    _id, kind, name, kana, romaji, born, phone, email, postcode, address, number, nationality, for_others = row
    return folding.folded(
        kind=kind, name=name, kana=kana, romaji=romaji, born=born, phone=phone, email=email, postcode=postcode,
        address=address, corporate_number=number, nationality=nationality, for_others=for_others,
    )  # fmt: skip


def _fold(this: Aggregation, after: int) -> tuple[int, int]:
    """Fold the next customers. Gives the last one's id and how many there were."""
    with connection.cursor() as cursor:
        if after == 0:
            _clear(this)
        cursor.execute(CUSTOMERS, [this.case_id, after, ROWS])
        customers = [(row[0], fold_row(row)) for row in cursor.fetchall()]
        if not customers:
            return after, 0
        filed = [(identity, one, folding.blocks(one)) for identity, one in customers]
        with cursor.copy(f"COPY ledger_folded (aggregation, identity, {', '.join(COLUMNS)}, keys) FROM STDIN") as copy:
            for identity, one, keys in filed:
                copy.write_row((this.pk, identity, *[getattr(one, name) for name in COLUMNS], f"{{{','.join(map(str, keys))}}}"))
        entries = sorted([(key, identity) for identity, _folded, keys in filed for key in keys])
        # While the database files some, the next are written down.
        with cursor.copy("COPY ledger_filed (aggregation, key, identity) FROM STDIN", writer=QueuedLibpqWriter(cursor.cursor)) as copy:
            for at in range(0, len(entries), 5_000):
                copy.write("".join([f"{this.pk}\t{key}\t{identity}\n" for key, identity in entries[at : at + 5_000]]))
    return customers[-1][0], len(customers)


def _put_crowds_aside(this: Aggregation) -> int:
    """Take away the keys that too many share; how many keys."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH crowds AS (SELECT key FROM ledger_filed WHERE aggregation = %s GROUP BY key HAVING count(*) > %s),
                    gone AS (DELETE FROM ledger_filed f USING crowds WHERE f.aggregation = %s AND f.key = crowds.key)
               SELECT count(*) FROM crowds""",
            [this.pk, CROWD, this.pk],
        )
        (crowds,) = cursor.fetchone()
        cursor.execute("SELECT ledger_analyze_folded()")
    return int(crowds)


def _is_folded(this: Aggregation) -> bool:
    """Whether the workshop still holds what was folded: when the server falls, it is emptied as a whole."""
    return bool(_one("SELECT EXISTS (SELECT FROM ledger_folded WHERE aggregation = %s)", [this.pk]))


def _sides(columns: Iterable[str]) -> str:
    return ", ".join(f"{side}.{name}" for side in ("a", "b") for name in columns)


# Who shares a key with whom; of those, who sounds or is written alike. A customer meets only those after it.
# OFFSET 0: each is looked up. The planner expects more pairs than there are, and would read all customers for each portion.
CANDIDATES = f"""
WITH pairs AS MATERIALIZED (
    SELECT DISTINCT one.identity AS one, filed.identity AS other
    FROM ledger_folded one CROSS JOIN LATERAL unnest(one.keys) AS key
    JOIN ledger_filed filed ON filed.aggregation = one.aggregation AND filed.key = key.key AND filed.identity > one.identity
    WHERE one.aggregation = %(run)s AND one.identity > %(after)s AND one.identity <= %(upto)s
)
SELECT pairs.one, pairs.other, {_sides(COLUMNS)}
FROM pairs
CROSS JOIN LATERAL (SELECT * FROM ledger_folded f WHERE f.aggregation = %(run)s AND f.identity = pairs.one OFFSET 0) a
CROSS JOIN LATERAL (SELECT * FROM ledger_folded f WHERE f.aggregation = %(run)s AND f.identity = pairs.other OFFSET 0) b
WHERE a.kind = b.kind AND (
    trgm.similarity(a.sound, b.sound) >= %(sounds)s OR trgm.similarity(a.latin, b.latin) >= %(sounds)s
    OR trgm.similarity(a.sound, b.latin) >= %(sounds)s OR trgm.similarity(a.latin, b.sound) >= %(sounds)s
    OR a.written = b.written OR replace(a.written, ' ', '') = replace(b.written, ' ', '')
    OR a.phone <> '' AND a.phone = b.phone OR a.email <> '' AND a.email = b.email OR a.place <> '' AND a.place = b.place
    OR a.corporate_number <> '' AND a.corporate_number = b.corporate_number
    OR a.sound = '' AND a.latin = '' OR b.sound = '' AND b.latin = ''
)
ORDER BY pairs.one, pairs.other
"""
AFTER = "SELECT identity FROM ledger_folded WHERE aggregation = %s AND identity > %s ORDER BY identity LIMIT %s"


def _liken(this: Aggregation, after: int, pairs: int) -> tuple[int, int, int]:
    """Liken the next customers with all after them. Gives the last one's id, how many there were, and pairs proposed."""
    with connection.cursor() as cursor:
        cursor.execute(AFTER, [this.pk, after, ROWS])
        customers = [identity for (identity,) in cursor.fetchall()]
        if not customers:
            return after, 0, 0
        width, found = len(COLUMNS), []
        for one, other, *sides in _candidates(this, cursor.cursor, after, customers):
            like = likeness.likened(Folded(*sides[:width]), Folded(*sides[width:]))
            if like is not None:
                found.append((one, other, like))
        with cursor.copy(
            "COPY ledger_personpair (aggregation_id, one_id, other_id, level, score, place, agrees, against, automatic) FROM STDIN"
        ) as copy:
            for n, (one, other, like) in enumerate(found, start=pairs + 1):
                place = _place(like) * 2**40 + n
                copy.write_row((
                    this.pk, one, other, like.level, like.score, place, " ".join(like.agrees), " ".join(like.against), like.automatic,
                ))  # fmt: skip
    return customers[-1], len(customers), len(found)


def _candidates(this: Aggregation, cursor: Any, after: int, customers: list[int]) -> Iterator[tuple[Any, ...]]:
    """Whom to liken, some customers at a time: while one portion is likened, the database looks for the next."""
    bounds = [after, *customers[PORTION - 1 : -1 : PORTION], customers[-1]]

    errors = connection.wrap_database_errors  # of this thread's connection: a lost one must be known as such

    def look(between: tuple[int, int]) -> list[tuple[Any, ...]]:
        with errors:
            cursor.execute(CANDIDATES, {"run": this.pk, "after": between[0], "upto": between[1], "sounds": SOUNDS})
            return list(cursor.fetchall())

    portions = list(pairwise(bounds))
    with ThreadPoolExecutor(max_workers=1) as ahead:
        looking = ahead.submit(look, portions[0])
        for following in [*portions[1:], None]:
            some = looking.result()
            if following:
                looking = ahead.submit(look, following)
            yield from some


def _place(like: likeness.Likeness) -> int:
    """Where in the review: level by level, in each the most alike first; at the end what a machine links, as a rule."""
    level = len(likeness.LEVELS) if like.automatic else likeness.LEVELS.index(like.level)
    return level * 1024 + 1000 - like.score


# --- linking ----------------------------------------------------------------------------------


def _link(this: Aggregation, pairs: int, *, by: User, at: datetime) -> dict[str, Any]:
    """Link what nobody would dispute, in one transaction; leave everything else, and what a person decided, to people."""
    in_turn(this.case)
    groups = list(_undisputed(this))
    persons, customers, numbers = _persons(this, groups, at)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO ledger_personlink (case_id, identity_id, person_id, level, aggregation_id, reason, at)
               SELECT %s, identity, person, level, %s, '', %s
               FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS t (identity, person, level)""",
            [this.case_id, this.pk, at, customers, persons, numbers],
        )
        _clear(this)
    Aggregation.objects.filter(pk=this.pk).update(
        state=AggregationState.DONE, finished_at=ClockTimestamp(), pairs=pairs, linked=len(customers)
    )
    cover = covers.cover(LINKED, case=this.case.reference, aggregation=this.number)
    log.append(
        this.case, "persons.aggregated", subject=this, by=by, at=at, covers=cover,
        body={
            "aggregation": this.number, "rules": this.rules, "customers": this.customers, "pairs": pairs,
            "linked": len(customers), "crowded": this.crowded,
        },
    )  # fmt: skip
    return {
        "aggregation": this.number, "customers": this.customers, "pairs": pairs, "linked": len(customers),
        "persons": len(set(persons)), "crowded": this.crowded,
    }  # fmt: skip


AUTOMATIC = "SELECT one_id, other_id, level FROM ledger_personpair WHERE aggregation_id = %s AND automatic ORDER BY one_id, other_id"
APART = """
SELECT one_id, other_id FROM (
    SELECT DISTINCT ON (one_id, other_id) one_id, other_id, same FROM ledger_pairdecision
    WHERE case_id = %s ORDER BY one_id, other_id, id DESC
) newest WHERE NOT same
"""


def _undisputed(this: Aggregation) -> Iterator[list[tuple[int, str]]]:
    """
    Groups of customers, each an automatic pair with each other, and the level each came in by; none in which two are kept apart.

    Whom only a third customer joins, a machine does not link: the two were never likened, or differ in what people must see.
    """
    above: dict[int, int] = {}
    level: dict[int, str] = {}

    def top(one: int) -> int:
        while above[one] != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    with connection.cursor() as cursor:
        cursor.execute(AUTOMATIC, [this.pk])
        pairs = cursor.fetchall()
        for one, other, how in pairs:
            for identity in (one, other):
                above.setdefault(identity, identity)
                level[identity] = min(level.get(identity, how), how)  # exact comes before strong
            first, second = sorted((top(one), top(other)))
            above[second] = first
        cursor.execute(APART, [this.case_id])
        apart = {top(one) for one, other in cursor.fetchall() if one in above and other in above and top(one) == top(other)}
    groups: dict[int, list[tuple[int, str]]] = {}
    for identity in sorted(above):
        groups.setdefault(top(identity), []).append((identity, level[identity]))
    paired = Counter(top(one) for one, _other, _how in pairs)
    for head, group in groups.items():
        if head not in apart and paired[head] == math.comb(len(group), 2):
            yield group


STANDING = """
SELECT l.identity_id, l.person_id,
       bool_or(l.by_id IS NOT NULL) OVER (PARTITION BY l.person_id), array_agg(l.identity_id) OVER (PARTITION BY l.person_id)
FROM ledger_personlink l
WHERE l.case_id = %s AND NOT EXISTS (SELECT FROM ledger_personlink later WHERE later.follows_id = l.id)
"""


def _persons(
    this: Aggregation, groups: list[list[tuple[int, str]]], at: datetime
) -> tuple[list[int], list[int], list[str]]:
    """
    Whom to link to which person: persons, customers and levels, side by side.

    A group that touches what a person decided, or two persons that stand already, is left to people.
    """
    with connection.cursor() as cursor:
        cursor.execute(STANDING, [this.case_id])
        standing = {identity: (person, decided, members) for identity, person, decided, members in cursor.fetchall()}
        chosen: list[tuple[list[tuple[int, str]], int | None]] = []
        for group in groups:
            inside = {identity for identity, _level in group}
            there = {standing[identity][0] for identity in inside if identity in standing}
            decided = any(standing[identity][1] for identity in inside if identity in standing)
            whole = all(set(standing[identity][2]) <= inside for identity in inside if identity in standing)
            alone = [(identity, level) for identity, level in group if identity not in standing]
            if alone and not decided and whole and len(there) <= 1:
                chosen.append((alone, next(iter(there), None)))
        new = sum(1 for _group, person in chosen if person is None)
        cursor.execute(
            """INSERT INTO ledger_person (case_id, number, at)
               SELECT %s, coalesce((SELECT max(number) FROM ledger_person WHERE case_id = %s), 0) + n, %s
               FROM generate_series(1, %s) n RETURNING id""",
            [this.case_id, this.case_id, at, new],
        )
        fresh = iter(sorted(pk for (pk,) in cursor.fetchall()))
    persons, customers, levels = [], [], []
    for group, person in chosen:
        person = next(fresh) if person is None else person
        for identity, level in group:
            persons.append(person)
            customers.append(identity)
            levels.append(level)
    return persons, customers, levels


# --- the workshop -----------------------------------------------------------------------------


def _clear(this: Aggregation) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_clear_folded(%s)", [this.pk])


def _one(sql: str, params: list[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]
