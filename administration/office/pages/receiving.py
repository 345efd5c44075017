"""What is done with a handover package: received, inspected, given up, explained by suspense, put up for acceptance."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases import securing
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import package, takeover, unpacking
from administration.ledger.models import ControlTotal, Differences, Intake, IntakeState, NegativePolicy
from administration.office import uploads, words
from administration.office.entering import PaperField, Reason, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, KeptFile, Table
from administration.office.pages.audited import audited_tables
from administration.office.pages.base import page
from administration.office.pages.outcomes import outcomes_table
from administration.office.pages.taking_over import POWER, papers_besides, scales_of, shown
from administration.office.pages.what_is_signed import describes
from administration.office.templatetags.office import jst

ZIP_BYTES_MAX = 8 * 2**30


# --- receiving ------------------------------------------------------------------------------------


def inbox() -> list[str]:
    """The folders of the inbox that look like packages."""
    folder = Path(settings.HANDOVER_INBOX) if settings.HANDOVER_INBOX else None
    if folder is None or not folder.is_dir():
        return []
    return sorted(
        one.name for one in folder.iterdir() if not one.is_symlink() and one.is_dir() and (one / package.MANIFEST).is_file()
    )


class Receiving(forms.Form):
    zipped = PaperField(
        label=lazy("The package as one ZIP file"), required=False, bytes_max=ZIP_BYTES_MAX,
        help_text=lazy("The folder with manifest.json and its files, packed."),
    )  # fmt: skip
    folder = forms.ChoiceField(
        label=lazy("Or a folder of the server's inbox"), required=False,
        help_text=lazy("For packages too large to upload: the operator puts them there."),
    )  # fmt: skip
    differences = forms.ChoiceField(
        label=lazy("If a control total differs"), choices=words.choices(words.DIFFERENCES), widget=forms.RadioSelect,
        initial=Differences.REFUSE,
    )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        offer(self, "folder", [("", "–"), *((name, name) for name in inbox())])

    def clean(self) -> dict[str, Any]:
        super().clean()
        if bool(self.cleaned_data.get("zipped")) == bool(self.cleaned_data.get("folder")):
            raise ValidationError(_("Give one of both: a ZIP file, or a folder of the inbox."))
        return self.cleaned_data


@page("takeover/receive/", name="takeover-receive")
class ReceivePackage(ActPage):
    title = lazy("Receive the handover package")
    template = "office/taking_over/receive.html"
    power = POWER
    form_class = Receiving
    intro = lazy(
        "The package is copied as it is, every file is hashed and compared with its manifest, and it is inspected. "
        "A package at fault is refused whole: nothing of it is kept, and you get the list of what to mend."
    )
    faults: tuple[package.Fault, ...] = ()

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> Any:
        return super().show({**context, "faults": self.faults[:200], "more_faults": max(0, len(self.faults) - 200)}, template=template, status=status)

    def folder(self, data: dict[str, Any]) -> Path:
        kept = data.get("zipped")
        if isinstance(kept, KeptFile):
            folder = uploads.folder() / f"package-{kept.sha256}"
            return folder if folder.is_dir() else unpacking.unpack(kept.path, folder)
        return Path(settings.HANDOVER_INBOX) / str(data["folder"])

    @contextlib.contextmanager
    def nothing_of_it_kept(self, data: dict[str, Any]) -> Iterator[None]:
        """What is refused as a package goes as it came; all its faults are shown, not the first only."""
        try:
            yield
        except (package.PackageRefused, unpacking.NotUnpacked) as refused:
            self.faults = refused.faults if isinstance(refused, package.PackageRefused) else ()
            kept = data.get("zipped")
            if isinstance(kept, KeptFile):
                shutil.rmtree(uploads.folder() / f"package-{kept.sha256}", ignore_errors=True)
                kept.path.unlink(missing_ok=True)
            raise

    def effect(self, data: dict[str, Any]) -> Effect:
        securing.require_completed(self.case)
        with self.nothing_of_it_kept(data):
            manifest = package.read_manifest(self.folder(data))
        scales = {asset.code: asset.scale for asset in manifest.assets}
        rows = sum(file.rows or 0 for file in manifest.files)
        kept = data.get("zipped")
        return Effect(
            _("The package of %(exchange)s is received and inspected: %(rows)s rows. Nothing is in the case until a second person accepts it.")
            % {"exchange": manifest.case.exchange_name, "rows": f"{rows:,}"},
            _("Receive and inspect"),
            figures=[
                (_("Exchange"), manifest.case.exchange_name),
                (_("Balances as of"), jst(manifest.cutoff_at)),
                (_("Cut-off of the case"), jst(self.case.cutoff_at)),
                (_("If a control total differs"), words.of(words.DIFFERENCES, data["differences"])),
            ],
            tables=[
                Table(
                    _("Control totals as declared"), [_("Asset"), _("Product"), _("Declared"), _("Balances"), _("By whom")],
                    [
                        [one.asset, words.of(words.PRODUCTS, one.product), shown(one.declared, one.asset, scales), f"{one.accounts:,}",
                         words.of(words.SOURCES, one.source.replace("_", " "))]
                        for one in manifest.control_totals
                    ],
                    numeric=frozenset({2, 3}),
                ),
                Table(
                    _("Files"), [_("Name"), _("Bytes"), _("Rows")],
                    [
                        *([one.name, f"{one.bytes:,}", f"{one.rows:,}"] for one in manifest.files if one.rows is not None),
                        [papers_besides(sum(one.rows is None for one in manifest.files)), "", ""],
                    ],
                    numeric=frozenset({1, 2}),
                ),
            ],
            warnings=[]
            if manifest.cutoff_at == self.case.cutoff_at
            else [_("The package is of another cut-off than the case.")],
            content_sha256=kept.sha256 if isinstance(kept, KeptFile) else manifest.sha256,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        kept, folder = data.get("zipped"), self.folder(data)
        if not isinstance(kept, KeptFile):
            with self.nothing_of_it_kept(data):
                return self.taken_in(folder, data)
        folder = uploads.claimed(folder)
        try:
            with self.nothing_of_it_kept(data):
                job = self.taken_in(folder, data)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        kept.path.unlink(missing_ok=True)  # the archive has its own copy
        return job

    def taken_in(self, folder: Path, data: dict[str, Any]) -> Any:
        return takeover.take_in(self.case, folder, by=self.user, at=self.at, differences=data["differences"])

    def done(self, result: Any) -> tuple[str, str]:
        return _("Received. The inspection has begun; this page follows it."), self.url("takeover")


# --- the other acts -------------------------------------------------------------------------------


class OfIntake(ActPage):
    """An act on the case's live package."""

    power = POWER

    def intake(self) -> Intake:
        found = Intake.objects.filter(case=self.case).exclude(state=IntakeState.CANCELLED).select_related("case").first()
        if found is None:
            raise takeover.NotInspected(_("There is no package in case %(case)s. Receive one first.") % {"case": self.case})
        return found

    def back(self) -> str:
        return self.url("takeover")


@page("takeover/inspect/", name="takeover-inspect")
class InspectPackage(OfIntake):
    title = lazy("Inspect the package")

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = self.intake()
        return Effect(
            _("Every row of the package is read and checked. Nothing is in the case until a second person accepts it."),
            _("Inspect the package"), figures=[(_("Received"), jst(intake.received_at))],
            content_sha256=bytes(intake.package_sha256).hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.inspect(self.intake(), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The inspection has begun; this page follows it."), self.back()


@page("takeover/cancel/", name="takeover-cancel")
class CancelPackage(OfIntake):
    title = lazy("Give the package up")
    form_class = Reason

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = self.intake()
        traces = (
            _("Its row stays, with your reason; nothing of it counts.")
            if intake.state == IntakeState.INSPECTED
            else _("Nothing of it remains.")
        )
        return Effect(
            _("The package is given up. %(traces)s Another one can then be received.") % {"traces": traces},
            _("Give the package up"), figures=[(_("Why"), data["reason"]), (_("State"), words.of(words.INTAKES, intake.state))],
            content_sha256=bytes(intake.package_sha256).hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.cancel(self.intake(), by=self.user, at=self.at, reason=data["reason"])

    def done(self, result: Any) -> tuple[str, str]:
        return _("The package was given up."), self.back()


@page("takeover/forget/", name="takeover-forget")
class ForgetReport(ActPage):
    title = lazy("Put the report of a refused package aside")
    power = POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        job = takeover.refused(self.case)
        if job is None:
            raise takeover.NotInspected(_("There is no report of a refused package here."))
        self.job = job
        rows = sum(one["rows"] for one in (job.result or {}).get("findings", []))
        return Effect(
            _("The report of the refused package goes; nothing of the package is left then. Download the list first if you need it."),
            _("Put the report aside"), figures=[(_("Findings"), f"{rows:,}")],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.forget(self.job, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("The report was put aside."), self.url("takeover")


class Suspending(forms.Form):
    name = forms.CharField(label=lazy("Name of the suspense"), max_length=100, help_text=lazy("Under which it is looked for later."))


@page("takeover/suspense/<int:pk>/", name="takeover-suspense")
class ProposeSuspense(ActPage):
    title = lazy("Put a difference into named suspense")
    power = POWER
    form_class = Suspending
    intro = lazy("What nobody can explain goes under a name, signed by two people, the office-holder among them. It stays visible until it is identified.")

    def total(self) -> ControlTotal:
        return get_object_or_404(ControlTotal.objects.select_related("intake"), intake__case=self.case, pk=self.kwargs["pk"])

    def form_arguments(self) -> dict[str, Any]:
        self.total()
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        return suspense_effect(self.total(), data["name"])

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.put_into_suspense(self.total(), name=data["name"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("takeover")


def suspense_effect(total: ControlTotal, name: str) -> Effect:
    scales = scales_of(total.intake.manifest)
    code = total.asset_code
    return Effect(
        _("%(amount)s that nobody can explain go into the suspense “%(name)s”.")
        % {"amount": shown(total.difference, code, scales), "name": name},
        _("Ask for the signatures"),
        figures=[
            (_("Declared"), shown(total.declared, code, scales)),
            (_("By whom"), words.of(words.SOURCES, total.source.replace("_", " "))),
            (_("Rows add up to"), shown(total.computed, code, scales)),
            (_("Difference"), shown(total.difference, code, scales)),
            *([(_("Of it in rows set aside, as far as they can be read"), shown(total.aside, code, scales))] if total.aside_rows else []),
            (_("Product"), words.of(words.PRODUCTS, total.product)),
        ],
    )


@describes(takeover.SUSPENSE)
def what_goes_into_suspense(request: ApprovalRequest, case: Case) -> Effect:
    """The difference, and under which name."""
    total = ControlTotal.objects.select_related("intake").get(pk=request.object_id)
    said = suspense_effect(total, total.suspense_name)
    return Effect(
        said.sentence, _("Sign: put it into suspense"), figures=said.figures,
        content_sha256=bytes(request.content_sha256).hex(), order=request.order,
    )  # fmt: skip


class Accepting(forms.Form):
    negative_policy = forms.ChoiceField(
        label=lazy("What becomes of negative balances"), choices=words.choices(words.NEGATIVES), widget=forms.RadioSelect,
        initial=NegativePolicy.EXCLUDE,
    )  # fmt: skip
    remark = WordsField(
        label=lazy("Remark on what the inspection found"), required=False, max_length=4_000,
        help_text=lazy("It is signed with the acceptance and stays with the ledger."),
    )  # fmt: skip


@page("takeover/accept/", name="takeover-accept")
class AskForAcceptance(OfIntake):
    title = lazy("Ask for acceptance of the ledger")
    form_class = Accepting
    intro = lazy("A second person looks at the same figures and signs. Then the ledger is written and never changes again.")

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = self.intake()
        negatives = intake.findings.filter(kind="negative_balance").first()
        known = {asset.code: asset.scale for asset in Asset.objects.filter(case=self.case)} | scales_of(intake.manifest)
        return Effect(
            _("Another person is asked to accept the ledger as it was inspected: %(accounts)s accounts, %(balances)s balances.")
            % {"accounts": f"{intake.accounts:,}", "balances": f"{intake.balances:,}"},
            _("Ask for acceptance"),
            figures=[
                (_("Accounts"), f"{intake.accounts:,}"),
                (_("Balances"), f"{intake.balances:,}"),
                (_("Negative balances"), f"{negatives.rows:,}" if negatives else "0"),
                (_("What becomes of negative balances"), words.of(words.NEGATIVES, data["negative_policy"])),
                *([(_("Remark on what the inspection found"), data["remark"])] if data["remark"] else []),
            ],
            tables=[
                *([outcomes_table(intake)] if intake.outcomes else []),
                *audited_tables(intake),
                Table(
                    _("Control totals"), [_("Asset"), _("Product"), _("Declared"), _("Rows add up to"), _("In suspense"), _("Difference")],
                    [
                        [one.asset_code, words.of(words.PRODUCTS, one.product),
                         *(shown(units, one.asset_code, known) for units in (one.declared, one.computed, one.suspense, one.difference))]
                        for one in intake.control_totals.order_by("asset_code", "product")
                    ],
                    numeric=frozenset({2, 3, 4, 5}),
                )
            ],
            content_sha256=bytes(intake.package_sha256).hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.accept(self.intake(), by=self.user, at=self.at, negative_policy=data["negative_policy"], remark=data["remark"])


@page("takeover/go-on/", name="takeover-go-on")
class GoOn(OfIntake):
    title = lazy("Go on writing the accepted ledger")

    def effect(self, data: dict[str, Any]) -> Effect:
        intake = self.intake()
        return Effect(
            _("Writing the signed ledger goes on where it stopped. Nothing is written twice."), _("Go on writing"),
            figures=[(_("State"), words.of(words.INTAKES, intake.state))], content_sha256=bytes(intake.content_sha256 or b"").hex(),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return takeover.go_on(self.intake(), by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("It goes on; this page follows it."), self.back()
