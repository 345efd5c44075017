"""What the portal process answers. Until the claims period opens: one page, and nothing from the database."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.health import healthz

PAGE = """<!doctype html>
<html lang="ja">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>返還 / Henkan</title></head>
<body>
<main>
<h1>返還</h1>
<p>債権届出期間が始まりましたら、このページからお手続きいただけます。</p>
<p lang="en">The portal opens with the claims period.</p>
</main>
</body>
</html>
"""


def closed(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


urlpatterns = [
    path("", closed),
    path("healthz", healthz),
]
