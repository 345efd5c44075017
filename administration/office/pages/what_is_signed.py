"""What a request about the ledger or a run says to whoever signs it: figures, the largest ten, what changed, what is left."""

import difflib
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils.html import format_html
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from administration import wording
from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case
from administration.distribution import runs
from administration.distribution.models import PoolLine, Run, RunState
from administration.ledger import takeover
from administration.ledger.models import Intake, NegativePolicy
from administration.office import readable, words
from administration.office.pages.acting import Effect, Table
from administration.office.pages.approving import EFFECTS, Describer
from administration.office.pages.audited import audited_tables
from administration.office.pages.outcomes import outcomes_table
from administration.office.templatetags.office import sha

PLAN_LINES_MAX = 40  # of what changed in a plan's text


def describes(act: str) -> Callable[[Describer], Describer]:
    """Register the describer of one act."""

    def register(describer: Describer) -> Describer:
        EFFECTS[act] = describer
        return describer

    return register


def assets_of(case: Case) -> dict[str, Asset]:
    return {asset.code: asset for asset in Asset.objects.filter(case=case)}


# --- the ledger ---------------------------------------------------------------------------------


@describes(takeover.ACCEPT)
def ledger(request: ApprovalRequest, case: Case) -> Effect:
    """The files, what they add up to beside what was declared, and what becomes of negative balances."""
    intake = Intake.objects.select_related("mapping").get(pk=request.object_id)
    language = get_language() or "en"
    totals = intake.control_totals.order_by("asset_code", "product")
    scales = {asset["code"]: asset["scale"] for asset in intake.manifest["assets"]}  # the case may not know them yet

    def shown(code: str, units: int | None) -> str:
        return "–" if units is None else f"{''.join(readable.parts(units, scales.get(code, 0)))} {code}" if units else "0"

    return Effect(
        sentence=_(
            "The customer ledger of %(case)s is accepted as delivered: %(accounts)s accounts with %(balances)s balances. "
            "From then on it never changes; corrections are adjustments."
        )
        % {"case": case, "accounts": f"{intake.accounts:,}", "balances": f"{intake.balances:,}"},
        button=_("Sign: accept the ledger"),
        figures=[
            (_("Accounts"), f"{intake.accounts:,}"),
            (_("Balances"), f"{intake.balances:,}"),
            (_("Balances as of"), readable.instant(intake.cutoff_at, language)),
            (
                _("Negative balances"),
                _("an adjustment brings each to nothing")
                if intake.negative_policy == NegativePolicy.EXCLUDE
                else _("stay as they are, to be decided one by one"),
            ),
            *([(_("Mapping"), format_html("{} · {}", intake.mapping.version, sha(intake.mapping.sha256)))] if intake.mapping else []),
            *([(_("Remark on what the inspection found"), intake.remark)] if intake.remark else []),
        ],
        tables=[
            *([outcomes_table(intake)] if intake.outcomes else []),
            *audited_tables(intake),
            Table(
                _("Control totals: what was declared, and what the rows add up to"),
                [_("Asset"), _("Product"), _("Difference"), _("Declared"), _("Rows add up to"), _("Suspense"), _("By whom")],
                [
                    [
                        total.asset_code, words.of(words.PRODUCTS, total.product), shown(total.asset_code, total.difference),
                        shown(total.asset_code, total.declared), shown(total.asset_code, total.computed),
                        shown(total.asset_code, total.suspense), words.of(words.SOURCES, total.source),
                    ]
                    for total in totals
                ],
                numeric=frozenset({2, 3, 4, 5}),
            ),
            Table(
                _("What the inspection found"),
                [_("Kind"), _("Severity"), _("File"), _("Rows"), _("Reason"), _("Remedy")],
                [
                    [words.of(words.FINDINGS, found.kind), words.of(words.SEVERITIES, found.severity), found.file, f"{found.rows:,}", wording.said(found.reason), wording.said(found.remedy)]
                    for found in intake.findings.order_by("-rows", "pk")[:20]
                ],
                numeric=frozenset({3}),
            ),
            Table(
                _("Files as received"),
                [_("Name"), _("Bytes"), _("Rows"), "SHA-256"],
                [
                    [
                        file.name, f"{file.bytes:,}", "–" if file.rows is None else f"{file.rows:,}",
                        bytes(file.sha256).hex(),
                    ]
                    for file in intake.files.order_by("name")
                ],
                numeric=frozenset({1, 2}),
            ),
        ],
        warnings=[
            _("%(total)s: nobody declared a control total. Only the rows themselves speak for it.") % {"total": total}
            for total in totals
            if total.declared is None
        ],
        content_sha256=bytes(request.content_sha256).hex(),
        order=request.order,
    )  # fmt: skip


# --- a run ------------------------------------------------------------------------------------

LARGEST_LINES = """
SELECT c.number, a.code, e.amount, e.weight, p.distributed
FROM distribution_entitlement e
JOIN distribution_poolline p ON p.run_id = e.run_id AND p.asset_id = e.asset_id
JOIN books_asset a ON a.id = e.asset_id
JOIN register_claimline l ON l.id = e.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
WHERE e.run_id = %s AND e.amount > 0
ORDER BY e.amount / p.distributed DESC, e.amount DESC, c.number LIMIT 10
"""
RECEIVING = "SELECT count(*), count(*) FILTER (WHERE amount > 0) FROM distribution_entitlement WHERE run_id = %s"


@describes(runs.ACT)
def run(request: ApprovalRequest, case: Case) -> Effect:
    """What is given per asset, to how many, beside the run before."""
    this = Run.objects.select_related("plan").get(pk=request.object_id)
    known = assets_of(case)
    lines = list(this.pools.select_related("asset").order_by("asset__code"))
    with connection.cursor() as cursor:
        cursor.execute(RECEIVING, [this.pk])
        sharing, receiving = cursor.fetchone()
        cursor.execute(LARGEST_LINES, [this.pk])
        largest = cursor.fetchall()
    gives = readable.in_a_sentence([readable.money(line.distributed, line.asset) for line in lines if line.distributed])
    return Effect(
        sentence=ngettext(
            "Run %(run)s gives %(gives)s to %(count)s claim line. Nothing leaves the estate yet: a batch does that.",
            "Run %(run)s gives %(gives)s to %(count)s claim lines. Nothing leaves the estate yet: a batch does that.",
            receiving,
        )
        % {"run": this.number, "gives": gives or "0", "count": f"{receiving:,}"},
        button=_("Sign: give what run %(run)s says") % {"run": this.number},
        figures=[
            (_("Claim lines that receive"), f"{receiving:,}"),
            (_("Claim lines that share and receive nothing now"), f"{sharing - receiving:,}"),
            (_("Round"), _("final") if this.kind == "final" else _("interim")),
            (_("Plan"), f"{wording.said(this.plan.name)} · {this.plan}"),
        ],
        tables=[
            Table(
                _("Per asset"),
                [_("Asset"), _("Free"), _("Given by this run"), _("Taken back"), _("Reserved for disputes"), _("Left in the pool")],
                [
                    [
                        line.asset.code,
                        *(readable.money(units, line.asset) if units else "0" for units in (
                            line.free, line.distributed, line.withdrawn, line.reserved, line.left)),
                    ]
                    for line in lines
                ],
                numeric=frozenset({1, 2, 3, 4, 5}), apart=True,
            ),
            Table(
                _("The largest ten, by their part of what their asset's pool gives"),
                [_("Claim"), _("Given by this run"), _("Of a claim of"), _("Part of the pool")],
                [
                    [number, readable.money(int(amount), known[code]), readable.money(int(weight), known[code]),
                     part(amount, distributed)]
                    for number, code, amount, weight, distributed in largest
                ],
                numeric=frozenset({1, 2, 3}),
            ),
            *changes_of_run(this, lines),
        ],
        warnings=runs.warnings(this),
        content_sha256=bytes(request.content_sha256).hex(),
        order=request.order,
        moves_value=True,
    )  # fmt: skip


def changes_of_run(this: Run, lines: list[PoolLine]) -> list[Table]:
    """Beside the run before: what it gave of each asset, and what changed in the plan's text."""
    before = (
        Run.objects.filter(case_id=this.case_id, number__lt=this.number)
        .exclude(state__in=[RunState.COMPUTING, RunState.WITHDRAWN])
        .select_related("plan")
        .order_by("-number")
        .first()
    )
    if before is None:
        return []
    gave = {line.asset_id: line.distributed for line in before.pools.all()}
    found = [
        Table(
            _("Beside run %(run)s, the one before") % {"run": before.number},
            [_("Asset"), _("Run %(run)s") % {"run": before.number}, _("Run %(run)s") % {"run": this.number}, _("Difference")],
            [
                [
                    line.asset.code,
                    readable.money(gave.get(line.asset_id, 0), line.asset),
                    readable.money(line.distributed, line.asset),
                    signed(line.distributed - gave.get(line.asset_id, 0), line.asset),
                ]
                for line in lines
            ],
            numeric=frozenset({1, 2, 3}),
        )
    ]
    changed = [
        [text[:1], text[1:]]
        for text in difflib.unified_diff(
            before.plan.body.splitlines(), this.plan.body.splitlines(), lineterm="", n=0
        )
        if text[:2] not in ("--", "++", "@@")
    ]
    if changed:
        title = _("What changed in the plan since %(plan)s") % {"plan": before.plan}
        found.append(Table(title, ["", _("Line")], changed[:PLAN_LINES_MAX]))
    return found


# --- words ----------------------------------------------------------------------------------------


def part(amount: Any, whole: Any) -> str:
    """5.7 %, in whole tenths of a percent, rounded down."""
    tenths = int(amount) * 1000 // int(whole) if whole else 0
    return f"{tenths // 10}.{tenths % 10} %"


def signed(units: int, asset: Asset) -> str:
    """A difference with its sign in text."""
    return f"+{readable.money(units, asset)}" if units > 0 else readable.money(units, asset)
