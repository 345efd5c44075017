"""Who signs in. What a person may do in a case is an Appointment in `cases`, never a flag here."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class User(AbstractUser):
    """
    One sign-in of one person of the office, the court or the auditors.

    Two sign-ins do not prove two people: that is a matter of how the office hands them out.
    """

    class Meta(AbstractUser.Meta):
        constraints = [models.CheckConstraint(condition=Q(is_superuser=False), name="nobody_stands_above_appointments")]

    @property
    def shown_name(self) -> str:
        return self.get_full_name() or self.username
