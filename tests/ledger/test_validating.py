"""The validator of a living exchange: same findings as a take-over, nothing kept, a page in both languages, one schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from administration.cases.models import Case
from administration.ledger import findings, package, validating
from administration.ledger.package import PackageRefused
from administration.ledger.takeover import HandoverRefused
from tests.cast import Cast
from tests.ledger.helpers import counts, inspected
from tests.ledger.spoiling import CORPUS, every, read, spoil

# What a schema cannot say: what two fields have to do with each other, and which days there are.
BETWEEN_FIELDS = {
    "manifest/cutoff_no_day", "manifest/file_twice", "manifest/total_of_unknown", "assets/listed_twice", "assets/no_yen",
    "assets/scale_lowered", "balances/declared_too_fine", "balances/declared_twice",
    "manifest/nul", "manifest/surrogate",  # which characters a text may have is said in words
}  # fmt: skip
NO_JSON = {"manifest/bom", "manifest/deep", "manifest/empty", "manifest/float", "manifest/huge_number", "manifest/link",
           "manifest/missing", "manifest/name_twice", "manifest/nan", "manifest/not_json", "manifest/utf_16"}  # fmt: skip


def test_the_schema_beside_the_format_is_the_format():
    assert json.loads(validating.SCHEMA.read_text("utf-8")) == validating.schema()


def test_the_schema_says_of_every_manifest_of_the_corpus_what_the_reader_says(tmp_path: Path):
    differ = set()
    for case in every():
        if case.name in NO_JSON or not any(
            "field" in change or change.get("file") == package.MANIFEST for change in case.changes
        ):
            continue
        content = (spoil(case, tmp_path / case.name.replace("/", "-")) / package.MANIFEST).read_bytes()
        try:
            package.parse_manifest(content)
            taken = True
        except PackageRefused:
            taken = False
        if taken != (validating.schema_error(content) is None):
            differ.add(case.name)

    assert differ == BETWEEN_FIELDS


SAME = ("mixed/three_kinds", "files/missing", "manifest/two_faults", "encoding/cp932", "shape/quote_never_closed",
        "balances/off_by_one_wei", "identity/my_number_kana", "dates/no_leap_day")  # fmt: skip


def test_a_validation_finds_what_a_take_over_finds(secured: Case, cast: Cast, tmp_path: Path):
    before = counts()
    for name in SAME:
        folder = spoil(read(CORPUS / f"{name}.toml"), tmp_path / name.replace("/", "-"))
        validated = validating.validate(folder).report
        with pytest.raises(PackageRefused) as refused:
            inspected(secured, cast, folder)

        if isinstance(refused.value, HandoverRefused):
            assert list(refused.value.report["findings"]) == validated.as_json()["findings"], name
        else:
            assert findings.from_faults(refused.value.faults) == validated.findings, name
        assert counts() == before


@pytest.mark.parametrize(
    ("name", "verdict"), [("mixed/good", "short"), ("identity/half_width_kana", "short"), ("numbers/nan", "not_ready")]
)
def test_the_verdict_and_the_figures_of_segregation(db: None, tmp_path: Path, name: str, verdict: str):
    found = validating.validate(spoil(read(CORPUS / f"{name}.toml"), tmp_path / "package"))

    assert found.verdict == verdict
    of = {one["asset"]: one for one in found.as_json()["segregation"]}
    assert of["BTC"]["owed"] == "50424944"
    assert of["BTC"]["difference"] == "-1424944"  # it falls short
    assert of["ETH"] | {"asset": ""} == {
        "asset": "", "owed": "1000000000000000001", "lent": "341268889363677848", "segregated": "1400000000000000000",
        "hot": "1400000000000000000", "guarantee": "0", "guarantee_missing": "1400000000000000000", "own": "0",
        "unproved": "0", "difference": "399999999999999999",
    }  # fmt: skip
    assert of["XRP"]["unproved"] == "29717812"  # only somebody's word: it does not count as held
    assert of["XRP"]["segregated"] == "0"


def test_a_package_with_everything_in_order_is_ready(db: None, tmp_path: Path):
    good = read(CORPUS / "mixed" / "good.toml")
    held = {2: "1349326", 3: "0.60000000", 4: "1.400000000000000000", 5: "29.717812", 6: "15.042517"}
    changes = tuple(
        {"file": "wallets.csv", "row": row, "set": {
            "amount": amount, "access": "proved", "proof": "signed message", "temperature": "" if row == 2 else "cold",
        }}
        for row, amount in held.items()
    )  # fmt: skip
    found = validating.validate(spoil(type(good)(good.name, good.why, changes, ()), tmp_path / "package"))

    assert (found.verdict, found.hot_share, list(found.report.findings)) == ("ready", 0, [])


def test_the_command_writes_a_page_in_both_languages_and_keeps_nothing(
    db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, page = spoil(read(CORPUS / "identity" / "script.toml"), tmp_path / "package"), tmp_path / "report.html"
    before = counts()

    call_command("validate_handover", str(folder), "--html", str(page), "--json")

    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    text = page.read_text("utf-8")
    assert (said["ok"], said["state"], said["verdict"]) == (True, "valid", "short")
    assert {"control_totals", "findings", "segregation", "hot_share", "sentence"} <= said.keys()
    assert 'lang="ja"' in text and 'lang="en"' in text and "あさぎり取引所株式会社" in text and "Asagiri Exchange K.K." in text
    assert "引継ぎ" in text and "Control totals" in text and "1.400000000000000000" in text
    assert "<script" not in text and "http://" not in text and "https://" not in text
    assert counts() == before
