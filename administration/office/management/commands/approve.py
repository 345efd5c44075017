"""Sign a request from the command line: only on the embedded stack, where nobody's sign-in is real."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from administration.cases import approvals
from administration.errors import Refused
from administration.office.command import ActCommand
from administration.work.models import Job


class SignInToApprove(Refused):
    """A signature is given by somebody who signed in."""


class Command(ActCommand):
    help = (
        "Sign OBJECT as USER: a request's number, “act:object number”, or the reference of a batch or run. "
        "With the last signature, waits for the job that follows it."
    )

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("object")

    def run(self, **options: Any) -> dict[str, Any]:
        if not settings.EMBEDDED:
            raise SignInToApprove(
                _(
                    "Approvals are given in the office, by whoever signed in there. This command works on the sample only."
                )
            )
        by = self.actor()
        request = approvals.sign(approvals.find(options["object"]), by=by, at=self.now())
        job = request.followed_by
        if isinstance(job, Job):
            self.wait(job)
        now = self.now()
        return {
            **self.outcome(
                f"{request.act}:{request.object_id}",
                request.state,
                count=request.signatures.count(),
                content_sha256=request.content_sha256,
                awaiting=approvals.awaiting(request, at=now),
            ),
            "request": request.pk,
            "signed_by": by.username,
        }
