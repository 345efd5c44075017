"""Signing in: a password and an authenticator, nobody by e-mail, and nobody for ever."""

import base64
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.db import connection
from django.test import Client

from administration.errors import Refused
from administration.office import demo
from administration.office.signing_in import SEEN, SINCE, OfficeAdapter

pytestmark = pytest.mark.django_db
PASSWORD = "seven horses in the rain"


@pytest.fixture
def member(goto):
    """Goto with a password and an authenticator."""
    goto.is_staff = True
    goto.set_password(PASSWORD)
    goto.save()
    demo.key_of(goto)
    return goto


def code_for(user):
    return totp.format_hotp_value(totp.hotp_value(demo.key_of(user), int(time.time()) // 30))


def with_password(name, password=PASSWORD):
    client = Client()
    return client, client.post("/accounts/login/", {"login": name, "password": password})


def test_a_password_alone_opens_nothing(case, member):
    client, answer = with_password("goto")

    assert answer.status_code == 302 and "2fa" in answer["Location"]
    assert client.get("/admin/").status_code == 302
    assert client.get(f"/admin/case/{case.reference}/").status_code == 302


def test_the_password_and_the_code_open_the_office(case, member):
    client, _answer = with_password("goto")
    answer = client.post("/accounts/2fa/authenticate/", {"code": code_for(member)})

    assert answer.status_code == 302 and answer["Location"] == "/admin/"
    assert client.get(f"/admin/case/{case.reference}/").status_code == 200


def test_a_code_counts_once(case, member):
    code = code_for(member)
    for outcome in (302, 200):
        client, _answer = with_password("goto")
        assert client.post("/accounts/2fa/authenticate/", {"code": code}).status_code == outcome


def test_whoever_has_no_authenticator_gets_no_further_than_setting_one_up(case, goto):
    goto.is_staff = True
    goto.set_password(PASSWORD)
    goto.save()
    client, _answer = with_password("goto")

    for address in ("/admin/", f"/admin/case/{case.reference}/", "/admin/password_change/", "/admin/search/?s=a"):
        answer = client.get(address)
        assert answer.status_code == 302 and "2fa/totp/activate" in answer["Location"], address


def test_wrong_passwords_are_slowed_down(case, member):
    answers = [with_password("goto", "not that one")[1] for _try in range(7)]

    assert "Too many" in answers[-1].content.decode() or answers[-1].status_code == 429
    assert with_password("goto")[1].status_code != 302  # not even the right one, for a while


def test_nobody_chooses_the_address_they_are_counted_by(rf, settings):
    claimed = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    assert OfficeAdapter().get_client_ip(rf.get("/", headers=claimed)) == "127.0.0.1"

    settings.PROXY_HEADER = "X-Forwarded-For"
    assert OfficeAdapter().get_client_ip(rf.get("/", headers=claimed)) == "198.51.100.7"  # what our proxy added


def test_an_unknown_name_is_answered_as_a_wrong_password(case, member):
    def plain(answer):
        text = answer.content.decode()
        return answer.status_code, text.count("errorlist") + text.count('class="notice refusal"'), "correct" in text

    assert plain(with_password("nobody")[1]) == plain(with_password("goto", "wrong")[1])


def test_keys_of_authenticators_lie_sealed_in_the_database(member):
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator WHERE user_id = %s", [member.pk])
        (stored,) = cursor.fetchone()

    assert demo.key_of(member) not in stored
    assert base64.b32decode(demo.key_of(member))


def test_recovery_codes_open_the_office_once(case, member):
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    code = RecoveryCodes.activate(member).get_unused_codes()[0]
    for outcome in (302, 200):
        client, _answer = with_password("goto")
        assert client.post("/accounts/2fa/authenticate/", {"code": code}).status_code == outcome


@pytest.mark.parametrize(
    "address", ["signup/", "email/", "password/reset/", "password/set/", "confirm-email/", "login/code/confirm/"]
)
def test_nobody_signs_up_and_nothing_goes_by_mail(db, address):
    assert Client().get(f"/accounts/{address}").status_code == 404


# --- how long a session lasts ---------------------------------------------------------------------


def moved(client, **seconds):
    session = client.session
    for key, back in seconds.items():
        session[key] = int(time.time()) - back
    session.save()


def signed_in(user):
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": "x"}})
    client = Client()
    client.force_login(user)
    return client


def test_a_session_ends_when_nobody_is_there(case, goto, aoki):
    officer, signer = signed_in(goto), signed_in(aoki)
    for client in (officer, signer):
        moved(client, **{SINCE: 1200, SEEN: settings.IDLE_SECONDS_OF_SIGNERS + 5})

    assert officer.get("/admin/").status_code == 200
    assert signer.get("/admin/").status_code == 302  # those who sign for value have less time
    moved(officer, **{SINCE: 4000, SEEN: settings.IDLE_SECONDS + 5})
    assert officer.get("/admin/").status_code == 302


def test_no_session_lasts_longer_than_a_working_day(case, goto):
    client = signed_in(goto)
    moved(client, **{SINCE: settings.SIGNED_IN_SECONDS + 5, SEEN: 1})

    assert client.get("/admin/").status_code == 302


def test_a_page_that_refreshes_itself_keeps_nobody_signed_in(case, goto):
    client = signed_in(goto)
    moved(client, **{SINCE: 500, SEEN: 400})
    before = client.session[SEEN]
    client.get(f"/admin/case/{case.reference}/", headers={"X-Watching": "1"})
    assert client.session[SEEN] == before

    client.get(f"/admin/case/{case.reference}/")
    assert client.session[SEEN] > before


def test_demo_sign_ins_exist_on_the_embedded_stack_only(case, goto, settings):
    settings.EMBEDDED = False
    with pytest.raises(Refused):
        demo.sign_ins()
    with pytest.raises(Refused):
        demo.code_of(goto)

    settings.EMBEDDED = True
    goto_line = next(line for line in demo.sign_ins() if line.startswith("goto"))
    assert demo.key_of(goto) in goto_line
    assert len(demo.code_of(goto)) == 6
