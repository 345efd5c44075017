"""The estate's books: what they take, and what they refuse."""

import pytest
from django.db import IntegrityError, ProgrammingError

from administration.books import books
from administration.books.models import Account, Asset, Balance, Entry, EntryKind, Posting
from claims.register.tie_out import COMING, GOING
from tests.at_once import at_once
from tests.cast import NOON, open_sample_case


@pytest.fixture
def opened(case, assets, aoki):
    """Two million yen and ten coins in custody, all free."""
    lines = [(assets["JPY"], 2_000_000), (assets["BTC"], 1_000_000_000)]
    books.post(case, "opening", idem_key="opening", lines=lines, subject=case, by=aoki, at=NOON)
    return case


def balance(case, code, kind):
    row = Balance.objects.get(account__case=case, account__asset__code=code, account__kind=kind)
    return abs(row.debits - row.credits)


def test_an_entry_debits_and_credits_the_accounts_of_its_kind(opened):
    assert balance(opened, "JPY", "custody") == balance(opened, "JPY", "free") == 2_000_000
    assert balance(opened, "BTC", "custody") == balance(opened, "BTC", "free") == 1_000_000_000
    assert Entry.objects.get().n_lines == Posting.objects.count() == 4


def test_the_same_event_posts_once(opened, assets, aoki):
    again = books.post(
        opened, "opening", idem_key="opening", subject=opened, by=aoki, at=NOON,
        lines=[(assets["BTC"], 1_000_000_000), (assets["JPY"], 2_000_000)],
    )  # fmt: skip

    assert again is None
    assert balance(opened, "JPY", "free") == 2_000_000


@pytest.mark.parametrize(
    ("kind", "yen"), [("opening", 2_000_001), ("receipt", 2_000_000)], ids=["another amount", "another kind"]
)
def test_the_same_key_with_another_body_is_refused(opened, assets, aoki, kind, yen):
    with pytest.raises(books.KeyUsedTwice, match="used before for something else"):
        books.post(
            opened, kind, idem_key="opening", subject=opened, by=aoki, at=NOON,
            lines=[(assets["JPY"], yen), (assets["BTC"], 1_000_000_000)],
        )  # fmt: skip

    assert Entry.objects.count() == 1


def test_only_whole_amounts_are_posted(opened, assets, aoki):
    for amount in (1.0, True, "1"):
        with pytest.raises(TypeError):
            books.post(
                opened, "receipt", idem_key="k", lines=[(assets["JPY"], amount)], subject=opened, by=aoki, at=NOON
            )


def test_nothing_is_taken_that_an_account_does_not_hold(opened, assets, aoki):
    with pytest.raises(books.Overdrawn):
        books.post(
            opened, "reserve", idem_key="r", lines=[(assets["JPY"], 2_000_001)], subject=opened, by=aoki, at=NOON
        )

    assert balance(opened, "JPY", "free") == 2_000_000
    assert not Entry.objects.filter(idem_key="r").exists()


def test_a_suspense_has_a_name(opened, assets, aoki):
    def receive(ref):
        lines = [(assets["JPY"], 10)]
        books.post(
            opened, "receipt_suspense", idem_key=f"s{ref}", lines=lines, subject=opened, by=aoki, at=NOON, ref=ref
        )

    receive("payer unknown, 3 November")
    with pytest.raises(books.NotPosted, match="account_names_a_suspense_and_nothing_else"):
        receive("")
    assert Account.objects.get(kind="suspense").ref == "payer unknown, 3 November"


@pytest.mark.parametrize("kind", ["declare", "withdraw", "take", "void", "settle", "bounce", "deposit", "net"])
def test_what_moves_positions_is_not_posted_without_them(opened, assets, aoki, kind):
    with pytest.raises(books.NotPosted, match="posted by positions_move only"):
        books.post(opened, kind, idem_key="k", lines=[(assets["JPY"], 1)], subject=opened, by=aoki, at=NOON)


@pytest.mark.parametrize(
    ("wanted", "amounts", "why"),
    [
        ([], [], "at least one asset"),
        (["JPY"], [], "an amount for each"),
        (["JPY"], ["0"], "whole amount above zero"),
        (["JPY"], ["-1"], "whole amount above zero"),
        (["JPY"], ["1.5"], "whole amount above zero"),
        (["JPY"], ["NaN"], "whole amount above zero"),
        (["JPY"], ["Infinity"], "whole amount above zero"),
        (["JPY"], [None], "whole amount above zero"),
        (["JPY", "JPY"], ["1", "1"], "listed twice"),
        ([0], ["1"], "an asset of this case"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(opened, assets, as_role, wanted, amounts, why):
    ids = [assets[code].pk if code else 0 for code in wanted]
    with pytest.raises(IntegrityError, match=why), as_role("henkan_app") as cursor:
        cursor.execute(
            "SELECT books_post(%s, 'receipt', 'k', %s::bigint[], %s::numeric[], '', '', '', '', now())",
            [opened.pk, ids, amounts],
        )


def test_an_asset_of_another_case_is_not_posted(opened, aoki):
    other = open_sample_case("T-2")
    theirs = Asset.objects.create(case=other, code="JPY", name="JPY", scale=0, network="bank", kind="fiat")
    with pytest.raises(books.NotPosted, match="an asset of this case"):
        books.post(opened, "receipt", idem_key="k", lines=[(theirs, 1)], subject=opened, by=aoki, at=NOON)


# --- what the database refuses, by role -----------------------------------------------------------

WRITES = [
    "INSERT INTO books_entry (case_id, kind, idem_key, body_sha256, n_lines, subject_kind, subject_id, by, at)"
    " SELECT case_id, kind, 'mine', body_sha256, 2, '', '', '', at FROM books_entry",
    "INSERT INTO books_posting SELECT * FROM books_posting",
    "INSERT INTO books_account (case_id, asset_id, kind, side, ref) SELECT case_id, asset_id, 'residue', 'C', '' FROM books_account",
    "UPDATE books_entry SET kind = 'receipt'",
    "UPDATE books_posting SET amount = amount + 1",
    "UPDATE books_balance SET credits = credits + 1",
    "UPDATE books_account SET kind = 'residue'",
    "UPDATE books_entrykind SET moves_positions = false",
    "INSERT INTO books_entrykind VALUES ('mine', 'custody', 'free', '', false)",
    "DELETE FROM books_entry",
    "DELETE FROM books_posting",
    "TRUNCATE books_posting",
    "TRUNCATE books_entry CASCADE",
]


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("role", ["henkan_app", "henkan_reader", "henkan_portal"])
def test_no_role_writes_the_books_except_through_their_function(opened, as_role, role, sql):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role(role) as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("role", ["henkan_reader", "henkan_portal"])
def test_only_the_app_posts(opened, assets, as_role, role):
    with pytest.raises(ProgrammingError, match="permission denied"), as_role(role) as cursor:
        cursor.execute(
            "SELECT books_post(%s, 'receipt', 'k', ARRAY[%s]::bigint[], ARRAY[1]::numeric[], '', '', '', '', now())",
            [opened.pk, assets["JPY"].pk],
        )


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE books_entry SET kind = 'receipt'",
        "DELETE FROM books_entry",
        "TRUNCATE books_entry CASCADE",
        "UPDATE books_posting SET amount = amount + 1",
        "DELETE FROM books_posting",
        "TRUNCATE books_posting",
        "UPDATE books_account SET ref = 'x'",
        "UPDATE books_balance SET credits = credits + 1",
        "INSERT INTO books_balance SELECT account_id, side, debits, credits FROM books_balance",
        "DELETE FROM books_balance",
        "TRUNCATE books_balance",
        "DELETE FROM books_entrykind",
    ],
)
def test_the_owner_too_edits_nothing_of_the_books(opened, as_owner, sql):
    with as_owner() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append only"), as_owner() as cursor:
        cursor.execute(sql)


@pytest.fixture
def enter(opened, as_owner):
    """Write an entry by hand, as the owner of the tables: (announced lines, [(account, side, amount)])."""

    def enter(announced, *lines, kind="receipt", asset=None):
        with as_owner() as cursor:
            cursor.execute(
                "INSERT INTO books_entry (case_id, kind, idem_key, body_sha256, n_lines, subject_kind, subject_id, by, at)"
                " VALUES (%s, %s, 'by hand', '', %s, '', '', '', now()) RETURNING id",
                [opened.pk, kind, announced],
            )
            entry = cursor.fetchone()[0]
            for n, (account, side, amount) in enumerate(lines, start=1):
                found = Account.objects.get(kind=account, asset__code="JPY")
                cursor.execute(
                    "INSERT INTO books_posting (entry_id, n_lines, line, account_id, asset_id, side, amount)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    [entry, announced, n, found.pk, asset or found.asset_id, side, amount],
                )
        return entry

    return enter


def test_by_hand_a_balanced_entry_of_its_kinds_accounts_passes(enter):
    enter(2, ("custody", "D", 5), ("free", "C", 5))


@pytest.mark.parametrize(
    ("announced", "lines", "why"),
    [
        (2, [], "announces 2 lines and has 0"),
        (2, [("custody", "D", 5)], "announces 2 lines and has 1"),
        (2, [("custody", "D", 5), ("free", "C", 4)], "differ in JPY"),
        (2, [("custody", "D", 5), ("free", "D", 5)], "differ in JPY"),
        (2, [("free", "D", 5), ("custody", "C", 5)], "is not one that"),
        (2, [("custody", "D", 0), ("free", "C", 0)], "posting_amount_is_positive"),
        (2, [("custody", "D", 5), ("free", "X", 5)], "posting_is_debit_or_credit"),
        (1, [("custody", "D", 5)], "entry_has_at_least_two_lines"),
        (2, [("custody", "D", 5), ("free", "C", 5), ("free", "C", 5)], "posting_is_one_of_the_announced_lines"),
        (2, [("free", "D", 2_000_001), ("custody", "C", 2_000_001)], "balance_is_never_overdrawn"),
    ],
)
def test_an_unbalanced_incomplete_or_overdrawn_entry_is_refused_even_by_hand(enter, announced, lines, why):
    with pytest.raises(IntegrityError, match=why):
        enter(announced, *lines)

    assert Entry.objects.count() == 1


def test_a_line_is_in_the_asset_of_its_account(enter, assets):
    with pytest.raises(IntegrityError, match="posting_is_in_the_asset_of_its_account"):
        enter(2, ("custody", "D", 5), ("free", "C", 5), asset=assets["BTC"].pk)


def test_no_line_is_added_to_an_entry_later(opened, as_owner):
    for line in (4, 5):
        with pytest.raises(IntegrityError, match=r"books_posting_pkey|announced_lines"), as_owner() as cursor:
            cursor.execute(
                "INSERT INTO books_posting (entry_id, n_lines, line, account_id, asset_id, side, amount)"
                " SELECT entry_id, n_lines, %s, account_id, asset_id, side, amount FROM books_posting WHERE line = 1",
                [line],
            )
    with pytest.raises(IntegrityError, match="posting_is_announced_by_its_entry"), as_owner() as cursor:
        cursor.execute(
            "INSERT INTO books_posting (entry_id, n_lines, line, account_id, asset_id, side, amount)"
            " SELECT entry_id, 6, 5, account_id, asset_id, side, amount FROM books_posting WHERE line = 1"
        )


@pytest.mark.parametrize(
    ("kind", "side", "why"),
    [
        ("custody", "C", "account_has_the_side_of_its_kind"),
        ("loot", "D", "account_has_the_side_of_its_kind"),
        ("suspense", "C", "account_names_a_suspense"),
    ],
)
def test_an_account_is_of_a_known_kind_and_on_its_side(opened, assets, as_owner, kind, side, why):
    with pytest.raises(IntegrityError, match=why), as_owner() as cursor:
        cursor.execute(
            "INSERT INTO books_account (case_id, asset_id, kind, side, ref) VALUES (%s, %s, %s, %s, '')",
            [opened.pk, assets["ETH"].pk, kind, side],
        )


def test_an_account_is_of_the_case_of_its_asset(opened, assets, as_owner):
    other = open_sample_case("T-2")
    with pytest.raises(IntegrityError, match="account_is_of_the_case_of_its_asset"), as_owner() as cursor:
        cursor.execute(
            "INSERT INTO books_account (case_id, asset_id, kind, side, ref) VALUES (%s, %s, 'free', 'C', '')",
            [other.pk, assets["JPY"].pk],
        )


@pytest.mark.parametrize("change", ["scale = 4", "code = 'XXX'", "kind = 'coin'"])
def test_an_asset_keeps_its_measure(case, assets, as_role, change):
    with pytest.raises(IntegrityError, match="asset_keeps_its_measure"), as_role("henkan_app") as cursor:
        cursor.execute(f"UPDATE books_asset SET {change} WHERE code = 'JPY'")


def test_every_line_of_the_statement_is_one_of_the_designs(db):
    assert set(EntryKind.objects.values_list("statement_line", flat=True)) == {"", *COMING, *GOING}


# --- races ----------------------------------------------------------------------------------------


def test_two_who_post_the_same_event_at_once_post_it_once(committed):
    case = open_sample_case()
    yen = Asset.objects.create(case=case, code="JPY", name="JPY", scale=0, network="bank", kind="fiat")

    def one():
        return books.post(case, "opening", idem_key="once", lines=[(yen, 7)], subject=case, by=None, at=NOON)

    assert sorted(posted is None for posted in at_once(one, one, one, one)) == [False, True, True, True]
    assert balance(case, "JPY", "custody") == 7


def test_two_who_take_the_same_rest_do_not_both_get_it(committed):
    case = open_sample_case()
    yen = Asset.objects.create(case=case, code="JPY", name="JPY", scale=0, network="bank", kind="fiat")
    books.post(case, "opening", idem_key="o", lines=[(yen, 10)], subject=case, by=None, at=NOON)

    def take(key):
        def one():
            try:
                return books.post(case, "reserve", idem_key=key, lines=[(yen, 6)], subject=case, by=None, at=NOON)
            except books.Overdrawn:
                return "overdrawn"

        return one

    assert at_once(*(take(f"r{n}") for n in range(4))).count("overdrawn") == 3
    assert balance(case, "JPY", "reserved") == 6
