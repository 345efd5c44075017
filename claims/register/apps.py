from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RegisterConfig(AppConfig):
    name = "claims.register"
    label = "register"
    verbose_name = _("Claims register")
