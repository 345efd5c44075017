"""What a mapping declares and what it does not; which bytes are read as what; what is refused before it is read."""

import gzip
import re
import zipfile
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pyarrow
import pytest
from django.utils import translation
from pyarrow import parquet

from administration.cases.models import Case
from administration.ledger import (
    converting,
    deliveries,
    encodings,
    formats,
    grammars,
    mapping,
    my_number,
    previewing,
    unconverted,
)
from administration.ledger.converting import Conversion, Delivered
from administration.ledger.formats import Layout, NotRead, Place
from administration.ledger.grammars import NotInGrammar, Number
from tests.cast import NOON, Cast
from tests.ledger.spreadsheets import Formula, Raw, workbook

PLAIN, OFFICE = Number(), Number(thousands=",", negative=("△", "()"), full_width=True, around=("¥", "円"))


@pytest.mark.parametrize(
    ("number", "text", "read"),
    [
        (PLAIN, "1234.50", "1234.50"), (PLAIN, "-5", "-5"), (OFFICE, "1,234,567.89", "1234567.89"), (OFFICE, "△1,000", "-1000"),
        (OFFICE, "(12)", "-12"), (OFFICE, "１２，３４５", "12345"), (OFFICE, "¥1,200", "1200"), (OFFICE, "△¥1,200円", "-1200"),
        (Number(decimal=",", thousands="."), "1.234,56", "1234.56"), (Number(negative=("trailing -",)), "7-", "-7"),
        (Number(minor_units=True), "150000000", "150000000"), (PLAIN, "123456789012345678901234567890.1", "123456789012345678901234567890.1"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_declared_digit_for_digit(number: Number, text: str, read: str):
    assert number.read(text) == read


@pytest.mark.parametrize(
    ("number", "text", "kind"),
    [
        (PLAIN, "1,234", "not_a_number"), (PLAIN, "１２", "full_width_digits"), (PLAIN, "△5", "negative_not_declared"),
        (PLAIN, "(5)", "negative_not_declared"), (PLAIN, "5-", "negative_not_declared"), (PLAIN, "−5", "negative_not_declared"),
        (OFFICE, "▲5", "negative_not_declared"), (OFFICE, "1,23", "not_a_number"), (OFFICE, "12,34,567", "not_a_number"),
        (OFFICE, "△-5", "not_a_number"), (OFFICE, "1.2E+05", "exponent"), (PLAIN, "NaN", "not_a_number"), (PLAIN, "Infinity", "not_a_number"),
        (PLAIN, "0x1F", "not_a_number"), (PLAIN, "1_000", "not_a_number"), (PLAIN, "٣", "not_a_number"), (PLAIN, "", "not_a_number"),
        (Number(decimal=",", thousands="."), "1234.5", "not_a_number"), (Number(minor_units=True), "1.5", "not_a_number"),
    ],
)  # fmt: skip
def test_a_number_written_otherwise_is_refused_by_its_kind(number: Number, text: str, kind: str):
    with pytest.raises(NotInGrammar) as refused:
        number.read(text)
    assert refused.value.kind == kind


@pytest.mark.parametrize(
    ("text", "grammars_", "day"),
    [
        ("令和元年5月1日", ("wareki",), "2019-05-01"), ("R7.9.30", ("wareki",), "2025-09-30"), ("昭和64年1月7日", ("wareki",), "1989-01-07"),
        ("㍻3年1月2日", ("wareki",), "1991-01-02"), ("2026/9/3", ("slash",), "2026-09-03"), ("20260903", ("compact",), "2026-09-03"),
        ("2026年9月3日", ("kanji",), "2026-09-03"), ("03/09/2026", ("day first",), "2026-09-03"), ("2026-09-03", ("iso", "slash"), "2026-09-03"),
    ],
)  # fmt: skip
def test_a_day_is_read_in_the_declared_grammar(text: str, grammars_: tuple[str, ...], day: str):
    assert grammars.day(text, grammars_) == day


@pytest.mark.parametrize(
    ("text", "grammars_", "kind"),
    [
        ("2/3/04", ("slash", "wareki"), "bad_date"), ("平成31年5月1日", ("wareki",), "era_does_not_fit"), ("S64.1.8", ("wareki",), "era_does_not_fit"),
        ("令和7年2月30日", ("wareki",), "bad_date"), ("令和0年1月1日", ("wareki",), "bad_date"), ("2026-09-03", ("slash",), "bad_date"),
        ("1900-02-29", ("iso",), "bad_date"), ("45930", ("iso",), "bad_date"), ("２０２６/9/3", ("slash",), "bad_date"),
    ],
)  # fmt: skip
def test_a_day_written_otherwise_is_refused(text: str, grammars_: tuple[str, ...], kind: str):
    with pytest.raises(NotInGrammar) as refused:
        grammars.day(text, grammars_)
    assert refused.value.kind == kind


def test_an_instant_has_an_offset_of_its_own_or_a_declared_one():
    assert grammars.instant("2026/09/30 15:00", ("slash",), "+09:00") == "2026-09-30T15:00:00+09:00"
    assert grammars.instant("2026-09-30T15:00:00Z", ("iso",), "+09:00") == "2026-09-30T15:00:00Z"
    for text in ("2026-09-30 15:00", "2026-09-30", "2026-09-30 24:00"):
        with pytest.raises(NotInGrammar):
            grammars.instant(text, ("iso",), "")


@pytest.mark.parametrize(
    ("text", "grammars_", "offset", "day"),
    [
        ("2026-09-30T23:59:59", ("iso",), "", "2026-09-30"), ("2026-09-30", ("iso",), "", "2026-09-30"),
        ("令和8年9月30日 12時30分", ("wareki",), "", "2026-09-30"), ("2026/9/30 3:00 PM", ("slash",), "+09:00", "2026-09-30"),
        ("1980-04-01T15:00:00.000Z", ("iso",), "+09:00", "1980-04-02"), ("1980-04-01 14:59:59Z", ("iso",), "+09:00", "1980-04-01"),
        ("1980-04-02T00:00:00+09:00", ("iso",), "Z", "1980-04-01"),
    ],
)  # fmt: skip
def test_an_instant_whose_time_is_cut_falls_on_its_day_at_the_declared_offset(text, grammars_, offset, day):
    assert grammars.day_of(text, grammars_, offset) == day


@pytest.mark.parametrize("text", ["1980-04-01T15:00:00Z", "1980-04-01 15:00:00+00:00", "1980-04-01 15:00 UTC", "1980-04-01 15:00:00+0000"])
def test_a_time_in_another_zone_is_not_cut_in_silence(text):
    with pytest.raises(NotInGrammar) as refused:
        grammars.day_of(text, ("iso",), "")
    assert refused.value.kind == "bad_date"


# --- encodings ----------------------------------------------------------------------------------

NAMES = "番号;氏名\r\n1;高橋　崎\r\n2;ヤマダ　タロウ\r\n" * 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp", "utf-16-le", "utf-16-be", "utf-16"])
def test_the_true_encoding_is_the_first_candidate_and_others_are_shown_with_it(tmp_path: Path, encoding: str):
    (tmp_path / "file").write_bytes(NAMES.encode(encoding))

    found = encodings.candidates(tmp_path / "file")

    assert len(found) == len(encodings.ENCODINGS)
    assert found[0].encoding == {"utf-8-sig": "utf-8", "euc_jp": "euc-jp", "utf-16": "utf-16-le"}.get(encoding, encoding)
    assert "番号;氏名" in found[0].samples[0]


@pytest.mark.parametrize(("content", "offset"), [(b"a;b\n1;\x80\n", 6), (b"a;b\n\x81\x20;1\n", 4), ("髙".encode("cp932") * 300_000 + b"\xff", 600_000)])
def test_an_undecodable_byte_is_refused_with_its_offset(tmp_path: Path, content: bytes, offset: int):
    (tmp_path / "file").write_bytes(content)

    assert next(one for one in encodings.candidates(tmp_path / "file") if one.encoding == "cp932").wrong_at == offset
    with pytest.raises(NotRead) as refused:
        list(formats.rows(tmp_path / "file", Layout(encoding="cp932", delimiter=";"), Place(0, 1)))
    assert (refused.value.kind, refused.value.offset) == ("undecodable", offset)


def test_rows_know_their_line_and_bytes_in_every_encoding(tmp_path: Path):
    text = '番号,氏名\n1,"山田\n太郎"\n2,𠮷田\n\n3,"a,""b"""'
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        content = text.encode(encoding)
        (tmp_path / "file").write_bytes(content)
        found = list(formats.rows(tmp_path / "file", Layout(encoding=encoding), Place(0, 1)))
        assert [(values, line) for values, line, _at, _n in found] == [
            (["番号", "氏名"], 1), (["1", "山田\n太郎"], 2), (["2", "𠮷田"], 4), ([], 5), (["3", 'a,"b"'], 6)
        ]  # fmt: skip
        assert b"".join(content[at : at + many] for _v, _l, at, many in found) == content
        middle = found[2]
        assert list(formats.rows(tmp_path / "file", Layout(encoding=encoding), Place(middle[2], middle[1]))) == found[2:]


# --- workbooks and Parquet ------------------------------------------------------------------------


def test_a_workbook_gives_exact_decimals_or_a_fault_and_computes_nothing(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {"一": [
        ["k", "v"], ["int", 12], ["tenth", 0.1], ["sum", Raw("0.30000000000000004")], ["long", Raw("1234567890123456.5")],
        ["big", Raw("9007199254740991")], ["huge", Raw("123456789012345678")], ["small", Raw("1E-8")], ["day", date(2026, 9, 30)], ["bool", True], ["text", "007"],
    ]})  # fmt: skip
    found = {values[0]: values[1] for values, _line, _at, _n in formats.rows(path, Layout("xlsx"), Place(0, 1))}

    assert {name: text for name, text in found.items() if not text.startswith(unconverted.MARK)} == {
        "k": "v", "int": "12", "tenth": "0.1", "big": "9007199254740991", "small": "0.00000001", "day": "2026-09-30", "bool": "TRUE", "text": "007",
    }  # fmt: skip
    assert {name for name, text in found.items() if unconverted.read(text)} == {"sum", "long", "huge"}


@pytest.mark.parametrize(("cell", "kind"), [(Formula("SUM(A1)|3"), "formula"), ("#N/A", "cell_error")])
def test_a_formula_or_an_error_in_a_sheet_is_refused(tmp_path: Path, cell: object, kind: str):
    path = workbook(tmp_path / "a.xlsx", {"一": [["a", "b"], ["x", cell]], "二": [["a"]]})

    with pytest.raises(NotRead) as refused:
        list(formats.rows(path, Layout("xlsx", sheet="一"), Place(0, 1)))
    assert (refused.value.kind, refused.value.line) == (kind, 2)
    assert len(list(formats.rows(path, Layout("xlsx", sheet="二"), Place(0, 1)))) == 1
    with pytest.raises(NotRead, match="sheets"):
        list(formats.rows(path, Layout("xlsx"), Place(0, 1)))


def test_parquet_decimals_are_exact_and_rows_resume_in_any_row_group(tmp_path: Path):
    amounts = [Decimal(n).scaleb(-18) for n in range(1, 101)]
    table = pyarrow.table({"n": list(range(100)), "amount": pyarrow.array(amounts, pyarrow.decimal128(38, 18)), "f": [0.1] * 100})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7)

    for start in (0, 6, 7, 50, 99, 100):
        found = list(formats.rows(tmp_path / "a.parquet", Layout("parquet"), Place(start, start + 1)))
        assert [values[0] for values, _l, _a, _n in found] == [str(n) for n in range(start, 100)]
        assert [Decimal(values[1]) for values, _l, _a, _n in found] == amounts[start:]
        assert all("E" not in values[1] for values, _l, _a, _n in found)
    assert formats.floats(tmp_path / "a.parquet") == {"f"}


# --- mappings -------------------------------------------------------------------------------------

HEAD = """format = "henkan-mapping"
version = 1
name = "x"
cutoff_at = "2026-09-30T15:00:00+09:00"
[exchange]
name = "x"
registration_number = "1"
representative = "y"
[[assets]]
code = "BTC"
scale = 8
network = "bitcoin"
kind = "coin"
symbols = ["XBT"]
"""
BALANCES = """[[sources]]
file = "b.csv"
encoding = "utf-8"
[[sources.tables]]
table = "balances"
columns = { account_id = "a", asset = "s", product = { constant = "spot" }, amount = { column = "q"%s } }
"""


FAULTY = [
    ("x = ", "not TOML"), (HEAD, "at least one delivered file"), (HEAD + BALANCES % ", rounding = 2", "not known here"),
    (HEAD + BALANCES.replace("%s", "").replace('"q"', '"マイナンバー"'), "individual numbers"),
    (HEAD + BALANCES.replace("%s", "").replace('"spot"', '"bogus"'), "not one of"),
    (HEAD + BALANCES.replace("%s", "").replace('"utf-8"', '"ebcdic"'), "must be one of"),
    (HEAD + BALANCES.replace("%s", "").replace(', amount = { column = "q" }', ""), "amount must be given"),
    (HEAD + '[[assets]]\ncode = "LUNA"\nscale = 6\nnetwork = "t"\nkind = "coin"\nsymbols = ["XBT"]\n' + BALANCES % "", "stands for BTC already"),
    (HEAD + BALANCES.replace("%s", ', date = ["day first", "month first"]'), "ambiguous"),
    (HEAD.replace("+09:00", "") + BALANCES % "", "with its offset"), (HEAD.replace("2026-", "9999-") + BALANCES % "", "with its offset"),
    (HEAD.replace('name = "x"', r'name = "x\u0000"') + BALANCES % "", "control characters"),
    (HEAD.replace('["XBT"]', r'["XBT\u001f"]') + BALANCES % "", "control characters"),
    (HEAD.replace('name = "x"', 'name = "\ud800"') + BALANCES % "", "control characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FAULTY)
def test_a_mapping_with_a_fault_says_where(text: str, says: str):
    with pytest.raises(mapping.BadMapping) as refused:
        mapping.read(text)
    assert any(says in str(fault) for fault in refused.value.faults), refused.value.faults


@pytest.mark.parametrize("text", [text for text, _says in FAULTY] + ["format = 1\n[[assets]]\nscale = '2'\n[[sources]]\nencoding = 'x'\n"])
def test_whoever_reads_japanese_reads_the_fault_in_japanese(text: str):
    with pytest.raises(mapping.BadMapping) as refused, translation.override("ja"):
        mapping.read(text)
    with translation.override("ja"):
        for fault in refused.value.faults:
            assert re.search("[ぁ-ん]", str(fault)), fault.sentence
        assert re.search("[ぁ-ん]", str(refused.value))
    assert re.search("[a-z]{3}", refused.value.faults[0].sentence)  # kept in one wording


def test_every_column_is_mapped_or_ignored_and_my_number_is_seen_in_names_and_digits(tmp_path: Path):
    def faults(content: str) -> list[str]:
        (tmp_path / "b.csv").write_text(content)
        conversion = Conversion(mapping.read(HEAD + BALANCES % ""), [Delivered("b.csv", tmp_path / "b.csv")], tmp_path / "made")
        found = conversion.check()
        try:
            if not found:
                conversion.whole(dict.fromkeys(("court", "case_number", "proceeding", "trigger"), ""))
        except NotRead as wrong:
            return [wrong.kind]
        return [one.kind for one in found]

    assert faults("a,s,q\n1,XBT,1\n") == []
    assert faults("a,s,q,memo\n1,XBT,1,x\n") == ["unmapped_column"]
    assert faults("a,s\n1,XBT\n") == ["missing_column"]
    assert faults("a,s,q,個人番号\n1,XBT,1,\n")[0] == "my_number"
    numbers = [f"{n:011d}{d}" for n in range(12345678901, 12345678911) for d in range(10) if my_number.is_number(f"{n:011d}{d}")]
    assert faults("a,s,q\n" + "".join(f"{n},XBT,1\n" for n in numbers)) == ["my_number"]
    others = [f"{n:011d}{(int(m[-1]) + 5) % 10}" for n, m in zip(range(12345678901, 12345678911), numbers, strict=True)]
    assert faults("a,s,q\n" + "".join(f"{n},XBT,1\n" for n in others)) == []


def test_a_preview_shows_what_becomes_of_each_field_and_what_is_wrong(tmp_path: Path):
    (tmp_path / "b.csv").write_text("a,s,q\n1,XBT,1.5\n2,ВТС,1\n3,XBT,１\nbroken\n")
    found = previewing.look(HEAD + BALANCES % "", [Delivered("b.csv", tmp_path / "b.csv")])

    (sample,) = found.samples
    assert [cell.text for cell in sample.lines[0].cells] == ["1", "BTC", "spot", "1.5"]
    assert "never guessed" in sample.lines[1].cells[1].wrong and "full-width" in sample.lines[2].cells[3].wrong
    assert sample.lines[3].wrong and not (tmp_path / "made").exists()
    assert converting.STEP_ROWS > previewing.ROWS


# --- receiving ------------------------------------------------------------------------------------


def test_archives_are_looked_at_before_they_are_unpacked(secured: Case, cast: Cast):
    def archive(**files: bytes) -> bytes:
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return out.getvalue()

    bomb = archive(**{"a.csv": b"0" * 40_000_000})
    outside = archive(**{"../../x.csv": b"a"})
    link = BytesIO()
    with zipfile.ZipFile(link, "w") as packed:
        entry = zipfile.ZipInfo("a.csv")
        entry.external_attr = 0o120777 << 16
        packed.writestr(entry, "/etc/passwd")
    for name, content in (
        ("bomb.zip", bomb), ("bomb.gz", gzip.compress(b"0" * 40_000_000)), ("outside.zip", outside), ("link.zip", link.getvalue()),
        ("cut.gz", gzip.compress(b"abc" * 1000)[:-9]), ("../x.csv", b"a"), ("a\u202excsv", b"a"), ("CON\x00.csv", b"a"),
    ):  # fmt: skip
        delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
        with pytest.raises(deliveries.NotDelivered):
            deliveries.add(delivery, name=name, source=BytesIO(content), by=cast.goto, at=NOON)
        assert not delivery.files.exists(), name
    delivery = deliveries.begin(secured, deliverer="somebody", by=cast.goto, at=NOON)
    deliveries.add(delivery, name="good.zip", source=BytesIO(archive(**{"a/b.csv": b"1\n"})), by=cast.goto, at=NOON)
    deliveries.add(delivery, name="c.csv.gz", source=BytesIO(gzip.compress(b"2\n") + gzip.compress(b"3\n")), by=cast.goto, at=NOON)
    found = deliveries.files_to_convert(delivery)
    assert [(file.name, file.path.read_bytes()) for file in found] == [("a/b.csv", b"1\n"), ("c.csv", b"2\n3\n")]


def test_the_page_about_mappings_names_everything_that_can_be_declared():
    page = (Path(mapping.__file__).parent / "MAPPING.md").read_text()
    words = [*grammars.DAY_GRAMMARS, *grammars.NEGATIVES, *grammars.TEXTS, *encodings.ENCODINGS, *formats.FORMATS, *formats.NEWLINES]
    assert [word for word in words if f"`{word}`" not in page] == []
