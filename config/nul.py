"""PostgreSQL keeps no text with a NUL in it: whatever is asked for with one is not there, and a cookie with one is nobody's."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

NUL = "\0"


class NoNul:
    """Before sessions are looked up, in the office's process, the API's and the portal's alike."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if NUL in value]:
            del request.COOKIES[name]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Once the language is known, so that the page that is not there is said in it."""
        if NUL in request.path_info or any(NUL in value for values in request.GET.lists() for value in (values[0], *values[1])):
            raise Http404
