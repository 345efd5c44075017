"""
What every page of the office is: about one case, for the people appointed in it.

For anybody else the case does not exist (404). Pages register themselves with @page; urls.py and the menu read
the list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib import admin
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views import View
from psycopg.errors import DeadlockDetected

from administration.cases import appointments
from administration.cases.models import Appointment, Case
from administration.errors import Refused
from administration.fields import db_now
from administration.office import readable, words
from administration.office.signing_in import sent_away
from administration.people.models import User

CHOSEN = "office_case"  # session: the case a person looked at last


@dataclass(frozen=True)
class Entry:
    """One page: its address under the case, its name, and its place in the menu (none: reached from other pages)."""

    route: str
    name: str
    view: type[View]
    menu: str  # the group of the menu: a step of the way
    title: Any  # lazy text
    icon: str
    order: int


ENTRIES: list[Entry] = []
V = TypeVar("V", bound=type[View])


def page(route: str, *, name: str, menu: str = "", icon: str = "", order: int = 50) -> Callable[[V], V]:
    """Register a page at /admin/case/<reference>/`route`. `menu` is one of shell.GROUPS, or empty for no menu line."""

    def register(view: V) -> V:
        if any(route == one.route or name == one.name for one in ENTRIES):
            raise ValueError(f"Two pages of the office share the address “{route}” or the name “{name}”.")
        ENTRIES.append(Entry(route, name, view, menu, getattr(view, "title", ""), icon, order))
        return view

    return register


def url(case: Case | str, name: str, **kwargs: Any) -> str:
    """The address of a page of a case."""
    return reverse(f"office:{name}", kwargs={"reference": str(case), **kwargs})


class CasePage(View):
    """
    One page about one case. `self.case`, `self.user`, `self.at` (the database's clock) and `self.appointment` are set.

    A page gives its template and context(); what it needs beyond an appointment, it says in `power`.
    """

    title: Any = ""
    template = ""
    power = ""  # a power of cases/powers.py that whoever looks must hold; "" for everybody appointed

    case: Case
    user: User
    at: datetime
    appointment: Appointment

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        away = sent_away(request)
        if away is not None:
            return away
        self.at = db_now()
        assert isinstance(request.user, User)
        self.user = request.user
        self.case = case_of(self.user, kwargs.pop("reference"), at=self.at)
        own = appointments.live(self.case, at=self.at).filter(user=self.user)
        self.appointment = own.order_by("pk")[0]
        request.session[CHOSEN] = self.case.reference
        if self.power and not appointments.may(self.case, self.user, self.power, at=self.at):
            return self.refused(
                _("Your appointment in this case does not carry the power that this page needs: to %(power)s. Ask the office-holder.")
                % {"power": words.of(words.POWERS, self.power)},
                status=403,
            )
        try:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]
        except Refused as refusal:
            return self.refused(str(refusal), status=409 if request.method == "POST" else 200)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
            return self.refused(
                _("Somebody else was changing the same rows at this moment, and the database let that go first. Nothing of yours was done. Go back, look at it again, and press once more.")
            )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.show(self.context(**kwargs))

    def context(self, **kwargs: Any) -> dict[str, Any]:
        """What the template is filled with, besides what every page has."""
        return {}

    def show(self, context: dict[str, Any], *, template: str = "", status: int = 200) -> HttpResponse:
        site = admin.site.each_context(self.request)
        own = {"case": self.case, "title": self.title, "at": self.at, "appointment": self.appointment}
        return render(self.request, template or self.template, {**site, **own, **context}, status=status)

    def refused(self, sentence: str, *, status: int = 409) -> HttpResponse:
        """A page that says what was refused and why."""
        return self.show({"sentence": sentence}, template="office/refused.html", status=status)

    def instant(self, at: datetime | None) -> str:
        """A moment as people read it, in their language."""
        return readable.instant(at, get_language() or "en")

    def may(self, power: str) -> bool:
        return appointments.may(self.case, self.user, power, at=self.at)

    def url(self, name: str, **kwargs: Any) -> str:
        return url(self.case, name, **kwargs)


def case_of(user: User, reference: str, *, at: datetime) -> Case:
    """The case, if the person is appointed in it now; otherwise 404, as if there were none."""
    case = Case.objects.filter(reference=reference).first()
    if case is None or not appointments.live(case, at=at).filter(user=user).exists():
        raise Http404
    return case


def cases_of(user: User, *, at: datetime) -> list[Case]:
    """The cases in which a person is appointed now, newest first."""
    mine = Case.objects.filter(appointments__user=user).distinct().order_by("-opened_at", "-pk")
    return [case for case in mine if appointments.live(case, at=at).filter(user=user).exists()]
