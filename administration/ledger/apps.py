from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LedgerConfig(AppConfig):
    name = "administration.ledger"
    label = "ledger"
    verbose_name = _("The exchange's customer ledger as taken over")

    def ready(self) -> None:
        """Tell the lower rooms what they cannot know: long work, what is signed, what events cover."""
        from administration.cases import approvals
        from administration.ledger import acceptance, adjustments, conversions, deliveries, nayose, takeover
        from administration.record import covers
        from administration.work import jobs

        jobs.register(deliveries.CONVERT, conversions.step)
        jobs.register(takeover.INSPECT, takeover.inspection_step)
        jobs.register(takeover.ACCEPT, acceptance.step)
        jobs.register(nayose.KIND, nayose.step)
        approvals.register(
            takeover.ACCEPT,
            content=takeover.acceptance_content,
            precondition=takeover.acceptance_may_follow,
            after=takeover.acceptance_signed,
            find=takeover.find,
        )
        approvals.register(
            takeover.SUSPENSE,
            content=takeover.suspense_content,
            precondition=takeover.suspense_may_follow,
            after=takeover.suspense_signed,
        )
        approvals.register(
            adjustments.ADJUST, content=adjustments.content, precondition=adjustments.precondition, after=adjustments.signed
        )
        covers.register(acceptance.BALANCES, acceptance.BALANCES_SQL)
        covers.register(acceptance.EXCLUDED, acceptance.EXCLUDED_SQL)
        covers.register(nayose.LINKED, nayose.LINKED_SQL)
