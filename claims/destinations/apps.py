from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DestinationsConfig(AppConfig):
    name = "claims.destinations"
    label = "destinations"
    verbose_name = _("Where returns go")
