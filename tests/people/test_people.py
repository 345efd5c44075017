"""Who signs in, and what a sign-in alone is worth: nothing."""

from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import IntegrityError, ProgrammingError, transaction
from django.test import Client

from administration.cases.models import Case
from administration.people import users
from administration.people.models import User
from tests.cast import Cast


@pytest.mark.django_db
def test_nobody_stands_above_the_appointments() -> None:
    with pytest.raises(IntegrityError, match="nobody_stands_above_appointments"), transaction.atomic():
        User.objects.create_superuser("root", password="a long enough password")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["henkan_app", "henkan_owner"])
def test_a_person_keeps_their_name_in_the_record_and_is_never_deleted(as_role: Any, role: str) -> None:
    users.ensure("doi")
    with pytest.raises(IntegrityError, match="keeps its name"), as_role(role) as cursor:
        cursor.execute("UPDATE people_user SET username = 'other'")
    for statement in ("DELETE FROM people_user", "TRUNCATE people_user CASCADE"):
        with pytest.raises((IntegrityError, ProgrammingError)), as_role(role) as cursor:
            cursor.execute(statement)
    with pytest.raises(IntegrityError, match="nobody_stands_above"), as_role(role) as cursor:
        cursor.execute("UPDATE people_user SET is_superuser = true")


@pytest.mark.django_db
def test_auditors_queries_see_who_somebody_is_and_not_what_they_sign_in_with(as_role: Any) -> None:
    users.ensure("doi", first_name="Doi")
    with as_role("henkan_reader") as cursor:
        cursor.execute("SELECT username, first_name FROM people_user")
        assert cursor.fetchall() == [("doi", "Doi")]
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_reader") as cursor:
        cursor.execute("SELECT password FROM people_user")
    with pytest.raises(ProgrammingError, match="permission denied"), as_role("henkan_reader") as cursor:
        cursor.execute("SELECT session_data FROM django_session")


@pytest.mark.django_db
def test_a_sign_in_is_made_once_and_without_a_password_nobody_uses_it() -> None:
    doi = users.ensure("doi", first_name="Doi")
    assert users.ensure("doi", first_name="Other") == doi and User.objects.get().first_name == "Doi"
    assert not doi.has_usable_password()
    with pytest.raises(users.NoSignIn):
        users.ensure(" ")


@pytest.mark.django_db
def test_whoever_is_shut_out_is_out_at_once(client: Client) -> None:
    doi = users.ensure("doi", password="a long enough password")
    assert client.login(username="doi", password="a long enough password")
    other = SessionStore()
    other["_auth_user_id"] = "0"
    other.create()

    assert users.shut_out(doi) == 1

    assert client.get("/admin/").status_code == 302
    assert not client.login(username="doi", password="a long enough password")
    assert SessionStore().exists(other.session_key)


PAGES = ("cases/case", "cases/appointment", "cases/approvalrequest", "record/head", "work/job")


def signed_in(client: Client, user: User) -> Client:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client.force_login(user)
    return client


def test_the_admin_shows_the_cases_one_is_appointed_in_and_a_stranger_nothing(
    client: Client, case: Case, cast: Cast
) -> None:
    for page in PAGES:
        assert signed_in(client, cast.aoki).get(f"/admin/{page}/").status_code == 200
    assert b"T-1" in client.get("/admin/cases/case/").content
    shown = client.get(f"/admin/cases/case/{case.pk}/change/")
    assert (
        shown.status_code == 200
        and b'name="_save"' not in shown.content
        and bytes(case.salt).hex().encode() not in shown.content
    )

    assert b"T-1" not in signed_in(client, cast.fujii).get("/admin/cases/case/").content
    assert client.get(f"/admin/cases/case/{case.pk}/change/").status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_the_admin_adds_changes_and_deletes_nothing(client: Client, case: Case, cast: Cast, page: str) -> None:
    signed_in(client, cast.aoki)
    assert client.get(f"/admin/{page}/add/").status_code == 403
    assert client.post(f"/admin/{page}/add/", {}).status_code == 403
    for pk in (case.pk, 1):
        assert client.post(f"/admin/{page}/{pk}/change/", {"name": "Mine"}).status_code in (302, 403)
        assert client.post(f"/admin/{page}/{pk}/delete/", {"post": "yes"}).status_code in (302, 403)
    assert Case.objects.get().name == "Sample Exchange K.K."
