from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RegisterConfig(AppConfig):
    name = "claims.register"
    label = "register"
    verbose_name = _("Claims register")

    def ready(self) -> None:
        from administration.record import covers, verify
        from administration.work import jobs
        from claims.register import derivation, schedule

        jobs.register(schedule.KIND, schedule.step)
        covers.register(schedule.COVER, schedule.SCHEDULED)
        verify.register_derivation("register", derivation.derive)
