"""Two customers side by side, and what a person decides about them; a person with all its customers, and taking it apart."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from administration.ledger import folding, nayose, persons
from administration.ledger.models import Identity, LedgerAccount, PairDecision, Person, PersonLink, PersonPair
from administration.office import words
from administration.office.entering import OfCase, SomeOf, WordsField
from administration.office.pages.acting import ActPage, Effect, Table
from administration.office.pages.aggregating import DECIDE, LEVELS, following, in_words, named
from administration.office.pages.base import CasePage, page
from administration.office.pages.showing import Button, Section, ShowPage, day, tag, who
from administration.office.templatetags.office import jst

SAME, ALIKE, DIFFERS, LACKS = "same", "alike", "differs", "lacks"
MARKS: words.Words = {
    SAME: lazy("the same"),
    ALIKE: lazy("the same, written differently"),
    DIFFERS: lazy("differs"),
    LACKS: lazy("missing on one side"),
}
ACCOUNTS_SHOWN = 20


@dataclass(frozen=True)
class Line:
    """One particular of two customers: what each has, and how they compare."""

    label: Any
    values: tuple[Any, Any]
    mark: str

    @property
    def said(self) -> str:
        return words.of(MARKS, self.mark) if self.mark else ""


def compared(one: Identity, other: Identity, accounts: dict[int, list[LedgerAccount]]) -> list[Line]:
    """Two customers side by side, particular by particular."""
    a, b = (nayose.fold_row((
        i.pk, i.entity_type, i.name, i.kana, i.romaji, i.birth_or_founding_date, i.phone, i.email, i.postcode, i.address,
        i.corporate_number, i.nationality, False,
    )) for i in (one, other))  # fmt: skip

    def line(label: Any, field: str, folded: tuple[Any, Any] | None = None, shown: Any = str) -> Line:
        x, y = getattr(one, field), getattr(other, field)
        if not x and not y:
            return Line(label, ("–", "–"), "")
        mark = SAME if x == y else LACKS if not x or not y else ALIKE if folded and folded[0] and folded[0] == folded[1] else DIFFERS
        return Line(label, (shown(x) if x else "–", shown(y) if y else "–"), mark)

    def held(identity: Identity) -> str:
        mine = accounts.get(identity.pk, [])
        return ", ".join(f"{account.account_ref} ({account.status})" for account in mine[:ACCOUNTS_SHOWN]) or "–"

    return [
        line(_("Kind of customer"), "entity_type", shown=kind),
        line(_("Name"), "name", (a.written.replace(" ", ""), b.written.replace(" ", ""))),
        line(_("Reading (kana)"), "kana", (a.kana.replace(" ", ""), b.kana.replace(" ", ""))),
        line(_("Latin letters"), "romaji", (folding.letters_of(a.latin), folding.letters_of(b.latin))),
        line(_("Date of birth or founding"), "birth_or_founding_date", shown=day),
        line(_("Telephone"), "phone", (a.phone, b.phone)),
        line(_("E-mail"), "email", (a.email, b.email)),
        line(_("Postcode"), "postcode", (a.postcode, b.postcode)),
        line(_("Postal address"), "address", (a.place, b.place)),
        line(_("Nationality"), "nationality"),
        line(_("Country of residence"), "residence_country"),
        line(_("Corporate number"), "corporate_number"),
        Line(_("Accounts"), (held(one), held(other)), ""),
    ]


def kind(code: str) -> str:
    return _("company or other body") if code == "corporate" else _("natural person")


def accounts_of(identities: list[int]) -> dict[int, list[LedgerAccount]]:
    found: dict[int, list[LedgerAccount]] = {}
    for account in LedgerAccount.objects.filter(identity__in=identities).order_by("account_ref"):
        found.setdefault(account.identity_id, []).append(account)
    return found


class OfPair:
    """What pages about a pair share."""

    case: Any
    kwargs: dict[str, Any]

    def pair(self) -> PersonPair:
        rows = PersonPair.objects.select_related("aggregation", "one", "other")
        return get_object_or_404(rows, aggregation__case=self.case, pk=self.kwargs["pk"])


@page("persons/pairs/<int:pk>/", name="persons-pair")
class PairPage(OfPair, CasePage):
    """Two customers side by side. Keys do what the buttons do."""

    title = lazy("Are these one person?")
    template = "office/persons/pair.html"
    power = DECIDE

    def context(self, **kwargs: Any) -> dict[str, Any]:
        pair = self.pair()
        ids = [pair.one_id, pair.other_id]
        now = persons.current(self.case, ids)
        numbers = {person.pk: person for person in Person.objects.filter(pk__in=now.values())}
        after = following(pair.aggregation, pair.place)
        return {
            "pair": pair,
            "level": words.of(LEVELS, pair.level),
            "agrees": in_words(pair.agrees),
            "against": in_words(pair.against),
            "lines": compared(pair.one, pair.other, accounts_of(ids)),
            "decision": persons.decision(*ids),
            "together": len(now) == 2 and len(set(now.values())) == 1,
            "person_of": [numbers.get(now.get(pk, 0)) for pk in ids],
            "after": after if after and after.pk != pair.pk else None,
        }


class Deciding(forms.Form):
    """Why, from what a person saw."""

    GROUNDS = [
        ("particulars", lazy("the particulars of both agree or differ as shown")),
        ("papers", lazy("identity papers of both were compared")),
        ("asked", lazy("the customer was asked")),
        ("other", lazy("another reason, in words")),
    ]
    ground = forms.ChoiceField(label=lazy("On what ground"), choices=GROUNDS, widget=forms.RadioSelect, initial="particulars")
    reason = WordsField(label=lazy("In words"), required=False)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        text = (data.get("reason") or "").strip()
        ground = data.get("ground")
        if ground == "other" and not text:
            self.add_error("reason", ValidationError(_("Say why. The reason stays in the record.")))
        data["why"] = text if ground == "other" else f"{dict(self.GROUNDS).get(str(ground), '')}{': ' if text else ''}{text}"
        return data


class DecidePair(OfPair, ActPage):
    """One decision about a pair; afterwards on to the next that waits."""

    power = DECIDE
    form_class = Deciding

    def about(self) -> str:
        pair = self.pair()
        return f"{pair.one.name} ({pair.one.customer_ref}) · {pair.other.name} ({pair.other.customer_ref})"

    def form_arguments(self) -> dict[str, Any]:
        self.pair()
        return {}

    def figures(self, data: dict[str, Any]) -> list[tuple[Any, Any]]:
        pair = self.pair()
        return [
            (_("Customer"), f"{pair.one.name} ({pair.one.customer_ref})"),
            (_("and customer"), f"{pair.other.name} ({pair.other.customer_ref})"),
            (_("Agrees"), in_words(pair.agrees)),
            (_("Speaks against it"), in_words(pair.against)),
            (_("Why"), data["why"]),
        ]

    def done(self, result: Any) -> tuple[str, str]:
        pair = self.pair()
        after = following(pair.aggregation, pair.place)
        return (
            _("Decided, and in the record."),
            self.url("persons-pair", pk=after.pk) if after else self.url("persons"),
        )

    def back(self) -> str:
        return self.url("persons-pair", pk=self.kwargs["pk"])


@page("persons/pairs/<int:pk>/same/", name="persons-pair-same")
class SamePerson(DecidePair):
    title = lazy("These are one person")

    def effect(self, data: dict[str, Any]) -> Effect:
        pair = self.pair()
        everybody = joined(self.case, [pair.one, pair.other])
        apart = [one for one in persons.conflicts(one.pk for one in everybody) if {one.one.pk, one.other.pk} != {pair.one_id, pair.other_id}]
        return Effect(
            _("From now on these customers are one person. Each account keeps its own claim."),
            _("Make them one person"),
            figures=self.figures(data),
            tables=[*customers_table(everybody, _("One person from now on")), *overruled_table(apart)],
            warnings=[_("Decisions that some of them are different persons are overruled by this one.")] if apart else [],
        )

    def act(self, data: dict[str, Any]) -> Any:
        pair = self.pair()
        return persons.same(pair.one, pair.other, reason=data["why"], by=self.user, at=self.at, overrule=True)


@page("persons/pairs/<int:pk>/apart/", name="persons-pair-apart")
class DifferentPersons(DecidePair):
    title = lazy("These are two persons")

    def effect(self, data: dict[str, Any]) -> Effect:
        return Effect(
            _("These customers stay two persons. No later run links them."), _("Keep them apart"), figures=self.figures(data)
        )

    def act(self, data: dict[str, Any]) -> Any:
        pair = self.pair()
        return persons.keep_apart(pair.one, pair.other, reason=data["why"], by=self.user, at=self.at)


def joined(case: Any, chosen: list[Identity]) -> list[Identity]:
    """These customers and all who are one person with any of them."""
    now = persons.current(case, [one.pk for one in chosen])
    there = persons.live_links(case).filter(person__in=set(now.values())).values("identity")
    return list(Identity.objects.filter(pk__in={one.pk for one in chosen}) | Identity.objects.filter(pk__in=there))


def customers_table(customers: list[Identity], title: Any) -> list[Table]:
    accounts = accounts_of([one.pk for one in customers])
    return [
        Table(
            title,
            [_("Customer"), _("Name"), _("Reading (kana)"), _("Date of birth or founding"), _("Accounts")],
            [
                [one.customer_ref, one.name, one.kana or "–", day(one.birth_or_founding_date),
                 ", ".join(account.account_ref for account in accounts.get(one.pk, [])[:ACCOUNTS_SHOWN]) or "–"]
                for one in sorted(customers, key=lambda one: one.customer_ref)
            ],
        )
    ]  # fmt: skip


def overruled_table(apart: list[persons.Conflict]) -> list[Table]:
    if not apart:
        return []
    rows = [[one.one.customer_ref, one.other.customer_ref, one.decision.reason, who(one.decision.by), jst(one.decision.at)] for one in apart]
    return [Table(_("Decisions this one overrules"), [_("Customer"), _("and customer"), _("Why"), _("By"), _("When")], rows)]


# --- any customers, without a proposal ------------------------------------------------------------


class Merging(OfCase):
    customers = forms.CharField(
        label=lazy("Customer numbers"), help_text=lazy("As the exchange numbered them, one on each line."),
        widget=forms.Textarea(attrs={"rows": 4, "class": "words"}),
    )  # fmt: skip
    reason = WordsField(label=lazy("Why"))

    def clean_customers(self) -> list[Identity]:
        wanted = list(dict.fromkeys(self.cleaned_data["customers"].split()))[: persons.TOGETHER]
        found = {one.customer_ref: one for one in Identity.objects.filter(case=self.case, customer_ref__in=wanted)}
        missing = [number for number in wanted if number not in found]
        if missing:
            raise ValidationError(_("No customer of this case has the number %(number)s.") % {"number": ", ".join(missing[:5])})
        if len(found) < 2:
            raise ValidationError(_("Choose two customers at least."))
        return list(found.values())


@page("persons/merge/", name="persons-merge")
class MergeCustomers(ActPage):
    title = lazy("Make customers one person")
    power = DECIDE
    form_class = Merging
    intro = lazy("For customers whom no run proposed as a pair. Each account keeps its own claim; the step can be taken back.")

    def form_arguments(self) -> dict[str, Any]:
        return {"case": self.case}

    def effect(self, data: dict[str, Any]) -> Effect:
        everybody = joined(self.case, data["customers"])
        apart = persons.conflicts(one.pk for one in everybody)
        return Effect(
            _("From now on these customers are one person. Each account keeps its own claim."),
            _("Make them one person"),
            figures=[(_("Customers"), f"{len(everybody)}"), (_("Why"), data["reason"])],
            tables=[*customers_table(everybody, _("One person from now on")), *overruled_table(apart)],
            warnings=[_("Decisions that some of them are different persons are overruled by this one.")] if apart else [],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return persons.merge(self.case, data["customers"], reason=data["reason"], by=self.user, at=self.at, overrule=True)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Decided, and in the record."), self.url("persons-person", number=result.number)

    def back(self) -> str:
        return self.url("persons")


# --- one person -----------------------------------------------------------------------------------


@page("persons/<int:number>/", name="persons-person")
class PersonPage(ShowPage):
    title: Any = lazy("One person")
    power = DECIDE

    def prepare(self, **kwargs: Any) -> None:
        self.person = get_object_or_404(Person, case=self.case, number=kwargs["number"])
        self.title = _("Person %(number)s") % {"number": self.person}
        self.links = list(
            persons.live_links(self.case).filter(person=self.person).select_related("identity", "by", "aggregation").order_by("identity_id")
        )
        self.accounts = accounts_of([link.identity_id for link in self.links])

    def sentence(self) -> Any:
        return ngettext(
            "%(count)s customer of the ledger is this person.", "%(count)s customers of the ledger are this one person.", len(self.links)
        ) % {"count": len(self.links)}

    def buttons(self) -> list[Button]:
        if len(self.links) < 2:
            return []
        return [self.button(_("Take customers out of this person"), "persons-split", DECIDE, number=self.person.number)]

    def sections(self) -> list[Section]:
        history = PersonLink.objects.filter(identity__in=[link.identity_id for link in self.links])
        return [
            Section(
                _("Customers"),
                head=[_("Customer"), _("Reading (kana)"), _("Date of birth or founding"), _("Telephone"), _("E-mail"), _("Postal address"), _("Accounts")],
                rows=[
                    [named(one), one.kana or "–", day(one.birth_or_founding_date), one.phone or "–", one.email or "–", one.address or "–",
                     ", ".join(account.account_ref for account in self.accounts.get(one.pk, [])[:ACCOUNTS_SHOWN]) or "–"]
                    for one in (link.identity for link in self.links)
                ],
                empty=_("Nobody any more: all its customers are other persons now."),
            ),
            Section(
                _("How it came about"),
                head=[_("When"), _("Customer"), _("Person"), _("By"), _("Why")],
                rows=[
                    [jst(row.at), row.identity.customer_ref, str(row.person), who(row.by) if row.by else tag(_("the name aggregation")),
                     row.reason or words.of(LEVELS, row.level)]
                    for row in history.select_related("identity", "person", "by").order_by("-pk")[:100]
                ],
            ),
            Section(
                _("Kept apart from"),
                head=[_("When"), _("Customers"), _("By"), _("Why")],
                rows=[
                    [jst(row.at), f"{row.one.customer_ref} · {row.other.customer_ref}", who(row.by), row.reason]
                    for row in self._apart()
                ],
                empty=_("nobody"),
            ),
        ]  # fmt: skip

    def _apart(self) -> list[PairDecision]:
        mine = [link.identity_id for link in self.links]
        rows = PairDecision.objects.filter(one__in=mine) | PairDecision.objects.filter(other__in=mine)
        newest = rows.order_by("one_id", "other_id", "-pk").distinct("one_id", "other_id").select_related("one", "other", "by")
        return [row for row in newest[:100] if not row.same]


class Splitting(forms.Form):
    customers = SomeOf(Identity.objects.none(), label=lazy("Who is another person"), named=lambda one: f"{one.customer_ref} {one.name}")
    reason = WordsField(label=lazy("Why"))

    def __init__(self, *args: Any, person: Person, **options: Any) -> None:
        super().__init__(*args, **options)
        live = persons.live_links(person.case).filter(person=person).values("identity")
        field = self.fields["customers"]
        assert isinstance(field, SomeOf)
        field.queryset = Identity.objects.filter(pk__in=live).order_by("customer_ref")


@page("persons/<int:number>/split/", name="persons-split")
class SplitPerson(ActPage):
    title = lazy("Take customers out of a person")
    power = DECIDE
    form_class = Splitting
    intro = lazy("Who is chosen is another person from now on, and is kept apart from who stays. The step can be taken back.")

    def person(self) -> Person:
        return get_object_or_404(Person.objects.select_related("case"), case=self.case, number=self.kwargs["number"])

    def form_arguments(self) -> dict[str, Any]:
        return {"person": self.person()}

    def effect(self, data: dict[str, Any]) -> Effect:
        leaving = list(data["customers"])
        live = persons.live_links(self.case).filter(person=self.person()).values("identity")
        staying = list(Identity.objects.filter(pk__in=live).exclude(pk__in=[one.pk for one in leaving]))
        if not staying:
            raise persons.NotSplit(
                _("Choose customers who are person %(person)s now, and leave at least one. Reload it and look again.") % {"person": self.person()}
            )
        return Effect(
            _("The chosen customers are another person from now on. Each account keeps its own claim."),
            _("Take them out"),
            figures=[(_("Why"), data["reason"])],
            tables=[*customers_table(leaving, _("Another person from now on")), *customers_table(staying, _("Who stays"))],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return persons.split(self.person(), list(data["customers"]), reason=data["reason"], by=self.user, at=self.at)

    def done(self, result: Any) -> tuple[str, str]:
        return _("Decided, and in the record."), self.url("persons-person", number=result.number)

    def back(self) -> str:
        return self.url("persons-person", number=self.kwargs["number"])
