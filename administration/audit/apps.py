from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "administration.audit"
    label = "audit"
    verbose_name = _("Pulls and offline verification")

    def ready(self) -> None:
        from administration.audit import derivations, verification
        from administration.work import jobs

        derivations.register()
        jobs.register(verification.JOB, verification.step, atomic=False)
