from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DistributionConfig(AppConfig):
    name = "administration.distribution"
    label = "distribution"
    verbose_name = _("Plans, runs, entitlements")

    def ready(self) -> None:
        from administration.cases import approvals
        from administration.distribution import computing, declaring, runs
        from administration.record import covers
        from administration.work import jobs

        covers.register(computing.COVER, computing.COVERED)
        covers.register(declaring.COVER, declaring.COVERED)
        jobs.register(runs.COMPUTE, runs.step, atomic=False)
        jobs.register(declaring.DECLARE, declaring.step)
        approvals.register(
            runs.ACT, content=runs.content, precondition=runs.precondition, after=declaring.after,
            live=declaring.is_live, find=declaring.find, resumed=declaring.resumed, declined=declaring.declined,
        )  # fmt: skip
