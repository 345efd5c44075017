"""Who asks: the bearer of a token. Nobody signs in here with a session or a password."""

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from administration.audit import tokens
from administration.audit.models import Token
from administration.fields import db_now
from administration.people.models import User

if TYPE_CHECKING:
    from rest_framework.views import APIView


class TokenThrottle(SimpleRateThrottle):
    """So many requests a minute for one token, whatever they ask."""

    scope = "token"
    rate = "600/min"

    def get_cache_key(self, request: Request, view: "APIView") -> str | None:
        return f"throttle-token-{request.auth.pk}" if isinstance(request.auth, Token) else None


class PullThrottle(SimpleRateThrottle):
    """Downloads and pulls cost the database more than pages do."""

    scope = "pull"
    rate = "60/hour"

    def get_cache_key(self, request: Request, view: "APIView") -> str | None:
        return f"throttle-pull-{request.auth.pk}" if isinstance(request.auth, Token) else None


class StrangerThrottle(SimpleRateThrottle):
    """Wrong tokens from one address. Nobody guesses 256 bits; nobody shall make us look for long either."""

    scope = "stranger"
    rate = "60/min"

    def get_cache_key(self, request: Request, view: "APIView | None") -> str | None:
        return f"throttle-stranger-{self.get_ident(request)}"


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer henkan_…`"""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        token = tokens.recognise(words[1].decode(errors="replace"), at=db_now()) if len(words) == 2 else None
        if token is None:
            strangers = StrangerThrottle()
            if not strangers.allow_request(request, None):  # type: ignore[arg-type]  # the key needs no view
                raise Throttled(strangers.wait())
            raise AuthenticationFailed(
                _("This token does not count: unknown, expired, revoked, or its appointment has ended.")
            )
        return token.appointment.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="henkan"'


class HoldsAuditorToken(BasePermission):
    """Whoever bears a token that counts. It names one case; nothing of any other is found."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return isinstance(request.auth, Token)


class Whatever(BaseContentNegotiation):
    """Each address has one form; what the asker accepts besides changes nothing."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
