"""Signing in to the office: a password and an authenticator app, by django-allauth. Nobody signs up."""

import base64
import hashlib
import time
from collections.abc import Callable

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.utils import is_mfa_enabled
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.encoding import force_bytes
from django.utils.translation import gettext as _

from administration.cases.models import Appointment
from administration.cases.powers import SIGNING_KINDS
from administration.people.models import User

SINCE, SEEN = "office_since", "office_seen"  # session: seconds since 1970
WATCHING = "X-Watching"  # a page that refreshes itself says so; that is not a step of its reader
RARELY = 30  # seconds between two writes of SEEN


class OfficeAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """A sign-in is made when somebody is appointed, never by whoever comes along."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom throttles count: the connection's address, or what our own proxy put last; nobody chooses theirs."""
        named = request.headers.get(settings.PROXY_HEADER, "") if settings.PROXY_HEADER else ""
        return named.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


class SealedKeys(DefaultMFAAdapter):  # type: ignore[misc]
    """Keys of authenticators lie in the database encrypted: whoever reads it cannot make a code."""

    def encrypt(self, text: str) -> str:
        return _seal().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _seal().decrypt(encrypted_text.encode()).decode()


def _seal() -> MultiFernet:
    """By the secret key, which is not in the database; older ones still open what they sealed."""
    keys = map(force_bytes, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])
    made = (hashlib.sha256(b"henkan authenticators " + key).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in made])


def closed(request: HttpRequest) -> HttpResponse:
    """What the sign-in library offers and this house does not: signing up, and anything by e-mail."""
    raise Http404


def sent_away(request: HttpRequest) -> HttpResponse | None:
    """Where somebody has to go before any page of the office answers: to sign in, or to set up the authenticator."""
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path())
    if not is_mfa_enabled(user):
        messages.warning(request, _("Set up an authenticator app first. The office opens after that."))
        return redirect("mfa_activate_totp")
    return None


class IdleLimit:
    """
    Ends the session of whoever took no step for a while, or signed in too long ago.

    It also keeps every page of the admin shut until the authenticator app is set up, not only those of a case.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            if self.has_ended(request):
                logout(request)
                messages.info(request, _("You were signed out because nothing was done for a while. Nothing is lost."))
                return redirect_to_login(request.get_full_path() if request.method == "GET" else "/admin/")
            if request.path.startswith("/admin/") and not request.path.startswith("/admin/log"):
                away = sent_away(request)
                if away is not None:
                    return away
        return self.get_response(request)

    def has_ended(self, request: HttpRequest) -> bool:
        now = int(time.time())
        since = request.session.setdefault(SINCE, now)
        seen = request.session.setdefault(SEEN, now)
        if now - since > settings.SIGNED_IN_SECONDS or now - seen > settings.IDLE_SECONDS:
            return True
        if now - seen > settings.IDLE_SECONDS_OF_SIGNERS and signs_somewhere(request.user):  # type: ignore[arg-type]
            return True
        if WATCHING not in request.headers and now - seen > RARELY:
            request.session[SEEN] = now
        return False


def signs_somewhere(user: User) -> bool:
    """Does this person sign for value in any case?"""
    return Appointment.objects.filter(user=user, kind__in=SIGNING_KINDS, to_at__isnull=True).exists()
