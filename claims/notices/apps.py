from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NoticesConfig(AppConfig):
    name = "claims.notices"
    label = "notices"
    verbose_name = _("What we told whom, when")

    def ready(self) -> None:
        from administration.record import covers
        from claims.notices import notices

        covers.register(notices.COVER, notices.COVERED)
