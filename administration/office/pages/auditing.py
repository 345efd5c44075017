"""The auditor's own pages: what they may see, pull, verify, compare with the head they kept; and their programs' tokens."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import wording
from administration.audit import archive, filters, henkan_verify, populations, proofs, pulls, tokens, verification
from administration.audit.filters import Filter, Period
from administration.audit.models import Pull, PullOf, Token
from administration.cases import appointments
from administration.cases.models import Appointment, AppointmentKind
from administration.cases.powers import WATCHING_KINDS
from administration.fields import db_now
from administration.office import happenings, readable, words
from administration.office.entering import DayField, InstantField, OfCase, OneOf, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.opening import person
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.working import KINDS, ONWARD
from administration.office.templatetags.office import jst, sha
from administration.record import heads
from administration.record.encoding import EPOCH
from administration.record.models import Counter, Event
from administration.returns.models import ReturnState
from administration.work.models import Job, JobState

PULL, GRANT = "audit.pull", "appointments.grant"
KINDS[verification.JOB] = lazy("Verifying the record")
ONWARD[verification.JOB] = "auditing"
VERIFIER = Path(henkan_verify.__file__)

OF: words.Words = {
    PullOf.WHOLE: lazy("everything, to be verified"),
    PullOf.RETURNS: lazy("returns"),
    PullOf.EVENTS: lazy("events of the record"),
}
STATES: words.Words = {
    ReturnState.SCHEDULED: lazy("scheduled"),
    ReturnState.HELD: lazy("held back"),
    ReturnState.BATCHED: lazy("in a batch"),
    ReturnState.SETTLED: lazy("settled"),
    ReturnState.RETURNED: lazy("came back"),
    ReturnState.CANCELLED: lazy("cancelled"),
}
DATES: words.Words = {
    "scheduled": lazy("when scheduled"),
    "frozen": lazy("when frozen in a batch"),
    "settled": lazy("when settled"),
    "returned": lazy("when it came back"),
}


@page("auditing/", name="auditing", menu="account", icon="fact_check", order=10)
class AuditingPage(ShowPage):
    title = lazy("Audit")
    template = "office/auditing/home.html"

    def sentence(self) -> Any:
        if self.appointment.kind in WATCHING_KINDS:
            return _("You watch case %(case)s and can change nothing in it. What you pull and verify is on its record.") % {"case": self.case}
        return _("This is what the auditors of case %(case)s see. What anybody pulls and verifies is on its record.") % {"case": self.case}

    def notices(self) -> list[tuple[str, Any]]:
        job = Job.objects.filter(case=self.case, kind=verification.JOB).order_by("-pk").first()
        if job is None:
            return []
        if job.state == JobState.WAITING:
            return [("warning", _("The record is being verified now."))]
        if job.state == JobState.FAILED:
            return [("refusal", _("The last verification could not be finished: %(why)s") % {"why": wording.said(job.error)})]
        found, when = job.result or {}, jst(job.finished_at)
        if found.get("ok"):
            said = {"when": when, "events": f"{int(found['events']):,}", "heads": f"{int(found['heads']):,}"}
            return [("good", _("Verified %(when)s: %(events)s events and %(heads)s signed heads fit, and all that follows from them.") % said)]
        return [("refusal", _("Verified %(when)s: %(finding)s") % {"when": when, "finding": wording.said(found.get("first_bad") or "")})]

    def figures(self) -> list[tuple[Any, Any]]:
        counted, head = Counter.objects.filter(case_id=self.case.pk).first(), heads.latest(self.case)
        own = self.appointment
        return [
            (_("Case"), f"{self.case.reference} {self.case.name}"),
            (_("Office"), words.of(words.OFFICES, own.kind)),
            (_("Appointed"), f"{jst(own.from_at)} – {jst(own.to_at) if own.to_at else _('without end')}"),
            (_("Period"), _("the whole record")),
            (_("Events"), f"{counted.last:,}" if counted else "0"),
            (_("Newest signed head"), f"{head.size:,} · {jst(head.signed_at)}" if head else _("none yet")),
        ]

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Pull"), "auditing-pull", PULL, main=True),
            self.button(_("Verify now"), "auditing-verify", PULL),
            self.button(_("Compare with my last head"), "auditing-compare"),
            self.button(_("Tokens for programs"), "auditing-tokens"),
        ]

    def sections(self) -> list[Section]:
        return [self.my_pulls(), self.offline()]

    def my_pulls(self) -> Section:
        made = list(self.case.pulls.filter(by=self.user).select_related("token").order_by("-number")[:50])
        last = Counter.objects.filter(case_id=self.case.pk).values_list("last", flat=True).first() or 0
        rows = [
            [
                link(self.url("auditing-pull-made", pull=one.number), one.file_name),
                jst(one.at), words.of(OF, one.of), in_words(one.population["filter"]), f"{one.head_size:,}",
                f"+{last - one.head_size:,}", tag(_("broken off")) if one.sha256 is None else sha(one.sha256),
            ]
            for one in made
        ]  # fmt: skip
        return Section(
            _("My pulls"),
            _("Each states the signed head it was made under. “Since” is how many events the record has more today."),
            head=[_("File"), _("When"), _("What"), _("Filter"), _("Head"), _("Since"), "SHA-256"],
            rows=rows,
            numeric=frozenset({4, 5}),
            empty=_("You have pulled nothing yet."),
        )

    def offline(self) -> Section:
        return Section(
            _("Verify without us"),
            _("Take a pull of everything and this one file to your own machine. It needs Python and the package cryptography, and nothing of ours."),
            buttons=[Button(_("Download henkan_verify.py"), self.url("auditing-verifier"))],
            anchor="offline",
        )  # fmt: skip


def in_words(stated: dict[str, str] | str) -> str:
    """A filter as its population statement has it, for people."""
    if isinstance(stated, str):
        return _("none")
    said = {name: value for name, value in stated.items() if name not in ("since", "until", "dated")}
    if "state" in said:
        said["state"] = words.of(STATES, said["state"])
    parts = list(said.values())
    for name, shape in (("since", _("from %(when)s")), ("until", _("before %(when)s"))):
        if name in stated:
            parts.append(shape % {"when": jst(moment(stated[name]))})
    return ", ".join(parts)


def moment(micros: str) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))


class Look(Effect):
    """What would be read. It goes on growing while it is looked at, so the press is bound to none of its figures."""

    def shown(self) -> dict[str, Any]:
        return {"figures": [], "tables": [], "content": "", "order": ""}


# --- pulling ------------------------------------------------------------------------------------


class Pulling(OfCase):
    of = forms.ChoiceField(label=lazy("What"), choices=words.choices(OF))
    format = forms.ChoiceField(
        label=lazy("Form"), choices=[("jsonl", "JSONL"), ("csv", "CSV"), ("parquet", "Parquet")],
        help_text=lazy("Everything is JSONL and has no filter. A CSV opens in a spreadsheet; its amounts are whole units."),
    )  # fmt: skip
    asset = forms.ChoiceField(label=lazy("Asset"), required=False)
    state = forms.ChoiceField(label=lazy("State"), required=False, choices=[("", lazy("all")), *words.choices(STATES)])
    batch = forms.ChoiceField(label=lazy("Batch"), required=False)
    dated = forms.ChoiceField(label=lazy("Date"), required=False, choices=[("", "–"), *words.choices(DATES)])
    since = DayField(label=lazy("From"), required=False)
    until = DayField(label=lazy("Before"), required=False, help_text=lazy("That day is not part of it any more."))
    kind = forms.CharField(label=lazy("Kind of event begins with"), required=False, help_text=lazy("For events: batch. or evidence."))

    def prepare(self) -> None:
        assets = self.case.assets.order_by("code").values_list("code", flat=True)
        offer(self, "asset", [("", _("all")), *((code, code) for code in assets)])
        batches = self.case.batches.order_by("-pk").values_list("reference", flat=True)[:500]
        offer(self, "batch", [("", _("all")), *((reference, reference) for reference in batches)])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        names = {"asset": "asset", "state": "state", "batch": "batch", "dated": "dated", "since": "from", "until": "to", "kind": "kind"}
        asked = {names[name]: str(given[name]) for name in names if given.get(name)}
        allowed: dict[str, tuple[str, ...]] = {PullOf.RETURNS: filters.RETURNS, PullOf.EVENTS: filters.EVENTS}
        left_out = sorted(set(asked) - set(allowed.get(given.get("of", ""), ())))
        if left_out:
            labels = {said: str(self.fields[name].label) for name, said in names.items()}
            self.add_error(None, _("This cannot be filtered by: %(names)s.") % {"names": ", ".join(labels[name] for name in left_out)})
        if given.get("of") == PullOf.WHOLE and given.get("format") != "jsonl":
            self.add_error("format", _("Everything, to be verified, is JSONL only."))
        if not self.errors:
            given["chosen"] = filters.read(self.case, asked, names=allowed.get(given["of"], ()))
        return given


@page("auditing/pull/", name="auditing-pull")
class MakePull(ActPage):
    title = lazy("Pull")
    power = PULL
    form_class = Pulling
    intro = lazy("You first see how many and how much it is. The pull is kept in the archive and can be had again, byte for byte.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        chosen: Filter = data["chosen"]
        counted = Counter.objects.filter(case_id=self.case.pk).values_list("last", flat=True).first() or 0
        figures = [(_("What"), words.of(OF, data["of"])), (_("Form"), data["format"].upper()), (_("Filter"), in_words(chosen.stated()))]
        if data["of"] == PullOf.EVENTS:
            found = populations.count_events(self.case, connection, size=counted, chosen=chosen, period=Period())
            figures += [(_("Events"), f"{int(found['count']):,}"), (_("Numbers"), span(found)), (_("Gaps"), gaps_in_words(found["gaps"]))]
            rows = [[happenings.told(kind), f"{int(many):,}"] for kind, many in found["kinds"].items()]
            tables = [Table(_("By kind"), [_("What"), _("How many")], rows, frozenset({1}))]
        else:
            found = populations.count_returns(self.case, connection, chosen=chosen, period=Period())
            if data["of"] == PullOf.WHOLE:
                figures.append((_("Events"), f"{counted:,}"))
            figures += [(_("Returns"), f"{int(found['count']):,}"), (_("References"), span(found)), (_("Gaps"), gaps_in_words(found["gaps"]))]
            tables = [sums_table(self.case, found["sums"])]
        return Look(_("Nothing changes but the record, which says that you pulled this."), _("Pull"), figures=figures, tables=tables)

    def act(self, data: dict[str, Any]) -> Pull:
        return pulls.make(
            self.case, format=data["format"], of=data["of"], chosen=data["chosen"], by=self.user, at=self.at
        )

    def done(self, result: Pull) -> tuple[str, str]:
        return _("Pulled. The file is ready."), self.url("auditing-pull-made", pull=result.number)

    def back(self) -> str:
        return self.url("auditing")


def sums_table(case: Any, sums: list[dict[str, str]]) -> Table:
    assets = {asset.code: asset for asset in case.assets.all()}
    rows = [
        [line["asset"], words.of(STATES, line["state"]), f"{int(line['count']):,}", readable.money(int(line["amount"]), assets[line["asset"]])]
        for line in sums
    ]
    return Table(_("By asset and state"), [_("Asset"), _("State"), _("How many"), _("How much")], rows, frozenset({2, 3}))


def span(found: dict[str, Any]) -> str:
    return f"{found['first']} – {found['last']}" if found["first"] else "–"


def gaps_in_words(gaps: str) -> str:
    """The population statement says it in English, as data; people read it in their language."""
    if gaps == "none":
        return _("none")
    if gaps.startswith("numbers left out"):
        return _("only what the filter leaves out")
    return gaps


@page("auditing/pulls/<int:pull>/", name="auditing-pull-made")
class PullPage(ShowPage):
    title = lazy("A pull")

    def prepare(self, **kwargs: Any) -> None:
        self.pull = get_object_or_404(Pull, case=self.case, by=self.user, number=kwargs["pull"])

    def sentence(self) -> Any:
        since = Event.objects.filter(case_id=self.case.pk, number__gt=self.pull.head_size).count()
        return ngettext(
            "Since this pull %(count)s event was added to the record.",
            "Since this pull %(count)s events were added to the record.",
            since,
        ) % {"count": f"{since:,}"}

    def notices(self) -> list[tuple[str, Any]]:
        broken = _("This pull was broken off before its end; the archive has no file of it.")
        return [("warning", broken)] if self.pull.sha256 is None else []

    def figures(self) -> list[tuple[Any, Any]]:
        pull, stated = self.pull, self.pull.population
        return [
            (_("When"), jst(pull.at)),
            (_("What"), words.of(OF, pull.of)),
            (_("Filter"), in_words(stated["filter"])),
            (_("Signed head"), format_html('{} · <code class="whole">{}</code>', f"{pull.head_size:,}", stated["head"]["root"])),
            ("SHA-256", format_html('<code class="whole">{}</code>', bytes(pull.sha256).hex() if pull.sha256 is not None else "–")),
            (_("Length"), f"{pull.bytes:,} B" if pull.bytes is not None else "–"),
        ]

    def buttons(self) -> list[Button]:
        if self.pull.sha256 is None:
            return []
        return [self.button(_("Download"), "auditing-pull-file", main=True, pull=self.pull.number)]

    def sections(self) -> list[Section]:
        stated = self.pull.population
        if self.pull.of == PullOf.EVENTS:
            kinds = [[happenings.told(kind), f"{int(many):,}"] for kind, many in stated["events"]["kinds"].items()]
            counted = Section(_("By kind"), head=[_("What"), _("How many")], rows=kinds, numeric=frozenset({1}))
        else:
            table = sums_table(self.case, stated["returns"]["sums"])
            counted = Section(table.title, head=table.head, rows=table.rows, numeric=table.numeric)
        added = (
            Event.objects.filter(case_id=self.case.pk, number__gt=self.pull.head_size).order_by("number")[:20]
        )
        names = happenings.people()
        rows = [[f"{one.number:,}", jst(one.at), happenings.told(one.kind), happenings.by_whom(one, names)] for one in added]
        head = [_("No."), _("When"), _("What"), _("By")]
        return [counted, Section(_("What came since"), head=head, rows=rows, numeric=frozenset({0}), empty=_("Nothing."))]


@page("auditing/pulls/<int:pull>/file", name="auditing-pull-file")
class PullFile(CasePage):
    """The pull's bytes again; each handing out is on record."""

    title = lazy("A pull")
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        pull = get_object_or_404(Pull, case=self.case, by=self.user, number=kwargs["pull"])
        path = pulls.hand_out_again(pull, by=self.user, at=self.at)
        response = StreamingHttpResponse(archive.pieces(path), content_type=pulls.FORMATS[pull.format])
        response["Content-Disposition"] = f'attachment; filename="{pull.file_name}"'
        response["Content-Length"] = str(pull.bytes)
        response["Cache-Control"] = "private, no-store"
        return response  # type: ignore[return-value]  # a response all the same


@page("auditing/henkan_verify.py", name="auditing-verifier")
class Verifier(CasePage):
    """The offline verifier, as it is in the house."""

    title = lazy("Verify without us")
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = HttpResponse(VERIFIER.read_bytes(), content_type="text/x-python")
        response["Content-Disposition"] = f'attachment; filename="{VERIFIER.name}"'
        return response


# --- verifying and comparing --------------------------------------------------------------------


@page("auditing/verify/", name="auditing-verify")
class VerifyNow(ActPage):
    title = lazy("Verify the record")
    power = PULL

    def effect(self, data: dict[str, Any]) -> Effect:
        counted = Counter.objects.filter(case_id=self.case.pk).values_list("last", flat=True).first() or 0
        return Look(
            _("Every event is hashed anew, every head checked, and what follows from the record is compared with the rows. Nothing is changed; what was found is on record."),
            _("Verify now"),
            figures=[(_("Events"), f"{counted:,}")],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Job:
        return verification.start(self.case, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("auditing")


class Comparing(forms.Form):
    size = forms.IntegerField(label=lazy("Size"), min_value=1, max_value=2**62, help_text=lazy("How many events your head is over."))
    root = forms.RegexField(
        r"^\s*[0-9a-fA-F]{64}\s*$", label=lazy("Root"), help_text=lazy("64 hexadecimal digits, as in your pull or your file of heads."),
        error_messages={"invalid": lazy("A root has 64 hexadecimal digits.")}, max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip


@page("auditing/compare/", name="auditing-compare")
class Compare(CasePage):
    """Is the head that somebody kept the beginning of today's record? It changes nothing; POST keeps the root out of logs."""

    title = lazy("Compare with my last head")
    template = "office/auditing/compare.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        last = self.case.pulls.filter(by=self.user, sha256__isnull=False).order_by("-number").first()
        first = {"size": last.head_size, "root": last.population["head"]["root"]} if last else {}
        return {"form": Comparing(initial=first), "last": last, "back": self.url("auditing")}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = Comparing(request.POST)
        shown = {**self.context(), "form": form}
        if not form.is_valid():
            return self.show({**shown, "trouble": True}, status=400)
        kept = bytes.fromhex(form.cleaned_data["root"].strip())
        return self.show({**shown, "found": proofs.compare(self.case, form.cleaned_data["size"], kept)})


# --- tokens -------------------------------------------------------------------------------------


@page("auditing/tokens/", name="auditing-tokens")
class TokensPage(ShowPage):
    title = lazy("Tokens for programs")

    def sentence(self) -> Any:
        return _("A token lets an auditor's program read this case by the API, over a period, until it expires. It can perform no act.")

    def may_issue(self) -> bool:
        return self.appointment.kind == AppointmentKind.OFFICE_HOLDER and self.may(GRANT)

    def buttons(self) -> list[Button]:
        issue = [self.button(_("Issue a token"), "auditing-token-issue", main=True)] if self.may_issue() else []
        return [*issue, Button(_("How the API works"), "/api/docs/")]

    def sections(self) -> list[Section]:
        found = Token.objects.filter(case=self.case).select_related("appointment__user", "issued_by").order_by("-number")
        if not self.may_issue():
            found = found.filter(appointment__user=self.user)
        return [Section(
            _("Tokens"),
            head=[_("No."), _("For"), _("Purpose"), _("Period"), _("Expires"), _("Stands"), ""],
            rows=[
                [str(one.number), who(one.appointment.user), one.purpose, period_in_words(one), jst(one.expires_at), tag(self.standing(one)), self.what_next(one)]
                for one in found
            ],
            numeric=frozenset({0}),
            empty=_("There is none. The office-holder issues them."),
        )]  # fmt: skip

    def standing(self, one: Token) -> str:
        if one.revoked_at:
            return _("revoked")
        if one.expires_at <= self.at:
            return _("expired")
        if not appointments.live(self.case, at=self.at).filter(pk=one.appointment_id).exists():
            return _("appointment ended")
        return _("collected, in force") if one.sha256 is not None else _("issued, to be collected")

    def what_next(self, one: Token) -> Any:
        if one.revoked_at or one.expires_at <= self.at:
            return "–"
        if one.sha256 is None and one.appointment.user_id == self.user.pk:
            return link(self.url("auditing-token-collect", token=one.number), _("Collect"))
        return link(self.url("auditing-token-revoke", token=one.number), _("Revoke"))


def period_in_words(one: Token) -> str:
    if one.period_from is None and one.period_to is None:
        return _("the whole record")
    return f"{jst(one.period_from) if one.period_from else ''} – {jst(one.period_to) if one.period_to else ''}"


class Issuing(OfCase):
    appointment = OneOf(Appointment.objects.none(), named=lambda row: person(row.user), label=lazy("For"))
    purpose = forms.CharField(label=lazy("Purpose"), max_length=200)
    expires = DayField(label=lazy("Expires"), help_text=lazy("Within a year; at midnight as the day begins."))
    period_from = InstantField(label=lazy("Period from"), required=False, help_text=lazy("Empty: from the first event. Japan time (JST)."))
    period_to = InstantField(label=lazy("Period before"), required=False, help_text=lazy("Empty: whatever comes. Japan time (JST)."))

    def prepare(self) -> None:
        rows = appointments.live(self.case, at=db_now()).filter(kind__in=WATCHING_KINDS).select_related("user")
        offer(self, "appointment", rows)


@page("auditing/tokens/issue/", name="auditing-token-issue")
class IssueToken(ActPage):
    title = lazy("Issue a token")
    power = GRANT
    form_class = Issuing
    intro = lazy("You issue it; the auditor collects its secret on their own page. Nobody else ever sees it.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        begins, ends = data["period_from"], data["period_to"]
        period = f"{jst(begins) if begins else ''} – {jst(ends) if ends else ''}" if begins or ends else _("the whole record")
        return Effect(
            _("A program of %(who)s may read this case by the API. It can perform no act.") % {"who": person(data["appointment"].user)},
            _("Issue the token"),
            figures=[(_("Purpose"), data["purpose"]), (_("Period"), period), (_("Expires"), jst(filters.instant(data["expires"].isoformat())))],
        )

    def act(self, data: dict[str, Any]) -> Token:
        expires_at = filters.instant(data["expires"].isoformat())
        assert expires_at is not None
        return tokens.issue(
            self.case, appointment=data["appointment"], purpose=data["purpose"], expires_at=expires_at,
            period_from=data["period_from"], period_to=data["period_to"], by=self.user, at=self.at,
        )  # fmt: skip

    def done(self, result: Token) -> tuple[str, str]:
        return _("Issued. The auditor now collects it on the page “Tokens for programs”."), self.back()

    def back(self) -> str:
        return self.url("auditing-tokens")


class OneToken(CasePage):
    def token(self, number: int) -> Token:
        """One's own, or for the office-holder anybody's."""
        rows = Token.objects.select_related("appointment__user", "case")
        if self.appointment.kind != AppointmentKind.OFFICE_HOLDER:
            rows = rows.filter(appointment__user=self.user)
        return get_object_or_404(rows, case=self.case, number=number)


@page("auditing/tokens/<int:token>/collect/", name="auditing-token-collect")
class CollectToken(OneToken):
    """The secret is in the answer to one press and nowhere else: no redirect, no message, no cache has it."""

    title = lazy("Collect a token")
    template = "office/auditing/collect.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        token = self.token(kwargs["token"])
        return {"token": token, "period": period_in_words(token), "back": self.url("auditing-tokens")}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        shown = self.context(**kwargs)
        secret = tokens.collect(shown["token"], by=self.user, at=self.at)
        answer = self.show({**shown, "secret": secret, "address": request.build_absolute_uri("/api/v1/")})
        answer["Cache-Control"] = "no-store"
        return answer


@page("auditing/tokens/<int:token>/revoke/", name="auditing-token-revoke")
class RevokeToken(OneToken, ActPage):
    title = lazy("Revoke a token")

    def effect(self, data: dict[str, Any]) -> Effect:
        token = self.token(self.kwargs["token"])
        return Effect(
            _("The token counts no more from now on, for good."),
            _("Revoke the token"),
            figures=[(_("No."), str(token.number)), (_("For"), person(token.appointment.user)), (_("Purpose"), token.purpose)],
        )

    def act(self, data: dict[str, Any]) -> None:
        tokens.revoke(self.token(self.kwargs["token"]), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The token was revoked."), self.back()

    def back(self) -> str:
        return self.url("auditing-tokens")
