"""What is told to all customers or to one of them: numbered, by its hash, with the proof that it went out."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration import wording
from administration.office import words
from administration.office.entering import OfCase
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.claiming import SCHEDULE
from administration.office.pages.lists import Column, Filter, ListPage
from administration.office.pages.showing import Button, who
from administration.office.templatetags.office import jst, sha
from claims.notices import notices
from claims.notices.models import Notice
from claims.register.models import Claim


@page("notices/", name="notices", menu="claims", icon="campaign", order=20)
class NoticesPage(ListPage):
    title = lazy("Notices")
    template = "office/holding/movements.html"
    newest_first = True
    empty = lazy("No notice was issued yet.")

    def rows(self) -> Any:
        return Notice.objects.filter(case=self.case).select_related("claim", "by")

    def columns(self) -> list[Column]:
        return [
            Column(_("Number"), lambda row: row.number, numeric=True),
            Column(_("About"), lambda row: words.of(words.NOTICES, row.kind)),
            Column(_("Title"), lambda row: wording.said(row.title)),
            Column(_("To"), lambda row: row.claim or _("all"), link=lambda row: self.url("claim", number=row.claim.number) if row.claim else ""),
            Column(_("Channel"), lambda row: words.of(words.CHANNELS, row.channel)),
            Column(_("Sent at"), lambda row: jst(row.sent_at)),
            Column(_("Proof"), lambda row: row.proof or "–"),
            Column(_("Text"), lambda row: sha(row.text_sha256)),
            Column(_("By"), lambda row: who(row.by)),
        ]

    def filters(self) -> list[Filter]:
        return [Filter("channel", _("Channel"), words.choices(words.CHANNELS), lambda rows, value: rows.filter(channel=value))]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        issue = self.url("notice-issue") if self.may(SCHEDULE) else ""
        return super().context(**kwargs) | {"buttons": [Button(_("Issue a notice"), issue, main=True)]}


class Issuing(OfCase):
    kind = forms.ChoiceField(label=lazy("About"), choices=words.choices(words.NOTICES))
    claim = forms.CharField(label=lazy("To one claim"), required=False, help_text=lazy("Its number. Empty: to all."))
    channel = forms.ChoiceField(label=lazy("Channel"), choices=words.choices(words.CHANNELS, notices.CHANNELS))
    title = forms.CharField(label=lazy("Title"))
    text = forms.CharField(label=lazy("Text"), widget=forms.Textarea(attrs={"rows": 10}))
    proof = forms.CharField(label=lazy("Proof"), required=False, help_text=lazy("Page of the gazette, postal receipt."))

    def clean_claim(self) -> Claim | None:
        number = self.cleaned_data["claim"].strip()
        found = Claim.objects.filter(case=self.case, number=number).first() if number else None
        if number and found is None:
            raise ValidationError(_("There is no such claim in this case."))
        return found


@page("notices/issue/", name="notice-issue")
class IssueNotice(ActPage):
    title = lazy("Issue a notice")
    power = SCHEDULE
    form_class = Issuing
    intro = lazy("Records that a text went out, by which channel and with what proof. The text itself is kept with the case's papers; its hash is in the record.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("Notice “%(title)s” goes to %(whom)s.")
            % {"title": data["title"], "whom": data["claim"] or _("all customers of the case")},
            _("Issue the notice"),
            figures=[
                (_("About"), words.of(words.NOTICES, data["kind"])),
                (_("Channel"), words.of(words.CHANNELS, data["channel"])),
                (_("Proof"), data["proof"] or "–"),
                (_("Text"), data["text"]),
            ],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return notices.issue(
            self.case, data["kind"], data["title"], data["text"], data["channel"], claim=data["claim"], proof=data["proof"],
            by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("notices")
