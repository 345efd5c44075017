"""What the exchange booked after the cut-off and how it goes back; the last days before it; accounts that nobody lists."""

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.books.models import Asset
from administration.cases.models import ApprovalRequest, Case, CourtOrder
from administration.ledger import entries
from administration.ledger.kept_entries import KeptEntry
from administration.office import readable, words
from administration.office.entering import OfCase, OneOf, SomeOf, WordsField, offer
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.base import page
from administration.office.pages.depositing import BATCH, request_of
from administration.office.pages.showing import Button, Section, ShowPage, link, tag, who
from administration.office.pages.what_is_signed import assets_of, describes
from administration.office.templatetags.office import amount, jst
from administration.returns import after_cutoff
from administration.returns.models import LateReturn

SHOWN = 200
DECIDE = "ledger.take_over"
WHY: words.Words = {
    "nothing_left": lazy("As much went out as came in, or more: nothing is returned, and nothing is set off."),
    "not_listed": lazy("Nobody lists this account: search for the customer. Until then it is kept, outside every pool."),
    "house": lazy("An account of the exchange itself: it is the estate's own."),
    "insider": lazy("Of the exchange's own people: it is kept, outside every pool, until its scope is decided otherwise."),
}
UNCONFIRMED = lazy("On what ground it is returned in full is to be confirmed by counsel.")


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
        return [("warning", _("Accounts with entries that are not in the list of accounts: %(n)s (%(named)s). Search for these customers.") % {"n": len(missing), "named": named})]

    def buttons(self) -> list[Button]:
        late = [self.button(_("Return it in full"), "late-propose", BATCH, main=True)] if after_cutoff.waiting(self.case) else []
        return [*late, self.button(_("Propose a correction"), "adjust", DECIDE)]

    def sections(self) -> list[Section]:
        assets = assets_of(self.case)
        every, done = entries.after_cutoff(self.case), after_cutoff.returned(self.case)
        late = [one for one in every if not one.why and (one.account_ref, one.asset) not in done]
        back = [one for one in every if (one.account_ref, one.asset) in done]
        stays = [one for one in every if one.why and (one.account_ref, one.asset) not in done]
        kept = KeptEntry.objects.filter(case=self.case).select_related("asset").order_by("-at", "-pk")
        head = [_("Account"), _("Asset"), _("Amount")]
        return [
            Section(
                _("To be returned in full"), _("Per account and asset, what came in after the cut-off less what went out."),
                head=head, rows=[[one.account_ref, one.asset, amount(one.units, assets[one.asset])] for one in late[:SHOWN]],
                numeric=frozenset({2}), empty=_("Nothing was booked after the cut-off, or no books of entries were delivered.") if not every else _("Nothing waits to be returned."),
            ),
            Section(
                _("Not returned, and why"), head=[*head, _("Why")],
                rows=[[self.account(one.account_ref, one.account_id is not None), one.asset, amount(one.units, assets[one.asset]), words.of(WHY, one.why)] for one in stays[:SHOWN]],
                numeric=frozenset({2}), empty=_("None."),
            ),
            Section(
                _("Returned in full"), _("Each has a line of its own in its claim. The rounds send it."), head=head,
                rows=[[one.account_ref, one.asset, amount(one.units, assets[one.asset])] for one in back[:SHOWN]],
                numeric=frozenset({2}), empty=_("None yet."),
            ),
            self.acts(),
            self.listed(_("Entries after the cut-off"), kept.filter(after_cutoff=True)),
            self.listed(_("Entries of the last five days before the cut-off"), kept.filter(after_cutoff=False)),
        ]  # fmt: skip

    def acts(self) -> Section:
        rows = []
        for made in self.case.late_returns.select_related("by").order_by("-number")[:SHOWN]:
            request = request_of(self.case, after_cutoff.ACT, made.pk)
            named = link(self.url("approval", pk=request.pk), made) if request else str(made)
            rows.append([named, tag(made.get_state_display()), _sums(made), made.facts, who(made.by), jst(made.at)])
        head = [_("No."), _("State"), _("Amount"), _("What was looked at"), _("Prepared by"), _("When")]
        return Section(_("What was signed, or waits for it"), head=head, rows=rows, empty=_("None yet."))

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


def _sums(made: LateReturn) -> str:
    return readable.in_a_sentence([readable.money(units, asset) for asset, (_many, units) in after_cutoff.totals(made).items()])


# --- giving it back ---------------------------------------------------------------------------------


class Returning(OfCase):
    assets = SomeOf(Asset.objects.none(), label=lazy("Assets"))
    facts = WordsField(label=lazy("What was looked at"), help_text=lazy("How you know that it is there, and whose it is."), max_length=2000)
    order = OneOf(CourtOrder.objects.none(), label=lazy("Order"), required=False)

    def prepare(self) -> None:
        waiting = [one.asset.pk for one in after_cutoff.waiting(self.case)]
        offer(self, "assets", Asset.objects.filter(case=self.case, pk__in=waiting).order_by("code"))
        offer(self, "order", self.case.orders.order_by("-issued_date"))


@page("around-cutoff/return/", name="late-propose")
class ReturnLate(ActPage):
    """after_cutoff.propose"""

    title = lazy("Return what came in after the cut-off")
    tried = True
    power = BATCH
    form_class = Returning
    intro = lazy("Each account gets what came in less what went out, in full and outside every pool. Two other people sign; the rounds send it.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        chosen = [one for one in after_cutoff.waiting(self.case) if one.asset in data["assets"]]
        return Effect(
            _("%(amounts)s go back in full to who paid them in, once two people have signed.")
            % {"amounts": readable.in_a_sentence([readable.money(one.owed, one.asset) for one in chosen])},
            _("Ask two people to sign"), figures=[(_("What was looked at"), data["facts"])], tables=[_covered(chosen)],
            warnings=[UNCONFIRMED], order=data.get("order"),
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return after_cutoff.propose(
            self.case, data["assets"], facts=data["facts"], order=data.get("order"), by=self.user, at=self.at
        )

    def back(self) -> str:
        return self.url("around-cutoff")


def _covered(chosen: list[after_cutoff.Waiting]) -> Table:
    """What is free before and after: what is left is what the pools can share."""
    return Table(
        _("Per asset"), [_("Asset"), _("Accounts"), _("Returned in full"), _("Free in the books"), _("Left free")],
        [
            [one.asset.code, f"{one.accounts:,}", readable.money(one.owed, one.asset), readable.money(one.free, one.asset),
             readable.money(one.free - one.owed, one.asset)]
            for one in chosen
        ],
        frozenset({1, 2, 3, 4}), apart=True,
    )  # fmt: skip


@describes(after_cutoff.ACT)
def what_goes_back(request: ApprovalRequest, case: Case) -> Effect:
    made = LateReturn.objects.filter(case=case, pk=request.object_id).select_related("case", "order").first()
    if made is None:
        raise Http404
    assets, totals = assets_of(case), after_cutoff.totals(made)
    return Effect(
        _("Sign: %(amounts)s that came in after the cut-off go back in full. The next round sends them.") % {"amounts": _sums(made)}, _("Sign"),
        figures=[(_("What was looked at"), made.facts)],
        tables=[
            Table(
                _("Per asset"), [_("Asset"), _("Accounts"), _("Returned in full")],
                [[asset.code, f"{many:,}", readable.money(units, asset)] for asset, (many, units) in totals.items()], frozenset({1, 2}),
            ),
            Table(
                _("What it is made of"), [_("Asset"), _("What"), _("Entries"), _("Amount")],
                [[code, words.of(words.ENTRIES, kind), f"{many:,}", readable.money(units, assets[code])] for code, kind, many, units in after_cutoff.made_of(made)],
                frozenset({2, 3}),
            ),
            Table(
                _("The largest ten"), [_("Claim"), _("Amount")],
                [[number, readable.money(units, assets[code])] for number, code, units in after_cutoff.largest(made)], frozenset({1}),
            ),
        ],
        warnings=[UNCONFIRMED, *after_cutoff.warnings(made)], content_sha256=bytes(request.content_sha256).hex(), order=made.order, moves_value=True,
    )  # fmt: skip
