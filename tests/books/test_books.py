"""The estate's books: what they take, and what they refuse."""

import pytest

from administration.books import books
from administration.books.models import Balance, Entry, Posting
from tests.cast import NOON


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
