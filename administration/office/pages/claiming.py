"""The claims: made from the ledger, found in a queue that stays fast at a million, and each with everything about it."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q
from django.shortcuts import get_object_or_404
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.books.models import Asset
from administration.ledger.models import Intake, IntakeState
from administration.office import readable, words
from administration.office.pages import working
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.lists import Column, Filter, ListPage
from administration.office.pages.papers import paper
from administration.office.pages.returning import where_to
from administration.office.pages.showing import Button, Section, ShowPage, day, figure, link, tag, who
from administration.office.templatetags.office import amount, dated, jst, sha
from administration.returns import gates
from administration.work.models import Job, JobState
from claims.destinations.models import DestinationState, Origin
from claims.notices.models import Notice
from claims.register import schedule
from claims.register.models import Claim, ClaimClass, ClaimLine, Decision, Dispute, Hold

SCHEDULE, DECIDE, VERIFY = "claims.schedule", "claims.decide", "destinations.verify"
SHOWN_OF_A_CLAIM = 200  # of each kind of row

working.KINDS[schedule.KIND] = lazy("Making claims from the ledger")


# --- the queue ------------------------------------------------------------------------------------

OPEN_DISPUTES = Dispute.objects.filter(decision__isnull=True)


def in_state(rows: Any, state: str) -> Any:
    """Claims of one state. What is rare is found from its own rows, not by looking through every claim."""
    if state == "disputed":
        return rows.filter(pk__in=OPEN_DISPUTES.values("claim_line__claim"))
    if state == "held":
        return rows.filter(pk__in=Hold.objects.filter(lifted_at__isnull=True, confidential=False).values("claim"))
    if state == "reserved":
        return rows.filter(Exists(ClaimLine.objects.filter(claim=OuterRef("pk"), disputed__gt=0)))
    return rows.filter(confirmed_at__isnull=state == "unconfirmed")


STATES = [
    ("unconfirmed", lazy("not confirmed: stands by silence")),
    ("confirmed", lazy("confirmed by the customer")),
    ("disputed", lazy("an open dispute")),
    ("reserved", lazy("something reserved until it is decided")),
    ("held", lazy("on hold")),
]


@page("claims/", name="claims", menu="claims", icon="groups", order=1)
class ClaimsPage(ListPage):
    title = lazy("Claims")
    template = "office/claiming/queue.html"
    empty = lazy("No claim fits. Claims are made from the accepted ledger.")
    page_size = 50

    def rows(self) -> Any:
        found = Claim.objects.filter(case=self.case).select_related("ledger_account").prefetch_related("lines__asset")
        if self.asked:
            found = found.filter(
                Q(number__startswith=self.asked) | Q(ledger_account__case=self.case, ledger_account__account_ref=self.asked)
            )
        return found

    def context(self, **kwargs: Any) -> dict[str, Any]:
        self.asked = self.request.GET.get("q", "").strip()[:60]
        self.disputed: set[int] = set()
        made = super().context(**kwargs)
        if self.asked:
            for name in ("following", "first_page"):
                if made[name]:
                    made[name] += "&" + urlencode({"q": self.asked})
            if made["first_page"] == "":
                made["first_page"] = urlencode({"q": self.asked})
        confirms = self.url("claims-confirm") if self.may(SCHEDULE) else ""
        return made | {"q": self.asked, "buttons": self.buttons(), "confirms": confirms}

    def buttons(self) -> list[Button]:
        """What comes first is done next: claims are made once, then notices go out. The rest is seldom pressed."""
        made = Claim.objects.filter(case=self.case).exists()
        make = (_("Make claims from the ledger"), "claims-schedule", SCHEDULE)
        notice = (_("Issue a notice"), "notice-issue", SCHEDULE)
        first, last = (notice, make) if made else (make, notice)
        acts = (
            first,
            (_("Rely on destinations handed over"), "destinations-order", VERIFY),
            (_("Release what has cooled off"), "destinations-release", VERIFY),
            (_("Let claims follow corrections"), "corrections-follow", DECIDE),
            last,
        )
        return [
            Button(label, self.url(name), main=n == 0, more=n > 0)
            for n, (label, name, power) in enumerate(acts)
            if self.may(power)
        ]

    def filters(self) -> list[Filter]:
        assets = [(asset.code, asset.code) for asset in Asset.objects.filter(case=self.case).order_by("code")]
        line = ClaimLine.objects.filter(claim=OuterRef("pk"))
        return [
            Filter("state", _("State"), list(STATES), in_state),
            Filter("class", _("Class"), words.choices(words.CLASSES), lambda rows, value: rows.filter(Exists(line.filter(claim_class=value)))),
            Filter("asset", _("Asset"), assets, lambda rows, code: rows.filter(Exists(line.filter(asset__code=code, asset__case=self.case)))),
        ]

    def choice(self, row: Claim) -> SafeString | str:
        """A box to select the claim by, and for the keys where its acts are."""
        if row.confirmed_at:
            return format_html('<span data-dispute="{}">–</span>', self.disputing(row))
        return format_html(
            '<input type="checkbox" form="chosen" name="claim" value="{}" aria-label="{}" data-confirm="{}" data-dispute="{}">',
            row.number, _("Select %(claim)s") % {"claim": row.number}, self.url("claim-confirm", number=row.number), self.disputing(row),
        )  # fmt: skip

    def disputing(self, row: Claim) -> str:
        """Where its one line is disputed; of several, the claim's own page asks which."""
        lines = row.lines.all()
        if len(lines) == 1:
            return self.url("line-dispute", number=row.number, pk=lines[0].pk)
        return f"{self.url('claim', number=row.number)}#lines"

    def columns(self) -> list[Column]:
        chosen = [Column(_("Select"), self.choice)] if self.may(SCHEDULE) else []
        return [
            *chosen,
            Column(_("Claim"), lambda row: row.number, link=lambda row: self.url("claim", number=row.number)),
            Column(_("Account"), lambda row: row.ledger_account.account_ref if row.ledger_account else "–"),
            Column(_("Confirmed"), lambda row: jst(row.confirmed_at) if row.confirmed_at else _("by silence")),
            Column(_("Admitted"), lambda row: lines_in_short(row, "admitted"), numeric=True),
            Column(_("Disputed"), lambda row: lines_in_short(row, "disputed"), numeric=True),
        ]


def lines_in_short(claim: Claim, part: str) -> Any:
    """One part of each line of a claim, one below the other; nothing where nothing is."""
    found = [(amount(getattr(line, part), line.asset),) for line in claim.lines.all() if getattr(line, part)]
    return format_html_join(SafeString("<br>"), "{}", found) if found else "–"


# --- making them ----------------------------------------------------------------------------------


@page("claims-schedule/", name="claims-schedule")
class ScheduleClaims(ActPage):
    title = lazy("Make claims from the ledger")
    power = SCHEDULE

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = Intake.objects.filter(case=self.case, state=IntakeState.ACCEPTED).first()
        if intake is None:
            raise schedule.NotAccepted(
                _("The ledger of case %(case)s is not accepted yet. Let a second person accept it first.") % {"case": self.case}
            )
        job = Job.objects.filter(kind=schedule.KIND, subject_id=self.case.pk).order_by("-pk").first()
        done = job is not None and job.state == JobState.DONE
        return Effect(
            _("Each of the %(n)s accounts gets one claim. Silence lets it stand until the customer disputes it.")
            % {"n": f"{intake.accounts:,}"},
            _("Make the claims"),
            figures=[
                (_("Accounts"), f"{intake.accounts:,}"),
                (_("Balances"), f"{intake.balances:,}"),
                (_("Claims were made before"), _("yes") if done else _("no")),
            ],
            warnings=[_("Every account has its claim already; pressing again finds the same work.")] if done else [],
            content_sha256=bytes(intake.content_sha256 or b"").hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        return schedule.schedule(self.case, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("claims")


# --- one claim ------------------------------------------------------------------------------------


@page("claims/<str:number>/", name="claim")
class ClaimPage(ShowPage):
    title: Any = lazy("One claim")
    template = "office/claiming/claim.html"

    def prepare(self, **kwargs: Any) -> None:
        rows = Claim.objects.select_related("ledger_account", "claimant__identity", "parent", "case")
        self.claim = get_object_or_404(rows, case=self.case, number=kwargs["number"])
        self.title = self.claim.number
        self.lines = list(self.claim.lines.select_related("asset", "position").order_by("asset__code", "claim_class"))
        self.decides = self.may(DECIDE)
        self.open = {
            row.claim_line_id: row for row in Dispute.objects.filter(claim_line__in=self.lines, decision__isnull=True)
        }
        holds = Hold.objects.filter(claim=self.claim).select_related("placed_by", "lifted_by").order_by("-pk")
        self.secret = any(row.confidential and row.lifted_at is None for row in holds) and not self.decides
        self.holds = [row for row in holds if self.decides or not row.confidential]
        self.why = gates.why(self.claim.number, at=self.at)

    def sentence(self) -> Any:
        """Who may not know of a confidential hold reads what the customer reads."""
        return dated(self.why["customer_sentence"] if self.secret else self.why["office_sentence"])

    def figures(self) -> list[tuple[Any, Any]]:
        claim, account = self.claim, self.claim.ledger_account
        found = [
            (_("Account"), account.account_ref if account else "–"),
            (_("Confirmed"), f"{jst(claim.confirmed_at)} {words.of(words.HOW, claim.confirmed_how)}" if claim.confirmed_at else _("by silence")),
        ]
        if self.may(SCHEDULE) or self.decides:  # personal data: for who works on claims
            person = claim.claimant.identity
            found.insert(0, (_("Customer"), f"{person.name} ({person.customer_ref})"))
        if claim.parent:
            found.append((_("Part of claim"), link(self.url("claim", number=claim.parent.number), claim.parent.number)))
        return found

    def buttons(self) -> list[Button]:
        number, found = self.claim.number, []
        if not self.claim.confirmed_at:
            found.append(self.button(_("Confirm on paper"), "claim-confirm", SCHEDULE, number=number, main=True))
        found.append(self.button(_("Place a hold"), "hold-place", DECIDE, number=number))
        found.append(self.button(_("Destination on paper"), "destination-propose", VERIFY, number=number))
        if self.claim.ledger_account:
            account = self.claim.ledger_account.account_ref
            found.append(Button(_("Correct its ledger"), f"{self.url('adjust')}?account={account}" if self.may("ledger.take_over") else ""))
            found.append(Button(_("Decide on scope"), f"{self.url('scope')}?account={account}" if self.decides else ""))
        return found

    def sections(self) -> list[Section]:
        found = [self._standing(), self._lines(), self._money(), self._disputes(), self._decisions()]
        found += [self._holds(), self._destinations(), self._notices()]
        return [section for section in found if section.rows]

    def _standing(self) -> Section:
        return Section(
            _("Where it stands, and whose move it is"), head=[_("Asset"), _("Where it stands"), _("Whose move"), _("Next step"), _("By when")],
            rows=[
                [
                    line["asset"], dated(line["customer_sentence"] if self.secret else line["office_sentence"]),
                    "–" if self.secret else words.of(OWNERS, line["owner"]), "–" if self.secret else line["next_act"],
                    day(date.fromisoformat(line["next_date"])) if line["next_date"] else "–",
                ]
                for line in self.why["lines"]
            ],
        )  # fmt: skip

    def _lines(self) -> Section:
        parts = ("recorded", "corrected", "lodged", "admitted", "disputed", "rejected", "out_of_scope")
        rows = []
        for line in self.lines:
            keys = {"number": self.claim.number, "pk": line.pk}
            acts = []
            if self.may(SCHEDULE) and line.pk not in self.open and line.claim_class != ClaimClass.AFTER_CUTOFF:
                acts.append((link(self.url("line-dispute", **keys), _("Dispute")),))
            if self.decides and (line.pk in self.open or line.disputed):
                acts.append((link(self.url("line-decide", **keys), _("Decide")),))
            rows.append([
                line.asset.code, words.of(words.CLASSES, line.claim_class), format_html_join(" · ", "{}", acts) if acts else "–",
                *(figure(getattr(line, part), line.asset) for part in parts),
            ])  # fmt: skip
        head = [
            _("Asset"), _("Class"), "", _("Recorded"), _("Corrected"), _("Claimed above it"), _("Admitted"), _("Disputed"),
            _("Rejected"), _("Out of scope"),
        ]  # fmt: skip
        return Section(_("What is owed, line by line"), head=head, rows=rows, numeric=frozenset(range(3, 10)), anchor="lines", apart=True)

    def _money(self) -> Section:
        parts = ("given", "scheduled", "in_flight", "settled", "deposited")
        rows = [
            [line.asset.code, *(figure(getattr(line.position, part), line.asset) for part in parts)]
            for line in self.lines
            if line.position.given
        ]
        head = [_("Asset"), _("Given by runs"), _("Scheduled"), _("On its way"), _("Settled"), _("Deposited")]
        return Section(_("What of it was given"), head=head, rows=rows, numeric=frozenset(range(1, 6)))

    def _disputes(self) -> Section:
        rows = Dispute.objects.filter(claim_line__in=self.lines).select_related("claim_line__asset", "received_by")
        return Section(
            _("Disputes"), head=[_("Asset"), _("Says it is"), _("Ground"), _("How"), _("When"), _("Taken down by"), _("Evidence"), _("State")],
            rows=[
                [row.claim_line.asset.code, amount(row.claimed, row.claim_line.asset), row.ground, words.of(words.HOW, row.how), jst(row.at),
                 who(row.received_by), paper(self, row.evidence_sha256), tag(_("open")) if row.decision_id is None else _("decided")]
                for row in rows.order_by("-pk")[:SHOWN_OF_A_CLAIM]
            ],
            numeric=frozenset({1}),
        )  # fmt: skip

    def _decisions(self) -> Section:
        own = Decision.objects.filter(claim_line__in=self.lines).select_related("claim_line__asset", "by").order_by("-pk")
        rows = [
            [row.claim_line.asset.code, amount(row.admitted, row.claim_line.asset), amount(row.rejected, row.claim_line.asset),
             words.of(words.REASONS, row.reason_code), row.reason or "–", paper(self, row.evidence_sha256),
             who(row.by), jst(row.at)]
            for row in own[:SHOWN_OF_A_CLAIM] if row.claim_line
        ]  # fmt: skip
        rules = Decision.objects.filter(pk__in=[line.decision_id for line in self.lines], claim_line__isnull=True).select_related("by")
        rows += [
            [_("in bulk"), "–", "–", words.of(words.REASONS, row.reason_code), words.of(words.RULES, row.rule), "–", who(row.by), jst(row.at)]
            for row in rules
        ]
        head = [_("Asset"), _("Admitted"), _("Rejected"), _("Reason"), _("In words"), _("Evidence"), _("By"), _("When")]
        return Section(_("Decisions"), head=head, rows=rows, numeric=frozenset({1, 2}))

    def _holds(self) -> Section:
        rows = []
        for row in self.holds[:SHOWN_OF_A_CLAIM]:
            lift = link(self.url("hold-lift", pk=row.pk), _("Lift")) if self.decides else "–"
            rows.append([
                words.of(words.HOLDS, row.kind), wording.said(row.reason), day(row.next_look), who(row.placed_by), jst(row.placed_at),
                f"{jst(row.lifted_at)} · {who(row.lifted_by)} · {row.lift_reason}" if row.lifted_at else lift,
            ])  # fmt: skip
        head = [_("Hold"), _("Why"), _("Looked at again"), _("Placed by"), _("When"), _("Lifted")]
        return Section(_("Holds"), head=head, rows=rows)

    def _destinations(self) -> Section:
        rows = []
        for row in self.claim.destinations.select_related("asset").order_by("asset__code", "-version")[:SHOWN_OF_A_CLAIM]:
            awaits_key = row.origin == Origin.PAPER and row.state == DestinationState.PROPOSED
            acts = []
            if self.may(VERIFY):
                if row.origin == Origin.CLAIMANT_SESSION and row.state == DestinationState.PROPOSED:
                    acts.append((link(self.url("destination-prove", pk=row.pk), _("Check")),))
                if awaits_key and row.keyed_by_id != self.user.pk:
                    acts.append((link(self.url("destination-second", pk=row.pk), _("Second key")),))
                if row.state != DestinationState.REVOKED:
                    acts.append((link(self.url("destination-revoke", pk=row.pk), _("Take out of use")),))
            shown = self.may(VERIFY) and not awaits_key  # the second person reads the paper, not the first one's text
            rows.append([
                row.asset.code, f"{row.version}", words.of(words.NETWORKS, row.network), where_to(row.details) if shown else "•••",
                words.of(words.ORIGINS, row.origin), tag(words.of(words.DESTINATIONS, row.state)), jst(row.usable_from),
                wording.said(row.revoke_reason) or (format_html_join(" · ", "{}", acts) if acts else "–"),
            ])  # fmt: skip
        head = [_("Asset"), _("Version"), _("Network"), _("Where"), _("Comes from"), _("State"), _("Usable from"), ""]
        return Section(_("Where returns go"), head=head, rows=rows, numeric=frozenset({1}))

    def _notices(self) -> Section:
        rows = Notice.objects.filter(case=self.case, claim=self.claim).select_related("by").order_by("-number")
        return Section(
            _("Notices to this customer"), head=[_("Number"), _("Title"), _("Channel"), _("Sent at"), _("Text")],
            rows=[[f"{row.number}", wording.said(row.title), words.of(words.CHANNELS, row.channel), jst(row.sent_at), sha(row.text_sha256)] for row in rows],
        )  # fmt: skip


OWNERS: words.Words = {
    "customer": lazy("the customer's"),
    "office": lazy("the office's"),
    "approvers": lazy("the approvers'"),
    "court": lazy("the court's"),
    "time": lazy("nobody's: time must pass"),
    "nobody": lazy("nobody's"),
}


def figures_of_line(line: ClaimLine) -> list[tuple[Any, Any]]:
    """What a line says now, for an effect."""
    stands = line.recorded + line.corrected + line.lodged
    return [
        (_("Recorded"), readable.money(line.recorded + line.corrected, line.asset)),
        (_("Claimed in all"), readable.money(stands, line.asset)),
        (_("Admitted now"), readable.money(line.admitted, line.asset)),
        (_("Disputed now"), readable.money(line.disputed, line.asset)),
        (_("Class"), words.of(words.CLASSES, line.claim_class)),
    ]
