"""What is found in a converted table is said in terms of the delivered file: its row, and its column."""

import csv
from pathlib import Path

import pytest

from administration.ledger import mapping, my_number
from administration.ledger.converting import Conversion, Delivered
from administration.ledger.findings import REFUSE, Found
from administration.ledger.formats import NotRead
from administration.ledger.origins import Origins
from tests.ledger.test_mapping import HEAD

NOWHERE = dict.fromkeys(("court", "case_number", "proceeding", "trigger"), "")
WIDE = """[[assets]]
code = "JPY"
scale = 0
network = "bank"
kind = "fiat"
[[sources]]
file = "*.csv"
encoding = "utf-8"
""" + "".join(f"""[[sources.tables]]
table = "balances"
columns = {{ account_id = "a", asset = {{ constant = "{code}" }}, product = {{ constant = "spot" }}, amount = {{ column = "{column}" }} }}
[[sources.tables.leave_out]]
column = "{column}"
in = [""]
why = "no balance"
""" for code, column in (("JPY", "円"), ("BTC", "ビット")))  # fmt: skip


def wide(tmp_path: Path, **files: str) -> Origins:
    """Sheets with a column for each coin, converted; in steps of two rows, as a killed worker may have to."""
    for name, rows in files.items():
        (tmp_path / f"{name}.csv").write_text(f"a,円,ビット\n{rows}")
    made = Conversion(mapping.read(HEAD + WIDE), [Delivered(f"{name}.csv", tmp_path / f"{name}.csv") for name in files], tmp_path / "made")
    assert made.check() == []
    state = made.begin()
    while not made.step(state, most=2):
        pass
    made.finish(state, NOWHERE)
    return Origins(made.folder)


def test_a_fault_of_a_wide_sheet_is_said_in_the_column_it_stands_in(tmp_path: Path):
    origins = wide(tmp_path, one="1,5,6\n2,,7\n3,8,\n4,x,9\n5,1,y\n", empty="", two="6,z,1\n7,2,w\n")

    with (origins.folder / "package" / "balances.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    said = {}
    for number, row in enumerate(rows[1:], start=2):
        (found,) = origins.translated([Found("not_a_number", REFUSE, "balances.csv", number, "amount", "a", "b")])
        said[row[0], row[1]] = (found.file, found.row, found.column)
        origin = origins.row("balances.csv", number)
        line = (tmp_path / origin.file).read_bytes()[origin.offset : origin.offset + origin.length]
        assert line.split(b",")[0].decode() == row[0] and line.endswith(b"\n")

    assert said == {
        ("1", "JPY"): ("one.csv", 2, "円"), ("1", "BTC"): ("one.csv", 2, "ビット"), ("2", "BTC"): ("one.csv", 3, "ビット"),
        ("3", "JPY"): ("one.csv", 4, "円"), ("4", "JPY"): ("one.csv", 5, "円"), ("4", "BTC"): ("one.csv", 5, "ビット"),
        ("5", "JPY"): ("one.csv", 6, "円"), ("5", "BTC"): ("one.csv", 6, "ビット"), ("6", "JPY"): ("two.csv", 2, "円"),
        ("6", "BTC"): ("two.csv", 2, "ビット"), ("7", "JPY"): ("two.csv", 3, "円"), ("7", "BTC"): ("two.csv", 3, "ビット"),
    }  # fmt: skip


def test_there_is_no_row_behind_the_last_however_large_its_number(tmp_path: Path):
    origins = wide(tmp_path, one="1,5,6\n")

    assert origins.row("balances.csv", 3) is not None
    assert [origins.row("balances.csv", row) for row in (-1, 0, 1, 4, 10**9, 10**18 - 1, 10**30)] == [None] * 7


def numbers(many: int) -> list[str]:
    """Individual numbers: twelve digits with their check digit."""
    made = (f"{n:011d}{d}" for n in range(12345678901, 12345678901 + 2 * many) for d in range(10))
    return [one for one in made if my_number.is_number(one)][:many]


def test_individual_numbers_are_seen_in_a_small_file_after_a_large_one(tmp_path: Path):
    large = "".join(f"x{n},1,\n" for n in range(my_number.Watch.FIRST + 10))
    small = "".join(f"{number},1,\n" for number in numbers(10))
    with pytest.raises(NotRead) as refused:
        wide_in_one(tmp_path, a=large, b=small)
    assert (refused.value.kind, refused.value.file) == ("my_number", "b.csv")


def wide_in_one(tmp_path: Path, **files: str) -> None:
    for name, rows in files.items():
        (tmp_path / f"{name}.csv").write_text(f"a,円,ビット\n{rows}")
    Conversion(mapping.read(HEAD + WIDE), [Delivered(f"{name}.csv", tmp_path / f"{name}.csv") for name in files], tmp_path / "made").whole(NOWHERE)
