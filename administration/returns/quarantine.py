"""
Quarantine: an engine that wakes up in another database than it sent from pays nothing.

A backup that was restored, a copy, a standby that took over: all of them may have forgotten what the rails remember.
They are recognised by what makes a database itself (its cluster, its own number, its line of history), and by a signed
head outside that speaks of more events than there are. Then every case is stopped, every part that may have been sent
since is in doubt, and the rails are read to their end. What they know and we do not is listed, and holds its returns
back. Two people lift each stop; the database itself refuses to send before.

    NotAtHome   this is not the database that sent last
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from administration.cases import stops
from administration.cases.models import Case
from administration.errors import Refused
from administration.fields import db_now
from administration.rails.interface import CarriedRail, RailClass, RailDown
from administration.record import heads, log
from administration.record.models import Counter
from administration.returns import evidence, matching, routes
from administration.returns.models import Attempt, AttemptState, EvidenceLine, Home, Submission, SubmissionState

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('returns.home', 0))"
# The rail speaks of something that our rows do not hold.
UNKNOWN_TO_US = ("no_such_return", "no_attempt", "not_sent", "other_amount", "dead_file_debited")

Told = dict[str, Any]  # a sentence with its words, as stops.put takes it
ELSEWHERE: Told = {"sentence": gettext_noop("it is another database than the one that sent last"), "words": {}}

_looked: dict[str, str] = {}  # what this process has compared with the head log already: database → server's start


class NotAtHome(Refused):
    """This is not the database that sent last."""


@dataclass(frozen=True, slots=True)
class Known:
    """A line of a rail's statement that our rows do not explain."""

    rail: str
    part: str
    reference: str
    kind: str
    asset: str
    amount: int
    at: datetime
    problem: str


def refuse_unless_home() -> None:
    """Before anything is claimed to be sent. The first time anything is sent from a database, it becomes the home."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT engine_is_at_home(), EXISTS (SELECT FROM returns_home)")
        at_home, settled_in = cursor.fetchone()
    if at_home and settled_in:
        return
    missing = _missing_events() if at_home else None  # a backup from before anything was sent knows of no home
    if at_home and missing is None:
        _settle_in()
        return
    enter(missing or ELSEWHERE)
    raise NotAtHome(
        _("This database is not the one that sent last: it was restored, copied or took over. Nothing is sent until the "
          "rails were read and two people have lifted the stops.")
    )  # fmt: skip


def look() -> bool:
    """The janitor's look, and the engine's first after every start of the server. True while in quarantine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT engine_is_at_home(), database_identity(), pg_postmaster_start_time()::text,"
            " EXISTS (SELECT FROM returns_home)"
        )
        at_home, identity, started, settled_in = cursor.fetchone()
    if not settled_in:
        return False
    newest = Home.objects.latest("pk")
    if newest.identity != identity:
        enter(ELSEWHERE)
    elif _looked.get(identity) != started:
        missing = _missing_events()
        if missing:
            enter(missing)
        _looked[identity] = started
    newest = Home.objects.latest("pk")
    if newest.previous and newest.compared_at is None:
        silent = [case for case in _open_cases() if not _read(case)]
        if not silent:
            Home.objects.filter(pk=newest.pk, compared_at=None).update(compared_at=db_now())
    return not at_home


def _missing_events() -> Told | None:
    """A head that left the house speaks of events that this database does not have."""
    try:
        for case in _open_cases():
            counter = Counter.objects.filter(case_id=case.pk).first()
            last = counter.last if counter else 0
            size = max((int(head["size"]) for head in heads.logged(case)), default=0)
            if size > last:
                said = gettext_noop("a signed head of %(case)s speaks of event %(size)d, and its record ends with %(last)d")
                return {"sentence": said, "words": {"case": case.reference, "size": size, "last": last}}
    except heads.NoHeadLog:
        pass
    return None


def _settle_in() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(
            "INSERT INTO returns_home (identity, previous, reason) SELECT database_identity(), '', ''"
            " WHERE NOT EXISTS (SELECT FROM returns_home)"
        )


@transaction.atomic
def enter(why: Told) -> bool:
    """Stop every case, doubt every part that was not answered for, and write down where we are. Once for each move."""
    reason = str(why["sentence"]) % why["words"]  # rows speak English; a stop is told to each reader in theirs
    cases = _open_cases()
    for case in cases:  # in the order in which every act takes its locks: cases first
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM cases_case WHERE id = %s FOR NO KEY UPDATE", [case.pk])
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute("SELECT database_identity(), pg_postmaster_start_time()")
        identity, started = cursor.fetchone()
    newest = Home.objects.order_by("-pk").first()
    if newest and newest.identity == identity and newest.previous and newest.since >= started:
        return False  # another process has seen it too
    at = db_now()
    sentence = gettext_noop("Quarantine: %(reason)s. Read what the rails know and we do not before this is lifted.")
    made = []
    for case in cases:
        doubted = _doubt_what_may_have_been_sent(case)
        made.append((case, stops.put(case, reason=sentence, words={"reason": why}, by=None, at=at), doubted))
    home = Home.objects.create(identity=identity, previous=newest.identity if newest else "unknown", reason=reason)
    for case, stop, doubted in made:
        log.append(
            case, "quarantine.entered", subject=stop, by=None, at=at,
            body={"reason": reason, "identity": identity, "previous": home.previous, "parts_in_doubt": doubted},
        )  # fmt: skip
    return True


def _doubt_what_may_have_been_sent(case: Case) -> list[str]:
    """What these rows take for unsent may have been sent after them."""
    parts = Submission.objects.filter(
        batch__case=case, batch__state__in=["exported", "settling"], state__in=[SubmissionState.PREPARED, SubmissionState.EXPORTED]
    ).order_by("pk")  # fmt: skip
    found = list(parts.values_list("pk", "rail_key", "batch_id", "part", "batch__rail"))
    ids = [row[0] for row in found]
    with connection.cursor() as cursor:
        for step in (("prepared", "exported"), ("exported", "unknown")):
            cursor.execute("SELECT submission_step(%s, %s, %s)", [ids, *step])
    for _pk, _key, batch_id, part, rail in found:
        if routes.rail(rail).rail_class == RailClass.R3 or isinstance(routes.rail(rail), CarriedRail):
            Attempt.objects.filter(batch_id=batch_id, part=part, state=AttemptState.PENDING).update(state=AttemptState.UNKNOWN)
    return [row[1] for row in found]


# --- comparing ----------------------------------------------------------------------------------


def compare(case: Case) -> list[Known]:
    """Read every rail of the case that can be asked to its end, and say what it knows and we do not."""
    _read(case)
    return unknown_to_us(case)


def _read(case: Case) -> bool:
    """
    Take in what the rails of the case say. False while one of them is silent, or may still hide a payment.

    After a move a payment of the time before may stay invisible for as long as the rail's quiet period.
    """
    newest = Home.objects.order_by("-pk").first()
    complete = True
    for code in sorted(_rails_of(case)):
        try:
            rail = routes.rail(code)
            complete = complete and (newest is None or db_now() >= newest.since + rail.quiet_period)
            if rail.can_observe:
                evidence.observe_now(case, code)
        except (RailDown, routes.NoSuchRail):  # silent, or not set up here any more
            complete = False
    evidence.accept_what_was_seen(case)
    matching.run(case, by=None, at=db_now())
    return complete


def unknown_to_us(case: Case) -> list[Known]:
    """What the rails have told us so far and our rows do not explain."""
    lines = EvidenceLine.objects.filter(case=case, problem__in=UNKNOWN_TO_US).select_related("evidence").order_by("pk")
    return [
        Known(
            line.evidence.rail, line.part, line.reference, line.kind, line.asset_code, line.amount, line.at, line.problem
        )
        for line in lines
    ]


def _rails_of(case: Case) -> set[str]:
    used: set[str] = set(case.batches.values_list("rail", flat=True))
    for rails in case.rounds.values_list("rails", flat=True):
        used |= set(rails.values())
    return {code for code in used if routes.known(code)}


def _open_cases() -> list[Case]:
    """Cases from which anything can be sent."""
    return list(Case.objects.filter(Q(rounds__isnull=False)).distinct().order_by("pk"))


def account() -> dict[str, Any]:
    """Where the engine stands, for whoever asks."""
    newest = Home.objects.order_by("-pk").first()
    return {
        "quarantine": bool(newest and newest.previous and Case.objects.filter(stops__lifted_at__isnull=True).exists()),
        "reason": newest.reason if newest else "",
        "compared_at": newest.compared_at.isoformat() if newest and newest.compared_at else None,
    }
