"""What the portal's process answers: the customer's pages in two languages, and whether it is well."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path

from claims.portal import views
from config.health import healthz

urlpatterns = [
    path("", views.root),
    path("healthz", healthz),
    *i18n_patterns(path("", include("claims.portal.urls"))),
]

handler404 = views.not_found
handler500 = views.broken
