"""What waits for signatures, and the page on which it is signed or rejected."""

from typing import Any

from django.http import Http404
from django.utils.translation import gettext_lazy as lazy

from administration.cases.models import ApprovalRequest
from administration.office.pages.base import CasePage, page


@page("approvals/<int:pk>/", name="approval")
class ApprovalPage(CasePage):
    title = lazy("Approval")
    template = "office/approval.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        request = ApprovalRequest.objects.filter(case=self.case, pk=kwargs["pk"]).first()
        if request is None:
            raise Http404
        return {"asked": request}
