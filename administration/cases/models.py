"""The case: under which law, by whom, with what powers, orders, deadlines and signatures."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import ClockTimestamp


class CaseState(models.TextChoices):
    OPEN = "open", pgettext_lazy("case", "Open")
    CLOSED = "closed", pgettext_lazy("case", "Closed")


class Case(models.Model):
    """One failed (or living) exchange under one proceeding. Profiles are data: see profiles/."""

    reference = models.CharField(max_length=40, unique=True)  # "2027-031"
    name = models.TextField()
    regime = models.CharField(max_length=20)  # JP-PSA-2020, JP-FIEA-2026
    proceeding = models.CharField(max_length=30)  # bankruptcy, civil_rehabilitation …; changed only by cases.convert
    trigger = models.CharField(max_length=40)
    court = models.TextField(blank=True)
    court_number = models.TextField(blank=True)
    cutoff_at = models.DateTimeField()  # the commencement instant: balances are taken over as of it
    base_currency = models.CharField(max_length=10, default="JPY")
    cooling_off_hours = models.PositiveIntegerField(default=72)  # zero only in a sample case
    is_sample = models.BooleanField(default=False)
    salt = models.BinaryField(max_length=32)  # keys the salts of published leaves
    state = models.CharField(max_length=10, choices=CaseState, default=CaseState.OPEN)
    securing_completed_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_sample=True) | Q(cooling_off_hours__gte=24),
                name="case_cools_destinations_off_for_a_day_at_least",
            )
        ]

    def __str__(self) -> str:
        return self.reference


class Conversion(models.Model):
    """The case went from one proceeding to another by a court's order (e.g. rehabilitation → bankruptcy)."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="conversions")
    from_proceeding = models.CharField(max_length=30)
    to_proceeding = models.CharField(max_length=30)
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT)
    by = models.ForeignKey("people.User", models.PROTECT)
    at = models.DateTimeField()


class AppointmentKind(models.TextChoices):
    OFFICE_HOLDER = "office_holder", pgettext_lazy("office", "Office Holder")
    BENEFICIARY_AGENT = "beneficiary_agent", pgettext_lazy("office", "Beneficiary Agent")
    CASE_OFFICER = "case_officer", pgettext_lazy("office", "Case Officer")
    APPROVER = "approver", pgettext_lazy("office", "Approver")
    AUDITOR = "auditor", pgettext_lazy("office", "Auditor")
    COURT_READER = "court_reader", pgettext_lazy("office", "Court Reader")


class Appointment(models.Model):
    """One person holds one office in one case for a term, by an instrument of an authority, with named powers."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="appointments")
    user = models.ForeignKey("people.User", models.PROTECT, related_name="appointments")
    kind = models.CharField(max_length=20, choices=AppointmentKind)
    authority = models.TextField()  # the court, the regulator, the office-holder
    instrument = models.TextField()  # "Tokyo District Court 2027 (fu) 118, appointing order"
    instrument_sha256 = models.BinaryField(max_length=32)
    powers = ArrayField(models.TextField(), default=list)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)  # exclusive; set once, by ending the appointment
    joint = models.BooleanField(default=False)  # acts only together with the other joint office-holders
    granted_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())
    end_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(to_at__isnull=True) | Q(to_at__gte=F("from_at")), name="appointment_ends_after_it_begins"
            ),
            models.CheckConstraint(
                condition=Q(granted_by__isnull=True) | ~Q(granted_by=F("user")), name="nobody_appoints_themselves"
            ),
        ]


class CourtOrder(models.Model):
    """One order of a court or regulator: its scan, what it permits, and up to what."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="orders")
    number = models.TextField()
    issuer = models.TextField()
    issued_date = models.DateField()
    scan_name = models.TextField()
    scan_sha256 = models.BinaryField(max_length=32)
    permits = ArrayField(models.TextField(), default=list)  # acts: "destinations.verify_handover", "cases.succeed" …
    limits = models.JSONField(default=dict)  # asset code → units as text: up to what
    served_date = models.DateField(null=True)
    registered_by = models.ForeignKey("people.User", models.PROTECT)
    registered_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="order_is_registered_once")]

    def __str__(self) -> str:
        return self.number


class OrderStandingKind(models.TextChoices):
    IN_FORCE = "in_force", pgettext_lazy("order", "In Force")
    FINAL = "final", pgettext_lazy("order", "Final")
    STAYED = "stayed", pgettext_lazy("order", "Stayed")
    REVERSED = "reversed", pgettext_lazy("order", "Reversed")


class OrderStanding(models.Model):
    """What became of an order since: the newest row counts. A stayed or reversed order freezes what rests on it."""

    order = models.ForeignKey(CourtOrder, models.PROTECT, related_name="standings")
    standing = models.CharField(max_length=10, choices=OrderStandingKind)
    since = models.DateTimeField()
    evidence_sha256 = models.BinaryField(max_length=32)
    by = models.ForeignKey("people.User", models.PROTECT)
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())


class Deadline(models.Model):
    """One date by which something must be done, computed by a rule, with its provenance; replaced, never overwritten."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="deadlines")
    kind = models.CharField(max_length=40)  # "filing", "objection", "bar_soft" …
    rule = models.TextField()  # "P4W from service; first day not counted; next business day"
    counted_from = models.DateField()
    counted_from_what = models.TextField()  # service, publication, order
    due_date = models.DateField()
    provenance = models.TextField()  # law and article, or order number
    order = models.ForeignKey(CourtOrder, models.PROTECT, null=True)
    supersedes = models.OneToOneField("self", models.PROTECT, null=True, related_name="superseded_by")
    by = models.ForeignKey("people.User", models.PROTECT)
    at = models.DateTimeField()


class SecuringItem(models.Model):
    """One line of the securing checklist, done before the ledger is taken over, with its owner and evidence."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="securing_items")
    item = models.CharField(max_length=40)  # see securing.ITEMS
    owner = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    done_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    evidence_name = models.TextField(blank=True)
    evidence_sha256 = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "item"], name="securing_item_is_listed_once"),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(owner__isnull=False, evidence_sha256__isnull=False),
                name="securing_item_is_done_with_owner_and_evidence",
            ),
        ]


class PolicyOverride(models.Model):
    """The approval policy of one act in one case where it differs from the profile's; newest row counts, only stricter."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="policies")
    act = models.CharField(max_length=40)
    signers = models.PositiveSmallIntegerField()
    office_holder = models.BooleanField()
    by = models.ForeignKey("people.User", models.PROTECT)
    at = models.DateTimeField()


class RequestState(models.TextChoices):
    OPEN = "open", pgettext_lazy("request", "Open")
    GRANTED = "granted", pgettext_lazy("request", "Granted")
    REJECTED = "rejected", pgettext_lazy("request", "Rejected")
    STALE = "stale", pgettext_lazy("request", "Stale")  # the content changed
    SUSPENDED = "suspended", pgettext_lazy("request", "Suspended")  # by succession: the successor must sign anew


class ApprovalRequest(models.Model):
    """
    A request that others sign for one act on one object, bound to the hash of exactly what they approve.

    The policy (how many signers, the office-holder among them) is copied in at the request.
    """

    case = models.ForeignKey(Case, models.PROTECT, related_name="approvals")
    act = models.CharField(max_length=40)  # "returns.batch"
    object_id = models.BigIntegerField()
    content_sha256 = models.BinaryField(max_length=32)
    prepared_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    signers = models.PositiveSmallIntegerField()
    office_holder = models.BooleanField()  # the office-holder (all of them, if joint) must be among the signers
    order = models.ForeignKey(CourtOrder, models.PROTECT, null=True, related_name="+")  # what the act rests on
    state = models.CharField(max_length=10, choices=RequestState, default=RequestState.OPEN)
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, default="")
    followed_by: object | None = None  # no column: what the last signature started, on the object sign() returns

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["case", "act", "object_id"],
                condition=Q(state__in=["open", "granted"]),
                name="one_live_approval_for_an_act_on_an_object",
            ),
            # the target of the signature's composite foreign key
            models.UniqueConstraint(
                fields=["id", "case", "prepared_by", "content_sha256"], name="approval_request_is_what_was_signed"
            ),
            models.CheckConstraint(condition=Q(signers__gte=1), name="approval_needs_a_signer"),
        ]


class Signature(models.Model):
    """One appointed person signed one request's content. Nobody signs twice, nor what they prepared."""

    request = models.ForeignKey(ApprovalRequest, models.PROTECT, related_name="signatures")
    case = models.ForeignKey(Case, models.PROTECT, related_name="+")
    prepared_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    content_sha256 = models.BinaryField(max_length=32)
    signer = models.ForeignKey("people.User", models.PROTECT, related_name="signatures")
    appointment = models.ForeignKey(Appointment, models.PROTECT, related_name="signatures")
    signed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "signer"], name="signature_is_given_once_by_a_person"),
            models.CheckConstraint(condition=~Q(signer=F("prepared_by")), name="signature_is_not_the_preparers"),
        ]


class Stop(models.Model):
    """Sending is stopped, on one rail or (rail empty) in the whole case. One person stops it; two people resume it."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="stops")
    rail = models.CharField(max_length=20, blank=True, default="")
    reason = models.TextField()  # in the words of whoever stopped it; the house's own reasons in English
    told = models.TextField(blank=True, default="", db_default="")  # the house's own, to be told in any language: stops.py
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)  # set with the second lift


class StopLift(models.Model):
    """One appointed person's word that sending may resume; a stop needs two people's."""

    stop = models.ForeignKey(Stop, models.PROTECT, related_name="lifts")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stop", "by"], name="stop_is_lifted_once_by_a_person")]


class SuccessionProposal(models.Model):
    """Who is to follow whom, by which order: what two approvers sign. Signed, it is carried out at once."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="+")
    order = models.ForeignKey(CourtOrder, models.PROTECT, related_name="+")
    predecessor = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    successor = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class Succession(models.Model):
    """One office-holder followed another by an appointing order. Until accepted, nothing is sent."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="successions")
    request = models.OneToOneField(ApprovalRequest, models.PROTECT, null=True)  # null: by the operator
    order = models.ForeignKey(CourtOrder, models.PROTECT)
    predecessor = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    successor = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    approvers = models.ManyToManyField("people.User", related_name="+")
    by_operator = models.BooleanField(default=False)  # no approver was left: the operator acted
    account = models.JSONField()  # the frozen account of the state at hand-over
    account_sha256 = models.BinaryField(max_length=32)
    stop = models.OneToOneField(Stop, models.PROTECT)
    at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    reservations = models.TextField(blank=True, default="")
