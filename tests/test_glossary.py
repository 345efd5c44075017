"""
The Japanese says what the English says, in the words of the courts: one term, one word, on every page and paper.

The pairs are those of the project's glossary; the Japanese legal term is authoritative. Where a sentence rightly has no
such word, it stands among the exceptions with its reason.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

PROJECT = Path(__file__).parent.parent
CATALOGUE = PROJECT / "locale" / "ja" / "LC_MESSAGES" / "django.po"
PROFILES = PROJECT / "administration" / "cases" / "profiles"

# English (a whole word or its beginning) -> one of these stands in the Japanese.
TERMS: dict[str, tuple[str, ...]] = {
    r"crypto-assets?": ("暗号資産",),
    r"office-holders?": ("管理人",),
    r"administrators?": ("管理人",),
    r"beneficiary agents?": ("受益者代理人",),
    r"case officers?": ("事件担当者",),
    r"approvers?": ("承認者",),
    r"auditors?": ("監査人",),
    r"(?:preparer|prepared by)": ("起案",),
    r"predecessors?": ("前任者",),
    r"successors?": ("後任者",),
    r"successions?": ("承継",),
    r"bankruptcy estate": ("破産財団",),
    r"segregat\w+": ("分別管理",),
    r"performance-guarantee": ("履行保証",),
    r"commencement": ("開始決定",),
    r"cut-off": ("基準時",),
    r"received after the cut-off": ("受入れ",),
    r"courts?": ("裁判所",),
    r"stayed": ("執行停止",),
    r"final and binding": ("確定",),
    r"petitions?": ("申立て",),
    r"(?:filing|filed)": ("届出", "申立て"),  # of a claim; of a petition
    r"late filing": ("追完",),
    r"claims investigation": ("債権調査",),
    r"claim assessment": ("査定",),
    r"(?:object|objection)s? to": ("異議",),
    r"disput\w+": ("異議", "争い"),  # what a customer files; what is contested
    r"admit\w*": ("認め",),  # 認否; never 認容, a judgment's word
    r"reject\w*": ("認め", "却下"),  # a claim; a request. Never 否認: that is the avoidance of an act
    r"dividends?": ("配当",),
    r"exclusion period": ("除斥期間",),
    r"gazette": ("官報",),
    r"Legal Affairs Bureau": ("法務局",),
    r"deposited(?! as margin)": ("供託",),
    r"returns?": ("返還", "資金返却"),  # of customers' assets; of funds that came back
    r"entitle\w*": ("返還予定額",),
    r"in kind": ("現物",),
    r"reconcil\w+": ("照合",),
    r"destinations?(?! tags?)": ("返還先",),
    r"customer ledger": ("顧客勘定元帳",),
    r"ledger": ("元帳",),
    r"customers?": ("利用者", "お客様", "顧客勘定元帳"),  # to the office and the court; on the customers' own pages
    r"exchange": (
        "交換業者",
        "取引所",
        "移管先",
    ),  # to the office and the court; on the customers' own pages; the one that takes the accounts over
    r"(?<!nobody )[Cc]laims?(?! it\b)": ("債権",),
    r"claim codes?": ("債権コード",),
    r"batch(?:es)?": ("バッチ", "一括"),
    r"rails?": ("送付経路",),
    r"pools?": ("原資",),
    r"(?:handover )?packages?": ("引継ぎ資料",),
    r"(?:take|taken|taking)[ -]over": ("引継", "引き継"),
    r"evidence": ("証憑", "裏付け"),  # of what a rail did; of anything else
    r"suspense": ("仮勘定",),
    r"attachments?": ("差押",),
    r"(?:waiting time|cools? off|cooled off)": ("待機",),
    r"identity": ("本人確認",),
    r"wallets?": ("ウォレット",),
    r"bank transfers?": ("振込",),
    r"travel rule": ("通知義務",),
    r"approv(?:al|e|ed|es|ing)s?": ("承認",),
    r"receipts? and payments?": ("収支",),
    r"inventory": ("財産目録",),
    r"balance sheet": ("貸借対照表",),
    r"name aggregation": ("名寄せ",),
    r"over-pa(?:id|yments?)": ("過払い",),
    r"recall\w*": ("組戻し",),
    r"self-custody": ("アンホステッド",),
    r"liability reserve": ("責任準備金",),
    r"unauthorised outflow": ("不正流出",),
}
# Sentences in which the English word is not the glossary's, or Japanese says the same without it.
EXCEPTIONS: dict[str, str] = {
    "After a failure like this one, criminals write to customers in the administrator's name. They promise a faster or a larger return.": "speaks to the customer; the criminals' 'return' is 返る",
    "Choose the exchange of which you were a customer.": "speaks to the customer",
    "Henkan: return of customer assets": "the portal's name",
    "This portal tells each customer what comes back to them, why, and whose move it is.": "speaks to the customer",
    "Return to site": "to go back",
    "What you claim above it": "the customer's own figure, not the claim",
    "Number of the case at the court": "事件番号",
    "refuses the package": "one word of a column",
    "the XRP Ledger": "a name",
    "Take a pull of everything and this one file to your own machine. It needs Python and the package cryptography, and nothing of ours.": "a package of Python",
    "For events: batch. or evidence.": "codes",
    "As in the addresses of the lists: asset, state, batch …": "codes",
    "linking what nobody would dispute": "of what is plain, not of a claim",
    "%(return)s cannot travel as a customer code: R and ten digits can.": "顧客コード, a field of a bank's file",
    "EDI words and customer codes share one place; a transfer has either.": "顧客コード, a field of a bank's file",
    "Last day for a late filing": "the day for 届出の追完",
    "Last day to ask the court to assess a claim": "債権査定申立期間",
}
# Never, whatever the English: the word, and what it would say.
NEVER = {
    "プール": "原資", "引渡しパッケージ": "引継ぎ資料", "否認": "認めない (否認 is the avoidance of an act)", "認容": "認める (認容 is a judgment's)",
    "支払不能": "失効 (支払不能 is a ground of bankruptcy)", "取戻": "取戻権 is the right to reclaim", "持分": "残高 (持分 is a share in a company)",
    "送付先": "返還先", "マイナス残高": "負の残高", "分配": "返還 or 割当て", "顧客元帳": "顧客勘定元帳",
}  # fmt: skip
NEVER_EXCEPT = {"取戻": r"reclaim", "支払不能": r"insolven", "否認": r"avoidance"}

# Words in Latin letters that Japanese papers write so too. Codes stand in 「」 or have a sign or a figure in them.
LATIN = frozenset(
    """
    API CSV DNS EDI GB MB ID IP JIS JSON JSONL JST PDF PEM POST Python RFC TLS TOML URL X XRP Ledger XLSX Excel Parquet ZIP QR
    BTC ETH JPY CR LF BOM ASCII ISO EUC-JP HTML JavaScript NFKC Henkan CREATEDB Idempotency-Key X-address R bitcoin ethereum bank zengin storm gzip
    cryptography
    """.split()  # noqa: SIM905 - a list to read
)
QUOTED = re.compile(r"「[^」]*」|`[^`]*`|\[+\w+\]+|（openssl [^）]*）| = \"[^\"]*\"")
WORD = re.compile(r"[A-Za-z0-9_./=-]*[A-Za-z][A-Za-z0-9_./=-]*")


def english_in(japanese: str, allowed: frozenset[str] = LATIN) -> list[str]:
    words = [word.strip(".") for word in WORD.findall(QUOTED.sub("", without_places(japanese)))]
    return [word for word in words if word not in allowed and not re.search(r"[\d_./=]|^--", word)]


def messages() -> Iterator[tuple[str, str, str]]:
    """(context, English, Japanese) of every translated sentence, without its places."""
    with CATALOGUE.open("rb") as file:
        for message in read_po(file):
            forms = (message.string,) if isinstance(message.string, str) else tuple(message.string)
            english = message.id if isinstance(message.id, str) else message.id[0]
            if english and any(forms):
                yield message.context or "", english, " ".join(forms)


@pytest.fixture(scope="module")
def catalogue() -> list[tuple[str, str, str]]:
    return list(messages())


def without_places(text: str) -> str:
    return re.sub(r"%\(\w+\)[sd]", "", text)


def test_every_term_of_the_glossary_has_its_japanese_word(catalogue):
    plain = [
        (without_places(english), english, japanese)
        for _context, english, japanese in catalogue
        if english not in EXCEPTIONS
    ]
    wrong = []
    for term, words in TERMS.items():
        form = re.compile(rf"\b{term}(?!\.\w|[\w/-])")
        wrong += [
            f"{term} is {' or '.join(words)}: {english} -> {japanese}"
            for bare, english, japanese in plain
            if not any(word in japanese for word in words) and form.search(bare)
        ]

    assert wrong == [], "\n".join(wrong)


def test_no_exception_outlives_its_sentence(catalogue):
    known = {english for _context, english, _japanese in catalogue}

    assert set(EXCEPTIONS) - known == set()


def test_no_word_that_means_something_else_to_a_court(catalogue):
    wrong = [
        f"not {word} but {instead}: {english} -> {japanese}"
        for word, instead in NEVER.items()
        for _context, english, japanese in catalogue
        if word in japanese and not re.search(NEVER_EXCEPT.get(word, r"(?!)"), english)
    ]

    assert wrong == [], "\n".join(wrong)


def test_no_english_is_left_in_the_japanese(catalogue):
    wrong = [(stray, english) for _context, english, japanese in catalogue if (stray := english_in(japanese))]

    assert wrong == [], "\n".join(map(str, wrong))


def test_profiles_name_things_in_both_languages_and_their_articles_as_japanese_papers_cite_them():
    known = {
        "bankruptcy trustee": "破産管財人", "trustee (civil rehabilitation)": "管財人(民事再生法64条)",
        "trustee (corporate reorganisation)": "管財人(会社更生法)", "special liquidator": "特別清算人",
        "bankruptcy": "破産", "civil rehabilitation": "民事再生", "corporate reorganisation": "会社更生", "special liquidation": "特別清算",
    }  # fmt: skip

    def named(found: object) -> Iterator[dict[str, object]]:
        if isinstance(found, dict):
            yield found
            for value in found.values():
                yield from named(value)
        elif isinstance(found, list):
            for value in found:
                yield from named(value)

    for path in PROFILES.rglob("*.toml"):
        for row in named(tomllib.loads(path.read_text())):
            if "en" in row:
                assert known.get(str(row["en"]), row["ja"]) == row["ja"], path
                assert re.search("[぀-ヿ一-鿿]", str(row["ja"])), (path, row)
            for name in ("law_ja", "means_ja", "to_do_ja"):
                assert re.search("[぀-ヿ一-鿿]", str(row.get(name, "条"))), (path, row)


def test_templates_say_nothing_outside_the_catalogue():
    """Brands, codes and commands stand as they are; every other word of a page goes through gettext."""
    wrong = []
    for top in ("administration", "claims"):
        for path in (PROJECT / top).rglob("*.html"):
            text = re.sub(r"\{%\s*blocktranslate.*?endblocktranslate\s*%\}", "", path.read_text(), flags=re.DOTALL)
            text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", text, flags=re.DOTALL)
            shown = re.findall(r'(?:alt|title|aria-label|placeholder)="([^"]+)"', text)
            text = re.sub(
                r"<(code|pre|kbd|script|style)\b.*?</\1>|<span class=\"material-symbols-outlined\".*?</span>",
                "",
                text,
                flags=re.DOTALL,
            )
            shown += [re.sub(r"<[^>]*>", " ", text)]
            stray = [word for one in shown for word in english_in(one, LATIN | {"English", "B", "v"})]
            if stray:
                wrong.append((str(path.relative_to(PROJECT)), stray))

    assert wrong == [], "\n".join(wrong)


def test_no_sentence_hides_inside_another_where_it_is_not_gathered():
    """What is marked inside the braces of an f-string is never found by the gatherer, and so never translated."""
    hidden = re.compile(r"""\bf(["'])(?:(?!\1).)*\{(?:_|n?p?gettext(?:_lazy)?|lazy)\(""")
    wrong = [
        f"{path.relative_to(PROJECT)}: {line.strip()}"
        for top in ("administration", "claims", "config")
        for path in (PROJECT / top).rglob("*.py")
        for line in path.read_text().splitlines()
        if hidden.search(line)
    ]

    assert wrong == [], "\n".join(wrong)
