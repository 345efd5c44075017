"""How a round goes out: in steps, within windows and limits, pausable; and a book that moves to another exchange."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import UnitsField


class LimitKind(models.TextChoices):
    RATE = "rate", pgettext_lazy("limit", "Within a time")  # so much leaves within so many seconds
    PART = "part", pgettext_lazy("limit", "In one part")  # so many returns see each other in one file or transaction
    SIGN = "sign", pgettext_lazy("limit", "With the usual signatures")  # above it, one person more signs


class PaceChange(models.Model):
    """
    A limit or a window made wider: what exactly two people sign, once. It is applied with the last signature.

    Narrower is put at once by one person, as a stop is.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="pace_changes")
    rail = models.CharField(max_length=20)
    body = models.TextField()  # canonical JSON of the row it makes
    sha256 = models.BinaryField(max_length=32)
    reason = models.TextField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class RailLimit(models.Model):
    """
    At most so much leaves on one rail: within so many seconds, in one part, or under the usual signatures.

    The newest row for a rail, kind, asset and length of time counts; the others say what held before.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="rail_limits")
    rail = models.CharField(max_length=20)
    kind = models.CharField(max_length=4, choices=LimitKind, default=LimitKind.RATE)
    asset = models.ForeignKey("books.Asset", models.PROTECT, null=True, related_name="+")  # null: number of returns
    seconds = models.PositiveIntegerField()
    at_most = UnitsField()
    change = models.ForeignKey(PaceChange, models.PROTECT, null=True, related_name="limits")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(at_most__gt=0)
                & (
                    Q(kind="rate", seconds__gt=0)
                    | Q(kind="part", seconds=0, asset__isnull=True)
                    | Q(kind="sign", seconds=0, asset__isnull=False)
                ),
                name="rail_limit_lets_something_through",
            )
        ]


class RailWindow(models.Model):
    """The hours of the day, in Japan's time, in which a rail sends; on bank days only, or on every day. The newest counts."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="rail_windows")
    rail = models.CharField(max_length=20)
    opens = models.TimeField()
    closes = models.TimeField()
    bank_days = models.BooleanField(default=True)
    change = models.ForeignKey(PaceChange, models.PROTECT, null=True, related_name="windows")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(opens__lt=F("closes")), name="rail_window_opens_before_it_closes")]


class ClosedDay(models.Model):
    """A day from Monday to Friday on which Japanese banks are closed, as this house knew it."""

    day = models.DateField(primary_key=True)
    why = models.TextField()


class RoundPause(models.Model):
    """Nothing of a round is batched, exported or sent while it is paused."""

    round = models.ForeignKey("returns.Round", models.PROTECT, related_name="pauses")
    reason = models.TextField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    resumed_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    resumed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round"], condition=Q(resumed_at__isnull=True), name="round_is_paused_once"),
            models.CheckConstraint(
                condition=Q(resumed_at__isnull=True, resumed_by__isnull=True)
                | Q(resumed_at__isnull=False, resumed_by__isnull=False),
                name="round_is_resumed_by_somebody",
            ),
        ]


class GoAhead(models.Model):
    """The first few returns of a round on a rail arrived and tie out: a person lets the others follow."""

    round = models.ForeignKey("returns.Round", models.PROTECT, related_name="go_aheads")
    rail = models.CharField(max_length=20)
    canary = models.OneToOneField("returns.Batch", models.PROTECT, related_name="go_ahead")
    note = models.TextField(blank=True, default="")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["round", "rail"], name="round_goes_on_once_on_a_rail")]


class Carried(models.Model):
    """What a round left with a claim line because the person's amount is below the round's minimum; a later round has it."""

    round = models.ForeignKey("returns.Round", models.PROTECT, related_name="carried")
    claim_line = models.ForeignKey("register.ClaimLine", models.PROTECT, related_name="carried", db_constraint=False)
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    amount = UnitsField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "claim_line"], name="round_carries_a_line_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="carried_amount_is_positive"),
        ]


class Cancellation(models.Model):
    """Everything of a round that waits in no batch is taken back; with `anew`, a new round follows by another plan."""

    round = models.ForeignKey("returns.Round", models.PROTECT, related_name="cancellations")
    reason = models.TextField()
    anew = models.JSONField(null=True)  # what the new round is to be scheduled by
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["round"], condition=Q(done_at__isnull=True), name="round_is_cancelled_one_time_after_the_other"
            )
        ]


# --- sanctions ------------------------------------------------------------------------------------


class SanctionsList(models.Model):
    """One version of the sanctions list as received. Nobody is paid who was not screened under the newest."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="sanctions_lists")
    version = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    names = models.PositiveIntegerField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "version"], name="sanctions_list_version_is_used_once")]


class SanctionedName(models.Model):
    """One name of a list, in the form in which names are compared."""

    list = models.ForeignKey(SanctionsList, models.PROTECT, related_name="entries")
    entry = models.PositiveIntegerField()
    name_key = models.TextField()
    born_on = models.DateField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["list", "name_key", "entry"], name="sanctioned_name_is_listed_once")]


class Screening(models.Model):
    """Every claimant up to a number was compared with a version of the list; hits are on hold."""

    list = models.ForeignKey(SanctionsList, models.PROTECT, related_name="screenings")
    through_claimant_id = models.BigIntegerField()
    people = models.BigIntegerField()
    hits = models.BigIntegerField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


# --- a book that moves --------------------------------------------------------------------------------


class Terms(models.TextChoices):
    CONSENT = "consent", pgettext_lazy("terms of a move", "Who consents moves")
    OPT_OUT = "opt_out", pgettext_lazy("terms of a move", "Who does not opt out moves")


class BookMove(models.Model):
    """The accounts of customers, or of some of them, move to another exchange, by a contract and an order."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="book_moves")
    number = models.PositiveIntegerField()
    transferee = models.TextField()  # the other exchange's registered name
    terms = models.CharField(max_length=8, choices=Terms)
    choose_by = models.DateField()  # the last day on which a customer's word counts
    assets = models.JSONField()  # asset codes
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, related_name="+")
    contract_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)  # the choices are counted and the destinations made

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="book_move_number_is_used_once")]


class MoveChoice(models.Model):
    """What a customer said about the move of their account. The newest word before the last day counts."""

    move = models.ForeignKey(BookMove, models.PROTECT, related_name="choices")
    claim = models.ForeignKey("register.Claim", models.PROTECT, related_name="move_choices")
    moves = models.BooleanField()  # consents, or does not opt out after all; false: opts out
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
