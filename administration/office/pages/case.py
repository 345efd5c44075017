"""The case at a glance."""

from typing import Any

from django.utils.translation import gettext_lazy as lazy

from administration.office.pages.base import CasePage, page


@page("", name="case", menu="case", icon="dashboard", order=1)
class CaseDashboard(CasePage):
    title = lazy("The case at a glance")
    template = "office/case.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {}
