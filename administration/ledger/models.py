"""The exchange's customer ledger as it was taken over: frozen at acceptance, mended only by adjustments."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import UnitsField
from administration.ledger import audited_totals, delivered, kept_entries  # noqa: F401 - rows of this room that have a file of their own


class IntakeState(models.TextChoices):
    RECEIVED = "received", pgettext_lazy("intake", "Received")
    INSPECTING = "inspecting", pgettext_lazy("intake", "Inspecting")
    INSPECTED = "inspected", pgettext_lazy("intake", "Inspected")
    ACCEPTING = "accepting", pgettext_lazy("intake", "Accepting")
    ACCEPTED = "accepted", pgettext_lazy("intake", "Accepted")
    CANCELLED = "cancelled", pgettext_lazy("intake", "Cancelled")


class Differences(models.TextChoices):
    REFUSE = "refuse", pgettext_lazy("control totals", "Refuse")  # a control total off by one unit refuses the package
    SUSPEND = "suspend", pgettext_lazy("control totals", "Suspend")  # the officer means to put what nobody can explain into named suspense


class NegativePolicy(models.TextChoices):
    EXCLUDE = "exclude", pgettext_lazy("negative balances", "Exclude")  # an adjustment brings each negative balance to nothing
    KEEP = "keep", pgettext_lazy("negative balances", "Keep")  # they stay as they are, to be decided one by one


class Intake(models.Model):
    """
    One delivered handover package on its way into the case.

    A refused package leaves no row at all: it is deleted with everything that was read of it.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="intakes")
    manifest = models.JSONField()
    package_sha256 = models.BinaryField(max_length=32)  # over the sorted (name, sha256) of all files
    directory = models.TextField()  # where the files as received are kept, below ARCHIVE_DIR
    cutoff_at = models.DateTimeField()
    differences = models.CharField(max_length=8, choices=Differences, default=Differences.REFUSE)
    outcomes = models.JSONField(default=dict)  # kind of finding → {"outcome": aside | remark, "remark"}; what is not here refuses
    delivery = models.ForeignKey("ledger.Delivery", models.PROTECT, null=True, related_name="intakes")  # what it was made of,
    mapping = models.ForeignKey("ledger.LedgerMapping", models.PROTECT, null=True, related_name="intakes")  # and how
    negative_policy = models.CharField(max_length=8, choices=NegativePolicy, default=NegativePolicy.EXCLUDE)
    remark = models.TextField(blank=True, default="")  # on what was found, signed with the acceptance
    state = models.CharField(max_length=12, choices=IntakeState, default=IntakeState.RECEIVED)
    received_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    received_at = models.DateTimeField()
    accounts = models.BigIntegerField(default=0)
    balances = models.BigIntegerField(default=0)
    content_sha256 = models.BinaryField(max_length=32, null=True)  # what the second person signs
    accepted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["case"],
                condition=Q(state__in=["received", "inspecting", "inspected", "accepting", "accepted"]),
                name="case_has_one_live_intake",
            )
        ]

    def __str__(self) -> str:
        return f"intake {self.pk}"


class SourceFile(models.Model):
    """One delivered file as received: never edited, its hash taken before anything is read."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="source_files")
    intake = models.ForeignKey(Intake, models.PROTECT, related_name="files")
    name = models.TextField()
    sha256 = models.BinaryField(max_length=32)
    bytes = models.BigIntegerField()
    rows = models.BigIntegerField(null=True)
    deliverer = models.TextField(blank=True)
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["intake", "name"], name="source_file_is_listed_once"),
            models.UniqueConstraint(
                fields=["intake", "sha256"], condition=Q(rows__isnull=False), name="table_is_taken_over_once"
            ),
        ]


class ControlTotal(models.Model):
    """What the package declares per asset and product, by whom, beside what its rows add up to."""

    intake = models.ForeignKey(Intake, models.PROTECT, related_name="control_totals")
    asset_code = models.CharField(max_length=20)
    product = models.CharField(max_length=24)
    declared = UnitsField(null=True)  # null: nobody declared anything
    declared_accounts = models.BigIntegerField(null=True)
    source = models.TextField()  # exchange officer, regulator filing, custodian, auditor, none
    computed = UnitsField()
    computed_accounts = models.BigIntegerField()
    aside = UnitsField(default=0)  # what rows that were set aside say, as far as it can be read; part of the difference
    aside_rows = models.BigIntegerField(default=0)
    suspense = UnitsField(default=0)  # the unexplained rest, put into named suspense by two signatures
    suspense_name = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["intake", "asset_code", "product"], name="control_total_is_stated_once"),
            models.CheckConstraint(
                condition=Q(suspense=0) | (Q(declared=F("computed") + F("suspense")) & ~Q(suspense_name="")),
                name="suspense_is_named_and_is_the_whole_difference",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset_code} {self.product}"

    @property
    def difference(self) -> int:
        """What is declared above what the rows add up to, and not yet in suspense."""
        return 0 if self.declared is None else self.declared - self.computed - self.suspense


class Finding(models.Model):
    """One thing wrong with a package: file, row, column, reason, remedy; `rows` counts all of its kind in that column."""

    intake = models.ForeignKey(Intake, models.PROTECT, related_name="findings")
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10)  # refuse, quarantine, warn
    file = models.TextField()
    row = models.BigIntegerField(null=True)
    column = models.TextField(blank=True)
    reason = models.TextField()
    remedy = models.TextField()
    rows = models.BigIntegerField(default=1)


# The rows below come by the million. A per-row foreign key trigger would cost more than the rows, so where
# db_constraint is False it is the intake's own step from accepting to accepted that looks for orphans, once and
# set-based (refusals.sql); before it nothing counts, and after it nothing can be inserted.
def bulk_key(to: Any, **options: Any) -> Any:
    options = {"related_name": "+", "db_index": False, **options}
    return models.ForeignKey(to, models.PROTECT, db_constraint=False, **options)


class Identity(models.Model):
    """All personal data of one customer, apart from every money row, which know only its number."""

    case = bulk_key("cases.Case")
    customer_ref = models.TextField()
    entity_type = models.CharField(max_length=12)
    name = models.TextField()
    kana = models.TextField(blank=True)
    romaji = models.TextField(blank=True)
    birth_or_founding_date = models.DateField(null=True)
    nationality = models.CharField(max_length=2, blank=True)
    residence_country = models.CharField(max_length=2, blank=True)
    postcode = models.TextField(blank=True)
    address = models.TextField(blank=True)
    address_kana = models.TextField(blank=True)
    phone = models.TextField(blank=True)
    email = models.TextField(blank=True)
    corporate_number = models.TextField(blank=True)
    kyc_status = models.CharField(max_length=12, blank=True)
    language = models.CharField(max_length=2, blank=True)
    file = bulk_key(SourceFile)
    row = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "customer_ref"], name="customer_is_listed_once")]


class LedgerAccount(models.Model):
    """One account of the failed exchange."""

    case = bulk_key("cases.Case", related_name="ledger_accounts")
    intake = bulk_key(Intake)
    account_ref = models.TextField()
    identity = models.ForeignKey(Identity, models.PROTECT, related_name="accounts")
    capacity = models.CharField(max_length=12)
    status = models.CharField(max_length=12)
    opened_on = models.DateField(null=True)
    file = bulk_key(SourceFile)
    row = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "account_ref"], name="account_is_listed_once")]


class LedgerBalance(models.Model):
    """What the exchange's ledger says one account held of one asset and product at the cut-off; may be negative."""

    case = bulk_key("cases.Case")
    ledger_account = bulk_key(LedgerAccount, related_name="balances")  # indexed by the key below
    asset = bulk_key("books.Asset")
    product = models.CharField(max_length=24)  # spot, pending_withdrawal, lending
    amount = UnitsField()
    file = bulk_key(SourceFile)
    row = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ledger_account", "asset", "product"], name="balance_is_listed_once_per_account_asset_product"
            )
        ]


class Adjustment(models.Model):
    """A signed correction of an accepted balance, with reason and decider; the balance itself never changes."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="adjustments")
    ledger_account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="adjustments")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    product = models.CharField(max_length=24)
    amount = UnitsField()  # signed
    reason = models.CharField(max_length=32)  # negative_balance_excluded, error, post_event …
    note = models.TextField(blank=True)
    decided_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    # What was signed, which counts once; none where the acceptance that was signed brought negative balances to nothing.
    proposal = models.OneToOneField("ledger.ProposedAdjustment", models.PROTECT, null=True, related_name="adjustment")

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="adjustment_changes_something")]


class ProposedAdjustment(models.Model):
    """A correction somebody asks for. It counts nothing until another person has signed it (then: Adjustment)."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    ledger_account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="+")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    product = models.CharField(max_length=24)
    amount = UnitsField()  # signed
    reason = models.CharField(max_length=32)
    note = models.TextField()
    proposed_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()


class ScopeRank(models.TextChoices):
    CUSTOMER = "customer", pgettext_lazy("scope", "Customer")
    INSIDER = "insider", pgettext_lazy("scope", "Insider")  # officers, shareholders, their relatives and companies
    HOUSE = "house", pgettext_lazy("scope", "House account")  # the exchange's own


class ScopeDecision(models.Model):
    """
    Whether an account (or one product of it) is within segregated scope, and how it ranks; the newest counts.

    Insiders and house accounts rank apart from customers: their claims are of the class own_insider.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="scope_decisions")
    ledger_account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="scope_decisions")
    product = models.CharField(max_length=24, blank=True)  # empty: the whole account
    in_scope = models.BooleanField()
    rank = models.CharField(max_length=8, choices=ScopeRank, default=ScopeRank.CUSTOMER)
    ground = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    decided_by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()


class AppealState(models.TextChoices):
    LODGED = "lodged", pgettext_lazy("appeal", "Lodged")
    UPHELD = "upheld", pgettext_lazy("appeal", "Upheld")
    DISMISSED = "dismissed", pgettext_lazy("appeal", "Dismissed")
    WITHDRAWN = "withdrawn", pgettext_lazy("appeal", "Withdrawn")


class ScopeAppeal(models.Model):
    """One step of an appeal against a decision on scope: lodged once, ended once, by another than who decided."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    decision = models.ForeignKey(ScopeDecision, models.PROTECT, related_name="appeals")
    state = models.CharField(max_length=10, choices=AppealState)
    ground = models.TextField()
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decision"], condition=Q(state="lodged"), name="appeal_is_lodged_once"),
            models.UniqueConstraint(fields=["decision"], condition=~Q(state="lodged"), name="appeal_ends_once"),
        ]


class AggregationState(models.TextChoices):
    RUNNING = "running", pgettext_lazy("name aggregation", "Running")
    DONE = "done", pgettext_lazy("name aggregation", "Done")
    ABANDONED = "abandoned", pgettext_lazy("name aggregation", "Abandoned")


class Aggregation(models.Model):
    """
    One run of the name aggregation (nayose) over the customers of an accepted ledger.

    It proposes pairs, and links those that nobody would dispute. A later run proposes anew and changes no decision.
    """

    case = bulk_key("cases.Case")
    number = models.PositiveIntegerField()
    rules = models.CharField(max_length=20)  # which version of the likening
    state = models.CharField(max_length=10, choices=AggregationState, default=AggregationState.RUNNING)
    started_by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    customers = models.BigIntegerField(default=0)
    pairs = models.BigIntegerField(default=0)
    linked = models.BigIntegerField(default=0)  # customers this run linked by itself
    crowded = models.BigIntegerField(default=0)  # keys so common that nobody was likened by them

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="aggregation_number_is_used_once"),
            models.UniqueConstraint(
                fields=["case"], condition=Q(state="running"), name="one_aggregation_of_a_case_runs_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.case.reference}-N{self.number}"


class PersonPair(models.Model):
    """Two customers that a run proposes as one person: at what level, what agrees, what speaks against it."""

    aggregation = bulk_key(Aggregation)
    one = bulk_key(Identity)
    other = bulk_key(Identity)
    level = models.CharField(max_length=8)  # exact, strong, review
    score = models.SmallIntegerField()
    place = models.BigIntegerField()  # in the review: the surest first
    agrees = models.TextField()
    against = models.TextField()
    automatic = models.BooleanField()  # nothing stands against a machine linking them

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["aggregation", "one", "other"], name="pair_is_proposed_once"),
            models.UniqueConstraint(fields=["aggregation", "place"], name="pair_has_its_own_place_in_the_review"),
            models.CheckConstraint(condition=Q(one__lt=F("other")), name="pair_names_the_lower_number_first"),
            models.CheckConstraint(
                condition=Q(automatic=False) | Q(level__in=["exact", "strong"]), name="only_sure_pairs_are_automatic"
            ),
        ]
        indexes = [models.Index(fields=["aggregation", "other"], name="pair_by_the_other")]


class PairDecision(models.Model):
    """A person decided that two customers are one person, or are not; the newest counts. No machine overrules it."""

    case = bulk_key("cases.Case")
    one = models.ForeignKey(Identity, models.PROTECT, related_name="+")
    other = models.ForeignKey(Identity, models.PROTECT, related_name="+")
    same = models.BooleanField()
    reason = models.TextField()
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(one__lt=F("other")), name="pair_decision_names_the_lower_number_first"),
            models.CheckConstraint(condition=~Q(reason=""), name="pair_decision_has_its_reason"),
        ]


class Person(models.Model):
    """One person, of whom the ledger may list several customers: caps, minimums, notices and payments count them as one."""

    case = bulk_key("cases.Case")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="person_number_is_used_once")]

    def __str__(self) -> str:
        return f"P{self.number}"


class PersonLink(models.Model):
    """
    A customer of the ledger is this person, from here until a later link follows this one. Never edited, never deleted.

    Each customer's links are one chain: one first link, each followed at most once. The last is what counts.
    """

    case = bulk_key("cases.Case")
    identity = models.ForeignKey(Identity, models.PROTECT, related_name="person_links")
    person = models.ForeignKey(Person, models.PROTECT, related_name="links")
    follows = models.OneToOneField("self", models.PROTECT, null=True, related_name="followed_by")
    level = models.CharField(max_length=8)  # exact, strong; or decided
    aggregation = models.ForeignKey(Aggregation, models.PROTECT, null=True, related_name="links")
    reason = models.TextField(blank=True)
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")  # null: by the run itself
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["identity"], condition=Q(follows__isnull=True), name="customer_has_one_first_link"
            ),
            models.CheckConstraint(
                condition=Q(by__isnull=True, aggregation__isnull=False, level__in=["exact", "strong"], follows__isnull=True)
                | Q(by__isnull=False, level="decided") & ~Q(reason=""),
                name="link_is_sure_and_first_or_decided_with_a_reason",
            ),
        ]
        indexes = [models.Index(fields=["case"], name="person_link_by_case")]


class Grouping(models.Model):
    """Who was one person with whom at one moment, frozen: the links up to `as_of`, which nothing is ever added below."""

    case = bulk_key("cases.Case")
    as_of = models.BigIntegerField()  # the id of the newest link; 0 where there was none
    persons = models.BigIntegerField()
    customers = models.BigIntegerField()
    sha256 = models.BinaryField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "as_of"], name="grouping_is_frozen_once")]


class HandedOverHold(models.Model):
    """A hold the exchange had on an account at hand-over (attachment, dispute, sanctions, deceased, str)."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    ledger_account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="handed_over_holds")
    kind = models.CharField(max_length=12)
    since = models.DateField()
    reference = models.TextField(blank=True)
    file = bulk_key(SourceFile)
    row = models.BigIntegerField()


class HandedOverDestination(models.Model):
    """A bank account or withdrawal address in the exchange's files: evidence only, until `destinations` proves it."""

    case = bulk_key("cases.Case")
    ledger_account = bulk_key(LedgerAccount, related_name="handed_over_destinations", db_index=True)
    asset = bulk_key("books.Asset")
    network = models.TextField()  # bank, bitcoin, ethereum …
    details = models.JSONField()  # as rails spell a destination: {"network", "address", "memo"} or {"bank_code" …}
    valid = models.BooleanField()  # passed the checks of `rails`
    problem = models.TextField(blank=True)
    file = bulk_key(SourceFile)
    row = models.BigIntegerField()


class HandedOverPrice(models.Model):
    """A price of the exchange's price file: yen per whole coin as two integers."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    num = UnitsField()
    den = UnitsField()
    quoted_at = models.DateTimeField()
    source = models.TextField()


class HandedOverPlace(models.Model):
    """A wallet or trust account named in the exchange's files, with what it claims to hold; proved only in `custody`."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="+")
    intake = models.ForeignKey(Intake, models.PROTECT, related_name="places")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    details = models.JSONField()  # the row of wallets.csv as delivered
    amount = UnitsField()
    row = models.BigIntegerField()
