"""How a customer comes in: a code from a letter, a code by e-mail or post, and a session that only the database can read."""

from django.db import models
from django.db.models import Q

from administration.fields import ClockTimestamp


class ClaimCode(models.Model):
    """
    The code in the letter about one claim, as its hash. It is printed once and nowhere kept.

    A newer letter ends the older code.
    """

    claim = models.ForeignKey("register.Claim", models.PROTECT, related_name="codes", db_constraint=False)
    code_sha256 = models.BinaryField(max_length=32, unique=True)
    issued_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["claim"], condition=Q(ended_at__isnull=True), name="claim_has_one_code_in_force"
            )
        ]


class MessageKind(models.TextChoices):
    SIGN_IN = "sign_in"  # a code to come in with
    ACT = "act"  # a fresh code before an act about money
    DESTINATION = "destination"  # no code: a destination was proposed; not you? stop it
    PROVED = "proved"  # no code: it is proved, and its waiting time has begun; not you? stop it


WARNINGS = [MessageKind.DESTINATION.value, MessageKind.PROVED.value]  # what was done in a claimant's name


class Message(models.Model):
    """
    One message waiting to go to a claimant, or gone. Its code is made by whoever sends it and kept as a keyed hash.

    A warning is tried again until it was sent or is of no use any more; a code is asked for again.

    Whoever types a claim code nobody has gets a row like anybody else; it names no claim and is never sent.
    """

    kind = models.CharField(max_length=12, choices=MessageKind)
    claim = models.ForeignKey(
        "register.Claim", models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False
    )
    session = models.ForeignKey("portal.Session", models.PROTECT, null=True, related_name="+", db_index=False)
    channel = models.CharField(max_length=5)  # email, post
    language = models.CharField(max_length=2)
    asset = models.CharField(max_length=20, blank=True, default="")  # of a destination proposed or proved
    ask_sha256 = models.BinaryField(max_length=32, null=True, unique=True)  # of the token of the browser that asked
    code_mac = models.BinaryField(max_length=32, null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    queued_at = models.DateTimeField(db_default=ClockTimestamp())
    expires_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["queued_at"], condition=Q(taken_at__isnull=True, claim__isnull=False), name="message_waiting"
            ),
            models.Index(
                fields=["queued_at"], condition=Q(kind__in=WARNINGS, sent_at__isnull=True, claim__isnull=False),
                name="warning_not_sent",
            ),
            models.Index(fields=["claim", "queued_at"], condition=Q(claim__isnull=False), name="message_of_a_claim"),
        ]


class Session(models.Model):
    """One claimant signed in with one browser, whose token we keep as a hash. No user of the office."""

    token_sha256 = models.BinaryField(max_length=32, unique=True)
    claimant = models.ForeignKey("register.Claimant", models.PROTECT, related_name="+", db_index=False)
    claim = models.ForeignKey("register.Claim", models.PROTECT, related_name="+", db_index=False)  # whose code it was
    opened_at = models.DateTimeField(db_default=ClockTimestamp())
    seen_at = models.DateTimeField(db_default=ClockTimestamp())
    expires_at = models.DateTimeField()
    fresh_until = models.DateTimeField(null=True)  # acts about money are possible until then
    ended_at = models.DateTimeField(null=True)


class Knock(models.Model):
    """One try to sign in, kept for a day, so that nobody knocks too often from one address."""

    address_sha256 = models.BinaryField(max_length=32)  # keyed: no address is kept
    code_sha256 = models.BinaryField(max_length=32)
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        indexes = [models.Index(fields=["address_sha256", "at"], name="knock_of_an_address")]
