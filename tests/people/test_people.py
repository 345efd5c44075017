"""Who signs in, and what a sign-in alone is worth: nothing."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
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


def test_no_row_has_a_page_on_which_it_could_be_edited(client: Client, case: Case, cast: Cast) -> None:
    """The office's pages show rows, each for the people appointed in its case; the admin's own would show them anew."""
    User.objects.filter(pk=cast.aoki.pk).update(is_staff=True)
    Authenticator.objects.create(user=cast.aoki, type=Authenticator.Type.TOTP, data={"secret": "x"})
    client.force_login(cast.aoki)

    assert client.get("/admin/").status_code == 200
    for page in ("cases/case", "cases/approvalrequest", "work/job", "people/user", "auth/group", "mfa/authenticator"):
        for address in (f"/admin/{page}/", f"/admin/{page}/add/", f"/admin/{page}/1/change/"):
            assert client.get(address).status_code == 404, address
