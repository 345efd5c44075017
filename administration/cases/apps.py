from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CasesConfig(AppConfig):
    name = "administration.cases"
    label = "cases"
    verbose_name = _("Case, profiles, appointments, orders, deadlines, approvals")

    def ready(self) -> None:
        from administration.cases import approvals, succession

        approvals.register(
            succession.ACT, content=succession.content, signer=succession.may_sign, after=succession.carry_out
        )
