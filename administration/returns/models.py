"""The return engine's rows: what is owed, what was approved, what was sent, what became of it."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp, UnitsField
from administration.returns.pace_models import (  # one room, two files
    BookMove,
    Cancellation,
    Carried,
    ClosedDay,
    GoAhead,
    LimitKind,
    MoveChoice,
    PaceChange,
    RailLimit,
    RailWindow,
    RoundPause,
    SanctionedName,
    SanctionsList,
    Screening,
    Terms,
)

__all__ = [
    "Assignment", "BookMove", "Cancellation", "Carried", "ClosedDay", "CourtDeposit", "DepositFiling", "Explanation",
    "ExplanationKind", "FailureReason", "ForcedSale", "ForfeitedLine", "Forfeiture", "GoAhead", "Ground", "LateReturn", "LateReturnLine", "LimitKind", "Matter",
    "MoveChoice", "Overpayment", "PaceChange", "Policy", "RailLimit", "RailWindow", "Recovery", "RecoveryKind", "Release", "Residue",
    "ResidueLine", "RoundClosing", "RoundPause", "SaleShare", "SanctionedName", "SanctionsList", "Screening",
    "TailState", "Terms",
]  # fmt: skip


class Round(models.Model):
    """One round of returns after one approved run, on one or more rails."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="rounds")
    number = models.PositiveIntegerField()
    run = models.ForeignKey("distribution.Run", models.PROTECT, related_name="rounds")
    record_at = models.DateTimeField()
    value_date = models.DateField()
    # asset code → rail; "*" speaks for all others, "…@network" for what goes to a network
    rails = models.JSONField(default=dict)
    minimums = models.JSONField(default=dict)  # asset code → units as text: a person's less than that is carried forward
    large_from = models.JSONField(default=dict)  # asset code → units as text: from there on a return is in the large lane
    canary = models.PositiveIntegerField(default=0)  # how many returns go first on each rail; 0: all at once
    scheduled_at = models.DateTimeField(null=True)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="round_number_is_used_once")]


class ReturnState(models.TextChoices):
    SCHEDULED = "scheduled", pgettext_lazy("return", "Scheduled")
    HELD = "held", pgettext_lazy("return", "Held")
    BATCHED = "batched", pgettext_lazy("return", "Batched")
    SETTLED = "settled", pgettext_lazy("return", "Settled")
    RETURNED = "returned", pgettext_lazy("return", "Returned")
    CANCELLED = "cancelled", pgettext_lazy("return", "Cancelled")


class AssetReturn(models.Model):
    """What one round owes one claim line in one asset, and where it goes. The customer's tracker shows this row."""

    # Indexes are few, because bulk acts write every one of them: see Meta. Where a constraint is off, one check
    # for a whole statement stands in for one for each row (refusals.sql).
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="returns", db_index=False, db_constraint=False)
    round = models.ForeignKey(Round, models.PROTECT, related_name="returns", db_index=False, db_constraint=False)
    reference = models.CharField(max_length=40)  # see references.py: survives bank files and kana
    claim_line = models.ForeignKey(
        "register.ClaimLine", models.PROTECT, related_name="returns", db_index=False, db_constraint=False
    )
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    amount = UnitsField()
    destination = models.ForeignKey(
        "destinations.Destination", models.PROTECT, null=True, related_name="returns", db_index=False, db_constraint=False
    )
    rail = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=ReturnState, default=ReturnState.SCHEDULED)
    batch = models.ForeignKey(
        "returns.Batch", models.PROTECT, null=True, related_name="returns", db_index=False, db_constraint=False
    )
    part = models.PositiveIntegerField(null=True)  # of the batch: which file, transaction or request carries it
    tries = models.PositiveSmallIntegerField(default=0)
    held_by_gate = models.CharField(max_length=20, blank=True, default="")
    cancellation = models.ForeignKey(Cancellation, models.PROTECT, null=True, related_name="returns", db_index=False)
    # What came back is followed by a new return, after a look at the destination.
    after = models.ForeignKey("self", models.PROTECT, null=True, related_name="followed_by", db_index=False)

    class Meta:
        indexes = [
            # Returns are batched in the order in which they were made: a summary of each few pages finds those of a part, and
            # lets a return that joins or leaves a batch stay on its page (HOT), where a tree would have to be told.
            BrinIndex(
                fields=["batch", "part"], name="return_of_a_part", pages_per_range=8,
                opclasses=["int8_minmax_multi_ops", "int4_minmax_multi_ops"],
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["case", "reference"], name="return_reference_is_used_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="return_amount_is_positive"),
            models.CheckConstraint(
                condition=~Q(state__in=["batched", "settled"]) | Q(batch__isnull=False, part__isnull=False),
                name="batched_return_is_in_a_batch",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["batched", "settled"]) | Q(destination__isnull=False),
                name="batched_return_has_a_destination",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["scheduled", "held", "cancelled"]) | Q(batch__isnull=True, part__isnull=True),
                name="waiting_return_is_in_no_batch",
            ),
            models.UniqueConstraint(
                fields=["after"], condition=Q(after__isnull=False), name="return_is_followed_by_one"
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class BatchState(models.TextChoices):
    DRAFT = "draft", pgettext_lazy("batch", "Draft")
    FROZEN = "frozen", pgettext_lazy("batch", "Frozen")
    APPROVED = "approved", pgettext_lazy("batch", "Approved")
    EXPORTED = "exported", pgettext_lazy("batch", "Exported")
    SETTLING = "settling", pgettext_lazy("batch", "Settling")
    CLOSED = "closed", pgettext_lazy("batch", "Closed")
    VOIDED = "voided", pgettext_lazy("batch", "Voided")


class Batch(models.Model):
    """
    Returns grouped for one rail, frozen under a manifest and approved by its hash.

    What it says is its manifest; its hash is what the approvers sign. A part is one file, transaction or request.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="batches")
    reference = models.CharField(max_length=40, unique=True)
    rail = models.CharField(max_length=20)
    rail_version = models.CharField(max_length=10, blank=True)
    round = models.ForeignKey(Round, models.PROTECT, related_name="batches")
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True)  # the order it rests on, if any
    value_date = models.DateField(null=True)  # the day on which its files move money, where files have one
    lane = models.CharField(max_length=5, blank=True, default="")  # small, large; empty: the round has no lanes
    canary = models.BooleanField(default=False)  # the first few of its round on its rail
    state = models.CharField(max_length=10, choices=BatchState, default=BatchState.DRAFT)
    items = models.BigIntegerField(default=0)
    totals = models.JSONField(default=dict)  # asset code → units as text
    parts = models.PositiveIntegerField(default=0)
    manifest_sha256 = models.BinaryField(max_length=32, null=True)
    artifact_sha256 = models.BinaryField(max_length=32, null=True)
    prepared_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["draft", "voided"]) | Q(manifest_sha256__isnull=False),
                name="frozen_batch_has_a_manifest",
            )
        ]

    def __str__(self) -> str:
        return self.reference


class Manifest(models.Model):
    """
    What the approvers of a batch sign: canonical JSON (sorted keys, amounts as strings, items sorted by reference).

    Apart from the batch, so that reading a batch never drags tens of megabytes along.
    """

    batch = models.OneToOneField(Batch, models.PROTECT, primary_key=True, related_name="manifest")
    body = models.TextField()
    sha256 = models.BinaryField(max_length=32)


class SubmissionState(models.TextChoices):
    PREPARED = "prepared", pgettext_lazy("part", "Prepared")
    EXPORTED = "exported", pgettext_lazy("part", "Exported")
    SIGNED = "signed", pgettext_lazy("part", "Signed")
    SUBMITTING = "submitting", pgettext_lazy("part", "Submitting")
    ACCEPTED = "accepted", pgettext_lazy("part", "Accepted")
    UNKNOWN = "unknown", pgettext_lazy("part", "Unknown")
    REFUSED = "refused", pgettext_lazy("part", "Refused")
    FINAL = "final", pgettext_lazy("part", "Final")
    DEAD = "dead", pgettext_lazy("part", "Dead")


class SubmissionKind(models.TextChoices):
    PAY = "pay", pgettext_lazy("kind of part", "Pay")
    REPLACE = "replace", pgettext_lazy("kind of part", "Replace")
    VOID = "void", pgettext_lazy("kind of part", "Void")


class Submission(models.Model):
    """One file, transaction or request of a batch, with its exact bytes. A fee bump is a new version of the part."""

    batch = models.ForeignKey(Batch, models.PROTECT, related_name="submissions", db_index=False)
    part = models.PositiveIntegerField()
    version = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=8, choices=SubmissionKind, default=SubmissionKind.PAY)
    state = models.CharField(max_length=10, choices=SubmissionState, default=SubmissionState.PREPARED)
    rail_key = models.TextField(unique=True)  # our reference at the rail
    payload = models.BinaryField()  # the exact bytes
    payload_sha256 = models.BinaryField(max_length=32)
    items = models.PositiveIntegerField()
    fence = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)
    answer = models.JSONField(null=True)
    doubted_at = models.DateTimeField(null=True)  # when its outcome became unknown: what was said before ends no doubt

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "part", "version"], name="submission_version_is_made_once")
        ]


class ConflictKey(models.Model):
    """Something two submissions must never both spend: an outpoint, a nonce, a bank file number, a request key."""

    key = models.TextField()
    batch = models.ForeignKey(Batch, models.PROTECT, related_name="conflict_keys")
    part = models.PositiveIntegerField()
    released_at = models.DateTimeField(null=True)  # only when the batch is closed or voided

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(released_at__isnull=True), name="conflict_key_is_in_one_live_batch"
            ),
            models.UniqueConstraint(fields=["batch", "part", "key"], name="part_lists_a_conflict_key_once"),
        ]


class AttemptState(models.TextChoices):
    PENDING = "pending", pgettext_lazy("attempt", "Pending")
    UNKNOWN = "unknown", pgettext_lazy("attempt", "Unknown")
    SETTLED = "settled", pgettext_lazy("attempt", "Settled")
    REFUSED = "refused", pgettext_lazy("attempt", "Refused")
    DEAD = "dead", pgettext_lazy("attempt", "Dead")
    RETURNED = "returned", pgettext_lazy("attempt", "Returned")


class Attempt(models.Model):
    """
    What became of one return in one part of a batch.

    While the money moved, or may have moved, the attempt holds its return; a refused, dead or returned
    attempt lets it go. So no return is ever tried twice at once.
    """

    asset_return = models.ForeignKey(AssetReturn, models.PROTECT, related_name="attempts", db_constraint=False)
    batch = models.ForeignKey(Batch, models.PROTECT, related_name="attempts", db_index=False, db_constraint=False)
    part = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=AttemptState, default=AttemptState.PENDING)
    holds_return_id = models.BigIntegerField(null=True, unique=True)
    reason_code = models.TextField(blank=True, default="")  # the rail's own words, whole: they decide what follows
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            # In a batch a return has one part, and its attempt has the same: so this is once in the batch. With the part
            # in the middle the index finds a part's attempts without reading the whole batch.
            models.UniqueConstraint(fields=["batch", "part", "asset_return"], name="batch_tries_a_return_once"),
            models.CheckConstraint(
                condition=Q(state__in=["refused", "dead", "returned"], holds_return_id__isnull=True)
                # Not null, said outright: a CHECK that comes to NULL passes.
                | ~Q(state__in=["refused", "dead", "returned"])
                & Q(holds_return_id__isnull=False, holds_return_id=F("asset_return")),
                name="attempt_holds_its_return_exactly_while_it_may_have_paid",
            ),
        ]


class Transition(models.Model):
    """A step that a return, batch, submission or attempt may take (rows of the first migration)."""

    pk = models.CompositePrimaryKey("machine", "from_state", "to_state")
    machine = models.CharField(max_length=10)  # return, batch, submission, attempt
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
    people = models.PositiveSmallIntegerField(default=0)  # 2: only under an approval of two people


class Finding(models.TextChoices):
    PAID = "paid", pgettext_lazy("finding", "Paid")
    NOT_PAID = "not_paid", pgettext_lazy("finding", "Not paid")


class Correction(models.Model):
    """
    One step backwards that two people must sign: what was settled was not, what was dead was paid after all.

    Or what became of a part, or of one attempt in it, whose outcome nobody can ask for: paid, or not paid.

    Its approval ("returns.correct") carries the step once; taking the step marks it applied.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="corrections")
    machine = models.CharField(max_length=10)
    object_id = models.BigIntegerField()
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
    reason = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()
    finding = models.CharField(max_length=8, choices=Finding, blank=True, default="")  # of what is in doubt
    applied_at = models.DateTimeField(null=True)
    rejected_at = models.DateTimeField(null=True)  # nobody takes it any more: another may be asked for
    # A return follows its attempt: its own step rests on the signatures under the attempt's correction.
    under = models.ForeignKey("self", models.PROTECT, null=True, related_name="followed_by")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["machine", "object_id"], condition=Q(applied_at__isnull=True, rejected_at__isnull=True),
                name="one_open_correction_of_a_thing",
            ),
            models.CheckConstraint(
                condition=Q(finding="") & ~Q(from_state="unknown")
                | Q(finding="paid", from_state="unknown", machine="submission", to_state="accepted")
                | Q(finding="paid", from_state="unknown", machine="attempt", to_state="settled")
                | Q(finding="not_paid", from_state="unknown", machine="submission", to_state__in=["dead", "accepted"])
                | Q(finding="not_paid", from_state="unknown", machine="attempt", to_state="dead"),
                name="finding_ends_a_doubt",
            ),
            models.CheckConstraint(
                condition=Q(applied_at__isnull=True) | Q(rejected_at__isnull=True), name="correction_is_applied_or_rejected"
            ),
        ]


class Evidence(models.Model):
    """
    One statement, report or observation as received; the same bytes twice are no news.

    Or what two people found, on the paper they signed.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="evidence")
    rail = models.CharField(max_length=20)
    name = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    bytes = models.BigIntegerField()
    lines_count = models.BigIntegerField(default=0)
    cursor = models.TextField(blank=True, default="")  # a page of the rail's own statement: where the next begins
    received_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    received_at = models.DateTimeField()
    correction = models.OneToOneField(Correction, models.PROTECT, null=True, related_name="evidence")  # null: of the rail itself

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "sha256"], name="evidence_is_received_once")]


EXPLAINED = "explained"  # of a line: two people said what it was (explaining.py), and nothing of it waits


class EvidenceLines(models.QuerySet["EvidenceLine"]):
    def waiting(self) -> "EvidenceLines":
        """Those that wait for a person, and the over-payments among them."""
        return self.exclude(problem="").exclude(problem=EXPLAINED)


class EvidenceLine(models.Model):
    """One line of evidence. Its fingerprint makes overlapping statements harmless."""

    evidence = models.ForeignKey(Evidence, models.PROTECT, related_name="lines")
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    line = models.BigIntegerField()
    fingerprint = models.BinaryField(max_length=32)
    reference = models.TextField(blank=True)
    part = models.TextField(blank=True, default="")  # the submission's key, where the rail says it
    kind = models.CharField(max_length=10)  # seen, settled, refused, returned, dead
    asset_code = models.CharField(max_length=20)
    amount = UnitsField()
    at = models.DateTimeField()
    reason = models.TextField(blank=True, default="")
    problem = models.TextField(blank=True, default="")  # why it could not be matched by machine

    objects = EvidenceLines.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "fingerprint"], name="evidence_line_counts_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="evidence_line_amount_is_not_negative"),
        ]
        indexes = [
            models.Index(fields=["case", "reference"], name="line_that_waits_for_a_person", condition=~Q(problem="")),
        ]


class Match(models.Model):
    """One line of evidence speaks of one attempt, for so much. Applied once, together with the positions."""

    line = models.ForeignKey(
        EvidenceLine, models.PROTECT, related_name="matches", db_index=False, db_constraint=False
    )
    attempt = models.ForeignKey(Attempt, models.PROTECT, related_name="matches", db_constraint=False)
    amount = UnitsField()
    applied_at = models.DateTimeField(null=True)
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+", db_index=False)  # null: by machine

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["line", "attempt"], name="line_matches_an_attempt_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="match_amount_is_positive"),
        ]


class Home(models.Model):
    """
    The database this engine sends from, by what makes it itself: its cluster, its own number, its line of history.

    Found in another one (restored, copied, failed over) the engine stops every case and doubts whatever might have been
    sent since; it sends again once the rails were read and two people have lifted the stops.
    """

    identity = models.TextField()
    previous = models.TextField(blank=True, default="")  # empty: the first home
    reason = models.TextField(blank=True, default="")
    since = models.DateTimeField(db_default=ClockTimestamp())
    compared_at = models.DateTimeField(null=True)  # the rails were read to their end after the move


from administration.returns.tail import (  # noqa: E402 - rows of this room, in a file of their own
    Assignment,
    CourtDeposit,
    DepositFiling,
    Explanation,
    ExplanationKind,
    FailureReason,
    ForcedSale,
    ForfeitedLine,
    Forfeiture,
    Ground,
    LateReturn,
    LateReturnLine,
    Matter,
    Overpayment,
    Policy,
    Recovery,
    RecoveryKind,
    Release,
    Residue,
    ResidueLine,
    RoundClosing,
    SaleShare,
    TailState,
)
