from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LedgerConfig(AppConfig):
    name = "administration.ledger"
    label = "ledger"
    verbose_name = _("The exchange's customer ledger as taken over")
