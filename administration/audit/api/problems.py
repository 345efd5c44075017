"""Every error of the API is application/problem+json (RFC 9457), whoever raised it."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as NotAllowed
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from administration.audit.filters import BadFilter
from administration.audit.pulls import OtherRequest
from administration.errors import Refused

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class ProblemRenderer(JSONRenderer):
    media_type = MEDIA_TYPE


def titles() -> dict[int, str]:
    return {
        400: _("The request cannot be understood"),
        401: _("A token is needed"),
        403: _("This token may not do that"),
        404: _("There is nothing here"),
        405: _("This cannot be done here"),
        406: _("This cannot be answered in the form asked for"),
        409: _("Refused"),
        415: _("This kind of content is not read"),
        422: _("The request contradicts an earlier one"),
        429: _("Too many requests"),
        500: _("Something went wrong on our side"),
    }


def problem(status: int, detail: str, instance: str, **more: Any) -> dict[str, Any]:
    title = titles().get(status, _("The request failed"))
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance, **more}


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """The one exception handler of the API."""
    request = context["request"]
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = NotAllowed()
    if isinstance(error, BadFilter):
        status, detail = 400, str(error)
    elif isinstance(error, Refused):
        status, detail = 422 if isinstance(error, OtherRequest) else 409, str(error)
    elif isinstance(error, APIException):
        status = error.status_code
        detail = str(error.detail) if not isinstance(error.detail, dict | list) else ""
        if isinstance(error, ValidationError):
            detail, more["errors"] = _("Some fields are not as they must be."), error.detail
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]  # DRF sets it
        if (wait := getattr(error, "wait", None)) is not None:
            headers["Retry-After"] = str(max(1, int(wait)))
    else:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        status, detail = 500, _("It was noted. Ask again; if it stays, tell the administrator's office.")
    set_rollback()
    # Response would negotiate its form; a problem has one.
    response = Response(problem(status, detail, request.get_full_path(), **more), status=status, headers=headers)
    response.accepted_renderer, response.accepted_media_type = ProblemRenderer(), MEDIA_TYPE
    response.renderer_context = {}  # type: ignore[attr-defined]  # DRF sets it too
    response.content_type = MEDIA_TYPE
    return response


# --- what never reaches a view of the API -----------------------------------------------------


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _plain(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, detail, request.get_full_path()), status=status, content_type=MEDIA_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _plain(request, 400, _("The request is malformed."))
    return defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _plain(request, 404, _("The API has no such address. See /api/docs/."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        return _plain(request, 500, _("It was noted. Ask again; if it stays, tell the administrator's office."))
    return defaults.server_error(request)
