"""The portal's own server, for the benchmark, with one page more: JSON that never changes, the bound."""

import os
import types
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

portal_urls = import_module(settings.ROOT_URLCONF)  # of the portal's process: wiring, which nobody below it imports

STATIC = b'{"claim": "S-1-C0000001-3", "stage": "approved", "lines": [{"asset": "BTC", "answer": "100000000"}]}'


def static(request: HttpRequest) -> HttpResponse:
    return HttpResponse(STATIC, content_type="application/json")


urls = types.ModuleType("portal_with_a_static_page")
vars(urls).update(vars(portal_urls) | {"urlpatterns": [path("static.json", static), *portal_urls.urlpatterns]})
settings.ROOT_URLCONF = urls
