from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DestinationsConfig(AppConfig):
    name = "claims.destinations"
    label = "destinations"
    verbose_name = _("Where returns go")

    def ready(self) -> None:
        from administration.record import covers
        from claims.destinations import handover
        from claims.register import schedule

        covers.register(handover.COVER, handover.VERIFIED)
        schedule.follow(handover.propose)
