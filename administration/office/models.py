"""What the office keeps of its own: which buttons were pressed, and what its throttles remember."""

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


class Remembered(models.Model):
    """
    One line of Django's cache: tries to sign in, codes of authenticators that were used. Forgotten within minutes.

    Nothing rests on it but throttles; the names of table and columns are Django's.
    """

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "office_cache"
