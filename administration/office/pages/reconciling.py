"""Owed and held, per asset side by side: what the ledger and its corrections say, what is proved, and what nobody can explain."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.custody import holdings, reconciliation
from administration.custody.models import POOLED, Access, Movement, Reconciliation
from administration.ledger.models import Adjustment, Intake, IntakeState
from administration.office import readable, words
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.showing import Button, Section, ShowPage, figure, who
from administration.office.templatetags.office import jst

POWER = holdings.POWER


@page("reconciliation/", name="reconciliation", menu="held", icon="balance", order=20)
class ReconciliationPage(ShowPage):
    """The newest reconciliation as a board; what is held is shown by how far it can be moved."""

    title = lazy("Reconciliation")
    template = "office/reconciling/board.html"

    def prepare(self, **kwargs: Any) -> None:
        self.rows = reconciliation.newest(self.case)
        self.held = by_access(self.case)
        self.short = [row for row in self.rows if row.difference < 0]
        self.over = [row for row in self.rows if row.difference > 0]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        made = super().context(**kwargs)
        return made | {"boards": [self.board(row) for row in sorted(self.rows, key=lambda row: row.difference >= 0)]}

    def sentence(self) -> Any:
        if not self.rows:
            return _("Owed and held were not compared yet. No plan is computed before that.")
        if self.short:
            return _("Less is held and proved than is owed in: %(assets)s.") % {
                "assets": ", ".join(row.asset.code for row in self.short)
            }
        return _("What is owed is held and proved, in every asset.")

    def notices(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [
            ("refusal", _("UNEXPLAINED: %(amount)s are missing.") % {"amount": readable.money(-row.difference, row.asset)})
            for row in self.short
        ]
        if self.over:
            codes = ", ".join(row.asset.code for row in self.over)
            found.append(("warning", _("More is held than is owed, and nobody has said why, in: %(assets)s.") % {"assets": codes}))
        if self.rows and changed_since(self.rows[0]):
            found.append(("warning", _("Holdings, movements or corrections were recorded since. Run it again.")))
        return found

    def figures(self) -> list[tuple[Any, Any]]:
        if not self.rows:
            return []
        first = self.rows[0]
        return [(_("Number"), f"{first.number}"), (_("Run at"), jst(first.at)), (_("By"), who(first.by))]

    def buttons(self) -> list[Button]:
        accepted = Intake.objects.filter(case=self.case, state=IntakeState.ACCEPTED).exists()
        run = (
            self.button(_("Compare owed and held"), "reconciliation-run", POWER, main=True)
            if accepted
            else Button(_("Compare owed and held"), why_not=_("first take over the ledger"))
        )
        return [run, self.button(_("What is held"), "holdings"), self.button(_("Corrections and scope"), "corrections")]

    def sections(self) -> list[Section]:
        older = (
            Reconciliation.objects.filter(case=self.case, asset=self.rows[0].asset).select_related("by").order_by("-number")[:20]
            if self.rows
            else []
        )
        twin = Section(
            _("The same in figures"), head=[
                _("Asset"), _("Difference"), _("Covered"), _("Owed"), _("Held and proved"), _("Ledger"), _("Corrections"),
                _("After the cut-off"), _("Other holdings"),
            ],
            rows=[
                [row.asset.code, figure(row.difference, row.asset), covered(row),
                 *(figure(units, row.asset) for units in (row.owed, row.held_proved, row.ledger, row.adjustments, row.after_cutoff, row.held_other))]
                for row in self.rows
            ],
            numeric=frozenset(range(1, 9)), anchor="figures", apart=True,
        )  # fmt: skip
        history = Section(
            _("Earlier ones"), head=[_("Number"), _("Run at"), _("By")],
            rows=[[f"{row.number}", jst(row.at), who(row.by)] for row in older],
        )  # fmt: skip
        return [twin, history] if self.rows else []

    def board(self, row: Reconciliation) -> dict[str, Any]:
        """One asset as bars: ledger, corrections, what came in later, owed; then what is held by access; then the difference."""
        held = self.held.get(row.asset_id, {})
        longest = max([row.ledger, row.owed, row.held_proved + row.held_other, abs(row.difference), 1])
        steps = [
            (_("Ledger"), row.ledger, 0, "owed"),
            (_("Corrections"), row.adjustments, row.ledger + min(0, row.adjustments), "correction"),
            *([(_("After the cut-off"), row.after_cutoff, row.ledger + row.adjustments, "correction")] if row.after_cutoff else []),
            (_("Owed"), row.owed, 0, "owed"),
        ]
        reached = 0
        for access in Access.values:
            units = held.get(access, 0)
            if units:
                steps.append((_("Held: %(access)s") % {"access": words.of(words.ACCESS, access)}, units, reached, f"held {access}"))
                reached += units
        if held.get("own"):
            steps.append((_("The exchange's own: in no pool"), held["own"], 0, "own"))
        steps.append((_("Difference"), row.difference, min(row.owed, row.held_proved), "short" if row.difference < 0 else "over"))
        return {
            "asset": row.asset,
            "row": row,
            "steps": [
                (label, units, percent(max(start, 0), longest), percent(abs(units), longest), kind) for label, units, start, kind in steps
            ],
        }  # fmt: skip


def by_access(case: Any) -> dict[int, dict[str, int]]:
    """What is held now, per asset and access; the exchange's own apart."""
    found: dict[int, dict[str, int]] = {}
    for row in holdings.newest(case).select_related("place"):
        kind = row.access if row.place.tag in POOLED else "own"
        per = found.setdefault(row.asset_id, {})
        per[kind] = per.get(kind, 0) + row.amount
    return found


def percent(part: int, whole: int) -> str:
    """Hundredths of a percent, for the length of a bar."""
    hundredths = min(10_000, part * 10_000 // whole)
    return f"{hundredths // 100}.{hundredths % 100:02}"


def covered(row: Reconciliation) -> str:
    """How much of what is owed is held and proved, in hundredths of a percent, rounded down."""
    if row.owed <= 0:
        return "–"
    hundredths = row.held_proved * 10_000 // row.owed
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def changed_since(row: Reconciliation) -> bool:
    return (
        row.case.holdings.filter(at__gt=row.at).exists()
        or Movement.objects.filter(case=row.case, at__gt=row.at).exists()
        or Adjustment.objects.filter(case=row.case, at__gt=row.at).exists()
    )


@page("reconciliation/run/", name="reconciliation-run")
class RunReconciliation(ActPage):
    title = lazy("Compare owed and held")
    power = POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        held = by_access(self.case)
        assets = {asset.pk: asset for asset in Asset.objects.filter(case=self.case).order_by("code")}
        last = reconciliation.newest(self.case)
        return Effect(
            _("What the ledger, its corrections and what came in after the cut-off say is owed is compared with what is held, in every asset, and kept as it is now."),
            _("Compare owed and held"),
            figures=[(_("Assets"), f"{len(assets)}"), (_("Last one"), f"{last[0].number} · {jst(last[0].at)}" if last else _("none"))],
            tables=[
                Table(
                    _("What is held now"), [_("Asset"), *(words.of(words.ACCESS, access) for access in Access.values)],
                    [
                        [asset.code, *(readable.money(held.get(pk, {}).get(access, 0), asset) for access in Access.values)]
                        for pk, asset in assets.items()
                    ],
                    numeric=frozenset(range(1, 1 + len(Access.values))), apart=True,
                )
            ],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return reconciliation.run(self.case, by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Compared and kept."), self.url("reconciliation")
