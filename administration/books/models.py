"""The estate's own books: double entry over one account per case, asset and kind."""

from django.db import models
from django.db.models import F, Q

from administration.fields import ClockTimestamp, UnitsField


class Asset(models.Model):
    """
    One asset of one case, counted in whole units of 10**-scale.

    `scale` is the precision of the exchange's ledger and never changes; `payable_step` is the smallest
    amount a rail can pay, in the same units.
    """

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="assets")
    code = models.CharField(max_length=20)
    name = models.TextField(blank=True)
    scale = models.PositiveSmallIntegerField()
    payable_step = UnitsField(default=1)
    network = models.TextField(blank=True)  # "bitcoin", "ethereum", "xrpl", "bank", …
    kind = models.CharField(max_length=10)  # fiat, coin, token

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "code"], name="asset_code_is_unique_in_its_case"),
            models.UniqueConstraint(fields=["id", "case"], name="asset_has_one_case"),
            models.CheckConstraint(condition=Q(scale__lte=36), name="asset_scale_is_at_most_36"),
            models.CheckConstraint(condition=Q(payable_step__gte=1), name="asset_payable_step_is_positive"),
        ]

    def __str__(self) -> str:
        return self.code


class AccountKind(models.Model):
    """One of the eight kinds of account (rows of the first migration): its name and normal side."""

    kind = models.CharField(max_length=12, primary_key=True)
    side = models.CharField(max_length=1)  # D or C

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "side"], name="account_kind_has_one_side")]


class Account(models.Model):
    """What the estate has (debit: custody, receivable) or to whom it is set aside (credit: free, entitled …), per asset."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="accounts")
    asset = models.ForeignKey(Asset, models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=12)
    side = models.CharField(max_length=1)
    ref = models.TextField(blank=True, default="")  # names a suspense: "control difference of intake 1"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "asset", "kind", "ref"], name="account_is_unique"),
            models.UniqueConstraint(fields=["id", "asset"], name="account_has_one_asset"),
            models.UniqueConstraint(fields=["id", "side"], name="account_has_one_side"),
        ]


class EntryKind(models.Model):
    """What may be posted (rows of the first migration): the kind, its debit and its credit account."""

    kind = models.CharField(max_length=24, primary_key=True)
    debit = models.CharField(max_length=12)
    credit = models.CharField(max_length=12)
    statement_line = models.CharField(max_length=20, blank=True)  # its line of the asset statement, design §5
    moves_positions = models.BooleanField(default=False)  # only positions_move may post it


class Entry(models.Model):
    """One economic event in the books. The same key never posts twice; the same key with another body is refused."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="entries")
    kind = models.ForeignKey(EntryKind, models.PROTECT, db_column="kind")
    idem_key = models.TextField()
    body_sha256 = models.BinaryField(max_length=32)
    n_lines = models.PositiveSmallIntegerField()
    subject_kind = models.TextField()
    subject_id = models.TextField()
    by = models.TextField(blank=True)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["case", "idem_key"], name="entry_key_posts_once"),
            models.UniqueConstraint(fields=["id", "n_lines"], name="entry_announces_its_lines"),
            models.CheckConstraint(condition=Q(n_lines__gte=2), name="entry_has_at_least_two_lines"),
        ]


class Posting(models.Model):
    """One line of an entry: a positive amount on the debit or the credit side of one account."""

    pk = models.CompositePrimaryKey("entry_id", "line")
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="postings")
    n_lines = models.PositiveSmallIntegerField()
    line = models.PositiveSmallIntegerField()
    account = models.ForeignKey(Account, models.PROTECT, related_name="postings")
    asset = models.ForeignKey(Asset, models.PROTECT, related_name="+")
    side = models.CharField(max_length=1)
    amount = UnitsField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="posting_amount_is_positive"),
            models.CheckConstraint(condition=Q(side__in=["D", "C"]), name="posting_is_debit_or_credit"),
            models.CheckConstraint(
                condition=Q(line__gte=1, line__lte=F("n_lines")), name="posting_is_one_of_the_announced_lines"
            ),
        ]


class Balance(models.Model):
    """Σ debits and Σ credits of one account, kept by the trigger on postings; no account is ever overdrawn."""

    account = models.OneToOneField(Account, models.PROTECT, primary_key=True, related_name="balance")
    side = models.CharField(max_length=1)
    debits = UnitsField(default=0)
    credits = UnitsField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(side="D", debits__gte=F("credits")) | Q(side="C", credits__gte=F("debits")),
                name="balance_is_never_overdrawn",
            )
        ]
