"""The admin reads. It adds, changes and deletes nothing: acts do."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from administration.cases import appointments
from administration.cases.models import Case
from administration.fields import db_now


class ReadOnlyAdmin(admin.ModelAdmin):
    """
    Rows of the cases in which the person who signed in holds an appointment, and of no others.

    `of_case` is the way from a row to its case: a field path that ends at the case's id.
    """

    of_case = "case_id"
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(**{f"{self.of_case}__in": cases_of(request)})

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def cases_of(request: HttpRequest) -> list[int]:
    """The cases in which whoever signed in holds an appointment at this moment."""
    user, at = request.user, db_now()
    if user.pk is None:
        return []
    return [case.pk for case in Case.objects.all() if appointments.live(case, at=at).filter(user_id=user.pk).exists()]
