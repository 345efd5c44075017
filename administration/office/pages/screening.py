"""The sanctions list: its versions, and who was screened under the newest."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.showing import Button, Section, ShowPage, who
from administration.office.templatetags.office import sha
from administration.returns import screening
from administration.returns.models import Screening


@page("screening/", name="screening", menu="claims", icon="policy", order=80)
class ScreeningPage(ShowPage):
    """Which version counts, and whether everybody was screened under it."""

    title = lazy("Sanctions list")

    def sentence(self) -> Any:
        return _("Nobody is paid who was not screened under the newest version of the list. A hit puts the person's claims on hold.")

    def notices(self) -> list[tuple[str, Any]]:
        newest = screening.newest(self.case)
        if newest is None:
            return [("warning", _("No list was received: the sanctions gate closes by holds only."))]
        last = newest.screenings.order_by("-pk").first()
        if last is None or self.case.claimants.filter(pk__gt=last.through_claimant_id).exists():
            return [("warning", _("Not everybody was screened under version %(version)s: their returns are held back.") % {"version": newest.version})]
        return [("good", _("Everybody was screened under version %(version)s.") % {"version": newest.version})]

    def buttons(self) -> list[Button]:
        newest = screening.newest(self.case)
        found = [self.button(_("Receive a list"), "sanctions-receive", "claims.decide", main=newest is None)]
        if newest is not None:
            found.append(self.button(_("Screen everybody"), "sanctions-screen", "claims.decide", main=True))
        return found

    def sections(self) -> list[Section]:
        screenings = Screening.objects.filter(list__case=self.case).select_related("list", "by").order_by("-pk")[:50]
        return [
            Section(
                _("Versions"), "", [_("Version"), _("Names"), _("Received"), _("By"), _("SHA-256")],
                [[row.version, f"{row.names:,}", self.instant(row.at), who(row.by), sha(bytes(row.sha256))]
                 for row in self.case.sanctions_lists.select_related("by").order_by("-pk")],
                frozenset({1}), _("None yet."),
            ),
            Section(
                _("Screenings"), "", [_("Version"), _("People"), _("Hits"), _("When"), _("By")],
                [[row.list.version, f"{row.people:,}", f"{row.hits:,}", self.instant(row.at), who(row.by)] for row in screenings],
                frozenset({1, 2}), _("None yet."),
            ),
        ]  # fmt: skip


class ListForm(forms.Form):
    version = forms.CharField(label=lazy("Version, as the issuer names it"), max_length=100)
    file = forms.FileField(label=lazy("The list (CSV: name, born_on)"))


@page("screening/receive/", name="sanctions-receive")
class ReceiveList(ActPage):
    """screening.receive"""

    title = lazy("Receive a sanctions list")
    power = "claims.decide"
    form_class = ListForm
    intro = lazy("From the moment a version is received, it is the one that counts: nobody is paid before being screened under it.")

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            sentence=_("Version %(version)s becomes the list that counts.") % {"version": data["version"]},
            button=_("Receive the list"),
            figures=[(_("Version"), data["version"]), (_("Bytes"), f"{data['file'].size:,}")],
            content_sha256=data["file"].sha256,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return screening.receive(self.case, version=data["version"], content=data["file"].read(), by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("screening")


@page("screening/screen/", name="sanctions-screen")
class ScreenEverybody(ActPage):
    """screening.screen"""

    title = lazy("Screen everybody")
    power = "claims.decide"

    def effect(self, data: dict[str, Any]) -> Effect:
        newest = screening.newest(self.case)
        if newest is None:
            raise screening.NotScreened(_("No list was received yet."))
        return Effect(
            sentence=_("Every claimant is compared with version %(version)s. Hits are put on hold.") % {"version": newest.version},
            button=_("Screen everybody"),
            figures=[(_("Version"), newest.version), (_("Names"), f"{newest.names:,}"), (_("Claimants"), f"{self.case.claimants.count():,}")],
            content_sha256=bytes(newest.sha256).hex(),
        )

    def act(self, data: dict[str, Any]) -> Any:
        newest = screening.newest(self.case)
        assert newest is not None
        return screening.screen(newest, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("%(people)s people were screened; hits: %(hits)s.") % {"people": f"{result.people:,}", "hits": f"{result.hits:,}"}, self.back()

    def back(self) -> str:
        return self.url("screening")
