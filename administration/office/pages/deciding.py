"""What customers say on paper, what is decided about it, and what is held back for now."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import amounts
from administration.cases import archive
from administration.office import readable, words
from administration.office.entering import AmountField, DayField, PaperField, Reason, WordsField
from administration.office.pages.acting import ActPage, Effect, KeptFile, Table
from administration.office.pages.base import page
from administration.office.pages.claiming import DECIDE, SCHEDULE, figures_of_line
from administration.office.pages.showing import day
from claims.register import holds, review, schedule
from claims.register.models import Claim, ClaimLine, Dispute, Hold

CHOSEN_MAX = 50  # claims confirmed at once: as many as a page of the queue shows


class OfClaim(ActPage):
    """An act on one claim of the case."""

    def claim(self) -> Claim:
        return get_object_or_404(Claim.objects.select_related("case", "claimant"), case=self.case, number=self.kwargs["number"])

    def form_arguments(self) -> dict[str, Any]:
        self.claim()
        return {}

    def about(self) -> str:
        return _("Claim %(number)s") % {"number": self.kwargs["number"]}

    def back(self) -> str:
        return self.url("claim", number=self.kwargs["number"])


class OfLine(OfClaim):
    """An act on one line of a claim; amounts are of its asset."""

    def line(self) -> ClaimLine:
        found = ClaimLine.objects.select_related("claim__case", "case", "asset")
        return get_object_or_404(found, case=self.case, claim__number=self.kwargs["number"], pk=self.kwargs["pk"])

    def about(self) -> str:
        return f"{super().about()} · {self.line().asset.code}"

    def form_arguments(self) -> dict[str, Any]:
        return {"line": self.line()}


class AboutLine(forms.Form):
    """A form whose amount is of the line's asset."""

    entered = ""  # the field with the amount

    def __init__(self, *args: Any, line: ClaimLine, **options: Any) -> None:
        super().__init__(*args, **options)
        self.line = line
        whole, parts = _("In %(asset)s, without decimals."), _("In %(asset)s, with at most %(scale)s decimal places.")
        self.fields[self.entered].help_text = (parts if line.asset.scale else whole) % {
            "asset": line.asset.code, "scale": line.asset.scale,
        }  # fmt: skip

    def clean(self) -> dict[str, Any]:
        super().clean()
        text = (self.cleaned_data.get(self.entered) or "").strip().replace(",", "")
        try:
            self.cleaned_data["units"] = amounts.parse(text, self.line.asset.scale) if text else None
        except amounts.BadAmount:
            self.add_error(self.entered, _("“%(text)s” is not an amount of %(asset)s: plain digits, with at most %(scale)s decimal places.") % {
                "text": text, "asset": self.line.asset.code, "scale": self.line.asset.scale})  # fmt: skip
        return self.cleaned_data


def kept(data: dict[str, Any], name: str) -> bytes | None:
    """The hash under which a paper is kept from now on, if one was given."""
    paper = data.get(name)
    return archive.keep(paper.read()) if isinstance(paper, KeptFile) else None


# --- confirming and disputing ---------------------------------------------------------------------


@page("claims/<str:number>/confirm/", name="claim-confirm")
class ConfirmClaim(OfClaim):
    title = lazy("Confirm a claim on paper")
    power = SCHEDULE

    def effect(self, data: dict[str, Any]) -> Effect:
        claim = self.claim()
        if claim.confirmed_at:
            raise schedule.AlreadyConfirmed(_("Claim %(claim)s was confirmed before. Nothing was changed.") % {"claim": claim})
        lines = claim.lines.select_related("asset").order_by("asset__code", "claim_class")
        return Effect(
            _("The customer confirmed claim %(claim)s on paper, as it stands.") % {"claim": claim},
            _("Record the confirmation"),
            figures=[
                (f"{line.asset.code}, {words.of(words.CLASSES, line.claim_class)}", readable.money(line.admitted, line.asset))
                for line in lines
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return schedule.confirm(self.claim(), how="paper", by=self.user, at=self.at)


@page("claims-confirm/", name="claims-confirm")
class ConfirmChosen(ActPage):
    """The claims selected in the queue, all at once: `?claim=` names each."""

    title = lazy("Confirm claims on paper")
    power = SCHEDULE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._show_effect({}, {"claim": request.GET.getlist("claim")}, {})

    def chosen(self) -> list[Claim]:
        numbers = (self.request.POST if self.request.method == "POST" else self.request.GET).getlist("claim")
        found = Claim.objects.filter(case=self.case, number__in=[n for n in numbers[:CHOSEN_MAX] if "\0" not in n]).select_related("case", "ledger_account")
        return list(found.prefetch_related("lines__asset").order_by("number"))

    def effect(self, data: dict[str, Any]) -> Effect:
        claims = self.chosen()
        if not claims:
            raise schedule.AlreadyConfirmed(_("No claim is selected. Go back to the claims and select some."))
        sums: dict[str, tuple[Any, int]] = {}
        for claim in claims:
            for line in claim.lines.all():
                sums[line.asset.code] = line.asset, sums.get(line.asset.code, (None, 0))[1] + line.admitted
        before = [claim.number for claim in claims if claim.confirmed_at]
        return Effect(
            _("The customers of these claims confirmed them on paper, as they stand. All are recorded, or none."),
            _("Record the confirmations"),
            figures=[
                (_("Claims"), f"{len(claims):,}"),
                *((code, readable.money(units, asset)) for code, (asset, units) in sorted(sums.items())),
            ],
            tables=[Table(_("Claims"), [_("Claim"), _("Account")], [
                [claim.number, claim.ledger_account.account_ref if claim.ledger_account else "–"] for claim in claims
            ])],
            warnings=[_("Confirmed before, so that nothing can be recorded: %(claims)s.") % {"claims": ", ".join(before)}] if before else [],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return schedule.confirm_all(self.chosen(), how="paper", by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return ngettext("%(count)s claim is confirmed.", "%(count)s claims are confirmed.", result) % {"count": result}, self.back()

    def back(self) -> str:
        return self.url("claims")


class Disputing(AboutLine):
    entered = "claimed"
    claimed = AmountField(label=lazy("The whole figure that the customer says is right"))
    ground = WordsField(label=lazy("Ground"))
    evidence = PaperField(label=lazy("The customer's paper"), required=False)


@page("claims/<str:number>/lines/<int:pk>/dispute/", name="line-dispute")
class DisputeLine(OfLine):
    title = lazy("Take down a dispute")
    power = SCHEDULE
    form_class = Disputing
    intro = lazy("What is claimed above the line is reserved until it is decided, and not admitted. A figure below it changes nothing until then.")

    def effect(self, data: dict[str, Any]) -> Effect:
        line = self.line()
        above = max(0, data["units"] - line.recorded - line.corrected - line.lodged)
        return Effect(
            _("The customer of claim %(claim)s says %(amount)s is right.")
            % {"claim": line.claim, "amount": readable.money(data["units"], line.asset)},
            _("Take the dispute down"),
            figures=[*figures_of_line(line), (_("Reserved by this"), readable.money(above, line.asset)), (_("Ground"), data["ground"])],
            content_sha256=data["evidence"].sha256 if isinstance(data.get("evidence"), KeptFile) else "",
        )

    def act(self, data: dict[str, Any]) -> Any:
        return schedule.dispute(
            self.line(), data["units"], ground=data["ground"], evidence=kept(data, "evidence"), how="paper", by=self.user, at=self.at
        )


# --- deciding -------------------------------------------------------------------------------------


class Deciding(AboutLine):
    entered = "admitted"
    admitted = AmountField(label=lazy("Admitted in all, from now on"))
    reason_code = forms.ChoiceField(
        label=lazy("Reason"), choices=[row for row in words.choices(words.REASONS) if row[0] not in ("scheduled", "ledger_corrected", "unclaimed", "after_cutoff")]
    )
    reason = WordsField(label=lazy("In words"), required=False)
    evidence = PaperField(label=lazy("Evidence"), required=False)


@page("claims/<str:number>/lines/<int:pk>/decide/", name="line-decide")
class DecideLine(OfLine):
    title = lazy("Decide a line")
    power = DECIDE
    form_class = Deciding
    intro = lazy("Admitted is the whole quantity from now on; the rest of what is claimed is rejected. An earlier decision stays in the record.")

    def dispute(self, line: ClaimLine) -> Dispute | None:
        return Dispute.objects.filter(claim_line=line, decision__isnull=True).first()

    def facts(self) -> list[tuple[Any, Any]]:
        line = self.line()
        dispute = self.dispute(line)
        says = readable.money(dispute.claimed, line.asset) if dispute else _("no open dispute")
        return [*figures_of_line(line), (_("The customer says"), says), (_("Ground of the customer"), dispute.ground if dispute else "–")]

    def effect(self, data: dict[str, Any]) -> Effect:
        line = self.line()
        most = line.recorded + line.corrected + line.lodged - line.out_of_scope
        if not 0 <= data["units"] <= most:
            raise review.NotDecided(
                _("Of claim %(claim)s between 0 and %(most)s can be admitted: no more is claimed.")
                % {"claim": line.claim, "most": readable.money(most, line.asset)}
            )
        excess = max(0, line.position.given + line.converted_out - data["units"] - line.converted_in)
        return Effect(
            _("Claim %(claim)s: %(admitted)s are admitted, %(rejected)s are rejected.")
            % {
                "claim": line.claim, "admitted": readable.money(data["units"], line.asset),
                "rejected": readable.money(most - data["units"], line.asset),
            },
            _("Decide"),
            figures=[
                *self.facts(),
                (_("Reason"), words.of(words.REASONS, data["reason_code"])),
                (_("In words"), data["reason"] or "–"),
            ],
            warnings=[
                _("%(amount)s were given above this. The next run takes them back as far as they have not left the house.")
                % {"amount": readable.money(excess, line.asset)}
            ]
            if excess
            else [],
            content_sha256=data["evidence"].sha256 if isinstance(data.get("evidence"), KeptFile) else "",
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        line = self.line()
        return review.decide_line(
            line, data["units"], dispute=self.dispute(line), reason_code=data["reason_code"], reason=data["reason"],
            evidence=kept(data, "evidence"), by=self.user, at=self.at,
        )  # fmt: skip


# --- holds ----------------------------------------------------------------------------------------


class Holding(forms.Form):
    kind = forms.ChoiceField(label=lazy("Hold"), choices=words.choices(words.HOLDS, holds.KINDS))
    reason = WordsField(label=lazy("Why"))
    next_look = DayField(label=lazy("Looked at again on"))


@page("claims/<str:number>/hold/", name="hold-place")
class PlaceHold(OfClaim):
    title = lazy("Place a hold")
    power = DECIDE
    form_class = Holding
    intro = lazy(
        "Nothing is paid on the claim until the hold is lifted. Of a confidential hold the customer reads only “under review”: "
        "telling more can be an offence."
    )

    def effect(self, data: dict[str, Any]) -> Effect:
        secret = data["kind"] in holds.CONFIDENTIAL
        return Effect(
            _("Nothing is paid on claim %(claim)s until the hold is lifted.") % {"claim": self.claim()},
            _("Place the hold"),
            figures=[
                (_("Hold"), words.of(words.HOLDS, data["kind"])),
                (_("Why"), data["reason"]),
                (_("Looked at again"), day(data["next_look"])),
                (_("Who sees it"), _("only who decides claims") if secret else _("everybody appointed")),
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return holds.place(
            self.claim(), data["kind"], reason=data["reason"], next_look=data["next_look"], by=self.user, at=self.at
        )


@page("holds/<int:pk>/lift/", name="hold-lift")
class LiftHold(ActPage):
    title = lazy("Lift a hold")
    power = DECIDE
    form_class = Reason

    def hold(self) -> Hold:
        return get_object_or_404(Hold.objects.select_related("claim__case"), claim__case=self.case, pk=self.kwargs["pk"])

    def about(self) -> str:
        hold = self.hold()
        claim = _("Claim %(number)s") % {"number": hold.claim.number}
        return f"{claim} · {words.of(words.HOLDS, hold.kind)}"

    def form_arguments(self) -> dict[str, Any]:
        if not self.may(DECIDE):
            raise Http404
        self.hold()
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        hold = self.hold()
        others = Hold.objects.filter(claim=hold.claim, lifted_at__isnull=True).exclude(pk=hold.pk).count()
        return Effect(
            _("The hold on claim %(claim)s is lifted.") % {"claim": hold.claim},
            _("Lift the hold"),
            figures=[
                (_("Hold"), words.of(words.HOLDS, hold.kind)),
                (_("Why it was placed"), hold.reason),
                (_("Why it is lifted"), data["reason"]),
                (_("Other holds on the claim"), f"{others}"),
            ],
            moves_value=not others,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return holds.lift(self.hold(), reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The hold was lifted."), self.back()

    def back(self) -> str:
        return self.url("claim", number=self.hold().claim.number)
