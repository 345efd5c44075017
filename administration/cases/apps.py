from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CasesConfig(AppConfig):
    name = "administration.cases"
    label = "cases"
    verbose_name = _("Case, profiles, appointments, orders, deadlines, approvals")
