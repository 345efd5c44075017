"""A workbook gives values only, however whoever wrote it spells its elements; a damaged one is refused in a sentence."""

import random
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from administration.ledger import cells, formats, mapping, previewing
from administration.ledger.converting import Conversion, Delivered
from administration.ledger.formats import Layout, NotRead, Place
from tests.ledger import layouts
from tests.ledger.spreadsheets import workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
XLSX = Layout("xlsx")


def respelled(path: Path, sheet: str, *, name: str = "xl/worksheets/sheet1.xml") -> Path:
    """The workbook with the part of its first sheet written so."""
    with zipfile.ZipFile(path) as book:
        parts = {one: book.read(one) for one in book.namelist()}
    parts[name] = sheet.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for one, content in parts.items():
            out.writestr(one, content)
    return path


def sheet(rows: str) -> str:
    return f'<worksheet xmlns="{MAIN}" xmlns:x="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
SPELLINGS = [
    ("formula", '<x:row r="2"><x:c r="B2"><x:f>1+1</x:f><x:v>2</x:v></x:c></x:row>', "B2"),
    ("formula", '<x:row r="2"><x:c r="B2"><x:f>1+1</x:f></x:c></x:row>', "B2"),
    ("formula", '<row r="2"><c s="1" r="B2"><f>1+1</f><v>2</v></c></row>', "B2"),
    ("formula", "<row r='2'><c\n r = 'B2' ><v>2</v><f>1+1</f></c></row>", "B2"),
    ("formula", '<row r="2"><c r="B2"><!-- --><f t="shared" si="0"/><v>2</v></c></row>', "B2"),
    ("formula", "<row><c><v>1</v></c><c><f>1+1</f><v>2</v></c></row>", "B2"),
    ("formula", '<row r="7"><c><v>1</v></c><c><f>1+1</f></c></row>', "B7"),
    ("cell_error", '<x:row r="2"><x:c r="B2" t="e"><x:v>#N/A</x:v></x:c></x:row>', "B2"),
    ("cell_error", '<row r="2"><c t="e" r="B2"><v>#N/A</v></c></row>', "B2"),
    ("cell_error", "<row r='2'><c r='B2' t='&#101;'><v>#N/A</v></c></row>", "B2"),
    ("cell_error", '<row><c><v>1</v></c><c t="e"><v>#DIV/0!</v></c></row>', "B2"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "cell"), SPELLINGS)
def test_a_formula_or_an_error_is_seen_in_every_spelling_of_the_sheet(tmp_path: Path, kind: str, row: str, cell: str):
    path = respelled(workbook(tmp_path / "a.xlsx", {"一": [["a"]]}), sheet(HEAD + row))

    with pytest.raises(NotRead) as refused:
        list(formats.rows(path, XLSX, Place(0, 1)))
    assert (refused.value.kind, refused.value.line) == (kind, int(cell[1:]))
    assert cell in refused.value.reason


def test_the_last_values_of_formulas_are_taken_where_the_mapping_says_so_and_errors_never(tmp_path: Path):
    path = respelled(workbook(tmp_path / "a.xlsx", {"一": [["a"]]}), sheet(HEAD + SPELLINGS[0][1]))
    assert [values for values, *_at in formats.rows(path, Layout("xlsx", formulas=True), Place(0, 1))] == [["a", "b"], ["", "2"]]

    respelled(path, sheet(HEAD + '<x:row r="2"><x:c r="B2" t="e"><x:f>1/0</x:f></x:c></x:row>'))
    with pytest.raises(NotRead) as refused:
        list(formats.rows(path, Layout("xlsx", formulas=True), Place(0, 1)))
    assert refused.value.kind == "cell_error"


def test_a_formula_that_is_no_cells_is_none(tmp_path: Path):
    """Lists to choose from and coloured cells have formulas too; no value is taken from them."""
    plain = sheet(HEAD + '<row r="2"><c r="A2"><v>1</v></c></row>')
    rules = '<extLst><ext><x:dataValidation><x:formula1><x:f>Sheet2!$A$1</x:f></x:formula1></x:dataValidation></ext></extLst>'
    path = respelled(workbook(tmp_path / "a.xlsx", {"一": [["a"]]}), plain.replace("</sheetData>", "</sheetData>" + rules))

    assert len(list(formats.rows(path, XLSX, Place(0, 1)))) == 2


def test_a_sheet_that_declares_a_document_type_is_refused_before_anything_of_it_is_expanded(tmp_path: Path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + sheet('<row r="1"><c r="A1" t="str"><v>&b;</v></c></row>')
    path = respelled(workbook(tmp_path / "a.xlsx", {"一": [["a"]]}), bomb)

    with pytest.raises(NotRead, match="entities"):
        list(formats.rows(path, XLSX, Place(0, 1)))


def test_what_is_looked_at_is_what_is_read(tmp_path: Path):
    """Two parts whose names differ in capitals: one could be looked at, and the other read."""
    path = workbook(tmp_path / "a.xlsx", {"一": [["a"]]})
    respelled(path, sheet(HEAD), name="xl/worksheets/SHEET1.xml")

    with pytest.raises(NotRead, match="twice under one name"):
        list(formats.rows(path, XLSX, Place(0, 1)))


@pytest.mark.parametrize(("kind", "cell"), [("formula", '<x:c r="D999"><x:f>1+1</x:f></x:c>'), ("cell_error", '<x:c r="D999" t="e"><x:v>#N/A</x:v></x:c>')])
def test_no_balance_drops_out_of_a_wide_sheet_as_an_empty_cell(clean_package: Path, tmp_path: Path, kind: str, cell: str):
    """Its mapping leaves empty amounts out: an error that were read as nothing would take a balance along."""
    conversion = minato(clean_package, tmp_path)
    path, name = tmp_path / "files" / "members.xlsx", "xl/worksheets/sheet3.xml"
    with zipfile.ZipFile(path) as book:
        text = book.read(name).decode()
    account = '<x:c r="A999" t="inlineStr"><x:is><x:t>A00000001</x:t></x:is></x:c>'
    text = text.replace("<worksheet ", f'<worksheet xmlns:x="{MAIN}" ').replace("</sheetData>", f'<x:row r="999">{account}{cell}</x:row></sheetData>')
    respelled(path, text, name=name)

    assert [(fault.kind, fault.row) for fault in conversion.check()] == [(kind, 999)]


def minato(source: Path, tmp_path: Path) -> Conversion:
    folder = layouts.write(source, tmp_path / "files", "minato")
    files = [Delivered(path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file()]
    return Conversion(mapping.read(layouts.mapping_text("minato", source)), files, tmp_path / "made")


# --- damage ---------------------------------------------------------------------------------------


def test_a_flipped_byte_anywhere_in_a_workbook_is_a_sentence(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {"一": [["a", "b"], *[[n, f"text {n}"] for n in range(200)]]})
    good, random_ = path.read_bytes(), random.Random(1)
    refused = 0
    for _n in range(300):
        spoilt = bytearray(good)
        for _flip in range(random_.choice((1, 3))):
            spoilt[random_.randrange(len(spoilt))] ^= 1 << random_.randrange(8)
        path.write_bytes(spoilt)
        try:
            formats.sheets(path)
            list(formats.rows(path, XLSX, Place(0, 1)))
        except NotRead:
            refused += 1
    assert refused > 100


def test_a_workbook_without_the_part_of_its_sheet_is_refused(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", {"一": [["a"]]})
    with zipfile.ZipFile(path) as book:
        parts = {one: book.read(one) for one in book.namelist() if "sheet1" not in one}
    with zipfile.ZipFile(path, "w") as out:
        for one, content in parts.items():
            out.writestr(one, content)

    with pytest.raises(NotRead, match="not a workbook"):
        list(formats.rows(path, XLSX, Place(0, 1)))


def test_the_look_at_a_mapping_says_that_a_workbook_is_damaged(clean_package: Path, tmp_path: Path):
    conversion = minato(clean_package, tmp_path)
    book = tmp_path / "files" / "members.xlsx"
    content = bytearray(book.read_bytes())
    with zipfile.ZipFile(book) as packed:
        begins = packed.getinfo("xl/worksheets/sheet3.xml").header_offset
    content[begins + 200 : begins + 220] = b"\xff" * 20
    book.write_bytes(content)

    shown = previewing.look(layouts.mapping_text("minato", clean_package), conversion.files)
    assert {fault.kind for fault in shown.obstacles} == {"unreadable_file"}


def test_letters_count_on_from_z():
    assert [cells._letters(n) for n in (1, 26, 27, 702, 703)] == ["A", "Z", "AA", "ZZ", "AAA"]


@pytest.mark.parametrize("row", [row for _kind, row, _cell in SPELLINGS])
def test_no_spelling_escapes_the_quick_look_wherever_a_piece_ends(monkeypatch, row: str):
    monkeypatch.setattr(cells, "PIECE", 1)
    assert cells.first_wrong(BytesIO(sheet(HEAD + row).encode()), formulas=False)
    assert cells.first_wrong(BytesIO(sheet(HEAD + row).encode("utf-16")), formulas=False)
    assert cells.first_wrong(BytesIO(sheet(HEAD).encode()), formulas=False) is None
