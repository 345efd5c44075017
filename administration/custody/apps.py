from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CustodyConfig(AppConfig):
    name = "administration.custody"
    label = "custody"
    verbose_name = _("What is held")

    def ready(self) -> None:
        from administration.cases import succession
        from administration.custody import holdings, reconciliation
        from administration.record import covers

        covers.register(holdings.COVER, holdings.HANDED_OVER)
        covers.register(reconciliation.COVER, reconciliation.STATED)
        succession.register_account("custody", reconciliation.account)
