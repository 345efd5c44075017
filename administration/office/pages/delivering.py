"""What the exchange delivers in its own form: files arrive, whole or in pieces; a person says how each is encoded; they are converted."""

from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import wording
from administration.cases import securing
from administration.errors import Refused
from administration.ledger import conversions, deliveries, encodings, formats, mapping, package
from administration.ledger.delivered import DeliveredFile, Delivery, DeliveryState, LedgerMapping
from administration.ledger.models import Differences
from administration.office import words
from administration.office.entering import OneOf, Reason, offer
from administration.office.pages import working
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import CasePage, page
from administration.office.pages.showing import Button, Section, ShowPage, link, tag
from administration.office.pages.taking_over import POWER
from administration.office.templatetags.office import jst, sha
from administration.work.models import Job, JobState

working.KINDS.update({deliveries.CONVERT: lazy("Converting the exchange's files")})
working.ONWARD.update({deliveries.CONVERT: "takeover"})
working.PHASES.update({"converting": lazy("converting"), "converted": lazy("converted")})
SHOWN = 40  # files on a page
LOOKED_AT = 16 * 2**20  # bytes of a file by which its candidates are shown; what is confirmed is read to its end


def inbox_folders() -> list[str]:
    """The folders of the inbox that are no handover packages: files of an exchange's own."""
    folder = Path(settings.HANDOVER_INBOX) if settings.HANDOVER_INBOX else None
    if folder is None or not folder.is_dir():
        return []
    return sorted(
        one.name for one in folder.iterdir() if not one.is_symlink() and one.is_dir() and not (one / package.MANIFEST).is_file()
    )


class Beginning(forms.Form):
    deliverer = forms.CharField(
        label=lazy("Who delivers the files"), max_length=200, help_text=lazy("Name and office: former head of systems, the bank holding the backup …")
    )  # fmt: skip
    folder = forms.ChoiceField(
        label=lazy("From a folder of the server's inbox"), required=False,
        help_text=lazy("Leave it empty to upload the files on the next page."),
    )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "folder", [("", "–"), *((name, name) for name in inbox_folders())])


@page("takeover/deliver/", name="takeover-deliver")
class BeginDelivery(ActPage):
    title = lazy("Receive the exchange's own files")
    power = POWER
    form_class = Beginning
    intro = lazy("Any files: CSV in any of its kinds, workbooks, Parquet, packed or not. They are kept as they come, with their hashes, and never changed.")

    def effect(self, data: dict[str, Any]) -> Effect:
        securing.require_completed(self.case)
        figures = [(_("Who delivers the files"), data["deliverer"])]
        if data["folder"]:
            figures.append((_("From a folder of the server's inbox"), data["folder"]))
        return Effect(
            _("A delivery is opened. Nothing is read into the ledger before you have said what the files mean."),
            _("Open the delivery"), figures=figures,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        if data["folder"]:
            folder = Path(settings.HANDOVER_INBOX) / data["folder"]
            return deliveries.from_directory(self.case, folder, deliverer=data["deliverer"], by=self.user, at=self.at)
        return deliveries.begin(self.case, deliverer=data["deliverer"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The delivery is open."), self.url("takeover-delivery", pk=result.pk)

    def back(self) -> str:
        return self.url("takeover")


class OfDelivery(CasePage):
    def delivery(self) -> Delivery:
        return get_object_or_404(Delivery.objects.select_related("case", "received_by"), case=self.case, pk=self.kwargs["pk"])


def encoding_words(file: DeliveredFile) -> str:
    return file.encoding.upper() if file.encoding else ""


@page("takeover/deliveries/<int:pk>/", name="takeover-delivery")
class DeliveryPage(OfDelivery, ShowPage):
    """One delivery: its files, what is still to be said about them, and the way to receive more."""

    title = lazy("A delivery of the exchange's own files")
    template = "office/taking_over/delivery.html"

    def prepare(self, **kwargs: Any) -> None:
        self.row = self.delivery()
        self.files = sorted(self.row.files.all(), key=lambda file: (not _is_table(file.name), file.name))  # papers last
        self.archives = {file.parent_id for file in self.files}
        self.arriving = [file for file in self.files if file.sha256 is None]
        here = [file for file in self.files if file.sha256 is not None and file.pk not in self.archives]
        self.forms = {file.pk: formats.format_of(deliveries.path_of(file), file.name) for file in here} if self.row.state != "destroyed" else {}
        self.unsaid = [file for file in here if self.forms.get(file.pk) == formats.CSV and not file.encoding and _is_table(file.name)]
        self.newest = LedgerMapping.objects.filter(case=self.case).order_by("-version").first()

    def context(self, **kwargs: Any) -> dict[str, Any]:
        made = super().context(**kwargs)
        return made | {
            "uploading": self.row.state == DeliveryState.ARRIVING and self.may(POWER),
            "upload_address": self.url("takeover-upload", pk=self.row.pk), "address": self.url("takeover-delivery", pk=self.row.pk),
        }  # fmt: skip

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A file without script: whole, in one request."""
        row = self.delivery()
        for file in request.FILES.getlist("files"):
            deliveries.add(row, name=file.name or "", source=file.chunks(), by=self.user, at=self.at)
            messages.success(request, _("“%(name)s” is received.") % {"name": file.name})
        if not request.FILES:
            raise deliveries.NotDelivered(_("Choose at least one file."))
        return redirect(self.url("takeover-delivery", pk=row.pk))

    def sentence(self) -> Any:
        if self.row.state == DeliveryState.DESTROYED:
            return _("The files of this delivery were destroyed: %(reason)s") % {"reason": self.row.destroyed_because}
        if not self.files:
            return _("No file is here yet.")
        if self.arriving:
            return ngettext(
                "%(n)s file did not come whole yet. Choose it again: the upload goes on where it stopped.",
                "%(n)s files did not come whole yet. Choose them again: the upload goes on where it stopped.", len(self.arriving),
            ) % {"n": len(self.arriving)}  # fmt: skip
        if conversions.is_package(self.row):
            return _("These files are a handover package: there is nothing to map.")
        if self.unsaid:
            return ngettext(
                "Say of each text file how it is encoded. %(n)s is left.", "Say of each text file how it is encoded. %(n)s are left.", len(self.unsaid)
            ) % {"n": len(self.unsaid)}
        if self.newest is None:
            return _("Now say what the columns mean: write the mapping.")
        return _("The files can be converted.")

    def figures(self) -> list[tuple[Any, Any]]:
        total = self.row.files.filter(parent=None).aggregate(bytes=Sum("bytes"))["bytes"] or 0
        return [
            (_("Deliverer"), self.row.deliverer), (_("Received"), jst(self.row.received_at)), (_("By"), self.row.received_by.shown_name),
            (_("Files"), f"{sum(file.parent_id is None for file in self.files):,}"), (_("Bytes"), f"{total:,}"),
        ]  # fmt: skip

    def buttons(self) -> list[Button]:
        if self.row.state == DeliveryState.DESTROYED or not self.files:
            return []
        found: list[Button] = []
        if conversions.is_package(self.row):
            found.append(self.button(_("Receive the package"), "takeover-convert", POWER, pk=self.row.pk, main=True))
        else:
            ready = not self.arriving and not self.unsaid
            found.append(self.button(_("Write the mapping"), "takeover-mapping", POWER, main=ready and self.newest is None))
            if self.newest is not None and ready:
                found.append(self.button(_("Convert and inspect"), "takeover-convert", POWER, pk=self.row.pk, main=True))
            elif self.newest is not None:
                found.append(Button(_("Convert and inspect"), why_not=_("first say how every file is encoded")))
        found.append(self.button(_("Destroy the files"), "takeover-destroy", POWER, pk=self.row.pk, grave=True))
        return found

    def sections(self) -> list[Section]:
        rows = [
            [
                self._name(file), self._form(file), f"{file.bytes:,}", sha(file.sha256) if file.sha256 else _progress(file), jst(file.received_at),
            ]
            for file in self.files[:SHOWN]
        ]  # fmt: skip
        more = _("and %(n)s more") % {"n": len(self.files) - SHOWN} if len(self.files) > SHOWN else ""
        return [
            Section(
                _("Files as received"), more, [_("Name"), _("Read as"), _("Bytes"), "SHA-256", _("Received")], rows, numeric=frozenset({2}),
                empty=_("No file is here yet."),
            )
        ] if self.files else []  # fmt: skip

    def _name(self, file: DeliveredFile) -> Any:
        inside = next((one.name for one in self.files if one.pk == file.parent_id), "")
        return format_html("{}<br><small>{}</small>", file.name, _("from %(archive)s") % {"archive": inside}) if inside else file.name

    def _form(self, file: DeliveredFile) -> Any:
        if file.sha256 is None:
            return link(self.url("takeover-take-out", pk=file.pk), _("Take out")) if self.may(POWER) else "–"
        if file.pk in self.archives:
            return _("archive, unpacked")
        form = self.forms.get(file.pk, "")
        if form != formats.CSV:
            return {"xlsx": _("workbook"), "parquet": "Parquet"}.get(form, "–")
        if not _is_table(file.name):
            return "–"
        said = format_html("{} ", tag(encoding_words(file))) if file.encoding else ""
        if not self.may(POWER):
            return said or _("not said yet")
        return format_html("{}{}", said, link(self.url("takeover-encoding", pk=file.pk), _("change") if file.encoding else _("Say the encoding")))


def _is_table(name: str) -> bool:
    """Whether somebody will want to read the file as a table: papers beside them need no encoding."""
    return name.lower().endswith((".csv", ".tsv", ".txt", ".tab", ".dat")) and not name.startswith("evidence/")


def _progress(file: DeliveredFile) -> str:
    return _("%(here)s of %(all)s bytes") % {"here": f"{file.received:,}", "all": f"{file.bytes:,}"}


@page("takeover/deliveries/<int:pk>/upload/", name="takeover-upload")
class UploadPiece(OfDelivery):
    """
    The same in pieces, for the script of the delivery's page: announce a file, send what is missing, finish.

    Each answer says how many bytes are here, so that whatever broke off goes on from there.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return JsonResponse(self._answer(request))
        except Refused as refusal:
            return JsonResponse({"refused": str(refusal)}, status=409)

    def _answer(self, request: HttpRequest) -> dict[str, Any]:
        row = self.delivery()
        if "X-File" not in request.headers:
            try:
                size = int(request.POST.get("size", ""))
            except ValueError:
                raise deliveries.NotDelivered(_("Say how large the file is.")) from None
            file = deliveries.announce(row, name=request.POST.get("name", ""), size=size, by=self.user, at=self.at)
            return {"file": file.pk, "received": file.received}
        file = get_object_or_404(row.files, pk=_number(request.headers.get("X-File", "")))
        if request.headers.get("X-Finish"):
            file = deliveries.finish(file, by=self.user, at=self.at)
            return {"file": file.pk, "received": file.received, "sha256": bytes(file.sha256 or b"").hex()}
        piece = request.read(deliveries.PIECE_MAX + 1)
        received = deliveries.append(
            file, offset=_number(request.headers.get("X-Offset", "")), piece=piece, piece_sha256=request.headers.get("X-SHA256", ""),
            by=self.user, at=self.at,
        )  # fmt: skip
        return {"file": file.pk, "received": received}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


class OfFile(ActPage):
    power = POWER

    def file(self) -> DeliveredFile:
        return get_object_or_404(DeliveredFile.objects.select_related("delivery__case"), delivery__case=self.case, pk=self.kwargs["pk"])

    def back(self) -> str:
        return self.url("takeover-delivery", pk=self.file().delivery_id)


class Choosing(forms.Form):
    encoding = forms.ChoiceField(label=lazy("It reads as"), choices=[], widget=forms.RadioSelect)

    def __init__(self, *args: Any, found: list[encodings.Candidate], **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "encoding", [(one.encoding, _choice(one)) for one in found if one.possible])


def _choice(one: encodings.Candidate) -> Any:
    said = [one.encoding.upper()]
    if one.marked:
        said.append(_("a byte order mark says so"))
    if one.odd:
        said.append(_("%(n)s signs that nobody writes") % {"n": f"{one.odd:,}"})
    if one.half_kana:
        said.append(_("%(n)s half-width kana") % {"n": f"{one.half_kana:,}"})
    lines = format_html_join("\n", "{}", ((line,) for line in one.samples[:8]))
    return format_html('<strong>{}</strong><pre class="lines" lang="ja">{}</pre>', " · ".join(said), lines)


@page("takeover/files/<int:pk>/encoding/", name="takeover-encoding")
class ConfirmEncoding(OfFile):
    title = lazy("How is this file encoded?")
    form_class = Choosing
    intro = lazy("Look at the names and the kana: only one of these reads as it should. Nothing is guessed for you.")

    def candidates(self) -> list[encodings.Candidate]:
        file = self.file()
        if file.sha256 is None or file.delivery.state == DeliveryState.DESTROYED:
            raise deliveries.NotDelivered(_("“%(name)s” is not here.") % {"name": file.name})
        return encodings.candidates(deliveries.path_of(file), LOOKED_AT)

    def form_arguments(self) -> dict[str, Any]:
        return {"found": self.candidates()}

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        return super().show({"title": _("How is “%(name)s” encoded?") % {"name": self.file().name}, **context}, template=template, status=status)

    def effect(self, data: dict[str, Any]) -> Effect:
        file, found = self.file(), self.candidates()
        chosen = next(one for one in found if one.encoding == data["encoding"])
        others = [
            [one.encoding.upper(), _("possible too") if one.possible else _("byte %(n)s has no meaning") % {"n": f"{one.wrong_at:,}"}]
            for one in found if one is not chosen
        ]  # fmt: skip
        return Effect(
            _("“%(name)s” is read as %(encoding)s from its first to its last byte.") % {"name": file.name, "encoding": chosen.encoding.upper()},
            _("Confirm the encoding"), figures=[(_("Name"), file.name), (_("Bytes"), f"{file.bytes:,}")],
            tables=[
                Table(_("How it reads"), [_("Line")], [[line] for line in chosen.samples[:8]]),
                Table(_("The other candidates"), [_("Encoding"), _("What speaks against it")], others),
            ],
            content_sha256=bytes(file.sha256 or b"").hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return deliveries.confirm_encoding(self.file(), encoding=data["encoding"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Confirmed."), self.back()


@page("takeover/files/<int:pk>/take-out/", name="takeover-take-out")
class TakeOut(OfFile):
    title = lazy("Take out a file that did not come whole")

    def effect(self, data: dict[str, Any]) -> Effect:
        file = self.file()
        if file.sha256 is not None:
            raise deliveries.NotDelivered(_("“%(name)s” is received; it is kept with its delivery.") % {"name": file.name})
        return Effect(
            _("What came of “%(name)s” so far is taken out.") % {"name": file.name}, _("Take out"), figures=[(_("Bytes"), _progress(file))]
        )

    def act(self, data: dict[str, Any]) -> Any:
        file = self.file()
        self.went_back = self.url("takeover-delivery", pk=file.delivery_id)
        return deliveries.take_out(file, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Taken out."), self.went_back


@page("takeover/deliveries/<int:pk>/destroy/", name="takeover-destroy")
class DestroyFiles(OfDelivery, ActPage):
    title = lazy("Destroy the files of a delivery")
    power = POWER
    form_class = Reason
    intro = lazy("For files that must not be held, such as those with individual numbers (My Number). Their hashes and your reason stay.")

    def form_arguments(self) -> dict[str, Any]:
        self.delivery()
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        row = self.delivery()
        return Effect(
            _("The files of this delivery are destroyed, with all that was made of them, and cannot be brought back."), _("Destroy the files"),
            figures=[(_("Deliverer"), row.deliverer), (_("Files"), f"{row.files.count():,}"), (_("Why"), data["reason"])],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return deliveries.destroy(self.delivery(), reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The files are destroyed; their hashes and the reason stay."), self.back()

    def back(self) -> str:
        return self.url("takeover-delivery", pk=self.kwargs["pk"])


class Converting(forms.Form):
    mapping = OneOf(
        LedgerMapping.objects.none(), label=lazy("Mapping"), required=False,
        named=lambda row: _("version %(n)s of %(at)s") % {"n": row.version, "at": jst(row.at)},
    )  # fmt: skip
    differences = forms.ChoiceField(
        label=lazy("If a control total differs"), choices=words.choices(words.DIFFERENCES), widget=forms.RadioSelect, initial=Differences.REFUSE
    )

    def __init__(self, *args: Any, versions: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if versions is None:
            del self.fields["mapping"]
        else:
            offer(self, "mapping", versions)
            self.fields["mapping"].required = True
            self.fields["mapping"].initial = versions.first()


@page("takeover/deliveries/<int:pk>/convert/", name="takeover-convert")
class ConvertDelivery(OfDelivery, ActPage):
    title = lazy("Convert the files and inspect what comes of them")
    power = POWER
    form_class = Converting
    intro = lazy("Every row is converted as the mapping says, exactly, and can be followed back to its line and bytes. What cannot be converted is refused with its reason.")

    def form_arguments(self) -> dict[str, Any]:
        ready = conversions.is_package(self.delivery())
        return {"versions": None if ready else LedgerMapping.objects.filter(case=self.case).order_by("-version")}

    def effect(self, data: dict[str, Any]) -> Effect:
        row, chosen = self.delivery(), data.get("mapping")
        conversions.require_files(row)
        figures = [(_("Deliverer"), row.deliverer), (_("Files"), f"{row.files.count():,}"),
                   (_("If a control total differs"), words.of(words.DIFFERENCES, data["differences"]))]  # fmt: skip
        if chosen is None:
            return Effect(
                _("The package is received and inspected. Nothing is in the case until a second person accepts it."), _("Receive and inspect"),
                figures=figures,
            )  # fmt: skip
        obstacles = conversions.obstacles(row, chosen)
        if obstacles:
            raise conversions.NotConverted(" ".join(wording.said(str(one)) for one in obstacles[:8]) + (f" (+{len(obstacles) - 8})" if len(obstacles) > 8 else ""))
        made = mapping.read(chosen.text)
        tables = [[task.file.name, ", ".join(part.table.file for part in _distinct(task.source.parts))] for task in conversions.tasks(row, made)]
        return Effect(
            _("The files are converted by version %(n)s of the mapping and inspected. Nothing is in the case until a second person accepts it.")
            % {"n": chosen.version},
            _("Convert and inspect"), figures=[*figures, (_("Mapping"), f"{chosen.version} · {sha(chosen.sha256)}")],
            tables=[Table(_("What becomes of the files"), [_("Name"), _("Tables")], tables)], content_sha256=bytes(chosen.sha256).hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        row = self.delivery()
        if data.get("mapping") is None:
            return conversions.take_in_package(row, by=self.user, at=self.at, differences=data["differences"])
        return conversions.convert(row, data["mapping"], by=self.user, at=self.at, differences=data["differences"])

    def done(self, result: Any) -> tuple[str, str]:
        return _("Begun; this page follows the work."), self.url("takeover")

    def back(self) -> str:
        return self.url("takeover-delivery", pk=self.kwargs["pk"])


@page("takeover/give-up-conversion/", name="takeover-give-up-conversion")
class GiveUpConversion(ActPage):
    title = lazy("Give the conversion up")
    power = POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        job = Job.objects.filter(case=self.case, kind=deliveries.CONVERT, state=JobState.WAITING).first()
        if job is None:
            raise conversions.NotConverted(_("There is no conversion here to give up."))
        self.job = job
        row = Delivery.objects.get(pk=job.subject_id)
        return Effect(
            _("The conversion ends here and nothing of it remains. The delivery stays as it was received: it can be converted again, or destroyed."),
            _("Give the conversion up"), figures=[(_("Deliverer"), row.deliverer), (_("Received"), jst(row.received_at)), (_("Begun"), jst(job.started_at))],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return conversions.give_up(self.job, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The conversion was given up."), self.back()

    def back(self) -> str:
        return self.url("takeover")


def _distinct(parts: Any) -> list[Any]:
    return list({part.table.file: part for part in parts}.values())
