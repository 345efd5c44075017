"""Taking over the ledger: the package is received, inspected while one watches, explained, and accepted by a second person."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import wording
from administration.cases.models import ApprovalRequest, Case
from administration.ledger import audited, deliveries, takeover
from administration.ledger.delivered import Delivery
from administration.ledger.models import ControlTotal, Finding, Intake, IntakeState
from administration.office import readable, words
from administration.office.pages import working
from administration.office.pages.base import CasePage, page
from administration.office.pages.showing import Button, Section, ShowPage, day, link
from administration.office.templatetags.office import jst, sha
from administration.work.models import Job, JobState

POWER = takeover.POWER
EXAMPLES = 5  # of each kind of finding

working.KINDS.update({
    takeover.INSPECT: lazy("Inspecting the handover package"),
    takeover.ACCEPT: lazy("Writing the accepted ledger"),
})  # fmt: skip


# --- what there is --------------------------------------------------------------------------------


@dataclass
class Group:
    """All findings of one kind in one column: how many rows, and the first of them."""

    kind: str
    severity: str
    file: str
    column: str
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def words(self) -> str:
        return words.of(words.FINDINGS, self.kind)

    @property
    def severity_words(self) -> str:
        return words.of(words.SEVERITIES, self.severity)


@dataclass(frozen=True)
class Standing:
    """Where the take-over of a case stands: the package, its inspection, what was found."""

    intake: Intake | None
    job: Job | None  # the work under way, or the last
    refused: bool
    approval: ApprovalRequest | None

    @property
    def running(self) -> bool:
        return self.job is not None and self.job.state == JobState.WAITING

    @property
    def state(self) -> str:
        return "refused" if self.refused else self.intake.state if self.intake else "converting" if self.running else ""

    def findings(self) -> list[dict[str, Any]]:
        """Each finding, as far as the inspection listed them one by one."""
        if self.refused and self.job is not None:
            return list((self.job.result or {}).get("findings", []))
        if self.intake is None:
            return []
        inspection = Job.objects.filter(kind=takeover.INSPECT, subject_id=self.intake.pk).order_by("-pk").first()
        listed = list((inspection.result or {}).get("findings", [])) if inspection else []
        return listed or [
            {key: getattr(row, key) for key in ("kind", "severity", "file", "row", "column", "reason", "remedy", "rows")}
            for row in Finding.objects.filter(intake=self.intake).order_by("pk")
        ]


def standing(case: Case) -> Standing:
    intake = Intake.objects.filter(case=case).exclude(state=IntakeState.CANCELLED).first()
    if intake is None:
        newest = Job.objects.filter(case=case, kind__in=(deliveries.CONVERT, takeover.INSPECT)).order_by("-pk").first()
        if newest is not None and newest.kind == deliveries.CONVERT and newest.state in (JobState.WAITING, JobState.FAILED):
            return Standing(None, newest, False, None)
        refused = takeover.refused(case)
        return Standing(None, refused, refused is not None, None)
    kind = takeover.ACCEPT if intake.state in (IntakeState.ACCEPTING, IntakeState.ACCEPTED) else takeover.INSPECT
    job = Job.objects.filter(kind=kind, subject_id=intake.pk).order_by("-pk").first()
    asked = case.approvals.filter(act=takeover.ACCEPT, object_id=intake.pk).order_by("-pk").first()
    return Standing(intake, job, False, asked)


def grouped(findings: list[dict[str, Any]]) -> list[Group]:
    found: dict[tuple[str, str, str], Group] = {}
    for one in findings:
        key = (one["kind"], one["file"], one["column"])
        group = found.setdefault(key, Group(one["kind"], one["severity"], one["file"], one["column"]))
        group.rows += one["rows"]
        if len(group.examples) < EXAMPLES:
            group.examples.append(one | {"reason": wording.said(one["reason"]), "remedy": wording.said(one["remedy"])})
    return list(found.values())


def shown(units: int | None, code: str, scales: dict[str, int]) -> str:
    """An amount of an asset that the case may not know yet."""
    if units is None:
        return "–"
    return f"{''.join(readable.parts(units, scales.get(code, 0)))} {code}"


AUDITED = (lazy("Asset"), lazy("Difference"), lazy("Audited"), lazy("Rows add up to"), lazy("Audited as of"), lazy("Auditor"), lazy("What lies between"), "SHA-256")


def audited_rows(intake: Intake) -> list[list[Any]]:
    """The ledger beside the last audited accounts, an asset a row."""
    scales = scales_of(intake.manifest)
    return [
        [
            one.asset_code, shown(one.difference, one.asset_code, scales) if one.difference else "0", shown(one.audited, one.asset_code, scales),
            shown(one.ledger, one.asset_code, scales), day(one.as_of), one.auditor, one.explanation or "–", sha(one.paper_sha256),
        ]
        for one in audited.newest(intake)
    ]  # fmt: skip


def papers_besides(many: int) -> str:
    return ngettext("and %(n)s paper as evidence", "and %(n)s papers as evidence", many) % {"n": many}


def scales_of(manifest: dict[str, Any]) -> dict[str, int]:
    return {asset["code"]: asset["scale"] for asset in manifest.get("assets", [])}


# --- the wizard -----------------------------------------------------------------------------------

STAGES = (
    ("received", lazy("Receive the package")),
    ("inspected", lazy("Inspect it")),
    ("explained", lazy("Explain differences")),
    ("accepting", lazy("A second person accepts")),
    ("accepted", lazy("Ledger taken over")),
)
REACHED = {"": 0, "converting": 0, "refused": 1, "received": 1, "inspecting": 1, "inspected": 2, "accepting": 4, "accepted": 5}


@page("takeover/", name="takeover", menu="ledger", icon="download", order=1)
class TakeOverPage(ShowPage):
    title = lazy("Take over the ledger")
    template = "office/taking_over/wizard.html"

    def prepare(self, **kwargs: Any) -> None:
        self.standing = standing(self.case)
        intake = self.standing.intake
        self.totals = list(intake.control_totals.order_by("asset_code", "product")) if intake else []
        self.unexplained = [total for total in self.totals if total.difference]
        self.groups = [] if self.standing.running else grouped(self.standing.findings())

    def context(self, **kwargs: Any) -> dict[str, Any]:
        made = super().context(**kwargs)
        now = REACHED[self.standing.state]
        if self.standing.state == "inspected" and not self.unexplained:
            now = 3
        job = self.standing.job
        return made | {
            "stages": [
                (label, "past" if n < now else "now" if n == now else "") for n, (_name, label) in enumerate(STAGES)
            ],
            "groups": self.groups,
            "running": self.standing.running,
            "job": job,
            "job_words": working.progress(job, self.at) if job else "",
            "job_total": max(job.total, job.done, 1) if job else 1,
            "job_kind": working.kind_in_words(job) if job else "",
            "address": self.url("takeover"),
            "csv": self.url("takeover-findings") if self.groups and self.may(POWER) else "",
        }

    def sentence(self) -> Any:
        intake, state = self.standing.intake, self.standing.state
        if state == "refused":
            return _("The last package was refused, and nothing of it was kept. Have it mended, then receive it again.")
        if state == "converting":
            return _("The exchange's own files are being converted. Nothing is in the case yet, and it can be given up at any time.")
        if intake is None:
            if not self.case.securing_completed_at:
                return _("The exchange is not secured yet. Complete the securing checklist first.")
            return _("No package has been received. Receive the handover package of the exchange.")
        sentences = {
            "received": _("The package is received and not inspected yet."),
            "inspecting": _("The package is being inspected. Nothing is in the case yet, and it can be given up at any time."),
            "inspected": (
                _("%(n)s control totals differ and nobody has said why. Explain them, or put each into named suspense.")
                % {"n": len(self.unexplained)}
                if self.unexplained
                else _("The package is inspected and every control total is met. A second person can accept it.")
            ),
            "accepting": _("The acceptance is signed. The ledger is being written."),
            "accepted": _("The ledger is taken over and never changes again. Corrections are adjustments, signed by a second person."),
        }
        return sentences[state]

    def notices(self) -> list[tuple[str, Any]]:
        job, found = self.standing.job, []
        if job is not None and job.state == JobState.FAILED:
            found.append(("refusal", job.error))
        if self.unexplained:
            found.append(("refusal", _("Unexplained: %(totals)s") % {"totals": ", ".join(map(str, self.unexplained))}))
        asked = self.standing.approval
        if asked is not None and asked.state == "rejected":
            found.append(("warning", _("The acceptance was rejected: %(reason)s") % {"reason": asked.reason}))
        return found

    def figures(self) -> list[tuple[Any, Any]]:
        intake = self.standing.intake
        if intake is None:
            return []
        return [
            (_("Exchange"), intake.manifest.get("case", {}).get("exchange_name", "–")),
            (_("Balances as of"), jst(intake.cutoff_at)),
            (_("Received"), jst(intake.received_at)),
            (_("Accounts"), f"{intake.accounts:,}" if intake.accounts else "–"),
            (_("Balances"), f"{intake.balances:,}" if intake.balances else "–"),
            (_("SHA-256 of the package"), sha(intake.package_sha256)),
        ]

    def buttons(self) -> list[Button]:
        intake, state, asked = self.standing.intake, self.standing.state, self.standing.approval
        found: list[Button] = []
        if state in ("", "refused"):
            if self.case.securing_completed_at:
                found.append(self.button(_("Receive a package"), "takeover-receive", POWER, main=True))
                found.append(self.button(_("Receive the exchange's own files"), "takeover-deliver", POWER))
                found.append(self.button(_("Mapping"), "takeover-mapping", POWER))
            else:
                found.append(self.button(_("Securing checklist"), "securing", main=True))
        if state == "refused" and self.decidable():
            found.append(self.button(_("Decide what becomes of the findings"), "takeover-outcomes", POWER))
        if state == "refused":
            found.append(self.button(_("Put the report aside"), "takeover-forget", POWER))
        if state == "received":
            found.append(self.button(_("Inspect the package"), "takeover-inspect", POWER, main=True))
        if state == "inspected":
            if asked is not None and asked.state == "open":
                found.append(Button(_("Look at the acceptance"), self.url("approval", pk=asked.pk), main=True))
            elif self.unexplained:
                found.append(Button(_("Ask for acceptance"), why_not=_("first explain the differences")))
            else:
                found.append(self.button(_("Ask for acceptance"), "takeover-accept", POWER, main=True))
            found.append(self.button(_("Tie to audited accounts"), "takeover-audited", POWER))
        if state in ("received", "inspecting", "inspected"):
            found.append(self.button(_("Give the package up"), "takeover-cancel", POWER))
        if state == "converting":
            found.append(self.button(_("Give the conversion up"), "takeover-give-up-conversion", POWER))
        if state == "accepting" and self.standing.job and self.standing.job.state == JobState.FAILED:
            found.append(self.button(_("Go on writing"), "takeover-go-on", POWER, main=True))
        if intake is not None and intake.outcomes:
            found.append(self.button(_("Rows set aside"), "takeover-set-aside", POWER))
        if intake is not None and intake.mapping_id:
            found.append(self.button(_("Where a row came from"), "takeover-origin", POWER))
        if state == "accepted":
            found.append(self.button(_("What is held"), "holdings", main=True))
            found.append(self.button(_("Corrections and scope"), "corrections"))
        return found

    def decidable(self) -> bool:
        """Whether a decision could deal with what refused the package: its files are kept as a delivery."""
        job = self.standing.job
        return job is not None and job.kind == takeover.INSPECT and bool(job.params.get("delivery"))

    def sections(self) -> list[Section]:
        if self.standing.running and self.standing.state in ("inspecting", "converting"):
            return []
        found = [section for section in (self._totals(), self._audited(), self._files(), self._deliveries()) if section.rows]
        given_up = Intake.objects.filter(case=self.case, state=IntakeState.CANCELLED).order_by("-pk")
        if given_up:
            found.append(Section(
                _("Packages given up"), head=[_("Received"), _("SHA-256 of the package")],
                rows=[[jst(row.received_at), sha(row.package_sha256)] for row in given_up],
            ))  # fmt: skip
        return found

    def _totals(self) -> Section:
        rows: list[list[Any]] = []
        job = self.standing.job
        if self.standing.refused and job is not None:
            scales = dict(job.params.get("scales", {}))
            for total in (job.result or {}).get("control_totals", []):
                declared = None if total["declared"] is None else int(total["declared"])
                computed = int(total["computed"])
                gap = 0 if declared is None else declared - computed
                rows.append(self._total(total["asset"], total["product"], total["source"], declared, computed, gap, scales, ""))
        intake = self.standing.intake
        for one in self.totals:
            assert intake is not None
            rows.append(self._total(
                one.asset_code, one.product, one.source, one.declared, one.computed, one.difference,
                scales_of(intake.manifest), self._suspense(one),
            ))  # fmt: skip
        head = [_("Asset"), _("Product"), _("Compared"), _("Difference"), _("Declared"), _("Rows add up to"), _("By whom")]
        return Section(
            _("Control totals"), _("What the exchange's other books say, beside what the rows add up to."), head, rows,
            numeric=frozenset({3, 4, 5}), apart=True,
        )  # fmt: skip

    def _total(
        self, code: str, product: str, source: str, declared: int | None, computed: int, gap: int, scales: dict[str, int], act: Any
    ) -> list[Any]:
        loud = format_html('<span class="tag loud">{}</span>', _("unexplained"))
        says = _("not declared: unchecked") if declared is None else _("met") if not gap else loud
        return [
            code, words.of(words.PRODUCTS, product), format_html("<span>{} {}</span>", says if gap or not act else "", act),
            shown(gap, code, scales) if gap else "0", shown(declared, code, scales), shown(computed, code, scales),
            words.of(words.SOURCES, source.replace("_", " ")),
        ]  # fmt: skip

    def _suspense(self, total: ControlTotal) -> Any:
        if total.suspense:
            return _("in suspense “%(name)s”") % {"name": total.suspense_name}
        if not total.difference or self.standing.state != "inspected":
            return ""
        asked = self.case.approvals.filter(act=takeover.SUSPENSE, object_id=total.pk, state="open").first()
        if asked:
            return link(self.url("approval", pk=asked.pk), _("waits for signatures"))
        return link(self.url("takeover-suspense", pk=total.pk), _("Put into suspense")) if self.may(POWER) else ""

    def _audited(self) -> Section:
        """The newest statement about each asset; its own page says how it is entered."""
        rows = audited_rows(self.standing.intake) if self.standing.intake else []
        return Section(_("Beside the last audited accounts"), head=list(AUDITED), rows=rows, numeric=frozenset({1, 2, 3}))

    def _deliveries(self) -> Section:
        rows = [
            [link(self.url("takeover-delivery", pk=row.pk), row.deliverer), jst(row.received_at), words.of(words.DELIVERIES, row.state), f"{row.many:,}"]
            for row in Delivery.objects.filter(case=self.case).annotate(many=Count("files")).order_by("-pk")[:20]
        ]  # fmt: skip
        head = [_("Deliverer"), _("Received"), _("State"), _("Files")]
        return Section(_("Deliveries of the exchange's own files"), head=head, rows=rows, numeric=frozenset({3}))

    def _files(self) -> Section:
        intake = self.standing.intake
        every = list(intake.files.order_by("name")) if intake else []
        rows = [
            [row.name, f"{row.bytes:,}", f"{row.rows:,}", sha(row.sha256)] for row in every if row.rows is not None
        ]
        return Section(
            _("Files as received"), papers_besides(len(every) - len(rows)), head=[_("Name"), _("Bytes"), _("Rows"), "SHA-256"], rows=rows, numeric=frozenset({1, 2})
        )


@page("takeover/findings.csv", name="takeover-findings")
class FindingsFile(CasePage):
    """Every finding with file, row, column, reason and remedy, for whoever has to mend the package: they quote customers' fields."""

    power = POWER

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        found = standing(self.case).findings()
        if not found:
            raise Http404
        head = [_("Kind"), _("Severity"), _("File"), _("Row"), _("Column"), _("Reason"), _("Remedy"), _("Rows")]
        answer = StreamingHttpResponse(lines_of(head, found), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{self.case.reference}-findings.csv"'
        return answer


def lines_of(head: list[str], found: list[dict[str, Any]]) -> Iterator[str]:
    yield "\ufeff"  # so that spreadsheets read it as UTF-8
    yield csv_line(head)
    for one in found:
        yield csv_line([
            words.of(words.FINDINGS, one["kind"]), words.of(words.SEVERITIES, one["severity"]),
            one["file"], one["row"], one["column"], wording.said(one["reason"]), wording.said(one["remedy"]), one["rows"],
        ])  # fmt: skip


def csv_line(values: list[Any]) -> str:
    """One line; a text that a spreadsheet would take for a formula is shown as text."""
    out = io.StringIO()
    csv.writer(out).writerow([unformed(value) for value in values])
    return out.getvalue()


def unformed(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text
