"""How pages follow one another: by an opaque cursor that says after what the next page begins."""

import base64
import binascii
import hashlib
from typing import Any

from django.http import HttpRequest
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from administration.audit.models import Token
from administration.record import heads
from administration.record.encoding import micros

LIMIT, LIMIT_MAX = 100, 1000


def limit_of(request: Request) -> int:
    text = request.query_params.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LIMIT_MAX):
        raise ParseError(_("`limit` is a whole number from 1 to %(most)s.") % {"most": LIMIT_MAX})
    return int(text)


def after(request: Request, token: Token, name: str) -> str:
    """What the cursor says, or "" for the beginning. A cursor of another list or case is no cursor of this one."""
    text = request.query_params.get("after", "")
    if not text:
        return ""
    try:
        case, kind, place = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)).decode().split(":")
    except (binascii.Error, ValueError):
        case = kind = place = ""
    if (case, kind) != (str(token.case_id), name) or len(place) > 40:
        raise ParseError(_("`after` is no cursor of this list. Take it from `next` or `last` of an earlier page."))
    return place


def cursor(token: Token, name: str, place: str) -> str:
    return base64.urlsafe_b64encode(f"{token.case_id}:{name}:{place}".encode()).rstrip(b"=").decode()


def page(
    request: Request, token: Token, name: str, rows: list[Any], *, place: str, limit: int, frozen: bool
) -> Response:
    """
    One page. `place` is the name of the column that the cursor stands on.

    A full page of what never changes (`frozen`) is the same for ever and says so; what grows since is in the headers.
    """
    full = len(rows) == limit
    last = cursor(token, name, str(rows[-1][place])) if rows else request.query_params.get("after") or None
    following = None
    if full:
        query = request.query_params.copy()
        query["after"] = str(last)
        following = f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"
    body = {"results": rows, "next": following, "last": last}
    tag = quote_etag(hashlib.sha256(JSONRenderer().render(body)).hexdigest())
    headers = as_of(token) | {
        "ETag": tag,
        "Cache-Control": "private, max-age=31536000, immutable" if full and frozen else "private, no-cache",
    }
    if following:
        headers["Link"] = f'<{following}>; rel="next"'
    if is_known(request, tag):
        return Response(status=304, headers=headers)
    return Response(body, headers=headers)


def is_known(request: HttpRequest | Request, tag: str) -> bool:
    """Does the asker hold this very answer already?"""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or "*" in known


def as_of(token: Token) -> dict[str, str]:
    """The newest head when this was answered. In headers, so that a page that cannot change does not."""
    head = heads.latest(token.case)
    if head is None:
        return {}
    return {
        "Henkan-Head-Size": str(head.size),
        "Henkan-Head-Root": bytes(head.root).hex(),
        "Henkan-Head-Signed-At": micros(head.signed_at),
    }
