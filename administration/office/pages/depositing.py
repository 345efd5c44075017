"""Deposits with a Legal Affairs Bureau: applications, what two people sign, the file, and the Bureau's receipt."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import profiles
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.office import readable, words
from administration.office.entering import DayField, OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, KeptFile, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.papers import paper
from administration.office.pages.returning import assets_of
from administration.office.pages.showing import Button, Section, ShowPage, day, link, tag, who
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import amount, jst
from administration.record import log
from administration.record.models import Event
from administration.returns import apart, depositing
from administration.returns.models import CourtDeposit, DepositFiling, TailState
from claims.register.models import Claim

BATCH, EXPORT = "returns.batch", "returns.export"
SHOWN = 200
CLAIMS_MAX = 1_000
UNCONFIRMED = lazy("The law named here was not checked by counsel (to be confirmed).")


def filing_of(case: Case, pk: int) -> DepositFiling:
    found = DepositFiling.objects.filter(case=case, pk=pk).select_related("case", "order", "by").first()
    if found is None:
        raise Http404
    return found


def ground_of(filing: DepositFiling) -> profiles.DepositGround:
    return profiles.proceeding_of(filing.case).deposit_grounds[filing.ground]


def request_of(case: Case, act: str, pk: int) -> ApprovalRequest | None:
    """The newest request about it."""
    return case.approvals.filter(act=act, object_id=pk).order_by("-pk").first()


class ClaimsField(forms.CharField):
    """Numbers of claims, one a line."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "words"})


def claims_named(form: OfCase, text: str) -> list[Claim]:
    """The claims named in a field, all of this case."""
    numbers = list(dict.fromkeys(word for word in text.replace(",", " ").split() if word))
    if not numbers or len(numbers) > CLAIMS_MAX:
        raise ValidationError(_("Give the numbers of one to %(most)s claims.") % {"most": f"{CLAIMS_MAX:,}"})
    found = {claim.number: claim for claim in Claim.objects.filter(case=form.case, number__in=numbers)}
    missing = [number for number in numbers if number not in found]
    if missing:
        raise ValidationError(_("There is no such claim in this case: %(claims)s.") % {"claims": ", ".join(missing[:5])})
    return [found[number] for number in sorted(found)]


def back_button(here: ShowPage, row: Any, name: str) -> list[Button]:
    """Giving up what is approved takes two people again."""
    if row.state != TailState.APPROVED:
        return []
    return [here.button(_("Ask two people to give it up"), name, BATCH, pk=row.pk)]


@page("deposits/", name="deposits", menu="returns", icon="account_balance", order=60)
class DepositsPage(ShowPage):
    title = lazy("Deposits with the Legal Affairs Bureau")

    def sentence(self) -> Any:
        return _("For who cannot be paid: unreachable, refusing, not known, or attached by several. The Bureau takes money; coins are sold first.")

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Make an application"), "deposit-propose", BATCH, main=True),
            self.button(_("Customers not reached"), "reaching"),
            self.button(_("Forced sales"), "sales"),
        ]

    def sections(self) -> list[Section]:
        filings = list(self.case.deposit_filings.select_related("by").order_by("-number")[:SHOWN])
        assets = assets_of(self.case)
        sums: dict[int, list[tuple[str, int, int]]] = {}
        of_all = CourtDeposit.objects.filter(filing__in=filings).values("filing", "claim_line__asset__code")
        for one in of_all.annotate(many=Count("pk"), units=Sum("amount")).order_by("claim_line__asset__code"):
            sums.setdefault(one["filing"], []).append((one["claim_line__asset__code"], one["many"], int(one["units"])))
        rows = []
        for filing in filings:
            parts = sums.get(filing.pk, [])
            rows.append([
                link(self.url("deposit", pk=filing.pk), filing), tag(filing.get_state_display()), filing.get_ground_display(), filing.office,
                f"{sum(many for _code, many, _units in parts):,}",
                " + ".join(readable.money(units, assets[code]) for code, _many, units in parts), who(filing.by), jst(filing.at),
            ])  # fmt: skip
        head = [_("Application"), _("State"), _("Ground"), _("Bureau"), _("Lines"), _("Amount"), _("Prepared by"), _("When")]
        return [Section(_("Applications"), head=head, rows=rows, numeric=frozenset({4, 5}), empty=_("Nothing was deposited yet."))]


@page("deposits/<int:pk>/", name="deposit")
class DepositPage(ShowPage):
    title = lazy("Application to the Bureau")

    def prepare(self, **kwargs: Any) -> None:
        self.filing = filing_of(self.case, kwargs["pk"])
        self.deposits = list(self.filing.deposits.select_related("claim_line__claim", "claim_line__asset").order_by("claim_line__claim__number", "pk"))
        self.handed_out = Event.objects.filter(case_id=self.case.pk, kind="deposit.handed_out", subject_id=str(self.filing.pk)).exists()

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return super().context(**kwargs) | {"title": _("Application %(filing)s") % {"filing": self.filing}}

    def notices(self) -> list[tuple[str, Any]]:
        return [] if ground_of(self.filing).confirmed else [("warning", UNCONFIRMED)]

    def figures(self) -> list[tuple[Any, Any]]:
        ground = ground_of(self.filing)
        return [
            (_("State"), self.filing.get_state_display()),
            (_("Ground"), ground.shown()),
            (_("Law"), ground.article()),
            (_("Bureau"), self.filing.office),
            (_("Order"), self.filing.order.number if self.filing.order else "–"),
            (_("Facts"), self.filing.facts),
            (_("Prepared by"), who(self.filing.by)),
        ]

    def buttons(self) -> list[Button]:
        request = request_of(self.case, depositing.ACT, self.filing.pk)
        found = [Button(_("Signatures"), self.url("approval", pk=request.pk))] if request else []
        if self.filing.state == TailState.APPROVED:
            found += [
                self.button(_("Hand the application out"), "deposit-hand-out", EXPORT, pk=self.filing.pk, main=not self.handed_out),
                self.button(_("The Bureau took it"), "deposit-lodge", EXPORT, pk=self.filing.pk, main=self.handed_out),
            ]
        if self.handed_out and self.may(EXPORT):
            found.append(Button(_("Download the application"), self.url("deposit-file", pk=self.filing.pk)))
        return [*found, *back_button(self, self.filing, "deposit-back")]

    def sections(self) -> list[Section]:
        rows = [
            [link(self.url("claim", number=one.claim_line.claim.number), one.claim_line.claim.number), amount(one.amount, one.claim_line.asset),
             one.number or "–", day(one.deposited_on) if one.deposited_on else "–",
             paper(self, one.receipt_sha256, _("receipt")) if one.receipt_sha256 else "–"]
            for one in self.deposits[:SHOWN]
        ]  # fmt: skip
        named = {code: words.of(words.DEPOSIT_PAPERS, code) for code in words.DEPOSIT_PAPERS}
        return [
            Section(
                _("What is deposited, for whom"), head=[_("Claim"), _("Amount"), _("The Bureau's number"), _("Deposited on"), _("Receipt")],
                rows=rows, numeric=frozenset({1}),
            ),
            Section(
                _("Papers"), head=[_("Paper"), _("Name"), "SHA-256"],
                rows=[[named.get(one["paper"], one["paper"]), one["name"], one["sha256"]] for one in self.filing.papers],
            ),
        ]  # fmt: skip


class Applying(OfCase):
    ground = forms.ChoiceField(label=lazy("Ground"))
    claims = ClaimsField(label=lazy("Claims"), help_text=lazy("Their numbers, one a line. Everything they have in money is deposited."))
    office = forms.CharField(label=lazy("Legal Affairs Bureau"), max_length=120, help_text=lazy("The Bureau at the place of performance, with its branch."))
    facts = WordsField(label=lazy("Facts that make the ground"), max_length=2000)
    order = OneOf(CourtOrder.objects.none(), label=lazy("Order"), required=False)
    first_paper = PaperField(label=lazy("First paper of the ground"), help_text=lazy("Which papers a ground asks for is said on the next page."))
    second_paper = PaperField(label=lazy("Second paper, if the ground asks for two"), required=False)

    def prepare(self) -> None:
        grounds = profiles.proceeding_of(self.case).deposit_grounds
        offer(self, "ground", [(code, ground.shown()) for code, ground in grounds.items()])
        offer(self, "order", self.case.orders.order_by("-issued_date"))

    def clean_claims(self) -> list[Claim]:
        return claims_named(self, self.cleaned_data["claims"])


@page("deposits/propose/", name="deposit-propose")
class ProposeDeposit(ActPage):
    """depositing.propose"""

    title = lazy("Make an application")
    power = BATCH
    form_class = Applying
    intro = lazy("Two other people sign it. From then on the amounts are set apart: returns of them that wait are cancelled, and no round takes them.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case, "initial": {"claims": self.request.GET.get("claims", "")[:200]}}

    def given(self, data: dict[str, Any]) -> list[depositing.Paper]:
        ground = profiles.proceeding_of(self.case).deposit_grounds[data["ground"]]
        files = [file for file in (data.get("first_paper"), data.get("second_paper")) if isinstance(file, KeptFile)]
        return [depositing.Paper(code, file.name, file.read()) for code, file in zip(ground.papers, files, strict=False)]

    def effect(self, data: dict[str, Any]) -> Effect:
        ground = profiles.proceeding_of(self.case).deposit_grounds[data["ground"]]
        depositing.refuse_unless_grounded(self.case, data["ground"], data["claims"], at=self.at)
        amounts = depositing.lines_of(self.case, data["claims"], data["ground"])
        if not amounts:
            raise depositing.NotDeposited(_("There is nothing in money that can be deposited for these claims."))
        sums: dict[Any, int] = {}
        for line, units in amounts.items():
            sums[line.asset] = sums.get(line.asset, 0) + units
        papers = self.given(data)
        return Effect(
            _("%(sums)s are deposited for %(count)s lines of claims with %(office)s, once two people have signed.")
            % {"sums": " + ".join(readable.money(units, asset) for asset, units in sums.items()), "count": f"{len(amounts):,}", "office": data["office"]},
            _("Ask two people to sign the application"),
            figures=[
                (_("Ground"), ground.shown()), (_("Law"), ground.article()), (_("Facts"), data["facts"]),
                *((words.of(words.DEPOSIT_PAPERS, one.paper), one.name) for one in papers),
            ],
            tables=[
                Table(
                    _("The first ten"), [_("Claim"), _("Amount")],
                    [[line.claim.number, readable.money(units, line.asset)] for line, units in list(amounts.items())[:10]], frozenset({1}),
                )
            ],
            warnings=[] if ground.confirmed else [UNCONFIRMED], order=data.get("order"),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return depositing.propose(
            self.case, data["claims"], ground=data["ground"], office=data["office"], facts=data["facts"], papers=self.given(data),
            order=data.get("order"), by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("deposits")


def effect_of(filing: DepositFiling, sentence: Any, button: Any, sha256: str = "", warnings: list[Any] | None = None) -> Effect:
    """What a deposit does: for whom, how much, where, and the papers it rests on."""
    ground = ground_of(filing)
    deposits = list(filing.deposits.select_related("claim_line__claim", "claim_line__asset").order_by("-amount", "pk"))
    sums: dict[Any, int] = {}
    for one in deposits:
        sums[one.claim_line.asset] = sums.get(one.claim_line.asset, 0) + one.amount
    return Effect(
        sentence, button,
        figures=[
            (_("Amount"), " + ".join(readable.money(units, asset) for asset, units in sums.items())), (_("Lines"), f"{len(deposits):,}"),
            (_("Ground"), ground.shown()), (_("Law"), ground.article()), (_("Bureau"), filing.office), (_("Facts"), filing.facts),
            *((words.of(words.DEPOSIT_PAPERS, one["paper"]), f"{one['name']} · {one['sha256']}") for one in filing.papers),
        ],
        tables=[
            Table(
                _("The largest ten"), [_("Claim"), _("Amount")],
                [[one.claim_line.claim.number, readable.money(one.amount, one.claim_line.asset)] for one in deposits[:10]], frozenset({1}),
            )
        ],
        warnings=[*([] if ground.confirmed else [UNCONFIRMED]), *(warnings or [])], content_sha256=sha256, order=filing.order, moves_value=True,
    )  # fmt: skip


@describes(depositing.ACT)
def what_is_deposited(request: ApprovalRequest, case: Case) -> Effect:
    filing = filing_of(case, request.object_id)
    return effect_of(
        filing, _("Approve application %(filing)s: the money may leave the estate for the Legal Affairs Bureau.") % {"filing": filing},
        _("Sign"), bytes(request.content_sha256).hex(),
    )  # fmt: skip


@describes(depositing.ACT + apart.BACK)
def what_deposit_is_given_up(request: ApprovalRequest, case: Case) -> Effect:
    filing = filing_of(case, request.object_id)
    return effect_of(
        filing, _("Give application %(filing)s up: the amounts are the claims' again.") % {"filing": filing}, _("Sign"),
        bytes(request.content_sha256).hex(), [_("You say with your signature that the Bureau did not take it.")],
    )  # fmt: skip


class OfFiling(ActPage):
    """An act on one application."""

    def object(self) -> DepositFiling:
        return filing_of(self.case, self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.object()
        return {}

    def about(self) -> str:
        return _("Application %(number)s") % {"number": self.object()}

    def back(self) -> str:
        return self.url("deposit", pk=self.kwargs["pk"])


@page("deposits/<int:pk>/hand-out/", name="deposit-hand-out")
class HandOut(OfFiling):
    """depositing.hand_out"""

    title = lazy("Hand the application out")
    power = EXPORT

    def effect(self, data: dict[str, Any]) -> Effect:
        filing = self.object()
        return effect_of(
            filing, _("The file of application %(filing)s is made for the Bureau. It holds names and addresses.") % {"filing": filing},
            _("Hand the application out"),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return depositing.hand_out(self.object(), by=self.user, at=self.at)


@page("deposits/<int:pk>/file/", name="deposit-file")
class ApplicationFile(CasePage):
    """The file as it was handed out; who takes it is in the record."""

    power = EXPORT
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        filing = filing_of(self.case, kwargs["pk"])
        if not Event.objects.filter(case_id=self.case.pk, kind="deposit.handed_out", subject_id=str(filing.pk)).exists():
            raise Http404
        log.append(self.case, "deposit.file_taken", subject=filing, by=self.user, at=self.at, body={"filing": str(filing)})
        answer = HttpResponse(depositing.application(filing), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{self.case.reference}-{filing}.csv"'
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


class Lodging(forms.Form):
    numbers = forms.CharField(
        label=lazy("The Bureau's number for each claim"), widget=forms.Textarea(attrs={"rows": 6, "class": "words"}),
        help_text=lazy("One a line: the claim's number, a space, the deposit number."),
    )  # fmt: skip
    deposited_on = DayField(label=lazy("Deposited on"))
    receipt = PaperField(label=lazy("The Bureau's receipt"))

    def clean_numbers(self) -> dict[str, str]:
        found = {}
        for text in self.cleaned_data["numbers"].splitlines():
            claim, _space, number = text.strip().partition(" ")
            if claim:
                found[claim] = number.strip()
        return found


@page("deposits/<int:pk>/lodge/", name="deposit-lodge")
class Lodge(OfFiling):
    """depositing.lodge"""

    title = lazy("The Bureau took it")
    power = EXPORT
    form_class = Lodging
    intro = lazy("With the Bureau's numbers and receipt the money has left: the claims' positions say “deposited”.")

    def effect(self, data: dict[str, Any]) -> Effect:
        filing = self.object()
        shown = effect_of(filing, _("Application %(filing)s is carried out.") % {"filing": filing}, _("Record the deposit"))
        shown.figures.append((_("Deposited on"), day(data["deposited_on"])))
        shown.tables.append(Table(_("Numbers"), [_("Claim"), _("Number")], [[claim, number] for claim, number in sorted(data["numbers"].items())[:20]]))
        return shown

    def act(self, data: dict[str, Any]) -> Any:
        return depositing.lodge(
            self.object(), data["numbers"], deposited_on=data["deposited_on"], receipt=data["receipt"].read(), by=self.user, at=self.at
        )


class Why(forms.Form):
    reason = WordsField(label=lazy("Why, and how you know that it was not carried out"), max_length=1000)


@page("deposits/<int:pk>/give-up/", name="deposit-back")
class GiveDepositUp(OfFiling):
    title = lazy("Give an application up")
    power = BATCH
    form_class = Why

    def effect(self, data: dict[str, Any]) -> Effect:
        filing = self.object()
        return effect_of(filing, _("Two people are asked to give application %(filing)s up.") % {"filing": filing}, _("Ask two people"))

    def act(self, data: dict[str, Any]) -> Any:
        return apart.ask_back(self.object(), depositing.ACT, reason=data["reason"], by=self.user, at=self.at)
