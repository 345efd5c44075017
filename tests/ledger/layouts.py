"""
The three foreign layouts whose mappings are shipped, written from a handover package: what is converted must equal it again.

    write(package, folder, "kumo")    → the files as that exchange would deliver them
"""

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jaconv
import pyarrow
from pyarrow import parquet

from administration.ledger import package
from tests.ledger.spreadsheets import workbook

Row = dict[str, str]
MAPPINGS = Path(package.__file__).parent / "mappings"
ERAS = [("令和", date(2019, 5, 1)), ("平成", date(1989, 1, 8)), ("昭和", date(1926, 12, 25)), ("大正", date(1912, 7, 30))]


def table(folder: Path, name: str) -> list[Row]:
    with open(folder / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def wareki(text: str) -> str:
    on = date.fromisoformat(text)
    era, first = next((era, first) for era, first in ERAS if on >= first)
    year = on.year - first.year + 1
    return f"{era}{'元' if year == 1 else year}年{on.month}月{on.day}日"


def words(given: dict[str, str], column: str) -> Callable[[Row], str]:
    back = {meaning: word for word, meaning in given.items()}
    return lambda row: back.get(row[column], row[column])


def grouped(text: str) -> str:
    sign, digits = ("△", text[1:]) if text.startswith("-") else ("", text)
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def lines(rows: list[Row], columns: dict[str, Any], *, delimiter: str, end: str = "\r\n", after: str = "") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([value(row) if callable(value) else row[value] for value in columns.values()])
    return out.getvalue() + after


def mapping_text(name: str, source: Path) -> str:
    """The shipped mapping, with the control totals of the package."""
    text = (MAPPINGS / f"{name}.toml").read_text()
    for total in json.loads((source / package.MANIFEST).read_text())["control_totals"]:
        text += "\n[[control_totals]]\n" + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in total.items())
    return text


def for_cp932(source: Path, folder: Path) -> Path:
    """The package with names that CP932 can hold, 髙﨑①㈱ among them."""
    from tests.ledger.helpers import rewrite

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("dirty.json"))
    text = (folder / "customers.csv").read_text()
    text = "".join(sign if _in_cp932(sign) else "髙" for sign in text)
    rewrite(folder, "customers.csv", text.replace("今井　蓮", "髙﨑①㈱　蓮"))
    return folder


def _in_cp932(sign: str) -> bool:
    try:
        return bool(sign.encode("cp932"))
    except UnicodeEncodeError:
        return False


def write(source: Path, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    {"kumo": kumo, "minato": minato, "hoshi": hoshi}[name](source, folder)
    shutil.copytree(source / "evidence", folder / "evidence", dirs_exist_ok=True)
    return folder


# --- CP932, semicolons, wareki ------------------------------------------------------------------


def kumo(source: Path, folder: Path) -> None:
    coins = {"JPY": "円", "BTC": "ビットコイン", "ETH": "イーサリアム", "XRP": "エックスアールピー", "LTC": "ライトコイン",
             "DOGE": "ドージコイン", "DOT": "ポルカドット"}  # fmt: skip
    coin = lambda row: coins.get(row["asset"], row["asset"])  # noqa: E731
    customers = table(source, "customers")
    files = {
        "kokyaku.csv": lines(customers, {
            "会員番号": "customer_id", "個人法人区分": words({"個人": "individual", "法人": "corporate"}, "entity_type"), "氏名": "name",
            "ﾌﾘｶﾞﾅ": lambda row: jaconv.z2h(row["kana"], kana=True, ascii=False, digit=False), "ローマ字": "romaji",
            "生年月日・設立日": lambda row: wareki(row["birth_or_founding_date"]), "国籍": "nationality", "居住国": "residence_country",
            "郵便番号": "postcode", "住所１": lambda row: row["address"][:6], "住所２": lambda row: row["address"][6:],
            "住所カナ": "address_kana", "電話番号": "phone", "メール": "email", "法人番号": "corporate_number",
            "本人確認": words({"済": "verified", "期限切れ": "expired", "確認中": "pending", "未": "unverified"}, "kyc_status"),
            "言語": words({"日": "ja", "英": "en"}, "language"), "備考": lambda row: "※",
        }, delimiter=";", after=f"合計;{len(customers)}" + ";" * 16 + "\r\n"),
        "kouza.csv": lines(table(source, "accounts"), {
            "口座番号": "account_id", "会員番号": "customer_id",
            "名義": words({"本人": "own", "個人事業": "sole_trader", "共同": "joint", "受託": "trustee", "後見": "guardian"}, "capacity"),
            "状態": words({"通常": "active", "休眠": "dormant", "制限": "restricted", "解約": "closed"}, "status"),
            "開設日": lambda row: wareki(row["opened_on"]),
        }, delimiter=";"),
        "zandaka_1.csv": "", "zandaka_2.csv": "",
        "furikomi.csv": lines(table(source, "bank_accounts"), {
            "口座番号": "account_id", "金融機関コード": lambda row: row["bank_code"].lstrip("0"), "支店コード": lambda row: row["branch_code"].lstrip("0") or "0",
            "種目": words({"普通": "1", "当座": "2", "貯蓄": "4", "その他": "9"}, "kind"), "番号": lambda row: row["number"].lstrip("0"),
            "名義カナ": "holder_kana",
        }, delimiter=";"),
        "soukinsaki.csv": lines(table(source, "withdrawal_addresses"), {
            "口座番号": "account_id", "銘柄": coin, "ネットワーク": "network", "アドレス": "address", "タグ": "memo",
            "登録日": lambda row: "{}年{}月{}日".format(*map(int, row["whitelisted_on"].split("-"))),
        }, delimiter=";"),
        "hokan.csv": lines(table(source, "wallets"), {
            "保管番号": "place_id", "銘柄": coin, "種類": words({"ウォレット": "wallet", "預金": "bank", "信託": "trust"}, "place_kind"),
            "ネットワーク": "network", "アドレス・口座": "address", "温度": words({"ホット": "hot", "コールド": "cold"}, "temperature"),
            "区分": words({"分別": "segregated", "履行保証": "guarantee", "自己": "own"}, "tag"), "管理者": "controller", "保管先": "custodian",
            "数量": lambda row: grouped(row["amount"]), "時点": lambda row: row["as_of"][:16].replace("-", "/").replace("T", " "),
            "証憑": "evidence_file", "支配確認": words({"確認済": "proved", "一部": "partial", "未確認": "unproved"}, "access"), "確認方法": "proof",
        }, delimiter=";"),
        "hosho.csv": lines(table(source, "holds"), {
            "口座番号": "account_id", "開始日": lambda row: wareki(row["since"]), "事件番号等": "reference",
            "理由": words({"差押": "attachment", "係争": "dispute", "制裁": "sanctions", "相続": "deceased", "届出": "str"}, "kind"),
        }, delimiter=";"),
        "kakaku.csv": lines(table(source, "prices"), {
            "銘柄": coin, "価格（千分の一円）": lambda row: grouped(row["jpy_num"]), "出所": "source",
            "時点": lambda row: row["at"][:19].replace("-", "/").replace("T", " "),
        }, delimiter=";"),
    }  # fmt: skip
    balances = table(source, "balances")
    half = len(balances) // 2
    for name, some in (("zandaka_1.csv", balances[:half]), ("zandaka_2.csv", balances[half:])):
        files[name] = lines(some, {
            "口座番号": "account_id", "銘柄": coin, "残高": lambda row: grouped(row["amount"]),
            "区分": words({"現物": "spot", "出金中": "pending_withdrawal", "貸暗号資産": "lending"}, "product"),
        }, delimiter=";", after="A00000001;ビットコイン;0;貸暗号資産\r\n")  # fmt: skip
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("cp932"))
    (folder / "readme.txt").write_bytes("夜間バッチ出力".encode("cp932"))


# --- a workbook, EUC-JP, UTF-16 -----------------------------------------------------------------


def minato(source: Path, folder: Path) -> None:
    kyc = {"verified": True, "unverified": False, "expired": "E", "pending": "P"}
    people: list[list[Any]] = [["会員一覧"], [None], [
        "会員No", "種別", "会員名", "カナ", "Name", "生年月日", "国籍", "居住国", "〒", "住所", "住所カナ", "TEL", "e-mail", "法人番号", "eKYC",
        "Lang", "最終ログイン",
    ]]  # fmt: skip
    people += [
        [row["customer_id"], 1 if row["entity_type"] == "individual" else 2, row["name"], row["kana"], row["romaji"],
         date.fromisoformat(row["birth_or_founding_date"]), *(row[name] for name in (
             "nationality", "residence_country", "postcode", "address", "address_kana", "phone", "email", "corporate_number")),
         kyc[row["kyc_status"]], row["language"].upper(), datetime(2026, 9, 1, 12, 30)]  # noqa: DTZ001
        for row in table(source, "customers")
    ]  # fmt: skip
    accounts: list[list[Any]] = [["口座", "会員No", "名義", "状態", "開設"]]
    accounts += [
        [row["account_id"], row["customer_id"], row["capacity"], row["status"], datetime.fromisoformat(row["opened_on"] + "T09:15:00")]
        for row in table(source, "accounts")
    ]
    codes = [asset["code"] for asset in json.loads((source / package.MANIFEST).read_text())["assets"]]
    wide: dict[tuple[str, str], Row] = {}
    for row in table(source, "balances"):
        wide.setdefault((row["account_id"], row["product"]), {})[row["asset"]] = row["amount"]
    balances: list[list[Any]] = [["口座", "商品", *codes]]
    balances += [
        [account, product, *(int(held[code]) if code == "JPY" and code in held else _bracketed(held.get(code)) for code in codes)]
        for (account, product), held in wide.items()
    ]
    workbook(folder / "members.xlsx", {"会員": people, "口座": accounts, "残高": balances})
    full = lambda text: jaconv.h2z(text, kana=False, digit=True, ascii=False)  # noqa: E731
    utf16 = {
        "banks.txt": lines(table(source, "bank_accounts"), {
            "口座": "account_id", "銀行": lambda row: full(row["bank_code"]), "店": lambda row: full(row["branch_code"]),
            "科目": lambda row: full(row["kind"]), "番号": lambda row: full(row["number"]),
            "名義": lambda row: jaconv.h2z(row["holder_kana"], kana=True, digit=True, ascii=True).replace(" ", "　"),
        }, delimiter="\t"),
        "addresses.txt": lines(table(source, "withdrawal_addresses"), {
            "口座": "account_id", "資産": "asset", "NW": "network", "アドレス": "address", "メモ": "memo",
            "登録日": lambda row: "{1}/{2}/{0}".format(*row["whitelisted_on"].split("-")),
        }, delimiter="\t"),
    }  # fmt: skip
    euc = {
        "vault.csv": lines(table(source, "wallets"), {
            "ID": "place_id", "資産": "asset", "種類": "place_kind", "NW": "network", "所在": "address", "温度": "temperature", "区分": "tag",
            "管理": "controller", "預け先": "custodian", "数量": lambda row: grouped(row["amount"]).translate({44: ".", 46: ","}),
            "時点": lambda row: row["as_of"][:10].replace("-", "") + " " + row["as_of"][11:19], "証憑": "evidence_file", "支配": "access", "方法": "proof",
        }, delimiter=",", end="\n"),
        "holds.csv": lines(table(source, "holds"), {"口座": "account_id", "理由": "kind", "いつから": "since", "番号": "reference"}, delimiter=","),
        "prices.csv": lines(table(source, "prices"), {"資産": "asset", "num": "jpy_num", "den": "jpy_den", "at": "at", "出所": "source"}, delimiter=","),
    }  # fmt: skip
    for name, text in utf16.items():
        (folder / name).write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    for name, text in euc.items():
        (folder / name).write_bytes(text.encode("euc_jp"))


def _bracketed(amount: str | None) -> str | None:
    if amount is None:
        return None
    return f"({amount[1:]})" if amount.startswith("-") else amount


# --- Parquet and gzip ---------------------------------------------------------------------------


def hoshi(source: Path, folder: Path) -> None:
    assets = {asset["code"]: asset for asset in json.loads((source / package.MANIFEST).read_text())["assets"]}
    symbol = lambda row: "XBT" if row["asset"] == "BTC" else row["asset"]  # noqa: E731
    people, accounts, balances = table(source, "customers"), table(source, "accounts"), table(source, "balances")
    parquet.write_table(pyarrow.table({
        "user_id": [row["customer_id"] for row in people], "is_company": [row["entity_type"] == "corporate" for row in people],
        "legal_name": [row["name"] for row in people], "legal_name_kana": [row["kana"] or None for row in people],
        "legal_name_latin": [row["romaji"] or None for row in people],
        "birth_date": [date.fromisoformat(row["birth_or_founding_date"]) for row in people],
        "nationality": [row["nationality"].lower() for row in people], "country": [row["residence_country"].lower() for row in people],
        "zip": [row["postcode"] or None for row in people], "address": [row["address"] for row in people],
        "address_kana": [row["address_kana"] or None for row in people], "phone": [row["phone"] or None for row in people],
        "email": [row["email"] or None for row in people], "corporate_number": [row["corporate_number"] or None for row in people],
        "kyc": pyarrow.array([row["kyc_status"] for row in people]).dictionary_encode(), "locale": [row["language"] for row in people],
        "risk_score": [0.1 for _ in people], "last_ip": ["192.0.2.1" for _ in people],
    }), folder / "users.parquet")  # fmt: skip
    parquet.write_table(pyarrow.table({
        "account_id": [row["account_id"] for row in accounts], "user_id": [row["customer_id"] for row in accounts],
        "capacity": [row["capacity"] for row in accounts], "status": [row["status"].upper() for row in accounts],
        "created_at": pyarrow.array([datetime.fromisoformat(row["opened_on"] + "T00:00:00") for row in accounts], pyarrow.timestamp("ns")),
    }), folder / "accounts.parquet")  # fmt: skip
    (folder / "balances").mkdir(exist_ok=True)
    third = len(balances) // 3 + 1
    bucket = {"spot": "available", "pending_withdrawal": "withdrawing", "lending": "lent"}
    for part in range(3):
        some = balances[part * third : (part + 1) * third]
        units = [Decimal(row["amount"]).scaleb(assets[row["asset"]]["scale"]) for row in some]
        parquet.write_table(pyarrow.table({
            "account_id": [row["account_id"] for row in some], "symbol": [symbol(row) for row in some],
            "bucket": [bucket[row["product"]] for row in some],
            "units": pyarrow.array(units, pyarrow.decimal128(38, 0)),
        }), folder / "balances" / f"part-{part}.parquet", row_group_size=40)  # fmt: skip
    wallets = table(source, "wallets")
    parquet.write_table(pyarrow.table({
        "vault": [row["place_id"] for row in wallets], "symbol": [symbol(row) for row in wallets], "kind": [row["place_kind"] for row in wallets],
        "chain": [row["network"] for row in wallets], "address": [row["address"] for row in wallets],
        "temperature": [row["temperature"] or None for row in wallets], "purpose": [row["tag"] for row in wallets],
        "controller": [row["controller"] for row in wallets], "custodian": [row["custodian"] or None for row in wallets],
        "quantity": pyarrow.array([Decimal(row["amount"]) for row in wallets], pyarrow.decimal128(38, 18)),
        "as_of": pyarrow.array([datetime.fromisoformat(row["as_of"]) for row in wallets], pyarrow.timestamp("ms", "Asia/Tokyo")),
        "paper": [row["evidence_file"] for row in wallets], "access": [row["access"] for row in wallets],
        "proof": [row["proof"] or None for row in wallets],
    }), folder / "vaults.parquet")  # fmt: skip
    texts = {
        "banks.tsv": lines(table(source, "bank_accounts"), {
            "account_id": "account_id", "bank": "bank_code", "branch": "branch_code", "type": "kind", "number": "number", "holder": "holder_kana",
        }, delimiter="\t"),
        "allowlist.tsv": lines(table(source, "withdrawal_addresses"), {
            "account_id": "account_id", "symbol": symbol, "chain": "network", "address": "address", "tag": "memo",
            "added": lambda row: row["whitelisted_on"] + "T12:00:00Z",
        }, delimiter="\t"),
        "blocks.tsv": lines(table(source, "holds"), {"account_id": "account_id", "reason": "kind", "since": "since", "case": "reference"}, delimiter="\t"),
        "marks.tsv": lines(table(source, "prices"), {"symbol": symbol, "num": "jpy_num", "den": "jpy_den", "at": "at", "source": "source"}, delimiter="\t"),
    }  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode(), mtime=0))
    (folder / "_SUCCESS").touch()
