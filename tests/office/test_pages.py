"""Every page of the office is about one case, for the people appointed in it."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

pytestmark = pytest.mark.django_db


def signed_in(user):
    """A browser session of somebody who has an authenticator app."""
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": "x"}})
    client = Client()
    client.force_login(user)
    return client


def test_a_case_exists_for_the_people_appointed_in_it_only(case, goto, fujii):
    assert signed_in(goto).get(f"/admin/case/{case.reference}/").status_code == 200
    assert signed_in(fujii).get(f"/admin/case/{case.reference}/").status_code == 404
    assert signed_in(goto).get("/admin/case/NONE/").status_code == 404


def test_nobody_gets_in_without_signing_in_or_without_an_authenticator(case, goto):
    answer = Client().get(f"/admin/case/{case.reference}/")
    assert answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")

    goto.is_staff = True
    goto.save(update_fields=["is_staff"])
    bare = Client()
    bare.force_login(goto)
    answer = bare.get(f"/admin/case/{case.reference}/")
    assert answer.status_code == 302 and "2fa" in answer["Location"]
