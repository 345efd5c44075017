from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReturnsConfig(AppConfig):
    name = "administration.returns"
    label = "returns"
    verbose_name = _("Returns, batches, submissions, evidence")

    def ready(self) -> None:
        from administration.returns import registrations

        registrations.register()
