"""What the office process answers."""

from allauth.account.decorators import secure_admin_login
from django.apps import apps
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from administration.office.signing_in import closed
from config.health import healthz

# No row has a page of the admin's own: the office's pages show rows, each for the people appointed in its case.
for model in filter(admin.site.is_registered, apps.get_models()):
    admin.site.unregister(model)
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # as allauth says

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", include("administration.office.urls")),
    re_path(r"^admin/r/", closed),  # rows have no pages of their own elsewhere
    path("admin/", admin.site.urls),
    re_path(r"^accounts/(?:signup|email|confirm-email|password/(?:reset|set)|login/code)/", closed),
    path("accounts/", include("allauth.urls")),
    path("api/", include("administration.audit.api.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("healthz", healthz),
]

# What never reaches a view: pages for people, problem+json for /api/.
handler400 = "administration.audit.api.problems.bad_request"
handler404 = "administration.audit.api.problems.page_not_found"
handler500 = "administration.audit.api.problems.server_error"
