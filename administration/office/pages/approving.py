"""
What waits for signatures, and the page on which it is signed or rejected.

The page says what would leave, to how many, the largest ten, what changed since the last version and what was left
out. Each act says that by a describer in EFFECTS; what it says is made from the rows, never from what a browser sends.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import appointments, approvals
from administration.cases.models import ApprovalRequest, Case, RequestState, Succession
from administration.cases.powers import SIGNING_KINDS
from administration.office.pages.acting import DO, ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.lists import Column, Filter, ListPage
from administration.people.models import User
from administration.record import heads
from administration.work.models import Job

Describer = Callable[[ApprovalRequest, Case], Effect]
EFFECTS: dict[str, Describer] = {}  # act → what would happen, in words and figures
NAMES: dict[str, Any] = {  # act → what it is, in lists
    "ledger.accept": lazy("Accept the ledger"),
    "ledger.suspense": lazy("Put an unexplained difference into suspense"),
    "ledger.adjust": lazy("Adjust the ledger"),
    "distribution.plan": lazy("Give what a run says"),
    "returns.batch": lazy("Send a batch"),
    "returns.correct": lazy("Take a step back in a return"),
    "returns.deposit": lazy("Deposit with the Legal Affairs Bureau"),
    "returns.deposit_back": lazy("Give a deposit up"),
    "returns.sale": lazy("Sell coins by force"),
    "returns.sale_back": lazy("Give a forced sale up"),
    "returns.forfeit": lazy("Give to the others what nobody claims"),
    "returns.late": lazy("Return what came in after the cut-off"),
    "returns.residue": lazy("Give the residue away"),
    "returns.residue_back": lazy("Give the handing over of the residue up"),
    "returns.write_off": lazy("Write an over-payment off"),
    "returns.release": lazy("Release a failed return"),
    "returns.explain": lazy("Explain a line of evidence"),
    "cases.succeed": lazy("Another person takes the office"),
}
STATES: dict[str, Any] = {
    RequestState.OPEN: lazy("waits for signatures"),
    RequestState.GRANTED: lazy("granted"),
    RequestState.REJECTED: lazy("rejected"),
    RequestState.STALE: lazy("out of date: its content changed"),
    RequestState.SUSPENDED: lazy("suspended: the successor signs anew"),
}
LAST_OF_HASH = 4  # characters the signer types: whoever signs has looked at the hash


def name_of(act: str) -> str:
    """What an act is called; the successor's resumption of it is said so."""
    base = act.removesuffix(approvals.RESUME)
    name = str(NAMES.get(base, base))
    return name if base == act else _("Resume: %(act)s") % {"act": name}


def describe(request: ApprovalRequest, case: Case) -> Effect:
    """What the signatures would do, by the room's describer; without one, what is known of every request."""
    describer = EFFECTS.get(request.act.removesuffix(approvals.RESUME))
    if describer is not None:
        return describer(request, case)
    return Effect(
        sentence=_("%(act)s, number %(number)s.") % {"act": name_of(request.act), "number": request.object_id},
        button=_("Sign"),
        content_sha256=bytes(request.content_sha256).hex(),
        order=request.order,
    )


def waits_for(request: ApprovalRequest, user: User, *, at: datetime) -> bool:
    """Could this person sign it now?"""
    return request.state == RequestState.OPEN and user.username in approvals.awaiting(request, at=at)


@page("approvals/", name="approvals", menu="case", icon="signature", order=20)
class Approvals(ListPage):
    """Every request of the case, the newest first."""

    title = lazy("Approvals")
    newest_first = True
    empty = lazy("Nothing was ever asked to be approved in this case.")

    def rows(self) -> Any:
        return self.case.approvals.select_related("prepared_by")

    def columns(self) -> list[Column]:
        return [
            Column(_("No."), lambda row: row.pk, numeric=True, link=lambda row: self.url("approval", pk=row.pk)),
            Column(_("What"), lambda row: name_of(row.act), link=lambda row: self.url("approval", pk=row.pk)),
            Column(_("State"), lambda row: STATES[row.state]),
            Column(_("Prepared by"), lambda row: row.prepared_by.shown_name),
            Column(_("Asked"), lambda row: self.instant(row.requested_at)),
            Column(_("Decided"), lambda row: self.instant(row.decided_at)),
        ]

    def filters(self) -> list[Filter]:
        return [
            Filter("state", _("State"), list(STATES.items()), lambda rows, value: rows.filter(state=value)),
        ]


@page("approvals/<int:pk>/", name="approval")
class ApprovalPage(ActPage):
    """One request: signed or rejected here, with the hash of exactly what was looked at."""

    title = lazy("Approval")
    template = "office/approval.html"
    asked: ApprovalRequest

    said = ""  # what was wrong with the press just made

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.asked = self.find(kwargs["pk"])
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.asked = self.find(kwargs["pk"])
        self.said = self.trouble() if request.POST.get("stage") == DO else ""
        if self.said:
            return self._show_effect({}, {}, {})
        return super().post(request, *args, **kwargs)

    def find(self, pk: int) -> ApprovalRequest:
        found = ApprovalRequest.objects.filter(case=self.case, pk=pk)
        asked = found.select_related("case", "prepared_by", "order").first()
        if asked is None:
            raise Http404
        return asked

    def trouble(self) -> str:
        """What keeps a press from being a decision at all."""
        given = self.request.POST
        if given.get("decision") == "reject":
            return "" if given.get("reason", "").strip() else _("Say why you reject it: the preparer has to mend it.")
        sha256 = bytes(self.asked.content_sha256).hex()
        if self.effect({}).moves_value and given.get("code", "").strip().lower() != sha256[-LAST_OF_HASH:]:
            return _("Type the last four characters of the content hash, as they stand above the button.")
        return ""

    def effect(self, data: dict[str, Any]) -> Effect:
        return describe(self.asked, self.case)

    def act(self, data: dict[str, Any]) -> Any:
        if self.request.POST.get("decision") == "reject":
            reason = self.request.POST.get("reason", "")
            return approvals.reject(self.asked, by=self.user, at=self.at, reason=reason)
        return approvals.sign(
            self.asked, by=self.user, at=self.at, content_sha256=bytes(self.asked.content_sha256)
        )

    def done(self, result: Any) -> tuple[str, str]:
        here = self.url("approval", pk=self.asked.pk)
        if isinstance(result.followed_by, Job):
            return (
                _("Signed. It was the last signature, and what follows it has begun."),
                self.url("job", pk=result.followed_by.pk),
            )
        if result.state == RequestState.REJECTED:
            return _("Rejected, with your reason in the record."), here
        if result.state == RequestState.GRANTED:
            return _("Signed. It was the last signature: this is approved."), here
        return _("Signed. It waits for another signature."), here

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        if template:
            return super().show(context, template=template, status=status)
        own = {
            "title": name_of(self.asked.act),
            "asked": self.asked,
            "state_words": STATES[self.asked.state],
            "is_open": self.asked.state == RequestState.OPEN,
            "signatures": self.asked.signatures.select_related("signer", "appointment").order_by("pk"),
            "awaiting": self.people_awaited(),
            "cannot": self.cannot(),
            "cannot_sign": self.cannot_sign(),
            "stale": self.is_stale(),
            "head": heads.latest(self.case),
            "said": self.said,
            "reason": self.request.POST.get("reason", ""),
        }
        return super().show({**own, **context}, status=400 if self.said else status)

    def people_awaited(self) -> list[User]:
        names = approvals.awaiting(self.asked, at=self.at)
        return list(User.objects.filter(username__in=names).order_by("username"))

    def is_stale(self) -> bool:
        """Has what was to be signed changed since the request was made? Then a signature would be refused."""
        if self.asked.state != RequestState.OPEN:
            return False
        return approvals.content_now(self.asked.act, self.asked.object_id) != bytes(self.asked.content_sha256)

    def cannot(self) -> str:
        """Why the person looking can neither sign nor reject, in a sentence; empty if they can."""
        mine = appointments.live(self.case, at=self.at).filter(user=self.user, kind__in=SIGNING_KINDS)
        if not mine.exists():
            return _("You hold no office that signs in this case: the office-holder and the approvers do.")
        return ""

    def cannot_sign(self) -> str:
        """Why the person looking can only reject."""
        if Succession.objects.filter(case=self.case, successor=self.user, accepted_at__isnull=True).exists():
            return _("You sign after accepting the office.")
        if self.asked.prepared_by_id == self.user.pk:
            return _("You prepared this, so other people must sign it. You may take it back by rejecting it.")
        if self.asked.signatures.filter(signer=self.user).exists():
            return _("You have signed this already. It waits for another person. You may still reject it.")
        return ""
