"""Opening a case by its appointing instrument. This page is about no case yet: it makes one."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views import View

from administration.cases import appointments, archive, cases, profiles
from administration.cases.models import AppointmentKind, Case
from administration.cases.powers import DEFAULTS
from administration.errors import Refused
from administration.fields import db_now
from administration.office import readable, words
from administration.office.entering import InstantField, PaperField, SomeOf, offer
from administration.office.pages import base
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.signing_in import sent_away
from administration.people.models import User

OFFICES = {  # field of the form → office
    "office_holders": AppointmentKind.OFFICE_HOLDER,
    "beneficiary_agents": AppointmentKind.BENEFICIARY_AGENT,
    "case_officers": AppointmentKind.CASE_OFFICER,
    "approvers": AppointmentKind.APPROVER,
    "auditors": AppointmentKind.AUDITOR,
    "court_readers": AppointmentKind.COURT_READER,
}


def sign_ins() -> Any:
    """Whoever may sign in to the office."""
    return User.objects.filter(is_active=True, is_staff=True).order_by("username")


def person(user: User) -> str:
    return f"{user.shown_name} ({user.username})"


def laws() -> list[tuple[str, str]]:
    today = timezone.localdate()
    return [(code, profiles.load(code, today).shown()) for code in profiles.codes()[0]]


def proceedings() -> list[tuple[str, str]]:
    today = timezone.localdate()
    return [(code, profiles.proceeding(code, today).shown()) for code in profiles.codes()[1]]


def triggers() -> list[tuple[str, list[tuple[str, str]]]]:
    """Under each law, what makes a take-over necessary."""
    today = timezone.localdate()
    return [
        (shown, [(f"{code}/{row.code}", row.shown()) for row in profiles.load(code, today).triggers.values()])
        for code, shown in laws()
    ]


class Opening(forms.Form):
    """What the appointing instrument says."""

    reference = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=40, label=lazy("Reference"),
        help_text=lazy("How everybody calls the case, such as 2026-118. It becomes part of every claim number and never changes. Letters, digits, dot and hyphen."),
    )  # fmt: skip
    name = forms.CharField(label=lazy("Name of the exchange"))
    trigger = forms.ChoiceField(label=lazy("Law, and what made the take-over necessary"))
    proceeding = forms.ChoiceField(label=lazy("Proceeding"))
    court = forms.CharField(label=lazy("Court"), required=False)
    court_number = forms.CharField(label=lazy("The court's case number"), required=False)
    cutoff_at = InstantField(
        label=lazy("Cut-off (commencement)"), help_text=lazy("Balances are taken over as of this instant. Japan time (JST).")
    )
    cooling_off_hours = forms.IntegerField(
        label=lazy("Waiting time of new destinations, in hours"), min_value=0, max_value=24 * 90, initial=72,
        help_text=lazy("Between the proof of a destination and its first use; 24 at least in a real case."),
    )  # fmt: skip
    authority = forms.CharField(label=lazy("Who appointed"), help_text=lazy("The court, as a rule."))
    instrument = forms.CharField(label=lazy("Appointing instrument"), help_text=lazy("Its number and date."))
    scan = PaperField(label=lazy("Scan of the appointing instrument"))
    office_holders = SomeOf(User.objects.none(), named=person, label=lazy("Office-holder (administrator)"))
    joint = forms.BooleanField(label=lazy("The office-holders act only together"), required=False)
    beneficiary_agents = SomeOf(User.objects.none(), named=person, label=lazy("Beneficiary agent"), required=False)
    case_officers = SomeOf(User.objects.none(), named=person, label=lazy("Case officers: they prepare"), required=False)
    approvers = SomeOf(User.objects.none(), named=person, label=lazy("Approvers: they sign"), required=False)
    auditors = SomeOf(User.objects.none(), named=person, label=lazy("Auditors: they watch"), required=False)
    court_readers = SomeOf(User.objects.none(), named=person, label=lazy("Readers for the court"), required=False)
    is_sample = forms.BooleanField(
        label=lazy("This is a sample: nobody's estate"), required=False,
        help_text=lazy("The waiting time may then be 0. Only on the sample stack."),
    )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "trigger", [("", "–"), *triggers()])
        offer(self, "proceeding", [("", "–"), *proceedings()])
        for name in OFFICES:
            offer(self, name, sign_ins())
        if not settings.EMBEDDED:
            del self.fields["is_sample"]

    def clean_reference(self) -> str:
        reference = str(self.cleaned_data["reference"])
        if Case.objects.filter(reference=reference).exists():
            raise ValidationError(_("This reference is used already. Give the new case another one."))
        return reference


class OpenCase(ActPage):
    """Not about a case, and so not under one: whoever may open says what the instrument says, and presses."""

    title = lazy("Open a case")
    form_class = Opening
    intro = lazy(
        "Open a case by its appointing instrument. Whoever holds the office or is case officer in a running case may do this; "
        "they need not be appointed in the new one. From then on the office-holder records appointments, "
        "and the exchange is secured before its ledger is taken over."
    )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        away = sent_away(request)
        if away is not None:
            return away
        assert isinstance(request.user, User)
        self.at, self.user = db_now(), request.user
        try:
            appointments.require_opening(self.user, at=self.at)
            return View.dispatch(self, request, *args, **kwargs)  # type: ignore[return-value]
        except appointments.NotEmpowered as refusal:
            return self.refused(str(refusal), status=403)
        except Refused as refusal:
            return self.refused(str(refusal))

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        site = admin.site.each_context(self.request)
        own = {"title": self.title, "at": self.at}
        return render(self.request, template or self.template, {**site, **own, **context}, status=status)

    def refused(self, sentence: str, *, status: int = 409) -> HttpResponse:
        return self.show({"sentence": sentence}, template="office/opening/refused.html", status=status)

    def effect(self, data: dict[str, Any]) -> Effect:
        regime, trigger = data["trigger"].split("/", 1)
        cases.require_openable(
            data["reference"], regime, data["proceeding"], trigger, data["cutoff_at"], data["cooling_off_hours"],
            data.get("is_sample", False), self.at,
        )  # fmt: skip
        day = timezone.localdate(data["cutoff_at"])
        law, proceeding = profiles.load(regime, day), profiles.proceeding(data["proceeding"], day)
        language = self.request.LANGUAGE_CODE
        warnings = []
        if not data.get("approvers"):
            warnings.append(_("No approver is appointed. Most acts need two signatures besides the preparer's."))
        if not data.get("case_officers"):
            warnings.append(_("No case officer is appointed. The office-holder cannot prepare what they must sign."))
        if data.get("is_sample"):
            warnings.append(_("A sample case: its salts are known, and nothing in it is anybody's estate."))
        return Effect(
            _("Case %(reference)s (%(name)s) is opened in the proceeding “%(proceeding)s”, under the %(law)s.")
            % {
                "reference": data["reference"], "name": data["name"], "proceeding": proceeding.shown(),
                "law": law.shown(),
            },
            _("Open the case"),
            figures=[
                (_("Reference"), data["reference"]),
                (_("What made it necessary"), law.triggers[trigger].shown()),
                (_("Court"), f"{data['court']} {data['court_number']}".strip() or "–"),
                (_("Cut-off (commencement)"), readable.instant(data["cutoff_at"], language)),
                (_("Waiting time of new destinations"), _("%(n)s hours") % {"n": data["cooling_off_hours"]}),
                (_("Appointing instrument"), f"{data['authority']}, {data['instrument']}"),
            ],
            tables=[
                Table(
                    _("Who is appointed"),
                    [_("Who"), _("Office"), _("May")],
                    [
                        [person(user), words.of(words.OFFICES, kind), readable.listed(words.of(words.POWERS, p) for p in DEFAULTS[kind]) or "–"]
                        for name, kind in OFFICES.items()
                        for user in data.get(name) or ()
                    ],
                )
            ],
            warnings=warnings,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        regime, trigger = data["trigger"].split("/", 1)
        instrument = archive.keep(data["scan"].read())
        return cases.open_case(
            reference=data["reference"], name=data["name"], regime=regime, proceeding=data["proceeding"], trigger=trigger,
            cutoff_at=data["cutoff_at"], court=data["court"], court_number=data["court_number"],
            cooling_off_hours=data["cooling_off_hours"], is_sample=data.get("is_sample", False),
            appointed=[
                cases.Appointed(
                    user=user, kind=kind, authority=data["authority"], instrument=data["instrument"],
                    instrument_sha256=instrument, joint=data["joint"] and kind == AppointmentKind.OFFICE_HOLDER,
                )
                for name, kind in OFFICES.items()
                for user in data.get(name) or ()
            ],
            by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return reverse("admin:index")

    def done(self, result: Any) -> tuple[str, str]:
        if appointments.live(result, at=db_now()).filter(user=self.user).exists():
            return _("The case is open. Next: secure the exchange."), base.url(result, "securing")
        return (
            _("The case is open. You hold no appointment in it, so it is not yours to see."),
            reverse("admin:index"),
        )
