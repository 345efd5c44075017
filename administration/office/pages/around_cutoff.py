"""What the exchange booked after the cut-off, in the last days before it, and for accounts that nobody lists."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.ledger import entries
from administration.ledger.kept_entries import KeptEntry
from administration.office import words
from administration.office.pages.base import page
from administration.office.pages.showing import Button, Section, ShowPage
from administration.office.templatetags.office import amount, jst

SHOWN = 200
DECIDE = "ledger.take_over"


@page("around-cutoff/", name="around-cutoff", menu="ledger", icon="schedule", order=11)
class AroundCutoffPage(ShowPage):
    title = lazy("Around the cut-off")

    def sentence(self) -> Any:
        return _("What was booked after the cut-off is in no balance and in no pool: it is returned in full to whom it belongs.")

    def notices(self) -> list[tuple[str, Any]]:
        missing = entries.strangers(self.case)
        if not missing:
            return []
        named = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        return [("warning", _("%(n)s accounts have entries and are not in the list of accounts: %(named)s. Search for these customers.") % {"n": len(missing), "named": named})]

    def buttons(self) -> list[Button]:
        return [self.button(_("Propose a correction"), "adjust", DECIDE)]

    def sections(self) -> list[Section]:
        assets = {asset.code: asset for asset in Asset.objects.filter(case=self.case)}
        late = entries.bucket(self.case)
        kept = KeptEntry.objects.filter(case=self.case).select_related("asset").order_by("-at", "-pk")
        return [
            Section(
                _("To be returned in full"), _("Per account and asset, what came in after the cut-off less what went out."),
                head=[_("Account"), _("Asset"), _("Amount")],
                rows=[[self.account(ref, known is not None), code, amount(units, assets[code])] for ref, known, code, units in late[:SHOWN]],
                numeric=frozenset({2}), empty=_("Nothing was booked after the cut-off, or no books of entries were delivered."),
            ),
            self.listed(_("Entries after the cut-off"), kept.filter(after_cutoff=True)),
            self.listed(_("Entries of the last five days before the cut-off"), kept.filter(after_cutoff=False)),
        ]  # fmt: skip

    def account(self, ref: str, known: bool) -> Any:
        return ref if known else _("%(account)s (not in the list of accounts)") % {"account": ref}

    def listed(self, title: str, rows: Any) -> Section:
        return Section(
            title, _("The newest %(n)s.") % {"n": SHOWN},
            head=[_("When"), _("Account"), _("What"), _("Amount"), _("Number"), _("File and row")],
            rows=[
                [jst(row.at), self.account(row.account_ref, row.ledger_account_id is not None), words.of(words.ENTRIES, row.kind),
                 amount(row.amount, row.asset), row.number, f"{row.file.name}:{row.row}"]
                for row in rows.select_related("file")[:SHOWN]
            ],
            numeric=frozenset({3}), empty=_("None."),
        )  # fmt: skip
