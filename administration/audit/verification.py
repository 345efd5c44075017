"""Verifying the record from inside: a job that anybody who may pull can start; what it found is on record too."""

from datetime import datetime

from django.db import transaction

from administration.cases import appointments
from administration.cases.models import Case
from administration.people.models import User
from administration.record import log, verify
from administration.record.models import Counter
from administration.work import jobs
from administration.work.jobs import Progress
from administration.work.models import Job

JOB = "audit.verify"


@transaction.atomic
def start(case: Case, *, by: User, at: datetime) -> Job:
    """Verify everything once. Asked again while it lasts: the same job."""
    appointments.require(case, by, "audit.pull", at=at)
    counted = Counter.objects.filter(case_id=case.pk).first()
    params = {"by": by.pk, "at": at.isoformat()}
    return jobs.start(case, JOB, case.pk, total=counted.last if counted else 0, params=params)


def step(job: Job) -> Progress:
    """All of it at once: it reads in one pass and writes nothing but its own event."""
    case, by = Case.objects.get(pk=job.subject_id), User.objects.get(pk=job.params["by"])
    found = verify.verify(case)
    with transaction.atomic():
        log.append(
            case,
            "record.verified",
            subject=case,
            by=by,
            at=datetime.fromisoformat(job.params["at"]),
            body={**found, "first_bad": found["first_bad"] or ""},
        )
    return Progress("end", found["events"], finished=True, result=found, total=found["events"])
