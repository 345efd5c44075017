"""The portal's own server, for the benchmark, with one page more: JSON that never changes, the bound."""

import os
import types

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config import portal_urls

STATIC = b'{"claim": "S-1-C0000001-3", "stage": "approved", "lines": [{"asset": "BTC", "answer": "100000000"}]}'


def static(request: HttpRequest) -> HttpResponse:
    return HttpResponse(STATIC, content_type="application/json")


urls = types.ModuleType("portal_with_a_static_page")
urls.urlpatterns = [path("static.json", static), *portal_urls.urlpatterns]  # type: ignore[attr-defined]
urls.handler404, urls.handler500 = portal_urls.handler404, portal_urls.handler500  # type: ignore[attr-defined]
settings.ROOT_URLCONF = urls
