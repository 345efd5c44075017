"""What the office keeps of its own: which buttons were pressed."""

from django.db import models

from administration.fields import ClockTimestamp


class Press(models.Model):
    """
    One page's button, pressed once. The page carries the key; a second press of the same page does nothing.

    `outcome` is where the first press led, or empty while it is being done (or if the server died in the middle:
    then the rows of the case say what was done, not this one).
    """

    key = models.UUIDField(primary_key=True)
    user = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    path = models.TextField()
    pressed_at = models.DateTimeField(db_default=ClockTimestamp())
    outcome = models.TextField(blank=True, default="")
    sentence = models.TextField(blank=True, default="")
