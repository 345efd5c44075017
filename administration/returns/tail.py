"""Rows of the tail: what cannot be paid, what was paid too much, and what is left at the end. Read with the models."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import pgettext_lazy

from administration.fields import UnitsField


class TailState(models.TextChoices):
    """Each of these acts is proposed by one person, signed by two others, and then carried out, or given up."""

    PROPOSED = "proposed", pgettext_lazy("act", "Proposed")
    APPROVED = "approved", pgettext_lazy("act", "Approved")
    DONE = "done", pgettext_lazy("act", "Carried out")
    GIVEN_UP = "given_up", pgettext_lazy("act", "Given up")


class Ground(models.TextChoices):
    """Why a debtor may deposit instead of paying. The law of each, and its papers, are the profile's data."""

    UNREACHABLE = "unreachable", pgettext_lazy("ground of a deposit", "The creditor cannot accept: unreachable")
    REFUSED = "refused", pgettext_lazy("ground of a deposit", "The creditor refuses to accept")
    UNKNOWN_CREDITOR = "unknown_creditor", pgettext_lazy("ground of a deposit", "It is not known who the creditor is")
    COMPETING_ATTACHMENTS = "competing_attachments", pgettext_lazy("ground of a deposit", "Competing attachments")


class DepositFiling(models.Model):
    """
    One application to a Legal Affairs Bureau (供託) on one ground, for one claim or many.

    Two people sign what it says. From then on its amounts are set apart; the Bureau's receipts carry it out.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="deposit_filings")
    number = models.PositiveIntegerField()
    ground = models.CharField(max_length=24, choices=Ground)
    office = models.TextField()  # the Bureau and its branch
    facts = models.TextField()  # the cause of the deposit, as the application states it
    papers = models.JSONField(default=list)  # [{"paper", "name", "sha256"}]
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="deposit_filing_number_is_used_once"),
            models.CheckConstraint(condition=Q(ground__in=Ground.values), name="deposit_filing_has_a_ground"),
            models.CheckConstraint(condition=~Q(office="") & ~Q(facts=""), name="deposit_filing_says_where_and_why"),
        ]

    def __str__(self) -> str:
        return f"D{self.number}"


class CourtDeposit(models.Model):
    """Money deposited with a Legal Affairs Bureau (供託) for one claim line; its number and receipt, once the Bureau gave them."""

    filing = models.ForeignKey(DepositFiling, models.PROTECT, related_name="deposits")
    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="court_deposits")
    claim_line = models.ForeignKey("register.ClaimLine", models.PROTECT, related_name="court_deposits")
    amount = UnitsField()
    office = models.TextField()
    number = models.TextField(blank=True, default="")  # the Bureau's: "令和8年度金第1234号"
    deposited_on = models.DateField(null=True)
    receipt_sha256 = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["filing", "claim_line"], name="deposit_filing_names_a_line_once"),
            models.UniqueConstraint(
                fields=["office", "number"], condition=~Q(number=""), name="court_deposit_number_is_used_once"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="court_deposit_is_positive"),
            models.CheckConstraint(
                condition=Q(number="", deposited_on__isnull=True, receipt_sha256__isnull=True)
                | ~Q(number="") & Q(deposited_on__isnull=False, receipt_sha256__isnull=False),
                name="court_deposit_has_number_day_and_receipt_together",
            ),
        ]


class Overpayment(models.Model):
    """
    More left the estate than was owed: a receivable, netted in the next round, refunded or written off.

    Whoever the return is owed to received it; without one it reached no claimant of ours, and whoever took it owes it.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="overpayments")
    asset_return = models.ForeignKey("returns.AssetReturn", models.PROTECT, null=True, related_name="overpayments")
    attempt = models.ForeignKey("returns.Attempt", models.PROTECT, null=True, related_name="overpayments")  # by which, if by one
    line = models.ForeignKey("returns.EvidenceLine", models.PROTECT, related_name="overpayments")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    amount = UnitsField()
    recovered = UnitsField(default=0)  # Σ of the recoveries carried out; the database counts them
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, recovered__gte=0, recovered__lte=F("amount")),
                name="overpayment_recovers_at_most_itself",
            ),
            # A bank's one debit may pay a whole file a second time.
            models.UniqueConstraint(fields=["line", "attempt"], name="line_overpays_an_attempt_once"),
            models.CheckConstraint(
                condition=Q(attempt__isnull=True) | Q(asset_return__isnull=False), name="overpayment_by_an_attempt_is_of_a_return"
            ),
        ]

    @property
    def open(self) -> int:
        """What is still to come back."""
        return self.amount - self.recovered

    @property
    def reference(self) -> str:
        """The return that was paid; what the rail called it where it was none of ours."""
        return self.asset_return.reference if self.asset_return else self.line.reference


class ExplanationKind(models.TextChoices):
    """What a line of evidence can have been that no other act ends. What each means for the books: explaining.py."""

    NOTHING_MOVED = "nothing_moved", pgettext_lazy("line of evidence", "Nothing moved: the rail reported it wrongly")
    NOT_OURS = "not_ours", pgettext_lazy("line of evidence", "Somebody else's payment: nothing of the estate moved")
    PAID = "paid", pgettext_lazy("line of evidence", "The claimant received it, beside what we count")
    TAKEN = "taken", pgettext_lazy("line of evidence", "It left the estate and reached no claimant of ours")
    BOOKED = "booked", pgettext_lazy("line of evidence", "It is in the books already")


class Explanation(models.Model):
    """
    Two people say, on a paper, what a line of evidence was that no other act ends.

    It ends the line once: what left the estate by it is a receivable from then on, or was in the books before.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="explanations")
    line = models.ForeignKey("returns.EvidenceLine", models.PROTECT, related_name="explanations")
    problem = models.TextField()  # what the line waited for
    kind = models.CharField(max_length=16, choices=ExplanationKind)
    reason = models.TextField()
    paper_sha256 = models.BinaryField(max_length=32)
    entry = models.ForeignKey("books.Entry", models.PROTECT, null=True, related_name="+")  # by which it is in the books already
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["line"], condition=Q(state__in=["proposed", "approved", "done"]), name="line_is_explained_once"
            ),
            models.UniqueConstraint(
                fields=["entry"], condition=Q(state__in=["proposed", "approved", "done"]), name="booking_explains_one_line"
            ),
            models.CheckConstraint(condition=Q(kind__in=ExplanationKind.values), name="explanation_is_of_a_known_kind"),
            models.CheckConstraint(
                condition=Q(kind="booked", entry__isnull=False) | ~Q(kind="booked") & Q(entry__isnull=True),
                name="explanation_names_the_booking_where_there_is_one",
            ),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(problem=""), name="explanation_says_why"),
        ]


class RecoveryKind(models.TextChoices):
    REFUND = "refund", pgettext_lazy("recovery", "Paid back")
    NET = "net", pgettext_lazy("recovery", "Netted")
    WRITE_OFF = "write_off", pgettext_lazy("recovery", "Written off")


class Recovery(models.Model):
    """One way in which part of an over-payment ended: paid back, netted against what is due, or written off by approval."""

    overpayment = models.ForeignKey(Overpayment, models.PROTECT, related_name="recoveries")
    kind = models.CharField(max_length=10, choices=RecoveryKind)
    amount = UnitsField()
    claim_line = models.ForeignKey("register.ClaimLine", models.PROTECT, null=True, related_name="+")  # what it was netted with
    reason = models.TextField(blank=True)
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="recovery_is_positive"),
            models.CheckConstraint(
                condition=Q(kind="net", claim_line__isnull=False) | ~Q(kind="net") & Q(claim_line__isnull=True),
                name="recovery_is_netted_with_a_line",
            ),
            models.CheckConstraint(
                condition=Q(kind="net") | Q(evidence_sha256__isnull=False), name="recovery_rests_on_a_paper"
            ),
        ]


class ForcedSale(models.Model):
    """
    Coins of named claim lines sold for money: where a deposit or the proceeding takes money only.

    Two people sign whose coins and how many. What the sale brought is shared to the last unit, with the price for each.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="forced_sales")
    number = models.PositiveIntegerField()
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    into = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    ground = models.CharField(max_length=24)  # money_only, unreachable
    facts = models.TextField()
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    # What became of it; empty until it is carried out.
    venue = models.TextField(blank=True, default="")
    sold_at = models.DateTimeField(null=True)
    gross = UnitsField(null=True)
    fees = UnitsField(null=True)
    evidence_sha256 = models.BinaryField(max_length=32, null=True)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="forced_sale_number_is_used_once"),
            models.CheckConstraint(condition=~Q(asset=F("into")), name="forced_sale_is_for_another_asset"),
            models.CheckConstraint(
                condition=~Q(state="done")
                | Q(gross__gt=F("fees"), fees__gte=0, sold_at__isnull=False, evidence_sha256__isnull=False) & ~Q(venue=""),
                name="forced_sale_says_price_place_and_time",
            ),
        ]

    def __str__(self) -> str:
        return f"S{self.number}"


class SaleShare(models.Model):
    """One claim line's part of a forced sale: so many coins, and what they brought."""

    sale = models.ForeignKey(ForcedSale, models.PROTECT, related_name="shares")
    claim_line = models.ForeignKey("register.ClaimLine", models.PROTECT, related_name="sale_shares")
    quantity = UnitsField()
    proceeds = UnitsField(null=True)
    into_line = models.ForeignKey("register.ClaimLine", models.PROTECT, null=True, related_name="sale_proceeds")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sale", "claim_line"], name="forced_sale_names_a_line_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="sale_share_is_positive"),
            models.CheckConstraint(
                condition=Q(proceeds__isnull=True, into_line__isnull=True) | Q(proceeds__gte=0, into_line__isnull=False),
                name="sale_share_has_proceeds_and_their_line_together",
            ),
        ]


class Forfeiture(models.Model):
    """What nobody claimed goes back to the pool for the others, by the plan's branch and a court's order."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="forfeitures")
    number = models.PositiveIntegerField()
    facts = models.TextField()
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, related_name="+")
    plan = models.ForeignKey("distribution.Plan", models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="forfeiture_number_is_used_once")]

    def __str__(self) -> str:
        return f"F{self.number}"


class ForfeitedLine(models.Model):
    """One claim line that loses so much by a forfeiture."""

    forfeiture = models.ForeignKey(Forfeiture, models.PROTECT, related_name="lines")
    claim_line = models.ForeignKey("register.ClaimLine", models.PROTECT, related_name="forfeited")
    amount = UnitsField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["forfeiture", "claim_line"], name="forfeiture_names_a_line_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="forfeited_line_is_positive"),
        ]


class LateReturn(models.Model):
    """
    What came in after the cut-off goes back to who paid it in: in full, and outside every pool.

    Two people sign whose and how much; with the last signature each gets a claim line of its own, given in full.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="late_returns")
    number = models.PositiveIntegerField()
    facts = models.TextField()  # how it was looked at that it is there, and whose it is
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="late_return_number_is_used_once"),
            models.CheckConstraint(condition=~Q(facts=""), name="late_return_says_what_was_looked_at"),
        ]

    def __str__(self) -> str:
        return f"L{self.number}"


class LateReturnLine(models.Model):
    """So much of one asset came into one account after the cut-off, less what went out. `claim_line`: once it was signed."""

    late_return = models.ForeignKey(LateReturn, models.PROTECT, related_name="lines")
    ledger_account = models.ForeignKey("ledger.LedgerAccount", models.PROTECT, related_name="+")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    amount = UnitsField()
    claim_line = models.OneToOneField("register.ClaimLine", models.PROTECT, null=True, related_name="late_return")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["late_return", "ledger_account", "asset"], name="late_return_names_an_account_once"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="late_return_line_is_positive"),
        ]


class Residue(models.Model):
    """What is left when everything was returned: set apart and given where a court says, and so out of the books."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="residues")
    number = models.PositiveIntegerField()
    to_whom = models.TextField()
    facts = models.TextField()
    order = models.ForeignKey("cases.CourtOrder", models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    evidence_sha256 = models.BinaryField(max_length=32, null=True)  # that it was handed over
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "number"], name="residue_number_is_used_once"),
            models.CheckConstraint(condition=~Q(to_whom="") & ~Q(facts=""), name="residue_says_to_whom_and_why"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(evidence_sha256__isnull=False), name="residue_is_handed_over_by_a_paper"
            ),
        ]

    def __str__(self) -> str:
        return f"X{self.number}"


class ResidueLine(models.Model):
    """So much of one asset."""

    residue = models.ForeignKey(Residue, models.PROTECT, related_name="lines")
    asset = models.ForeignKey("books.Asset", models.PROTECT, related_name="+")
    amount = UnitsField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["residue", "asset"], name="residue_names_an_asset_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="residue_line_is_positive"),
        ]


class RoundClosing(models.Model):
    """A round of returns is over: nothing of it waits any more, and both statements tied."""

    round = models.OneToOneField("returns.Round", models.PROTECT, primary_key=True, related_name="closing")
    figures = models.JSONField()  # state → asset → [count, units as text]
    by = models.ForeignKey("people.User", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()


class Policy(models.TextChoices):
    """What is done after a failure of one kind."""

    RETRY = "retry", pgettext_lazy("after a failure", "Try again")
    ASK = "ask", pgettext_lazy("after a failure", "Ask the customer")
    REROUTE = "reroute", pgettext_lazy("after a failure", "Another rail")
    STOP = "stop", pgettext_lazy("after a failure", "Stop: people decide")


class FailureReason(models.Model):
    """
    One kind of failure and what follows it (rows of the first migration).

    `words` are what rails write for it, as regular expressions; the lowest `rank` that fits counts.
    """

    code = models.CharField(max_length=24, primary_key=True)
    rail = models.CharField(max_length=20, blank=True, default="")  # the beginning of a rail's code; empty: every rail
    rank = models.PositiveSmallIntegerField(unique=True)
    words = models.TextField()
    policy = models.CharField(max_length=8, choices=Policy)
    tries_max = models.PositiveSmallIntegerField()  # tries after which people decide, whatever the policy

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(policy__in=Policy.values), name="failure_reason_has_a_policy"),
            models.CheckConstraint(condition=Q(tries_max__gte=1), name="failure_reason_allows_one_try"),
        ]


class Release(models.Model):
    """Two people let a return go on after a failure that stops it: on the same rail, or on another."""

    asset_return = models.ForeignKey("returns.AssetReturn", models.PROTECT, related_name="releases")
    attempt = models.ForeignKey("returns.Attempt", models.PROTECT, related_name="+")  # the failed one
    rail = models.CharField(max_length=20)
    reason = models.TextField()
    state = models.CharField(max_length=8, choices=TailState, default=TailState.PROPOSED)
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["attempt"], condition=Q(state__in=["proposed", "approved", "done"]), name="failure_is_released_once"
            )
        ]


class Matter(models.TextChoices):
    """What kind of thing waits for a person, and how it is named."""

    PART = "part", pgettext_lazy("what waits", "A part of a batch")  # by its key at the rail
    LINE = "line", pgettext_lazy("what waits", "A line of evidence")  # by its number
    RETURN = "return", pgettext_lazy("what waits", "A return")  # by its reference
    OVERPAYMENT = "overpayment", pgettext_lazy("what waits", "An over-payment")  # by its number
    GATE = "gate", pgettext_lazy("what waits", "What one gate keeps back")  # by the gate


class Assignment(models.Model):
    """One person looks after one thing that waits. The newest row about a thing counts; none is changed."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="assignments")
    matter = models.CharField(max_length=11, choices=Matter)
    thing = models.CharField(max_length=80)
    owner = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    by = models.ForeignKey("people.User", models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["case", "matter", "thing"], name="assignment_of_a_thing")]
        constraints = [
            models.CheckConstraint(condition=Q(matter__in=Matter.values), name="assignment_is_of_a_known_matter"),
        ]
