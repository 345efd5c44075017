"""After the ledger is accepted: corrections signed by a second person, what is in scope, and claims that follow both."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import adjustments, scope
from administration.ledger.models import (
    Adjustment,
    AppealState,
    LedgerAccount,
    LedgerBalance,
    ProposedAdjustment,
    ScopeDecision,
)
from administration.office import readable, words
from administration.office.entering import AmountField, OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, KeptFile
from administration.office.pages.base import page
from administration.office.pages.claiming import DECIDE
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.what_is_signed import describes, signed
from administration.office.templatetags.office import amount, jst
from claims.register import corrections
from claims.register.models import Claim

TAKE_OVER = "ledger.take_over"
SHOWN = 200


@page("corrections/", name="corrections", menu="ledger", icon="edit_note", order=10)
class CorrectionsPage(ShowPage):
    title = lazy("Corrections and scope")

    def sentence(self) -> Any:
        return _("An accepted balance never changes. A correction stands beside it once a second person has signed; claims follow when they are told to.")

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Propose a correction"), "adjust", TAKE_OVER, main=True),
            self.button(_("Decide on scope"), "scope", DECIDE),
            self.button(_("Let claims follow"), "corrections-follow", DECIDE),
        ]

    def sections(self) -> list[Section]:
        proposed = ProposedAdjustment.objects.filter(case=self.case).select_related("ledger_account", "asset", "proposed_by")
        asked = {
            row.object_id: row
            for row in self.case.approvals.filter(act=adjustments.ADJUST, state="open").order_by("-pk")[:SHOWN]
        }
        made = Adjustment.objects.filter(case=self.case).select_related("ledger_account", "asset", "decided_by").order_by("-pk")
        decided = ScopeDecision.objects.filter(case=self.case).select_related("ledger_account", "decided_by").prefetch_related("appeals").order_by("-pk")
        return [
            Section(
                _("Proposed, waiting for a signature"),
                head=[_("Account"), _("Product"), _("Correction"), _("Reason"), _("In words"), _("Proposed by"), ""],
                rows=[
                    [row.ledger_account.account_ref, words.of(words.PRODUCTS, row.product), amount(row.amount, row.asset),
                     words.of(words.CORRECTIONS, row.reason), row.note, who(row.proposed_by),
                     link(self.url("approval", pk=asked[row.pk].pk), _("Look"))]
                    for row in proposed.filter(pk__in=list(asked)).order_by("-pk")
                ],
                numeric=frozenset({2}), empty=_("Nothing waits."),
            ),
            Section(
                _("Corrections that count"), _("The newest %(n)s.") % {"n": SHOWN},
                head=[_("Account"), _("Product"), _("Correction"), _("Reason"), _("In words"), _("Decided by"), _("When")],
                rows=[
                    [row.ledger_account.account_ref, words.of(words.PRODUCTS, row.product), amount(row.amount, row.asset),
                     words.of(words.CORRECTIONS, row.reason), row.note or "–", who(row.decided_by), jst(row.at)]
                    for row in made[:SHOWN]
                ],
                numeric=frozenset({2}),
            ),
            Section(
                _("Decisions on scope"), _("The newest decision on an account or product counts."),
                head=[_("Account"), _("Product"), _("In scope?"), _("Ranks as"), _("Ground"), _("By"), _("When"), _("Appeal")],
                rows=[
                    [row.ledger_account.account_ref, words.of(words.PRODUCTS, row.product) if row.product else _("the whole account"),
                     tag(_("in scope") if row.in_scope else _("out of scope")), words.of(words.RANKS, row.rank), row.ground,
                     who(row.decided_by), jst(row.at), self.appeal(row)]
                    for row in decided[:SHOWN]
                ],
            ),
        ]  # fmt: skip


    def appeal(self, row: ScopeDecision) -> Any:
        """Where an appeal against a decision stands, and the way to it."""
        state = max(row.appeals.all(), key=lambda step: step.pk).state if row.appeals.all() else ""
        says = words.of(words.APPEALS, state) if state else _("Take an appeal down")
        return link(self.url("scope-appeal", pk=row.pk), says) if self.may(DECIDE) or state else says


class OfAccount(OfCase):
    """A form about one account of the ledger, named by its number."""

    account = forms.CharField(label=lazy("Account"), help_text=lazy("Its number in the exchange's ledger."))

    def clean_account(self) -> LedgerAccount:
        found = LedgerAccount.objects.filter(case=self.case, account_ref=self.cleaned_data["account"].strip()).first()
        if found is None:
            raise ValidationError(_("There is no such account in the ledger of this case."))
        return found


class OnAccount(ActPage):
    """An act on an account, which may come with the address."""

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case, "initial": {"account": self.request.GET.get("account", "")[:60]}}

    def back(self) -> str:
        return self.url("corrections")


def balances(account: LedgerAccount) -> list[tuple[Any, Any]]:
    """What the ledger says of an account now, with its corrections."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for rows in (LedgerBalance, Adjustment):
        for row in rows.objects.filter(ledger_account=account).select_related("asset"):
            one = sums.setdefault((row.asset.code, row.product), [row.asset, 0])
            one[1] += row.amount
    return [
        (f"{code}, {words.of(words.PRODUCTS, product)}", readable.money(units, asset))
        for (code, product), (asset, units) in sorted(sums.items())
    ]


# --- corrections ----------------------------------------------------------------------------------


class Adjusting(OfAccount):
    asset = OneOf(Asset.objects.none(), label=lazy("Asset"))
    product = forms.ChoiceField(label=lazy("Product"), choices=words.choices(words.PRODUCTS))
    amount = AmountField(label=lazy("Correction"), help_text=lazy("What is added; with a minus sign what is taken away."))
    reason = forms.ChoiceField(label=lazy("Reason"), choices=words.choices(words.CORRECTIONS, adjustments.REASONS))
    note = WordsField(label=lazy("In words"))

    def prepare(self) -> None:
        offer(self, "asset", Asset.objects.filter(case=self.case).order_by("code"))

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.cleaned_data["units"] = self.units("amount", self.cleaned_data.get("asset"))
        return self.cleaned_data


@page("corrections/adjust/", name="adjust")
class Adjust(OnAccount):
    title = lazy("Propose a correction of the ledger")
    power = TAKE_OVER
    form_class = Adjusting
    intro = lazy("The balance stays as it was taken over. The correction counts once another person has signed it.")

    def effect(self, data: dict[str, Any]) -> Effect:
        if data["units"] == 0:
            raise adjustments.NotAdjusted(_("A correction of nothing changes nothing. Give the amount."))
        return Effect(
            _("Another person is asked to sign that %(amount)s are added to account %(account)s.")
            % {"amount": signed(data["units"], data["asset"]), "account": data["account"].account_ref},
            _("Ask for the signature"),
            figures=[
                (_("Product"), words.of(words.PRODUCTS, data["product"])),
                (_("Reason"), words.of(words.CORRECTIONS, data["reason"])),
                (_("In words"), data["note"]),
                *balances(data["account"]),
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return adjustments.adjust(
            data["account"], asset=data["asset"], product=data["product"], amount=data["units"], reason=data["reason"],
            note=data["note"], by=self.user, at=self.at,
        )  # fmt: skip


@describes(adjustments.ADJUST)
def what_is_corrected(request: ApprovalRequest, case: Case) -> Effect:
    """Account, amount, reason, and what the ledger says of the account now."""
    row = ProposedAdjustment.objects.select_related("ledger_account", "asset").get(pk=request.object_id)
    claims = Claim.objects.filter(ledger_account=row.ledger_account).count()
    return Effect(
        _("%(amount)s are added to account %(account)s, beside what was taken over.")
        % {"amount": signed(row.amount, row.asset), "account": row.ledger_account.account_ref},
        _("Sign: correct the ledger"),
        figures=[
            (_("Product"), words.of(words.PRODUCTS, row.product)),
            (_("Reason"), words.of(words.CORRECTIONS, row.reason)),
            (_("In words"), row.note),
            *balances(row.ledger_account),
        ],
        warnings=[_("The account has its claim already. Let claims follow the correction afterwards.")] if claims else [],
        content_sha256=bytes(request.content_sha256).hex(), order=request.order,
    )  # fmt: skip


# --- scope ----------------------------------------------------------------------------------------


class Scoping(OfAccount):
    product = forms.ChoiceField(
        label=lazy("Product"), required=False, choices=[("", lazy("the whole account")), *words.choices(words.PRODUCTS)]
    )
    in_scope = forms.ChoiceField(
        label=lazy("In scope?"), choices=[("yes", lazy("in scope")), ("no", lazy("out of scope"))], widget=forms.RadioSelect
    )
    rank = forms.ChoiceField(label=lazy("Ranks as"), required=False, choices=words.choices(words.RANKS))
    ground = WordsField(label=lazy("Ground"))
    evidence = PaperField(label=lazy("Evidence"), required=False)

    def clean_rank(self) -> str:
        return self.cleaned_data["rank"] or "customer"


@page("corrections/scope/", name="scope")
class DecideScope(OnAccount):
    title = lazy("Decide on scope")
    power = DECIDE
    form_class = Scoping
    intro = lazy("Whether an account, or one product of it, is within what was held apart for customers. What is out of scope does not share.")

    def effect(self, data: dict[str, Any]) -> Effect:
        inside = data["in_scope"] == "yes"
        return Effect(
            (_("Account %(account)s is in scope: %(product)s.") if inside else _("Account %(account)s is out of scope: %(product)s."))
            % {
                "account": data["account"].account_ref,
                "product": words.of(words.PRODUCTS, data["product"]) if data["product"] else _("the whole account"),
            },
            _("Decide"),
            figures=[
                (_("Ranks as"), words.of(words.RANKS, data["rank"])), (_("Ground"), data["ground"]), *balances(data["account"]),
            ],
            warnings=[_("Claims of insiders and house accounts rank apart from those of customers.")] if data["rank"] != "customer" else [],
            content_sha256=data["evidence"].sha256 if isinstance(data.get("evidence"), KeptFile) else "",
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        paper = data.get("evidence")
        return scope.decide(
            data["account"], in_scope=data["in_scope"] == "yes", ground=data["ground"], product=data["product"], rank=data["rank"],
            evidence=paper.read() if isinstance(paper, KeptFile) else None, by=self.user, at=self.at,
        )  # fmt: skip


class Appealing(forms.Form):
    outcome = forms.ChoiceField(
        label=lazy("What is decided"), required=False, widget=forms.RadioSelect,
        choices=[("upheld", lazy("appeal upheld")), ("dismissed", lazy("appeal dismissed")), ("withdrawn", lazy("appeal withdrawn"))],
    )  # fmt: skip
    ground = WordsField(label=lazy("Ground"))
    evidence = PaperField(label=lazy("Evidence"), required=False)

    def __init__(self, *args: Any, lodged: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if lodged:
            self.fields["outcome"].required = True
        else:
            del self.fields["outcome"]


@page("corrections/scope/<int:pk>/appeal/", name="scope-appeal")
class AppealScope(ActPage):
    """One page for both steps: the appeal is taken down, then somebody else decides it."""

    title = lazy("Appeal against a decision on scope")
    power = DECIDE
    form_class = Appealing
    intro = lazy("The decision stands until the appeal is decided, by another person than who decided.")

    @property
    def decision(self) -> ScopeDecision:
        found = ScopeDecision.objects.select_related("ledger_account", "decided_by").filter(case=self.case, pk=self.kwargs["pk"])
        if not found:
            raise Http404
        return found[0]

    @property
    def lodged(self) -> bool:
        return scope.state(self.decision) == AppealState.LODGED

    def about(self) -> str:
        return _("Account %(account)s") % {"account": self.decision.ledger_account.account_ref}

    def form_arguments(self) -> dict[str, Any]:
        return {"lodged": self.lodged}

    def back(self) -> str:
        return self.url("corrections")

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.decision
        sentence = (
            _("The appeal for account %(account)s is decided: %(outcome)s.") if "outcome" in data
            else _("An appeal against the decision on account %(account)s is taken down.")
        )  # fmt: skip
        return Effect(
            sentence % {"account": row.ledger_account.account_ref, "outcome": words.of(words.APPEALS, data.get("outcome", ""))},
            _("Decide the appeal") if "outcome" in data else _("Take the appeal down"),
            figures=[
                (_("In scope?"), _("in scope") if row.in_scope else _("out of scope")), (_("Ranks as"), words.of(words.RANKS, row.rank)),
                (_("Ground of the decision"), row.ground), (_("By"), who(row.decided_by)),
                *((words.of(words.APPEALS, step.state), step.ground) for step in row.appeals.order_by("pk")),
                (_("Ground"), data["ground"]),
            ],
            content_sha256=data["evidence"].sha256 if isinstance(data.get("evidence"), KeptFile) else "",
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        paper = data.get("evidence")
        evidence = paper.read() if isinstance(paper, KeptFile) else None
        if "outcome" in data:
            return scope.decide_appeal(
                self.decision, outcome=data["outcome"], ground=data["ground"], evidence=evidence, by=self.user, at=self.at
            )
        return scope.appeal(self.decision, ground=data["ground"], evidence=evidence, by=self.user, at=self.at)


@page("corrections/follow/", name="corrections-follow")
class FollowCorrections(ActPage):
    title = lazy("Let claims follow the corrections")
    tried = True
    power = DECIDE

    def effect(self, data: dict[str, Any]) -> Effect:
        corrected = Adjustment.objects.filter(case=self.case).order_by("-pk").first()
        scoped = ScopeDecision.objects.filter(case=self.case).order_by("-pk").first()
        return Effect(
            _("Each claim whose account was corrected or decided on since it was made is brought to what the ledger says now, by a decision of its own."),
            _("Let claims follow"),
            figures=[
                (_("Newest correction"), jst(corrected.at) if corrected else "–"),
                (_("Newest decision on scope"), jst(scoped.at) if scoped else "–"),
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return corrections.follow(self.case, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(n)s lines of claims were brought to what the ledger says.") % {"n": f"{result:,}"}, self.url("corrections")
