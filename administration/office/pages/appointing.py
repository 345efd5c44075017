"""Who holds which office, how many sign for what, who follows whom, and where sending is stopped."""

from typing import Any

from django import forms
from django.shortcuts import get_object_or_404
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import wording
from administration.cases import appointments, approvals, archive, orders, policies, profiles, stops, succession
from administration.cases.models import (
    Appointment,
    AppointmentKind,
    ApprovalRequest,
    Case,
    CourtOrder,
    Stop,
    SuccessionProposal,
)
from administration.cases.powers import DEFAULTS
from administration.office import readable, words
from administration.office.entering import InstantField, OfCase, OneOf, PaperField, Reason, WordsField, offer
from administration.office.pages import approving
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.opening import person, sign_ins
from administration.office.pages.returning import rails_of
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import jst, sha
from administration.people.models import User

GRANT, POLICY = "appointments.grant", "cases.policy"


@page("appointments/", name="appointments", menu="case", icon="badge", order=15)
class AppointmentsPage(ShowPage):
    title = lazy("Appointments")

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Record an appointment"), "appointment-grant", GRANT, main=True),
            self.button(_("Succession"), "succession"),
            self.button(_("How many sign"), "policy"),
        ]

    def sections(self) -> list[Section]:
        live = list(appointments.live(self.case, at=self.at).select_related("user", "granted_by"))
        rows = [
            [
                who(row.user), tag(words.of(words.OFFICES, row.kind)) if not row.joint else tag(_("office-holder, jointly")),
                readable.listed([row.authority, row.instrument]), jst(row.from_at), jst(row.to_at),
                powers_of(row.powers),
                link(self.url("appointment-end", pk=row.pk), _("End")) if self.may(GRANT) or row.user == self.user else "–",
            ]
            for row in live
        ]  # fmt: skip
        head = [_("Who"), _("Office"), _("Appointed by"), _("From"), _("Until"), _("May"), ""]
        found = [Section(_("Who holds an office now"), head=head, rows=rows)]
        others = self.case.appointments.exclude(pk__in=[row.pk for row in live]).select_related("user").order_by("-pk")
        if others:
            found.append(Section(
                _("Ended, or to come"), head=[_("Who"), _("Office"), _("From"), _("Until"), _("Why it ended")],
                rows=[
                    [who(row.user), words.of(words.OFFICES, row.kind), jst(row.from_at), jst(row.to_at), wording.said(row.end_reason) or "–"]
                    for row in others
                ],
            ))  # fmt: skip
        return found


def powers_of(powers: list[str]) -> Any:
    """What somebody may, folded up: it is long."""
    if not powers:
        return _("only looks")
    said = ngettext("%(n)s power", "%(n)s powers", len(powers)) % {"n": len(powers)}
    every = format_html_join("", "<li>{}</li>", ((words.of(words.POWERS, power),) for power in powers))
    return format_html("<details><summary>{}</summary><ul>{}</ul></details>", said, every)


class Granting(forms.Form):
    user = OneOf(User.objects.none(), named=person, label=lazy("Who"))
    kind = forms.ChoiceField(label=lazy("Office"), choices=words.choices(words.OFFICES))
    authority = forms.CharField(label=lazy("Who appointed"))
    instrument = forms.CharField(label=lazy("Appointing instrument"), help_text=lazy("Its number and date."))
    scan = PaperField(label=lazy("Scan of the appointing instrument"))
    powers = forms.MultipleChoiceField(
        label=lazy("May"), required=False, widget=forms.CheckboxSelectMultiple, choices=words.choices(words.POWERS),
        help_text=lazy("Tick none for what the office usually may."),
    )  # fmt: skip
    from_at = InstantField(label=lazy("From"), required=False, help_text=lazy("Empty: from now. Japan time (JST)."))
    to_at = InstantField(label=lazy("Until"), required=False, help_text=lazy("Empty: without end. Japan time (JST)."))
    joint = forms.BooleanField(label=lazy("Acts only together with the other joint office-holders"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "user", sign_ins())


@page("appointments/grant/", name="appointment-grant")
class GrantAppointment(ActPage):
    title = lazy("Record an appointment")
    tried = True
    power = GRANT
    form_class = Granting

    def effect(self, data: dict[str, Any]) -> Effect:
        powers = data["powers"] or DEFAULTS[data["kind"]]
        return Effect(
            _("%(who)s becomes %(office)s of case %(case)s.")
            % {"who": person(data["user"]), "office": words.of(words.OFFICES, data["kind"]), "case": self.case},
            _("Record the appointment"),
            figures=[
                (_("Appointed by"), readable.listed([data["authority"], data["instrument"]])),
                (_("From"), jst(data["from_at"]) if data["from_at"] else _("now")),
                (_("Until"), jst(data["to_at"]) if data["to_at"] else _("without end")),
                (_("Jointly"), _("yes") if data["joint"] else _("no")),
                (_("May"), readable.listed(words.of(words.POWERS, power) for power in powers) or _("only looks")),
            ],
            content_sha256=data["scan"].sha256,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return appointments.grant(
            self.case, user=data["user"], kind=data["kind"], authority=data["authority"], instrument=data["instrument"],
            instrument_sha256=archive.keep(data["scan"].read()), powers=data["powers"] or None, from_at=data["from_at"],
            to_at=data["to_at"], joint=data["joint"], by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("appointments")


@page("appointments/<int:pk>/end/", name="appointment-end")
class EndAppointment(ActPage):
    title = lazy("End an appointment")
    form_class = Reason
    intro = lazy("The office-holder ends appointments; whoever leaves may end their own. What they signed before stays signed.")

    def row(self) -> Appointment:
        return get_object_or_404(Appointment.objects.select_related("user", "case"), case=self.case, pk=self.kwargs["pk"])

    def about(self) -> str:
        row = self.row()
        return f"{person(row.user)} · {words.of(words.OFFICES, row.kind)}"

    def form_arguments(self) -> dict[str, Any]:
        self.row()
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.row()
        return Effect(
            _("%(who)s is no longer %(office)s from now on.")
            % {"who": person(row.user), "office": words.of(words.OFFICES, row.kind)},
            _("End the appointment"),
            figures=[(_("Since"), jst(row.from_at)), (_("Why"), data["reason"])],
        )

    def act(self, data: dict[str, Any]) -> Any:
        appointments.end(self.row(), by=self.user, at=self.at, reason=data["reason"])

    def done(self, result: Any) -> tuple[str, str]:
        return _("The appointment has ended."), self.back()

    def back(self) -> str:
        return self.url("appointments")


# --- how many sign ------------------------------------------------------------------------------


@page("policy/", name="policy", menu="case", icon="rule", order=40)
class PolicyPage(ShowPage):
    title = lazy("How many sign")

    def sentence(self) -> Any:
        return _("The law's profile says how many sign for each act besides who prepared it. A case may ask for more, never for less.")

    def buttons(self) -> list[Button]:
        return [self.button(_("Ask for more signatures"), "policy-more", POLICY, main=True)]

    def sections(self) -> list[Section]:
        rows = []
        for act in approving.NAMES:
            usual, now = profiles.approval(self.case, act), policies.of(self.case, act)
            more = (now.signers, now.office_holder) != usual
            rows.append([
                approving.name_of(act), f"{now.signers}", _("yes") if now.office_holder else _("no"),
                tag(_("stricter in this case")) if more else _("as the profile says"),
            ])  # fmt: skip
        head = [_("For what"), _("Signatures"), _("The office-holder among them"), ""]
        return [Section(_("Approvals"), head=head, rows=rows, numeric=frozenset({1}))]


class More(forms.Form):
    act_name = forms.ChoiceField(label=lazy("For what"), choices=list(approving.NAMES.items()))
    signers = forms.IntegerField(label=lazy("Signatures"), min_value=1, max_value=9)
    office_holder = forms.BooleanField(label=lazy("The office-holder must be among them"), required=False)


@page("policy/more/", name="policy-more")
class AskMore(ActPage):
    title = lazy("Ask for more signatures")
    power = POLICY
    form_class = More

    def effect(self, data: dict[str, Any]) -> Effect:
        now = policies.of(self.case, data["act_name"])
        signing = appointments.live(self.case, at=self.at).filter(kind__in=["office_holder", "approver"])
        people = len(set(signing.values_list("user", flat=True)))
        few = people <= data["signers"]
        return Effect(
            _("To %(what)s, %(n)s people besides the preparer sign from now on.")
            % {"what": approving.name_of(data["act_name"]), "n": data["signers"]},
            _("Ask for more signatures"),
            figures=[
                (_("Until now"), f"{now.signers}"),
                (_("From now on"), f"{data['signers']}"),
                (_("The office-holder among them"), _("yes") if data["office_holder"] else _("no")),
                (_("People who may sign in this case"), f"{people}"),
            ],
            warnings=[_("There are hardly that many who may sign. This cannot be taken back.")] if few else [],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return policies.ask_more(
            self.case, data["act_name"], signers=data["signers"], office_holder=data["office_holder"], by=self.user, at=self.at
        )

    def back(self) -> str:
        return self.url("policy")


# --- succession ---------------------------------------------------------------------------------


@page("succession/", name="succession", menu="case", icon="sync_alt", order=45)
class SuccessionPage(ShowPage):
    title = lazy("Succession")

    def prepare(self, **kwargs: Any) -> None:
        self.pending = self.case.successions.filter(accepted_at__isnull=True).select_related("successor", "order").last()

    def sentence(self) -> Any:
        if self.pending:
            return _("%(who)s follows by order %(order)s and has not accepted the office yet. Until then nothing is sent.") % {
                "who": self.pending.successor.shown_name, "order": self.pending.order.number,
            }  # fmt: skip
        return _("The office passes on by an appointing order and the signatures of two approvers, without the predecessor's help.")

    def buttons(self) -> list[Button]:
        found = [self.button(_("Propose a successor"), "succession-propose", main=self.pending is None)]
        if self.pending and self.pending.successor_id == self.user.pk:
            found.insert(0, self.button(_("Accept the office"), "succession-accept", main=True))
        return found

    def sections(self) -> list[Section]:
        proposals = SuccessionProposal.objects.filter(case=self.case).select_related("predecessor", "successor", "order", "by")
        asked = {
            request.object_id: request for request in self.case.approvals.filter(act=succession.ACT).order_by("pk")
        }
        found = [Section(
            _("Proposals"), head=[_("Successor"), _("Instead of"), _("Order"), _("Proposed by"), _("When"), _("Approval")],
            rows=[
                [
                    who(row.successor), who(row.predecessor), row.order.number, who(row.by), jst(row.at),
                    link(self.url("approval", pk=asked[row.pk].pk), _("Look")) if row.pk in asked else "–",
                ]
                for row in proposals.order_by("-pk")
            ],
            empty=_("Nobody has been proposed."),
        )]  # fmt: skip
        done = self.case.successions.select_related("predecessor", "successor", "order").order_by("-pk")
        if done:
            found.append(Section(
                _("Successions"), head=[_("Successor"), _("Instead of"), _("Order"), _("When"), _("Accepted"), _("Reservations"), _("Account")],
                rows=[
                    [who(row.successor), who(row.predecessor), row.order.number, jst(row.at), jst(row.accepted_at), row.reservations or "–", sha(row.account_sha256)]
                    for row in done
                ],
            ))  # fmt: skip
        waiting = succession.suspended(self.case)
        if waiting:
            found.append(Section(
                _("Suspended by the succession"), _("The successor signs anew what is to go on. What is declined goes nowhere."),
                head=[_("What"), _("Object"), _("Content hash"), ""],
                rows=[
                    [approving.name_of(row.act.removesuffix(approvals.RESUME)), f"{row.object_id}", sha(row.content_sha256),
                     link(self.url("succession-resume", pk=row.pk), _("Have it signed anew"))]
                    for row in waiting
                ],
            ))  # fmt: skip
        return found


class Proposing(OfCase):
    order = OneOf(CourtOrder.objects.none(), label=lazy("Appointing order"), help_text=lazy("Registered as one that appoints a successor."))
    predecessor = OneOf(User.objects.none(), named=person, label=lazy("Instead of"))
    successor = OneOf(User.objects.none(), named=person, label=lazy("Successor"))

    def prepare(self) -> None:
        office = self.case.appointments.filter(kind=AppointmentKind.OFFICE_HOLDER).values("user")
        offer(self, "order", self.case.orders.filter(permits__contains=[succession.ACT]).order_by("-issued_date"))
        offer(self, "predecessor", User.objects.filter(pk__in=office).order_by("username"))
        offer(self, "successor", sign_ins())


@page("succession/propose/", name="succession-propose")
class ProposeSuccession(ActPage):
    title = lazy("Propose a successor")
    form_class = Proposing

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        orders.require(data["order"], self.at)
        return Effect(
            _("Two approvers are asked to sign that %(new)s follows %(old)s. With the second signature it happens at once.")
            % {"new": person(data["successor"]), "old": person(data["predecessor"])},
            _("Propose the succession"),
            figures=[
                (_("Successor"), person(data["successor"])),
                (_("Instead of"), person(data["predecessor"])),
                (_("Approvals that would be suspended"), f"{sum(map(approvals.is_live, self.case.approvals.filter(state='granted')))}"),
            ],
            warnings=[
                _("The predecessor's appointments and sessions end, sending stops, and what was approved and could still move something is suspended.")
            ],
            order=data["order"],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return succession.propose(
            self.case, order=data["order"], predecessor=data["predecessor"], successor=data["successor"], by=self.user, at=self.at
        )

    def back(self) -> str:
        return self.url("succession")


@describes(succession.ACT)
def who_follows(request: ApprovalRequest, case: Case) -> Effect:
    """Who follows whom, by which order, and what that stops."""
    row = SuccessionProposal.objects.select_related("order", "predecessor", "successor").get(pk=request.object_id)
    return Effect(
        _("%(new)s follows %(old)s as office-holder, by order %(order)s. With the second signature it happens at once.")
        % {"new": person(row.successor), "old": person(row.predecessor), "order": row.order.number},
        _("Sign: pass the office on"),
        figures=[
            (_("Successor"), person(row.successor)),
            (_("Instead of"), person(row.predecessor)),
            (_("Issued by"), row.order.issuer),
            (_("Approvals that would be suspended"), f"{sum(map(approvals.is_live, case.approvals.filter(state='granted')))}"),
        ],
        warnings=[
            _("The predecessor's appointments and sessions end, sending stops, and what was approved and could still move something is suspended.")
        ],
        content_sha256=bytes(request.content_sha256).hex(), order=request.order, moves_value=True,
    )  # fmt: skip


class Accepting(forms.Form):
    reservations = WordsField(label=lazy("Reservations"), required=False, help_text=lazy("What you do not accept of the account of the state."))


@page("succession/accept/", name="succession-accept")
class AcceptOffice(ActPage):
    title = lazy("Accept the office")
    form_class = Accepting

    def effect(self, data: dict[str, Any]) -> Effect:
        pending = self.case.successions.filter(accepted_at__isnull=True, successor=self.user).last()
        if pending is None:
            raise succession.NotSucceeded(_("No succession in case %(case)s awaits your acceptance.") % {"case": self.case})
        return Effect(
            _("You accept the office as the frozen account states it, save for your reservations. Sending may resume."),
            _("Accept the office"),
            figures=[
                (_("Instead of"), person(pending.predecessor)),
                (_("Reservations"), data["reservations"] or _("none")),
                (_("Suspended approvals to look at"), f"{len(succession.suspended(self.case))}"),
            ],
            content_sha256=bytes(pending.account_sha256).hex(),
            order=pending.order,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return succession.accept(self.case, by=self.user, at=self.at, reservations=data["reservations"])

    def back(self) -> str:
        return self.url("succession")


@page("succession/<int:pk>/resume/", name="succession-resume")
class ResumeSuspended(ActPage):
    title = lazy("Have it signed anew")

    def effect(self, data: dict[str, Any]) -> Effect:
        row = get_object_or_404(self.case.approvals, pk=self.kwargs["pk"], state="suspended")
        self.asked = row
        return Effect(
            _("The successor and one approver at least are asked to sign again: %(what)s.")
            % {"what": approving.name_of(row.act.removesuffix(approvals.RESUME))},
            _("Ask for the signatures"),
            content_sha256=bytes(row.content_sha256).hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        return succession.resume(self.case, self.asked.act, self.asked.object_id, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("succession")


# --- stops --------------------------------------------------------------------------------------


@page("stops/", name="stops", menu="case", icon="front_hand", order=50)
class StopsPage(ShowPage):
    title = lazy("Stops")

    def sentence(self) -> Any:
        live = Stop.objects.filter(case=self.case, lifted_at__isnull=True).exists()
        return (
            _("Sending is stopped. Two people, office-holder or approvers, can resume it.")
            if live
            else _("Nothing is stopped. Anyone appointed can stop sending at once.")
        )

    def buttons(self) -> list[Button]:
        return [self.button(_("Stop sending"), "stop-now", grave=True)]

    def sections(self) -> list[Section]:
        rows = Stop.objects.filter(case=self.case).select_related("by").prefetch_related("lifts__by").order_by("-pk")[:200]
        head = [_("Where"), _("Since"), _("By"), _("Why"), _("Resume signed by"), _("Resumed"), ""]
        return [Section(_("Stops, the newest first"), head=head, rows=[
            [
                words.of(words.RAILS, row.rail) if row.rail else _("the whole case"), jst(row.at), who(row.by), stops.reason_of(row),
                ", ".join(who(lift.by) for lift in row.lifts.all()) or "–", jst(row.lifted_at),
                "–" if row.lifted_at else link(self.url("stop-resume", pk=row.pk), _("Resume")),
            ]
            for row in rows
        ], empty=_("Nothing was ever stopped."))]  # fmt: skip


class Stopping(forms.Form):
    rail = forms.ChoiceField(label=lazy("Rail"), required=False)
    reason = WordsField(label=lazy("Why"))

    def __init__(self, *args: Any, rails: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "rail", [("", _("every rail of the case")), *words.choices(words.RAILS, rails)])


@page("stops/now/", name="stop-now")
class StopSending(ActPage):
    title = lazy("Stop sending")
    form_class = Stopping

    def form_arguments(self) -> dict[str, Any]:
        return {"rails": rails_of(self.case)}

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("Nothing more is sent on %(where)s until two people resume it. What is under way already is not called back.")
            % {"where": words.of(words.RAILS, data["rail"]) if data["rail"] else _("any rail of the case")},
            _("Stop sending now"),
            figures=[(_("Why"), data["reason"])],
            moves_value=True,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return stops.stop(self.case, rail=data["rail"], reason=data["reason"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("stops")


@page("stops/<int:pk>/resume/", name="stop-resume")
class ResumeSending(ActPage):
    title = lazy("Resume sending")
    tried = True

    def effect(self, data: dict[str, Any]) -> Effect:
        self.stop = get_object_or_404(Stop.objects.select_related("case"), case=self.case, pk=self.kwargs["pk"])
        said = [who(lift.by) for lift in self.stop.lifts.select_related("by")]
        last = len(said) + 1 >= stops.LIFTS_NEEDED
        return Effect(
            _("With your word sending resumes on %(where)s.") % {"where": words.of(words.RAILS, self.stop.rail) if self.stop.rail else _("every rail")}
            if last
            else _("Yours is the first of two words that sending may resume."),
            _("Resume sending"),
            figures=[
                (_("Stopped since"), jst(self.stop.at)),
                (_("Why it was stopped"), stops.reason_of(self.stop)),
                (_("Said already"), ", ".join(said) or "–"),
            ],
            moves_value=last,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return stops.lift(self.stop, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("stops")
