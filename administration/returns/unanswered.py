"""
Files that people carried out of the house and of which nobody has said what became of them: once the answer is due,
they are in doubt, and people find it out.

A bank's file is answered by its debit; a custodian's or another exchange's by a file of its own, in which each return
has its line. `seen` is no answer, only a reason to wait as long again. Nothing here is a failure, and no machine ends
the doubt: late evidence does, or two people (doubt.py).
"""

from datetime import datetime

from django.db import connection, transaction

from administration.cases.models import Case
from administration.fields import db_now
from administration.rails.interface import AnsweringRail, CarriedRail
from administration.record import log
from administration.returns import routes, statements
from administration.returns.models import Attempt, AttemptState, Batch, BatchState

# By the database's clock: the file has been outside for as long as its answer may take, and so long ago is the last that was
# said of it. What of it is open, nobody knows.
OVERDUE = """
SELECT s.id, s.batch_id, s.part, s.rail_key, s.state FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id
WHERE b.case_id = %(case)s AND b.rail = %(rail)s AND b.state IN ('exported', 'settling')
  AND s.state IN ('exported', 'accepted') AND s.sent_at + make_interval(secs => %(due)s) < clock_timestamp()
  AND EXISTS (
      SELECT FROM returns_attempt t
      WHERE t.batch_id = s.batch_id AND t.part = s.part AND t.state IN ('pending', 'unknown'))
  AND NOT EXISTS (
      SELECT FROM returns_evidence e JOIN returns_evidenceline l ON l.evidence_id = e.id
      WHERE e.case_id = b.case_id AND e.rail = b.rail AND e.correction_id IS NULL
        AND e.received_at + make_interval(secs => %(due)s) >= clock_timestamp() AND l.part = s.rail_key)
ORDER BY s.id
"""
OUTSIDE = [BatchState.EXPORTED, BatchState.SETTLING]


def doubt(case: Case, *, at: datetime) -> list[str]:
    """What nobody answered while an answer was due: from now on its outcome is unknown. In the caller's transaction."""
    undebited = statements.doubt_undebited(case, at=at)
    if undebited:
        log.append(case, "submission.undebited", subject=case, by=None, at=at, body={"parts": undebited})
    silent = [key for code in _answering(case) for key in _doubt(case, code)]
    if silent:
        log.append(case, "submission.unanswered", subject=case, by=None, at=at, body={"parts": silent})
    return undebited + silent


def look() -> int:
    """The janitor's round: every case of which a carried file may be outside."""
    found = 0
    for case in Case.objects.filter(batches__state__in=OUTSIDE, batches__rail__in=_carried()).distinct().order_by("pk"):
        with transaction.atomic():
            found += len(doubt(case, at=db_now()))
    return found


def _doubt(case: Case, code: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(OVERDUE, {"case": case.pk, "rail": code, "due": int(routes.rail(code).quiet_period.total_seconds())})
        rows = cursor.fetchall()
        for state in ("exported", "accepted"):
            ids = [row[0] for row in rows if row[4] == state]
            if ids:
                cursor.execute("SELECT submission_step(%s, %s, 'unknown')", [ids, state])
    for _pk, batch, part, _key, _state in rows:
        Attempt.objects.filter(batch=batch, part=part, state=AttemptState.PENDING).update(state=AttemptState.UNKNOWN)
    return [row[3] for row in rows]


def _answering(case: Case) -> list[str]:
    """The rails of the case that answer a carried file by a file."""
    used = Batch.objects.filter(case=case, state__in=OUTSIDE).values_list("rail", flat=True).distinct()
    return [code for code in sorted(used) if code in _carried() and isinstance(routes.rail(code), AnsweringRail)]


def _carried() -> list[str]:
    """Rails whose files people carry, as far as they are set up in this house."""
    found = []
    for code in routes.codes():
        try:
            if isinstance(routes.rail(code), CarriedRail):
                found.append(code)
        except routes.NoSuchRail:
            continue
    return found
