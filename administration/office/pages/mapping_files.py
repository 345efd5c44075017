"""The mapping of a case, written once: a text with a live look at what it makes of the first rows of each delivered file."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.ledger import conversions, deliveries, encodings, mapping, previewing
from administration.ledger.arriving import archive_of
from administration.ledger.delivered import Delivery, DeliveryState, LedgerMapping
from administration.ledger.models import Intake
from administration.ledger.origins import Origins
from administration.ledger.package import BY_FILE
from administration.office.entering import OneOf, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import CasePage, page
from administration.office.pages.showing import Section, ShowPage
from administration.office.pages.taking_over import POWER
from administration.office.templatetags.office import jst, sha

TEXT_MAX = mapping.BYTES_MAX


class Mapping(forms.Form):
    delivery = OneOf(
        Delivery.objects.none(), label=lazy("Try it on"), required=False,
        named=lambda row: _("delivery of %(at)s from %(who)s") % {"at": jst(row.received_at), "who": row.deliverer},
    )  # fmt: skip
    text = forms.CharField(
        label=lazy("Mapping (TOML)"), max_length=TEXT_MAX, strip=False,
        widget=forms.Textarea(attrs={"rows": 32, "class": "plan", "spellcheck": "false", "wrap": "off"}),
        help_text=lazy("Which column is what, how days and numbers are written, which symbol is which asset, what is left out and why."),
    )  # fmt: skip

    def __init__(self, *args: Any, rows: Any, text: str, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "delivery", rows)
        self.fields["delivery"].initial = rows.first()
        self.fields["text"].initial = text


def open_deliveries(case: Any) -> Any:
    return Delivery.objects.filter(case=case).exclude(state=DeliveryState.DESTROYED).order_by("-pk")


def previewed(text: str, delivery: Delivery | None) -> previewing.Preview:
    """What the mapping makes of the files of a delivery that are here."""
    files = []
    if delivery is not None:
        here = set(delivery.files.filter(sha256__isnull=False).values_list("name", flat=True))
        files = [file for file in deliveries.files_to_convert(delivery) if file.name in here]
    found = previewing.look(text.replace("\r\n", "\n"), files)
    return found if delivery is not None else previewing.Preview(faults=found.faults)


@page("takeover/mapping/", name="takeover-mapping")
class WriteMapping(ActPage):
    title = lazy("What the exchange's columns mean")
    template = "office/taking_over/mapping.html"
    power = POWER
    form_class = Mapping
    intro = lazy("Each column is mapped or ignored, each file used or left out by name: nothing is dropped silently. Below you see what becomes of the first 20 rows.")

    def form_arguments(self) -> dict[str, Any]:
        rows = open_deliveries(self.case)
        newest = LedgerMapping.objects.filter(case=self.case).order_by("-version").first()
        if newest is not None:
            return {"rows": rows, "text": newest.text}
        first = rows.filter(files__sha256__isnull=False).first()
        files = deliveries.files_to_convert(first) if first else []
        cutoff = self.case.cutoff_at.isoformat() if self.case.cutoff_at else ""
        draft = previewing.draft([file for file in files if not file.name.startswith("evidence/")], exchange=self.case.name, cutoff_at=cutoff)
        return {"rows": rows, "text": draft}

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        form = context.get("form")
        if form is not None:
            delivery = form.cleaned_data.get("delivery") if form.is_bound and form.is_valid() else form.fields["delivery"].initial
            text = (form["text"].value() or "") if form.is_bound else form.fields["text"].initial
            context["preview"] = previewed(text, delivery)
        elif "effect" in context:
            context["preview"] = self.looked_at
        return super().show({"preview_address": self.url("takeover-mapping-preview"), "versions": self.versions(), **context}, template=template, status=status)

    def versions(self) -> list[LedgerMapping]:
        return list(LedgerMapping.objects.filter(case=self.case).select_related("by").order_by("-version")[:20])

    def effect(self, data: dict[str, Any]) -> Effect:
        text = _text(data)
        made = mapping.read(text)
        self.looked_at = previewed(text, data.get("delivery"))
        number = (self.versions() or [LedgerMapping(version=0)])[0].version + 1
        return Effect(
            _("The mapping is saved as version %(n)s. Earlier versions stay as they are.") % {"n": number}, _("Save the mapping"),
            figures=[
                (_("Name"), made.name), (_("Files"), ", ".join(dict.fromkeys(source.file for source in made.sources))),
                (_("Assets"), ", ".join(f"{symbol} → {code}" if symbol != code else code for symbol, code in made.symbols.items())),
                (_("Control totals"), f"{len(made.control_totals)}"),
            ],
            warnings=[_("With the files at hand this mapping cannot be used yet: see below.")] if self.looked_at.obstacles else [],
            content_sha256=made.sha256,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return conversions.save_mapping(self.case, _text(data), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        delivery = open_deliveries(self.case).first()
        onward = self.url("takeover-delivery", pk=delivery.pk) if delivery else self.back()
        return _("Saved as version %(n)s.") % {"n": result.version}, onward

    def back(self) -> str:
        return self.url("takeover")


def _text(data: dict[str, Any]) -> str:
    return str(data["text"]).replace("\r\n", "\n")


@page("takeover/mapping/preview/", name="takeover-mapping-preview")
class MappingPreview(CasePage):
    """The look alone, for the page that is being typed in. Nothing is kept."""

    power = POWER
    http_method_names = ["post"]
    template = "office/taking_over/preview.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        number = request.POST.get("delivery", "")
        rows = open_deliveries(self.case)
        delivery = get_object_or_404(rows, pk=int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None
        return self.show({"preview": previewed(request.POST.get("text", "")[:TEXT_MAX], delivery)})


# --- where a row came from ------------------------------------------------------------------------


class Where(forms.Form):
    table = forms.ChoiceField(label=lazy("Table"), choices=[(name, name) for name in BY_FILE])
    row = forms.IntegerField(label=lazy("Row"), min_value=2)


@page("takeover/origin/", name="takeover-origin")
class OriginOfRow(ShowPage):
    """A row of the ledger as it was delivered: file, line, bytes."""

    title = lazy("Where a row came from")
    power = POWER
    template = "office/taking_over/origin.html"

    def prepare(self, **kwargs: Any) -> None:
        self.intake = Intake.objects.filter(case=self.case).exclude(state="cancelled").select_related("delivery", "mapping").first()
        self.asked = Where(self.request.GET) if self.request.GET else Where(initial={"row": 2, "table": "balances.csv"})

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().context(**kwargs), "form": self.asked}

    def sentence(self) -> Any:
        if self.intake is None:
            return _("There is no package in case %(case)s. Receive one first.") % {"case": self.case}
        if self.intake.mapping is None:
            return _("The package came as it is: the rows are those of its files.")
        return _("Any row of the tables can be followed back to the file, the line and the bytes it was made of.")

    def sections(self) -> list[Section]:
        if self.intake is None or self.intake.delivery is None or not self.asked.is_bound or not self.asked.is_valid():
            return []
        origins = Origins.of(archive_of(self.intake.directory))
        table, number = self.asked.cleaned_data["table"], self.asked.cleaned_data["row"]
        found = origins.row(table, number) if origins else None
        if found is None:
            return [Section(_("There is no such row."))]
        file = self.intake.delivery.files.filter(name=found.file).first()
        rows: list[list[Any]] = [[_("File"), found.file], [_("Line"), f"{found.line:,}"]]
        if found.sheet:
            rows.insert(1, [_("Sheet"), found.sheet])
        if file is not None:
            rows.append(["SHA-256", sha(file.sha256)])
            if found.length and self.intake.delivery.state != DeliveryState.DESTROYED:
                with deliveries.path_of(file).open("rb") as opened:
                    opened.seek(found.offset)
                    content = opened.read(min(found.length, 4096))
                rows += [
                    [_("Bytes"), f"{found.offset:,} – {found.offset + found.length - 1:,}"],
                    [_("As delivered"), content.decode(_codec(self.intake, found.file), "backslashreplace").rstrip("\r\n")],
                    [_("The same in bytes"), content[:256].hex(" ")],
                ]  # fmt: skip
        return [Section(_("%(table)s, row %(row)s") % {"table": table, "row": f"{number:,}"}, head=[_("What"), _("Where")], rows=rows)]


def _codec(intake: Intake, name: str) -> str:
    assert intake.mapping is not None
    sources = mapping.read(intake.mapping.text).sources_of(name)
    return encodings.ENCODINGS[sources[0].layout.encoding][0] if sources else "utf-8"

