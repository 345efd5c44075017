"""Signing in to the office: a password and an authenticator app, by django-allauth. Nobody signs up."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _


class OfficeAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """A sign-in is made when somebody is appointed, never by whoever comes along."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def sent_away(request: HttpRequest) -> HttpResponse | None:
    """Where somebody has to go before any page of the office answers: to sign in, or to set up the authenticator."""
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path())
    if not is_mfa_enabled(user):
        messages.warning(request, _("Set up an authenticator app first. The office opens after that."))
        return redirect("mfa_activate_totp")
    return None
