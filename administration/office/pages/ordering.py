"""Orders of courts and regulators, the deadlines that follow, and the conversion to another proceeding."""

from datetime import date
from typing import Any

from django import forms
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration import amounts
from administration.books.models import Asset
from administration.cases import cases, deadlines, orders, profiles
from administration.cases.models import CourtOrder, Deadline, OrderStandingKind
from administration.office import readable, words
from administration.office.entering import AmountField, DayField, InstantField, OfCase, OneOf, PaperField, offer
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.opening import proceedings
from administration.office.pages.papers import paper
from administration.office.pages.showing import Button, Section, ShowPage, day, link, tag, who
from administration.office.templatetags.office import jst

REGISTER, DEADLINES, CONVERT = "orders.register", "deadlines.set", "cases.convert"


def permitted(order: CourtOrder) -> str:
    """What an order permits, in words, and up to what."""
    limits = ", ".join(f"{code} ≤ {units}" for code, units in order.limits.items())
    return readable.listed(filter(None, [*(words.of(words.PERMITS, permit) for permit in order.permits), limits])) or "–"


# --- orders -------------------------------------------------------------------------------------


@page("orders/", name="orders", menu="case", icon="gavel", order=20)
class OrdersPage(ShowPage):
    title = lazy("Orders")

    def buttons(self) -> list[Button]:
        return [
            self.button(_("Register an order"), "order-register", REGISTER, main=True),
            self.button(_("Convert the proceeding"), "convert", CONVERT),
        ]

    def sections(self) -> list[Section]:
        rows = []
        for order in self.case.orders.order_by("-issued_date", "-pk"):
            newest = order.standings.filter(since__lte=self.at).order_by("-since", "-pk").first()
            rows.append([
                order.number, order.issuer, day(order.issued_date), permitted(order),
                tag(words.of(words.STANDINGS, newest.standing if newest else "")), jst(newest.since) if newest else "–",
                paper(self, order.scan_sha256, order.scan_name),
                link(self.url("order-stand", pk=order.pk), _("What became of it")) if self.may(REGISTER) else "–",
            ])  # fmt: skip
        head = [_("Number"), _("Issued by"), _("Issued"), _("Permits"), _("Stands"), _("Since"), _("Scan"), ""]
        found = [Section(_("Orders of this case"), head=head, rows=rows, empty=_("No order is registered yet."))]
        conversions = self.case.conversions.select_related("order", "by").order_by("-pk")
        if conversions:
            found.append(Section(
                _("Conversions"), head=[_("From proceeding"), _("To proceeding"), _("Order"), _("Recorded by"), _("When")],
                rows=[
                    [self._proceeding(row.from_proceeding), self._proceeding(row.to_proceeding), row.order.number, who(row.by), jst(row.at)]
                    for row in conversions
                ],
            ))  # fmt: skip
        return found

    def _proceeding(self, code: str) -> str:
        return profiles.proceeding(code, self.at.date()).shown()


class Order(OfCase):
    number = forms.CharField(label=lazy("Number"))
    issuer = forms.CharField(label=lazy("Issued by"), help_text=lazy("The court or regulator."))
    issued_date = DayField(label=lazy("Issued on"))
    served_date = DayField(
        label=lazy("Served on"), required=False,
        help_text=lazy("An order is in force from the day it was served. Leave empty if it has not been served."),
    )  # fmt: skip
    final = forms.BooleanField(label=lazy("It is final and binding already"), required=False)
    permits = forms.MultipleChoiceField(
        label=lazy("What it permits"), required=False, widget=forms.CheckboxSelectMultiple,
        choices=words.choices(words.PERMITS),
    )  # fmt: skip
    limit_asset = OneOf(Asset.objects.none(), label=lazy("Limited in this asset"), required=False)
    limit = AmountField(label=lazy("Up to this amount"), required=False)
    scan = PaperField(label=lazy("Scan of the order"))

    def prepare(self) -> None:
        offer(self, "limit_asset", Asset.objects.filter(case=self.case).order_by("code"))

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.cleaned_data["limit_units"] = self.units("limit", self.cleaned_data.get("limit_asset"))
        return self.cleaned_data


@page("orders/register/", name="order-register")
class RegisterOrder(ActPage):
    title = lazy("Register an order")
    power = REGISTER
    form_class = Order

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        limits = "–"
        if data["limit_units"] is not None:
            limits = f"{data['limit_asset'].code} ≤ {amounts.show(data['limit_units'], data['limit_asset'].scale)}"
        served = data["served_date"]
        return Effect(
            _("Order %(number)s is registered; it is in force from %(day)s.") % {"number": data["number"], "day": day(served)}
            if served
            else _("Order %(number)s is registered. It permits nothing until its service is registered.")
            % {"number": data["number"]},
            _("Register the order"),
            figures=[
                (_("Issued by"), data["issuer"]),
                (_("Issued"), day(data["issued_date"])),
                (_("Permits"), readable.listed(words.of(words.PERMITS, permit) for permit in data["permits"]) or "–"),
                (_("Limit"), limits),
                (_("Final"), _("yes") if data["final"] else _("no")),
            ],
            content_sha256=data["scan"].sha256,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        limits = {data["limit_asset"].code: data["limit_units"]} if data["limit_units"] is not None else {}
        return orders.register(
            self.case, number=data["number"], issuer=data["issuer"], issued_date=data["issued_date"],
            scan=data["scan"].read(), scan_name=data["scan"].name, permits=data["permits"], limits=limits,
            served_date=data["served_date"], final=data["final"], by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("orders")


class Standing(forms.Form):
    standing = forms.ChoiceField(
        label=lazy("What became of it"), choices=words.choices(words.STANDINGS, OrderStandingKind.values)
    )
    since = InstantField(label=lazy("Since"))
    evidence = PaperField(label=lazy("The paper that says so"))


@page("orders/<int:pk>/standing/", name="order-stand")
class StandOrder(ActPage):
    title = lazy("What became of an order")
    power = REGISTER
    form_class = Standing
    intro = lazy("What rests on a stayed or reversed order is frozen: it is neither approved nor sent until it stands again.")

    def order(self) -> CourtOrder:
        return get_object_or_404(CourtOrder, case=self.case, pk=self.kwargs["pk"])

    def about(self) -> str:
        order = self.order()
        return _("Order %(number)s of %(issuer)s") % {"number": order.number, "issuer": order.issuer}

    def form_arguments(self) -> dict[str, Any]:
        self.order()
        return {}

    def effect(self, data: dict[str, Any]) -> Effect:
        order = self.order()
        frozen = data["standing"] in (OrderStandingKind.STAYED, OrderStandingKind.REVERSED)
        return Effect(
            _("Order %(number)s: %(standing)s since %(since)s.")
            % {"number": order.number, "standing": words.of(words.STANDINGS, data["standing"]), "since": jst(data["since"])},
            _("Register it"),
            figures=[(_("Permits"), permitted(order)), (_("Open approvals that rest on it"), f"{_resting(order)}")],
            warnings=[_("Whatever rests on this order stops at once.")] if frozen else [],
            content_sha256=data["evidence"].sha256,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return orders.stand(
            self.order(), data["standing"], since=data["since"], evidence=data["evidence"].read(), by=self.user, at=self.at
        )

    def back(self) -> str:
        return self.url("orders")


def _resting(order: CourtOrder) -> int:
    return order.case.approvals.filter(order=order, state__in=["open", "granted"]).count()


# --- deadlines ----------------------------------------------------------------------------------


@page("deadlines/", name="deadlines", menu="case", icon="event", order=25)
class DeadlinesPage(ShowPage):
    title = lazy("Deadlines")

    def buttons(self) -> list[Button]:
        return [self.button(_("Compute a deadline"), "deadline-set", DEADLINES, main=True)]

    def sections(self) -> list[Section]:
        today = self.at.date()
        rows = [
            [
                words.of(words.DEADLINES, row.kind), day(row.due_date),
                tag(_("passed")) if row.due_date < today else _("in %(n)s days") % {"n": (row.due_date - today).days},
                counted(row), rule_in_words(row.rule), law_in_words(row.provenance), who(row.by),
            ]
            for row in deadlines.current(self.case).select_related("by")
        ]  # fmt: skip
        head = [_("What"), _("Last day"), "", _("Counted from"), _("Rule"), _("Laid down in"), _("Computed by")]
        found = [Section(_("Deadlines that hold"), head=head, rows=rows, empty=_("No deadline is computed yet."))]
        old = self.case.deadlines.filter(superseded_by__isnull=False).select_related("superseded_by").order_by("-pk")
        if old:
            found.append(Section(
                _("Replaced"), head=[_("What"), _("Was"), _("Replaced by")],
                rows=[[words.of(words.DEADLINES, row.kind), day(row.due_date), day(row.superseded_by.due_date)] for row in old],
            ))  # fmt: skip
        return found


def counted(row: Deadline) -> str:
    what = words.of(words.EVENTS_COUNTED_FROM, row.counted_from_what)
    return readable.listed([what, day(row.counted_from)]) if what else day(row.counted_from)


def rule_in_words(rule: str) -> str:
    """4 weeks from service on 2026-10-02 (Fri); first day not counted; last day 2026-10-30 (Fri)."""
    kept = deadlines.KEPT_RULE.fullmatch(rule)
    if kept is None:
        return rule
    number, unit = int(kept["period"][1:-1]), kept["period"][-1]
    span = {
        "D": ngettext("%(n)s day", "%(n)s days", number), "W": ngettext("%(n)s week", "%(n)s weeks", number),
        "M": ngettext("%(n)s month", "%(n)s months", number), "Y": ngettext("%(n)s year", "%(n)s years", number),
    }[unit] % {"n": number}  # fmt: skip
    what = _("the event") if kept["what"] == deadlines.THE_EVENT else words.of(words.EVENTS_COUNTED_FROM, kept["what"])
    said = [
        _("%(period)s from %(what)s on %(day)s") % {"period": span, "what": what, "day": day(date.fromisoformat(kept["counted_from"]))},
        _("first day not counted") if kept["not_counted"] else _("first day counted"),
    ]
    ends = day(date.fromisoformat(kept["ends"]))
    if kept["moved"]:
        moved = day(date.fromisoformat(kept["moved"]))
        said.append(_("ends %(day)s, not open, moved to %(moved)s") % {"day": ends, "moved": moved})
    else:
        said.append(_("ends %(day)s") % {"day": ends})
    return readable.listed(said)


def law_in_words(provenance: str) -> str:
    """The article that is kept, as papers in the reader's language cite it, and whether counsel has checked the period."""
    law, mark, rest = provenance.partition(deadlines.TO_BE_CONFIRMED)
    article, open_still = profiles.article(law.strip()), _("(to be confirmed)")
    return f"{article} {open_still}{rest}" if mark else article


OF_NO_LAW = ("creditors_meeting", "plan_submission", "court_report")  # kinds whose period an order or the court sets


class Computing(OfCase):
    kind = forms.ChoiceField(label=lazy("What"), required=False)
    other = forms.CharField(label=lazy("Another kind"), max_length=40, required=False, help_text=lazy("What it is for, in your words, if the list has none that fits."))
    counted_from = DayField(label=lazy("Counted from"))
    counted_from_what = forms.ChoiceField(label=lazy("What happened on that day"), required=False)
    period = forms.RegexField(
        r"^P[1-9][0-9]{0,3}[DWMY]\Z", label=lazy("Period"), required=False,
        help_text=lazy("Empty: the period of the law. Otherwise days, weeks, months or years: P14D, P4W, P1M, P1Y."),
    )  # fmt: skip
    from_midnight = forms.BooleanField(label=lazy("It began at midnight: the first day counts"), required=False)
    provenance = forms.CharField(
        label=lazy("Laid down in"), required=False, help_text=lazy("The article, or what of the order. Empty: as the law's rule says.")
    )
    order = OneOf(CourtOrder.objects.none(), label=lazy("By order"), required=False)

    def prepare(self) -> None:
        rules = profiles.proceeding_of(self.case).deadlines
        offer(self, "kind", [*words.choices(words.DEADLINES, [*rules, *OF_NO_LAW]), ("", _("another kind"))])
        offer(self, "counted_from_what", [("", _("as the rule says")), *words.choices(words.EVENTS_COUNTED_FROM)])
        offer(self, "order", self.case.orders.order_by("-issued_date", "-pk"))

    def clean(self) -> dict[str, Any]:
        super().clean()
        if not (self.cleaned_data.get("kind") or self.cleaned_data.get("other")):
            self.add_error("kind", _("Choose what the deadline is for, or name another kind."))
        return self.cleaned_data


@page("deadlines/set/", name="deadline-set")
class SetDeadline(ActPage):
    title = lazy("Compute a deadline")
    power = DEADLINES
    form_class = Computing
    intro = lazy(
        "Counted by the Civil Code, arts. 138 to 143: the first day is not counted unless the period begins at midnight, "
        "and a period that would end on a day on which the court is closed ends on the next open day."
    )

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def known(self, data: dict[str, Any]) -> tuple[str, Deadline | None]:
        kind = data["other"] or data["kind"]
        return kind, deadlines.current(self.case).filter(kind=kind).first()

    def effect(self, data: dict[str, Any]) -> Effect:
        kind, older = self.known(data)
        rule = None if data["period"] else profiles.deadline_rule(self.case, kind)
        computed = deadlines.compute(
            data["period"] or (rule.period if rule else ""), data["counted_from"], what=data["counted_from_what"] or (rule.counted_from if rule else ""),
            from_midnight=data["from_midnight"], closed=profiles.proceeding_of(self.case).closed_days,
        )  # fmt: skip
        warnings = []
        if rule and not rule.confirmed:
            warnings.append(_("This period of the law is to be confirmed by counsel."))
        if computed.due_date < self.at.date():
            warnings.append(_("This deadline has passed already."))
        return Effect(
            _("%(what)s: the last day is %(day)s.") % {"what": words.of(words.DEADLINES, kind), "day": day(computed.due_date)},
            _("Write the deadline down"),
            figures=[
                (_("Last day"), day(computed.due_date)),
                (_("How it was counted"), rule_in_words(computed.rule)),
                (_("Laid down in"), data["provenance"] or (profiles.article(rule.law) if rule else str(data["order"] or "–"))),
                (_("Replaces"), day(older.due_date) if older else "–"),
            ],
            warnings=warnings,
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        kind, older = self.known(data)
        return deadlines.set(
            self.case, kind, counted_from=data["counted_from"], counted_from_what=data["counted_from_what"],
            period=data["period"], provenance=data["provenance"], order=data["order"], supersedes=older,
            from_midnight=data["from_midnight"], by=self.user, at=self.at,
        )  # fmt: skip

    def back(self) -> str:
        return self.url("deadlines")


# --- conversion ---------------------------------------------------------------------------------


class Converting(OfCase):
    to = forms.ChoiceField(label=lazy("To the proceeding"))
    order = OneOf(CourtOrder.objects.none(), label=lazy("By order"))

    def prepare(self) -> None:
        offer(self, "to", [row for row in proceedings() if row[0] != self.case.proceeding])
        offer(self, "order", self.case.orders.filter(permits__contains=["cases.convert"]).order_by("-issued_date", "-pk"))


@page("convert/", name="convert")
class Convert(ActPage):
    title = lazy("Convert the proceeding")
    power = CONVERT
    form_class = Converting
    intro = lazy("Take the case to another proceeding by the court's order, as from civil rehabilitation to bankruptcy. Register the order first.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        orders.require(data["order"], self.at)
        now, then = profiles.proceeding_of(self.case), profiles.proceeding(data["to"], self.at.date())
        return Effect(
            _("The case goes from “%(now)s” to “%(then)s”. What was done stays as it is; from now on the rules of the new proceeding hold.")
            % {"now": now.shown(), "then": then.shown()},
            _("Convert the proceeding"),
            figures=[(_("Title of the office-holder"), then.title())],
            order=data["order"],
        )  # fmt: skip

    def act(self, data: dict[str, Any]) -> Any:
        return cases.convert(self.case, to=data["to"], order=data["order"], by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("orders")
