"""
Scans and evidence, opened from where their hash stands.

A paper is somebody else's file: it is always a download, never a page of ours, whatever it says it is. Who opened which
is on the record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import archive
from administration.cases.models import Appointment, Case, CourtOrder, OrderStanding, SecuringItem
from administration.custody.models import Holding, Movement, Policy, ReserveEntry
from administration.errors import Refused
from administration.ledger.models import ScopeDecision
from administration.office.pages.base import CasePage, page
from administration.office.templatetags.office import sha
from administration.record import log
from administration.returns.models import Correction, CourtDeposit, Evidence, Explanation, ForcedSale, Recovery, Residue
from claims.destinations.models import Destination
from claims.register.models import Decision, Dispute, Transfer


class NotKept(Refused):
    """The archive has no such file, or another one under its name."""


@dataclass(frozen=True)
class Papers:
    """Rows of a case that name a paper, and who may open it: whoever holds one of the powers, or everybody appointed."""

    of: Callable[[Case], QuerySet[Any]]
    column: str
    powers: tuple[str, ...] = ()


CLAIMS, RETURNS = ("claims.schedule", "claims.decide"), ("returns.evidence",)
KEPT: tuple[Papers, ...] = (
    Papers(lambda case: Appointment.objects.filter(case=case), "instrument_sha256"),
    Papers(lambda case: CourtOrder.objects.filter(case=case), "scan_sha256"),
    Papers(lambda case: OrderStanding.objects.filter(order__case=case), "evidence_sha256"),
    Papers(lambda case: SecuringItem.objects.filter(case=case), "evidence_sha256"),
    Papers(lambda case: Holding.objects.filter(case=case), "evidence_sha256"),
    Papers(lambda case: Movement.objects.filter(place__case=case), "evidence_sha256"),
    Papers(lambda case: ReserveEntry.objects.filter(case=case), "evidence_sha256"),
    Papers(lambda case: Policy.objects.filter(case=case), "evidence_sha256"),
    # these speak of customers
    Papers(lambda case: ScopeDecision.objects.filter(case=case), "evidence_sha256", CLAIMS),
    Papers(lambda case: Decision.objects.filter(case=case), "evidence_sha256", CLAIMS),
    Papers(lambda case: Dispute.objects.filter(claim_line__case=case), "evidence_sha256", CLAIMS),
    Papers(lambda case: Transfer.objects.filter(parent__case=case), "evidence_sha256", CLAIMS),
    Papers(lambda case: Destination.objects.filter(case=case), "proof_sha256", ("destinations.verify",)),
    Papers(lambda case: Evidence.objects.filter(case=case), "sha256", RETURNS),
    Papers(lambda case: Correction.objects.filter(case=case), "evidence_sha256", RETURNS),
    Papers(lambda case: Explanation.objects.filter(case=case), "paper_sha256", RETURNS),
    Papers(lambda case: CourtDeposit.objects.filter(case=case), "receipt_sha256", RETURNS),
    Papers(lambda case: Recovery.objects.filter(overpayment__case=case), "evidence_sha256", RETURNS),
    Papers(lambda case: ForcedSale.objects.filter(case=case), "evidence_sha256", RETURNS),
    Papers(lambda case: Residue.objects.filter(case=case), "evidence_sha256", RETURNS),
)
# By its first bytes; anything else is only bytes.
KINDS = ((b"%PDF-", "pdf"), (b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpg"), (b"II*\x00", "tif"), (b"MM\x00*", "tif"), (b"PK\x03\x04", "zip"))


@page("papers/<str:sha256>/", name="paper")
class Paper(CasePage):
    title = lazy("A paper")
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        sha256 = self.named(kwargs["sha256"])
        content = read(sha256)
        log.append(self.case, "paper.opened", subject=self.case, by=self.user, at=self.at, body={"sha256": sha256.hex()})
        answer = HttpResponse(content, content_type="application/octet-stream")
        answer["Content-Disposition"] = f'attachment; filename="{sha256.hex()[:16]}.{kind_of(content)}"'
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
        answer["Cross-Origin-Resource-Policy"] = "same-origin"
        answer["Cache-Control"] = "private, no-store"
        return answer

    def named(self, text: str) -> bytes:
        """The hash, if a paper of this case has it that this person may open; otherwise there is nothing here."""
        try:
            sha256 = bytes.fromhex(text)
        except ValueError:
            raise Http404 from None
        if len(sha256) != 32 or not any(
            papers.of(self.case).filter(**{papers.column: sha256}).exists()
            for papers in KEPT
            if not papers.powers or any(self.may(power) for power in papers.powers)
        ):
            raise Http404
        return sha256


def read(sha256: bytes) -> bytes:
    """The kept bytes, if they are what was kept."""
    try:
        return archive.read(sha256)
    except OSError:
        raise NotKept(_("The archive has no file of this hash. Restore it from its copy.")) from None
    except ValueError:
        raise NotKept(_("The archive's file is not the one that was kept: its hash is another. Restore it from its copy.")) from None


def kind_of(content: bytes) -> str:
    for beginning, kind in KINDS:
        if content.startswith(beginning):
            return kind
    return "bin" if b"\x00" in content[:4096] else "txt"


def paper(of: CasePage, sha256: Any, name: str = "") -> SafeString | str:
    """The hash of a paper as a link that opens it, after its name; a dash where there is none."""
    if not sha256:
        return "–"
    address = of.url("paper", sha256=bytes(sha256).hex())
    return format_html('<span>{} <a href="{}" download>{}</a></span>', name, address, sha(sha256))
