"""
Every address of the house, by everybody, in two cases: what is not yours does not exist.

The table is generated: routes are read from the URL configurations, each falls under a rule by its beginning, and a
route under no rule fails. A new page of a case needs no line here, unless its address names a thing by a word that no
page has named yet: then say below what such a word finds in another case (FOREIGN), or that it finds none (HARMLESS).

The portal runs in a process and a role of its own: its routes by every customer of both cases are in
tests/portal/test_pages.py. Here it is told apart from the office: neither's session opens the other.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import Client
from django.urls import URLPattern, get_resolver

from administration.cases.models import AppointmentKind, CourtOrder
from administration.fields import db_now
from administration.office.pages import base
from administration.people.models import User
from administration.record.models import Event
from tests.api.conftest import Bearer, a_token, appoint
from tests.cast import sha
from tests.portal.conftest import Browser, _portal_database, portal_port  # noqa: F401  fixtures
from tests.portal.conftest import signed_in as signed_in_at_the_portal
from tests.returns.world import World, build, tampering

OFFICE, PORTAL = "config.urls", "config.portal_urls"
OUTSIDE = ("anonymous", "customer")  # the office knows neither
THEIRS = 100_000  # every id of the second case is larger

# --- the routes -------------------------------------------------------------------------------

GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)|<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """One address with the words in it that stand for something."""

    pattern: str
    name: str
    view: Any
    words: tuple[str, ...] = field(compare=False, default=())

    def at(self, **words: Any) -> str:
        """The address with its words filled in."""
        address = GROUP.sub(lambda found: str(words[found[1] or found[3]]), self.pattern)
        return "/" + re.sub(r"[\^$]", "", address).replace("\\", "")


def routes(urlconf: str) -> list[Route]:
    def walk(patterns: list[Any], before: str, space: str) -> Iterator[Route]:
        for one in patterns:
            here = before + str(one.pattern)
            if isinstance(one, URLPattern):
                words = tuple(found[1] or found[3] for found in GROUP.finditer(here))
                yield Route(here, f"{space}{one.name or ''}", one.callback, words)
            else:
                yield from walk(one.url_patterns, here, f"{space}{one.namespace}:" if one.namespace else space)

    return list(walk(get_resolver(urlconf).url_patterns, "", ""))


# --- the rules --------------------------------------------------------------------------------

# Beginning of an address → which rule it is under. The first that fits counts.
RULES = {
    OFFICE: [
        ("^admin/r/", "open"),  # closed to everybody
        ("admin/case/<str:reference>/", "page of a case"),
        ("admin/open-case/", "page of the office"),
        (r"admin/(?P<url>.*)$", "page of the office"),
        ("admin/login/", "open"),
        ("admin/logout/", "open"),
        ("admin/r/", "open"),  # never reached: closed before it
        ("admin/", "page of the office"),
        ("api/v1/", "api"),
        ("api/^v1/", "api"),
        ("api/schema/", "open"),
        ("api/docs/", "open"),
        ("accounts/", "open"),  # signing in; its own rules are allauth's
        ("^accounts/(", "open"),  # what of it is closed
        ("i18n/setlang/", "open"),
        ("healthz", "open"),
    ],
    PORTAL: [
        ("healthz", "open"),
        ("claims/", "customer's"),
        ("cases/", "open"),
        ("find/", "open"),
        ("leave/", "open"),
    ],
}

# A word in an address that names a thing of another case → its values there; filled in by `two_cases`.
FOREIGN = ("pk", "batch", "return_reference", "object_id", "number", "claim", "size", "pull", "token", "reference", "sha256", "thing")
# Words that name no thing of a case of its own, and a value for them.
HARMLESS = {
    "rail": "rehearsal", "item": "keys", "machine": "attempt", "part": 1, "version": 1, "form": "csv", "asset": "BTC",
    "app_label": "cases", "content_type_id": 1, "url": "nowhere", "claim_class": "priority_segregated", "matter": "return",
}  # fmt: skip


def rule_of(route: Route, urlconf: str) -> str | None:
    pattern = re.sub(r"^(en|ja)/", "", route.pattern)
    if not pattern:
        return "open"
    return next((rule for beginning, rule in RULES[urlconf] if pattern.startswith(beginning)), None)


def under(rule: str, urlconf: str = OFFICE) -> list[Route]:
    return [route for route in routes(urlconf) if rule_of(route, urlconf) == rule]


@pytest.mark.parametrize("urlconf", [OFFICE, PORTAL])
def test_no_route_is_missing_from_the_table(urlconf):
    found = routes(urlconf)
    assert len(found) > 10
    unruled = [route.pattern for route in found if rule_of(route, urlconf) is None]
    assert not unruled, f"Say in RULES what these are: {unruled}"
    unknown = sorted({word for route in found for word in route.words} - {*FOREIGN, *HARMLESS} - {"key", "uidb36"})
    assert not unknown, f"Say in FOREIGN or HARMLESS what these words in addresses name: {unknown}"


# --- two cases --------------------------------------------------------------------------------


@dataclass
class TwoCases:
    """Everybody is somebody in the first case, and nobody in the second."""

    mine: World
    theirs: World
    clients: dict[str, Client]
    foreign: dict[str, list[Any]]

    def addresses(self, route: Route, reference: str) -> list[str]:
        """The route's addresses under a case: of things of the other case, where a word names one."""
        addresses = [{"reference": reference} | HARMLESS]
        for word in route.words:
            if word in self.foreign and word != "reference":
                addresses = [words | {word: value} for words in addresses for value in self.foreign[word]]
        return [route.at(**words) for words in addresses]

    def names_a_thing(self, route: Route) -> bool:
        return any(word in self.foreign and word != "reference" for word in route.words)


@pytest.fixture(scope="module")
def two_cases(server, django_db_setup, django_db_blocker):
    """Made once for all of this file: nothing below changes a row that another test looks at."""
    with django_db_blocker.unblock():
        before, name = connection.settings_dict["NAME"], server.clone()
        server.point_at(name)
        try:
            yield make_two_cases()
        finally:
            server.drop(name)
            server.point_at(before)


@pytest.fixture(autouse=True)
def own_archive(settings, tmp_path):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")


@pytest.fixture(autouse=True)
def only_what_was_answered(monkeypatch):
    """The client copies the context of every template of every page; nothing here looks at them."""
    monkeypatch.setattr("django.test.client.store_rendered_templates", lambda *_args, **_kwargs: None)


def make_two_cases() -> TwoCases:
    mine = build(claims_count=2)
    mine.frozen(limit=4)
    appoint(mine, "reader", AppointmentKind.COURT_READER)
    with tampering() as cursor:
        cursor.execute("SELECT setval(c.oid::regclass, %s) FROM pg_class c WHERE relkind = 'S'", [THEIRS])
    theirs = build(claims_count=3, reference="T-2")
    theirs.frozen(limit=4)
    CourtOrder.objects.create(
        case=theirs.case, number="order of the second case", issuer="Tokyo District Court", issued_date="2026-10-05", scan_name="o.pdf",
        scan_sha256=sha("a paper of the second case"), permits=[], registered_by=theirs.goto, registered_at=db_now(),
    )  # fmt: skip
    with tampering() as cursor:
        cursor.execute(
            "UPDATE cases_appointment SET from_at = '2020-01-01', to_at = '2020-01-02' WHERE case_id = %s", [theirs.case.pk]
        )
    roles = {
        "office_holder": "aoki", "approver": "baba", "case_officer": "goto", "auditor": "chiba", "court_reader": "reader",
        "stranger": "fujii",
    }  # fmt: skip
    clients = {role: signed_in(User.objects.get(username=name)) for role, name in roles.items()}
    customer = Client(raise_request_exception=False)
    customer.cookies["portal_session"] = signed_in_at_the_portal(mine.case.claims.order_by("number")[0])
    outside = {"anonymous": Client(raise_request_exception=False), "customer": customer}
    return TwoCases(mine, theirs, clients | outside, things_of(theirs, mine))


def signed_in(user: User) -> Client:
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": "x"}})
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def things_of(theirs: World, mine: World) -> dict[str, list[Any]]:
    """What each word of FOREIGN can be in the second case and is not in the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT table_name FROM information_schema.columns
               WHERE table_schema = 'public' AND column_name = 'id' AND data_type = 'bigint'"""
        )
        ids: Counter[int] = Counter()
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT min(id), max(id) FROM {table} WHERE id > {THEIRS}")
            ids.update(one for one in cursor.fetchone() if one)
    references = set(theirs.case.returns.values_list("reference", flat=True))
    known = set(mine.case.returns.values_list("reference", flat=True))
    claims = list(theirs.case.claims.values_list("number", flat=True))
    pks = [one for one, _count in ids.most_common(6)]
    return {
        "pk": pks,
        "object_id": pks,
        "batch": list(theirs.case.batches.values_list("reference", flat=True)),
        "return_reference": sorted(references - known)[-1:],
        "thing": sorted(references - known)[-1:],
        "claim": claims[-1:],
        "number": [THEIRS + 1],
        "pull": [THEIRS + 1],
        "token": [THEIRS + 1],
        "size": [Event.objects.filter(case_id=theirs.case.pk).count() + 5000],
        "reference": ["T-2"],
        "sha256": [sha("a paper of the second case").hex()],
    }


def asked(client: Client, address: str, headers: dict[str, str] | None = None) -> Any:
    """GET, or POST where that is all there is."""
    answer = client.get(address, headers=headers or {})
    return client.post(address, headers=headers or {}) if answer.status_code == 405 else answer


# --- the office -------------------------------------------------------------------------------


def test_a_case_one_is_not_appointed_in_is_not_there(two_cases):
    wrong = []
    for route in under("page of a case"):
        for role, client in two_cases.clients.items():
            address = two_cases.addresses(route, "T-2")[0]
            posted = [client.post(address, {"stage": "do"})] if role in ("stranger", *OUTSIDE) else []
            for answer in (client.get(address), *posted):
                if role in OUTSIDE:
                    fits = answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")
                else:
                    fits = answer.status_code == 404
                if not fits:
                    wrong.append((role, answer.request["REQUEST_METHOD"], address, answer.status_code))
    assert not wrong


def test_a_case_that_is_not_yours_looks_like_one_that_never_was(two_cases):
    for route in under("page of a case"):
        client = two_cases.clients["stranger"]
        there, nowhere = (client.get(two_cases.addresses(route, name)[0]) for name in ("T-2", "T-9"))
        assert there.content.replace(b"T-2", b"T-9") == nowhere.content
        assert there.status_code == nowhere.status_code == 404


def test_a_thing_of_another_case_is_not_there_under_ones_own(two_cases):
    wrong, tried = [], 0
    for route in filter(two_cases.names_a_thing, under("page of a case")):
        for address in two_cases.addresses(route, "T-1"):
            answer = asked(two_cases.clients["office_holder"], address)
            tried += 1
            if answer.status_code not in (403, 404):  # 403 is said before anything is looked up: a power is missing
                wrong.append((address, answer.status_code))
    assert not wrong
    assert tried > 10


def test_every_page_of_ones_case_answers_whoever_is_appointed(two_cases):
    """Shown, not for them, or nothing to do: never a page that broke."""
    wrong = []
    for route in under("page of a case"):
        for role in ("office_holder", "court_reader"):  # who may everything, and who only looks
            answer = two_cases.clients[role].get(two_cases.addresses(route, "T-1")[0])
            if answer.status_code not in (200, 302, 403, 404, 405, 409):
                wrong.append((role, route.pattern, answer.status_code))
    assert not wrong


# Anyone appointed stops. What else watchers do is to read: it changes nothing but the record, which says that they did.
AUDITORS_OWN = {
    "stop", "stop-now", "auditing-pull", "auditing-verify", "auditing-compare", "auditing-token-collect",
    "auditing-token-revoke",
}  # fmt: skip


def test_an_auditor_performs_no_act(two_cases):
    """Whatever is posted to whatever page: nothing of it is in the record, but refusals."""
    auditor, wrong = two_cases.clients["auditor"], []
    acts = [entry for entry in base.ENTRIES if hasattr(entry.view, "post")]
    assert len(acts) > 20
    by_name = {route.name.removeprefix("office:"): route for route in under("page of a case")}
    for entry in acts:
        if entry.name in AUDITORS_OWN:
            continue
        before = Event.objects.count()
        address = two_cases.addresses(by_name[entry.name], "T-1")[0]
        shown = auditor.get(address)
        done = auditor.post(address, {"stage": "do"})
        offered = b'value="do"' in shown.content
        if Event.objects.count() != before or done.status_code == 302 or offered:
            wrong.append((entry.name, shown.status_code, done.status_code))
    assert not wrong


def test_pages_of_the_office_ask_for_a_sign_in_and_show_no_row_of_others(two_cases):
    wrong = []
    for route in under("page of the office"):
        for role in ("office_holder", "stranger", *OUTSIDE):
            for address in two_cases.addresses(route, "T-2")[: 2 if role == "office_holder" else 1]:
                answer = two_cases.clients[role].get(address)
                sent_away = answer.status_code == 302 and "/login/" in answer["Location"]
                inside = role not in OUTSIDE and (
                    answer.status_code in (403, 404, 405)
                    or (answer.status_code == 302 and answer["Location"].startswith(("/admin/", "/accounts/", "../")))
                    or (answer.status_code == 200 and b"T-2" not in answer.content)
                )
                if not (sent_away or inside):
                    wrong.append((role, address, answer.status_code))
                if "object_id" in route.words and inside and answer.status_code == 200:
                    wrong.append((role, address, "shows a row of another case"))
    assert not wrong


# --- the API ----------------------------------------------------------------------------------


def test_the_api_answers_the_bearer_of_a_token_and_nobody_else(two_cases):
    secret = a_token(two_cases.mine)[1]
    mine, wrong = Bearer(secret), []
    for route in under("api"):
        addresses = two_cases.addresses(route, "T-2")
        for role, client in two_cases.clients.items():  # a session of the office is nothing here
            if asked(client, addresses[0]).status_code != 401:
                wrong.append((role, addresses[0]))
        for address in addresses:
            if two_cases.names_a_thing(route) and "reference" not in route.words:
                if mine.get(address).status_code != 404:
                    wrong.append(("token", address))
            elif mine.get(address, case="T-2").status_code != 404:
                wrong.append(("token", f"{address}?case=T-2"))
    missing = sorted(
        {one.reference for one in two_cases.theirs.returns()} - {one.reference for one in two_cases.mine.returns()}
    )
    assert mine.get(f"returns/{missing[0]}").status_code == 404
    assert not wrong


def test_a_token_opens_no_page_of_the_office(two_cases):
    bearer, client = {"Authorization": f"Bearer {a_token(two_cases.mine)[1]}"}, Client()
    for route in [*under("page of a case"), *under("page of the office")]:
        client.cookies.clear()
        answer = client.get(two_cases.addresses(route, "T-1")[0], headers=bearer)
        assert answer.status_code == 302 and "/login/" in answer["Location"], route.pattern


def test_a_session_of_the_office_opens_no_page_of_a_customer(two_cases, portal_port):  # noqa: F811
    office = two_cases.clients["office_holder"].cookies["office_session"].value
    number = two_cases.mine.case.claims.order_by("number")[0].number
    for cookies in ({"office_session": office}, {"portal_session": office}):
        for route in under("customer's", PORTAL):
            address = "/en/" + re.sub("^/en/", "", route.at(**HARMLESS, number=number, reference="T-1"))
            answer = Browser(portal_port, dict(cookies)).get(address)
            fits = answer.status == 405 or (answer.status == 302 and answer.header("location").startswith("/en/find/"))
            assert fits, (address, answer.status)
