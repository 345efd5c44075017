"""What the office sees of the rows, until the office's own screens come."""

from django.contrib import admin
from django.contrib.auth import admin as auth_admin  # registers Group, before us or not at all
from django.contrib.auth.models import Group
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from administration.cases.models import Appointment, ApprovalRequest, Case
from administration.office.readonly import ReadOnlyAdmin
from administration.record.models import Event, Head
from administration.work.models import Job

assert auth_admin
admin.site.unregister(Group)  # nobody's powers come from groups


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    of_case = "pk"
    exclude = ("salt",)
    list_display = ("reference", "name", "regime", "proceeding", "state", "cutoff_at", "securing_completed_at")
    readonly_fields = ("latest_events",)

    @admin.display(description=_("latest events of the record"))
    def latest_events(self, case: Case) -> SafeString:
        """An event's key is the case and its number, which the admin cannot list as rows of their own."""
        events = Event.objects.filter(case_id=case.pk).order_by("-number")[:50]
        rows = (
            (e.number, e.at.isoformat(timespec="seconds"), e.kind, e.by, e.subject_kind, e.subject_id) for e in events
        )
        return format_html_join("", "<div>{} · {} · {} · {} · {} {}</div>", rows)


@admin.register(Appointment)
class AppointmentAdmin(ReadOnlyAdmin):
    list_display = ("case", "user", "kind", "authority", "instrument", "from_at", "to_at", "joint")
    list_select_related = ("case", "user")


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(ReadOnlyAdmin):
    list_display = ("id", "case", "act", "object_id", "state", "prepared_by", "signers", "requested_at", "decided_at")
    list_select_related = ("case", "prepared_by")
    list_filter = ("state", "act")


@admin.register(Head)
class HeadAdmin(ReadOnlyAdmin):
    list_display = ("case_reference", "size", "key_id", "signed_at")


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "case", "kind", "phase", "done", "total", "state", "beat_at", "error")
    list_select_related = ("case",)
    list_filter = ("state", "kind")
