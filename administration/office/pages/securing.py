"""Securing the exchange before its ledger is taken over: the checklist, item by item with owner and evidence."""

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases import appointments, securing
from administration.fields import db_now
from administration.office import readable
from administration.office.entering import OfCase, OneOf, PaperField, WordsField, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.opening import person
from administration.office.pages.papers import paper
from administration.office.pages.showing import Button, Section, ShowPage, link, who
from administration.office.templatetags.office import jst
from administration.people.models import User

POWER = "cases.secure"


@page("securing/", name="securing", menu="case", icon="checklist", order=10)
class SecuringPage(ShowPage):
    title = lazy("Securing checklist")

    def prepare(self, **kwargs: Any) -> None:
        self.rows = {row.item: row for row in self.case.securing_items.select_related("owner")}
        self.missing = securing.missing(self.case)

    def sentence(self) -> Any:
        if self.case.securing_completed_at:
            return _("The exchange is secured since %(at)s. Its ledger can be taken over.") % {
                "at": jst(self.case.securing_completed_at)
            }
        if not self.missing:
            return _("Every item is done. Complete the checklist; then the ledger can be taken over.")
        return _("%(n)s of %(total)s items are still to be secured. Until then the ledger is not taken over.") % {
            "n": len(self.missing), "total": len(securing.ITEMS),
        }  # fmt: skip

    def buttons(self) -> list[Button]:
        if self.case.securing_completed_at:
            return [self.button(_("Take over the ledger"), "takeover", main=True)]
        if self.missing:
            return [Button(_("Complete the checklist"), why_not=_("first secure every item"))]
        return [self.button(_("Complete the checklist"), "securing-complete", POWER, main=True)]

    def sections(self) -> list[Section]:
        rows: list[list[Any]] = []
        for item, meaning in securing.ITEMS.items():
            row = self.rows.get(item)
            if row is not None and row.done_at:
                evidence = paper(self, row.evidence_sha256, row.evidence_name)
                rows.append([meaning, who(row.owner), jst(row.done_at), evidence, row.note or "–"])
            else:
                to_do = link(self.url("securing-item", item=item), _("Secure")) if self.may(POWER) else "–"
                rows.append([meaning, "–", _("not yet"), to_do, "–"])
        head = [_("What"), _("Who answers for it"), _("Done"), _("Evidence"), _("Note")]
        return [Section(_("The checklist"), head=head, rows=rows)]


class Securing(OfCase):
    owner = OneOf(User.objects.none(), named=person, label=lazy("Who answers for it"))
    evidence = PaperField(label=lazy("Evidence"))
    note = WordsField(label=lazy("Note"), required=False)

    def prepare(self) -> None:
        live = appointments.live(self.case, at=db_now()).values("user")
        offer(self, "owner", User.objects.filter(pk__in=live).order_by("username"))


@page("securing/<slug:item>/", name="securing-item")
class SecureItem(ActPage):
    title = lazy("Secure an item")
    power = POWER
    form_class = Securing

    def form_arguments(self) -> dict[str, Any]:
        if self.kwargs["item"] not in securing.ITEMS:
            raise Http404
        self.intro = securing.ITEMS[self.kwargs["item"]]
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("“%(item)s” is recorded as done. It stays as it is.") % {"item": securing.ITEMS[self.kwargs["item"]]},
            _("Record that it is done"),
            figures=[
                (_("Who answers for it"), person(data["owner"])),
                (_("Evidence"), data["evidence"].name),
                (_("Note"), data["note"] or "–"),
            ],
            content_sha256=data["evidence"].sha256,
        )

    def act(self, data: dict[str, Any]) -> Any:
        return securing.do(
            self.case, self.kwargs["item"], owner=data["owner"], evidence=data["evidence"].read(),
            evidence_name=data["evidence"].name, note=data["note"], by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("securing")


@page("securing-complete/", name="securing-complete")
class CompleteSecuring(ActPage):
    title = lazy("Complete the securing checklist")
    power = POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        missing = securing.missing(self.case)
        if missing:
            raise securing.NotSecured(
                _("Still to be secured: %(items)s.")
                % {"items": readable.listed(securing.ITEMS[item] for item in missing)}
            )
        return Effect(
            _("The exchange counts as secured. From then on the ledger can be taken over."),
            _("Complete the checklist"),
            figures=[(_("Items done"), f"{len(securing.ITEMS)}")],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return securing.complete(self.case, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("securing")
