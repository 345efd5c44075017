from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    name = "claims.portal"
    label = "portal"
    verbose_name = _("The customer's pages")
