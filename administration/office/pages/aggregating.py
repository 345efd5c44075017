"""Name aggregation (nayose): a run over the customers, and the queue of pairs about which a person decides."""

from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from administration.cases.models import Case
from administration.ledger import likeness, nayose, persons
from administration.ledger.models import (
    Aggregation,
    AggregationState,
    Identity,
    Intake,
    IntakeState,
    PairDecision,
    Person,
    PersonLink,
    PersonPair,
)
from administration.office import words
from administration.office.pages import working
from administration.office.pages.acting import ActPage, Effect
from administration.office.pages.base import page
from administration.office.pages.lists import Column, Filter, ListPage
from administration.office.pages.showing import Button, Section, ShowPage, tag, who
from administration.office.templatetags.office import jst
from administration.work.models import Job, JobState

DECIDE = persons.POWER

working.KINDS[nayose.KIND] = lazy("Name aggregation")
working.ONWARD[nayose.KIND] = "persons"
working.PHASES.update({
    "folding": lazy("reading names and particulars"),
    "comparing": lazy("comparing customers"),
    "linking": lazy("linking what nobody would dispute"),
})  # fmt: skip

LEVELS: words.Words = {
    likeness.EXACT: lazy("name, date and telephone agree"),
    likeness.STRONG: lazy("name and date agree"),
    likeness.REVIEW: lazy("much agrees, not all"),
}
PARTICULARS: words.Words = {
    "name": lazy("name"),
    "name_alike": lazy("name alike"),
    "written": lazy("kanji"),
    "born": lazy("date of birth or founding"),
    "phone": lazy("telephone"),
    "email": lazy("e-mail"),
    "place": lazy("address"),
    "place_alike": lazy("address alike"),
    "postcode": lazy("postcode"),
    "corporate_number": lazy("corporate number"),
    "written_differs": lazy("other kanji"),
    "born_slip": lazy("the date differs by a slip"),
    "born_missing": lazy("a date is missing"),
    "born_differs": lazy("another date"),
    "form_differs": lazy("another legal form, or elsewhere in the name"),
    "nationality_differs": lazy("another nationality"),
    "for_others": lazy("an account is joint, or held for somebody else"),
}


def in_words(codes: str) -> str:
    """Particulars of a pair, in words."""
    between = "、" if (get_language() or "").startswith("ja") else ", "
    return between.join(words.of(PARTICULARS, code) for code in codes.split()) or "–"


def named(identity: Identity) -> SafeString:
    """A customer by number and name."""
    return format_html("{} <small>{}</small>", identity.name, identity.customer_ref)


# --- what waits -----------------------------------------------------------------------------------


def newest(case: Case) -> Aggregation | None:
    return Aggregation.objects.filter(case=case).exclude(state=AggregationState.ABANDONED).order_by("-number").first()


def waiting(run: Aggregation) -> QuerySet[PersonPair]:
    """Pairs of a run about which nobody has decided and which are not one person already, the surest first."""
    live = PersonLink.objects.filter(followed_by__isnull=True)
    decided = PairDecision.objects.filter(one=OuterRef("one_id"), other=OuterRef("other_id"))
    with_the_other = live.filter(person=OuterRef("person_id"), identity=OuterRef(OuterRef("other_id")))
    together = live.filter(identity=OuterRef("one_id")).filter(Exists(with_the_other))
    return PersonPair.objects.filter(~Exists(decided), ~Exists(together), aggregation=run)


def following(run: Aggregation, place: int) -> PersonPair | None:
    """The next pair that waits, after this place; from the beginning when none is left behind it."""
    rows = waiting(run).order_by("place")
    return rows.filter(place__gt=place).first() or rows.first()


COUNTED = """
SELECT level, count(*), count(*) FILTER (WHERE automatic) FROM ledger_personpair WHERE aggregation_id = %s GROUP BY level
"""


@page("persons/", name="persons", menu="ledger", icon="group_work", order=30)
class PersonsPage(ShowPage):
    title = lazy("Name aggregation")

    def prepare(self, **kwargs: Any) -> None:
        self.run = newest(self.case)
        self.job = Job.objects.filter(kind=nayose.KIND, subject_id=self.run.pk).order_by("-pk").first() if self.run else None
        self.accepted = Intake.objects.filter(case=self.case, state=IntakeState.ACCEPTED).exists()
        self.first = waiting(self.run).order_by("place").first() if self.run and self.run.state == AggregationState.DONE else None

    def sentence(self) -> Any:
        if not self.accepted:
            return _("The ledger is not accepted yet. Names are aggregated over the customers of an accepted ledger.")
        if self.run is None:
            return _("Nobody has looked yet which customers of the ledger are one person.")
        if self.run.state == AggregationState.RUNNING:
            return _("Name aggregation %(run)s is under way.") % {"run": self.run.number}
        if self.first is None:
            return _("Every pair that was proposed is decided.")
        return _("Pairs wait for a person's decision.")

    def notices(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        if self.job is not None and self.job.state == JobState.FAILED:
            found.append(("refusal", self.job.error))
        if self.run is not None and self.run.crowded:
            found.append(("warning", ngettext(
                "%(count)s particular is shared by more than %(most)s customers (a placeholder, as a rule). Nobody was compared by it.",
                "%(count)s particulars are each shared by more than %(most)s customers (placeholders, as a rule). Nobody was compared by them.",
                self.run.crowded,
            ) % {"count": f"{self.run.crowded:,}", "most": nayose.CROWD}))  # fmt: skip
        return found

    def figures(self) -> list[tuple[Any, Any]]:
        if self.run is None or self.run.state != AggregationState.DONE:
            return []
        return [
            (_("Customers compared"), f"{self.run.customers:,}"),
            (_("Pairs proposed"), f"{self.run.pairs:,}"),
            (_("Customers linked by the run"), f"{self.run.linked:,}"),
            (_("Finished"), jst(self.run.finished_at)),
        ]

    def buttons(self) -> list[Button]:
        found = []
        if self.first is not None:
            found.append(self.button(_("Review the pairs"), "persons-pair", DECIDE, pk=self.first.pk, main=True))
            found.append(self.button(_("List of pairs"), "persons-review", DECIDE))
        running = self.run is not None and self.run.state == AggregationState.RUNNING and self.job and self.job.state == JobState.WAITING
        if running and self.job is not None:
            found.append(Button(_("Follow the work"), self.url("job", pk=self.job.pk), main=True))
        elif self.accepted:
            found.append(self.button(_("Run the name aggregation"), "persons-run", nayose.POWER, main=self.run is None))
        if self.run is not None:
            found.append(self.button(_("Persons with several customers"), "persons-list", DECIDE))
            found.append(self.button(_("Make customers one person"), "persons-merge", DECIDE))
        return found

    def sections(self) -> list[Section]:
        if self.run is None:
            return []
        with connection.cursor() as cursor:
            cursor.execute(COUNTED, [self.run.pk])
            counted = {level: (proposed, automatic) for level, proposed, automatic in cursor.fetchall()}
        runs = Aggregation.objects.filter(case=self.case).select_related("started_by").order_by("-number")[:20]
        return [
            Section(
                _("Pairs of the newest run"),
                head=[_("What agrees"), _("Proposed"), _("A machine may link them")],
                rows=[
                    [words.of(LEVELS, level), f"{counted.get(level, (0, 0))[0]:,}", f"{counted.get(level, (0, 0))[1]:,}"]
                    for level in likeness.LEVELS
                ],
                numeric=frozenset({1, 2}),
            ),
            Section(
                _("Runs of the name aggregation"),
                head=[_("Number"), _("State"), _("Begun"), _("By"), _("Customers"), _("Pairs"), _("Linked")],
                rows=[
                    [run.number, run.get_state_display(), jst(run.started_at), who(run.started_by), f"{run.customers:,}",
                     f"{run.pairs:,}", f"{run.linked:,}"]
                    for run in runs
                ],
                numeric=frozenset({4, 5, 6}),
            ),
        ]  # fmt: skip


@page("persons/run/", name="persons-run")
class RunNayose(ActPage):
    title = lazy("Run the name aggregation")
    power = nayose.POWER

    def effect(self, data: dict[str, Any]) -> Effect:
        earlier = newest(self.case)
        return Effect(
            _(
                "All customers of the accepted ledger are compared. Who has the same name, the same date of birth or founding and "
                "another particular in common is linked as one person; every other likeness waits for a person's decision."
            ),
            _("Run it"),
            figures=[
                (_("Customers"), f"{Identity.objects.filter(case=self.case).count():,}"),
                (_("Earlier run"), earlier.number if earlier else _("none")),
            ],
            warnings=[_("Claims stay one per account. What a person decided before stays as it is.")],
        )

    def act(self, data: dict[str, Any]) -> Any:
        return nayose.run(self.case, by=self.user, at=self.at)

    def back(self) -> str:
        return self.url("persons")


@page("persons/review/", name="persons-review")
class ReviewPage(ListPage):
    title = lazy("Pairs that wait for a decision")
    power = DECIDE
    key = "place"
    page_size = 50
    empty = lazy("No pair waits.")

    def rows(self) -> QuerySet[Any]:
        run = newest(self.case)
        if run is None or run.state != AggregationState.DONE:
            return PersonPair.objects.none()
        return waiting(run).select_related("one", "other")

    def filters(self) -> list[Filter]:
        levels = [(level, words.of(LEVELS, level)) for level in likeness.LEVELS]
        against = [(code, words.of(PARTICULARS, code)) for code in ("born_missing", "born_slip", "born_differs", "written_differs")]
        return [
            Filter("level", _("What agrees"), levels, lambda rows, value: rows.filter(level=value)),
            Filter("against", _("What speaks against it"), against, lambda rows, value: rows.filter(against__contains=value)),
        ]

    def columns(self) -> list[Column]:
        return [
            Column(_("Customer"), lambda row: named(row.one), link=lambda row: self.url("persons-pair", pk=row.pk)),
            Column(_("and customer"), lambda row: named(row.other)),
            Column(_("Agrees"), lambda row: in_words(row.agrees)),
            Column(_("Speaks against it"), lambda row: in_words(row.against)),
            Column(_("Likeness"), lambda row: f"{row.score / 10:.0f} %", numeric=True),
        ]


@page("persons/list/", name="persons-list")
class PersonsList(ListPage):
    title = lazy("Persons with several customers")
    power = DECIDE
    key = "number"
    page_size = 50
    empty = lazy("No two customers are one person.")

    def rows(self) -> QuerySet[Any]:
        live = PersonLink.objects.filter(followed_by__isnull=True)
        others = live.filter(person=OuterRef("person_id")).exclude(pk=OuterRef("pk"))
        pair = live.filter(Exists(others), person=OuterRef("pk"))
        now = Prefetch("links", live.select_related("identity").order_by("identity_id"), to_attr="now")
        return Person.objects.filter(Exists(pair), case=self.case).prefetch_related(now)

    def columns(self) -> list[Column]:
        return [
            Column(_("Person"), str, link=lambda row: self.url("persons-person", number=row.number)),
            Column(_("Customers"), self._members),
            Column(_("Linked by"), self._by),
        ]

    def _members(self, person: Any) -> str:
        return ", ".join(f"{one.identity.name} ({one.identity.customer_ref})" for one in person.now)

    def _by(self, person: Any) -> SafeString:
        decided = any(one.by_id for one in person.now)
        return tag(_("a person's decision") if decided else _("the name aggregation"))
