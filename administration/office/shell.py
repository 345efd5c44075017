"""The frame around every page of the office: the menu of the case a person is looking at, and what stack this is."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from administration.cases import appointments
from administration.fields import db_now
from administration.office.pages import base
from administration.people.models import User

GROUPS: dict[str, Any] = {
    "case": _("Case"),
    "ledger": _("Take over the ledger"),
    "held": _("What is held"),
    "claims": _("Claims"),
    "plan": _("Plan"),
    "returns": _("Returns"),
    "account": _("Account for it"),
}


def environment(request: HttpRequest) -> list[Any] | None:
    """A mark on every page of the embedded stack: what is done there is done to nobody."""
    return [_("Sample stack"), "warning"] if settings.EMBEDDED else None


def said_everywhere(request: HttpRequest) -> dict[str, Any]:
    """What every template may ask: is this a sample stack?"""
    return {"sample_stack": settings.EMBEDDED}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """My Work, and the pages of the case looked at now (or last) in the order of the way."""
    reference = chosen(request)
    menu = [
        {
            "items": [
                {"title": _("My Work"), "icon": "inbox", "link": reverse("admin:index")},
            ]
        }
    ]
    if isinstance(request.user, User) and appointments.may_open(request.user, at=db_now()):
        menu[0]["items"].append({"title": _("Open a case"), "icon": "add", "link": reverse("office:open_case")})
    if not reference:
        return menu
    for group, title in GROUPS.items():
        items = [
            line(one, base.url(reference, one.name))
            for one in sorted(base.ENTRIES, key=lambda entry: entry.order)
            if one.menu == group
        ]
        if items:
            menu.append({"title": f"{reference} · {title}" if group == "case" else title, "separator": True, "items": items})  # type: ignore[dict-item]
    return menu


def line(page: base.Entry, link: str) -> dict[str, Any]:
    """A line of the menu. The case's own page is above all others, and is marked only where it is the one looked at."""
    found: dict[str, Any] = {"title": page.title, "icon": page.icon, "link": link}
    if page.name == "case":
        found["active"] = lambda request: request.path == link
    return found


def chosen(request: HttpRequest) -> str:
    """The reference of the case looked at: of this page, or of the last one, or the person's only one."""
    if not isinstance(request.user, User):
        return ""
    mine = [case.reference for case in base.cases_of(request.user, at=db_now())]
    match = request.resolver_match
    here = match.kwargs.get("reference") if match else None
    for reference in (here, request.session.get(base.CHOSEN)):
        if reference in mine:
            return str(reference)
    return mine[0] if len(mine) == 1 else ""
