"""
The whole way once more, by people at their browsers: nine steps of a second case, pressed on the office's own pages.

Everything runs as `up` starts it: two webs, two workers, the beat, the rehearsal rail. Goto prepares, Aoki and Baba sign;
Doi, a customer of that case, follows on a phone; Chiba pulls the log by the API and verifies it on a machine without us.
In the end every figure that any of them read is the statement's.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from administration import amounts
from administration.distribution import plans
from administration.office import sample as handover
from tests.browser.people import Customer, House, Person

ACCOUNTS = 12
CASE = "SECOND-2"
BASE = f"/admin/case/{CASE}/"
DOI, ASSET = "C00000012", "JPY"  # of the package: speaks English, has yen and coins
TIMES = os.environ.get("WHOLE_WAY_TIMES")  # say where the time goes


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house") / "state", accounts=40, port=8710)
    yield house
    house.stop()


@dataclass
class Clock:
    """How long each part took, for whoever asks."""

    began: float = field(default_factory=time.monotonic)

    def __call__(self, what: str) -> None:
        if TIMES:
            print(f"{time.monotonic() - self.began:6.1f} s  {what}", file=sys.stderr, flush=True)


def test_nine_steps_are_walked_by_people_and_every_figure_agrees(house, browser, tmp_path):
    clock = Clock()
    goto, aoki, baba, chiba = (
        Person(browser, house.office, name, house.password(name), house.code) for name in ("goto", "aoki", "baba", "chiba")
    )
    paper = tmp_path / "paper.txt"
    paper.write_text("A paper of the sample case.")
    clock("four are signed in")

    # 1  Goto opens a second case by its appointing instrument and secures it
    goto.see("/admin/open-case/")
    who = {name: goto.page.locator(f".entry label:has-text('({name})') input").first.get_attribute("value") for name in ("aoki", "baba", "goto", "chiba")}
    goto.page.wait_for_load_state("load")  # from then on the skin's script listens
    goto.fill({"scan": paper})
    assert goto.page.input_value(".entry [name=reference]") == ""  # the file's name goes into no other field
    goto.act(
        "/admin/open-case/", reference=CASE, name="夕凪取引所株式会社", trigger="JP-PSA-2020/INSOLVENCY_PETITION",
        proceeding="civil_rehabilitation", court="東京地方裁判所", court_number="令和8年（再）第2号", cutoff_at="2026-09-30T15:00",
        cooling_off_hours="0", authority="Tokyo District Court", instrument="2026 (sai) 2, appointing order", scan=paper,
        office_holders=[who["aoki"]], case_officers=[who["goto"]], approvers=[who["baba"]], auditors=[who["chiba"]], is_sample=True,
    )  # fmt: skip
    for address in dict.fromkeys(re.findall(r'href="(/admin/case/SECOND-2/securing/[a-z_-]+/)"', goto.page.content())):
        goto.act(address, owner=who["goto"], evidence=paper)
    goto.act(f"{BASE}securing-complete/")
    goto.act(
        f"{BASE}orders/register/", number="R8-2-1", issuer="Tokyo District Court", issued_date="2026-10-02", served_date="2026-10-03",
        permits=["destinations.verify_handover"], scan=paper,
    )  # fmt: skip
    clock("1 secured")

    # 2  the ledger is taken over as the exchange delivers it, and Baba accepts it
    handover.write(tmp_path / "package", accounts=ACCOUNTS, seed=5)
    zipped = shutil.make_archive(str(tmp_path / "package"), "zip", tmp_path, "package")
    goto.act(f"{BASE}takeover/receive/", zipped=zipped, differences="refuse")
    goto.until(f"{BASE}takeover/", "every control total is met")
    goto.act(f"{BASE}takeover/accept/", negative_policy="exclude")
    baba.sign(newest_request(baba))
    clock("2 taken over")

    # 3  what is held, and owed beside held
    goto.act(f"{BASE}holdings/handover/")
    goto.act(f"{BASE}reconciliation/run/")

    # 4  claims are made of it; destinations stand by the court's order. Doi comes in by her letter.
    goto.act(f"{BASE}claims-schedule/")
    printed = house.command("issue_claim_codes", CASE, "--json")
    goto.act(f"{BASE}destinations-by-order/", order={"index": 1})
    goto.act(f"{BASE}destinations-release/")
    clock("4 claims")
    doi = Customer(browser, house)
    identity, letter = letter_to_doi(json.loads(printed())["file"], tmp_path / "package")
    claim = letter["claim"]
    assert doi.sign_in(code=letter["code"], born=identity["birth_or_founding_date"], mail=identity["email"]).endswith(f"/claims/{claim}/")
    seen = [doi.looks(ASSET)]
    clock("Doi is in")

    # 5  a plan, a run, two signatures, declared
    goto.act(f"{BASE}plan/draft/", body=plans.EXAMPLE.read_text())
    goto.act(f"{BASE}plan/1/compute/")
    goto.act(f"{BASE}runs/1/approve/")
    seen.append(doi.looks(ASSET))
    for person in (aoki, baba):
        person.sign(newest_request(person))
    seen.append(doi.looks(ASSET))
    clock("5 declared")

    # 6  a round, a batch, two signatures
    goto.act(f"{BASE}rounds/schedule/")
    goto.act(f"{BASE}draft/", round={"index": 0}, rail="rehearsal")
    batch = re.search(r"/batches/([^/]+)/", goto.page.url)[1]
    goto.act(f"{BASE}batches/{batch}/freeze/")
    for person in (aoki, baba):
        person.sign(newest_request(person))
    seen.append(doi.looks(ASSET))
    clock("6 approved")

    # 7, 8  it goes out, the rail says what became of it, and that is settled
    goto.act(f"{BASE}batches/{batch}/export/")
    seen.append(doi.looks(ASSET))
    clock("7 sent")
    for _again in range(20):
        goto.act(f"{BASE}evidence/observe/", rail="rehearsal")
        goto.act(f"{BASE}evidence/settle/")
        if at_rest(goto):
            break
    tied = house.command("tie_out", CASE, "--json")
    seen.append(doi.looks(ASSET))
    clock("8 settled")

    assert [one["stage"] for one in seen] == ["Recorded balance", "Proposed, not approved", "Approved", "Approved", "Sent", "Sent"]
    for one, sentence in zip(
        seen,
        (
            "Nothing has been distributed on this asset yet.", "waits for the signatures of two people",
            "The round in which it is sent is being prepared.", "Your return is on its way out.", "Your return is on its way out.", "Expected by",
        ), strict=True,
    ):  # fmt: skip
        assert sentence in one["says"]
    assert seen[0]["steps"] == ["Accepted"] and seen[-1]["steps"] == ["Accepted", "In the plan", "Approved", "Sent"]

    # 9  Chiba collects a token that Aoki issued, and from then on a program reads
    log = api(house, token(aoki, chiba))
    events = followed(log, "return-events", limit=40)
    returns = followed(log, "returns", limit=7)
    pull = log("pulls", {"of": "whole", "format": "jsonl"})
    again = log("pulls", {"of": "whole", "format": "jsonl"})
    assert again["sha256"] == pull["sha256"] and again["number"] == pull["number"]
    verified_without_us(log, pull, tmp_path / "chiba", house)
    clock("9 pulled and verified")

    statements = json.loads(tied())
    assert statements["ok"]
    agree(statements, events=events, returns=returns, population=pull["population"], dashboard=goto.see(BASE))
    doi_agrees(doi.data(), seen[-1], returns, claim, office=goto.see(f"{BASE}claims/{claim}/"))
    assert [person.trouble for person in (goto, aoki, baba, chiba, doi)] == [[], [], [], [], []]
    clock("every figure agrees")


# --- signing, and what is on the way ----------------------------------------------------------------


def newest_request(person: Person) -> str:
    """The first request that waits for this person, as their own list of approvals has it."""
    person.see(f"{BASE}approvals/?state=open")
    return person.page.locator(f".office a[href*='{BASE}approvals/']").first.get_attribute("href")


def at_rest(goto: Person) -> bool:
    """Something settled, and nothing is sent or unknown any more, as the board counts."""
    goto.see(f"{BASE}board/")
    settled, sent, _waiting, _held, unknown, _back = (int(text.split()[0].replace(",", "")) for text in goto.page.locator(".stages-now dd").all_inner_texts())
    return bool(settled) and not sent and not unknown


# --- Doi's letter -----------------------------------------------------------------------------------


def letter_to_doi(printed: str, package: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Who Doi is in the exchange's books, and the letter to her among those for the printer."""
    with (package / "customers.csv").open(encoding="utf-8", newline="") as file:
        identity = next(row for row in csv.DictReader(file) if row["customer_id"] == DOI)
    with Path(printed).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["name"], row["address"]) == (identity["name"], identity["address"])]
    assert len(rows) == 1
    return identity, rows[0]


# --- Chiba's program --------------------------------------------------------------------------------


def token(aoki: Person, chiba: Person) -> str:
    """Aoki issues it, Chiba collects it: the secret is on Chiba's page once."""
    until = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    aoki.act(f"{BASE}auditing/tokens/issue/", appointment={"index": 1}, purpose="annual audit", expires=until)
    chiba.see(f"{BASE}auditing/tokens/")
    chiba.see(chiba.page.locator(".office a[href$='/collect/']").first.get_attribute("href"))
    chiba.press("form.entry button[type=submit]")
    return re.search(r"henkan_[\w-]{43}", chiba.page.content())[0]


def api(house: House, secret: str) -> Any:
    """`log("returns?limit=7")`: what the API answers to the bearer; with a body it is posted."""

    def ask(what: str, body: dict[str, Any] | None = None, *, raw: bool = False) -> Any:
        address = what if what.startswith("http") else f"{house.office.rstrip('/')}/api/v1/{what}"
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", "Idempotency-Key": "the audit's first"}
        asked = Request(address, headers=headers, data=json.dumps(body).encode() if body is not None else None)
        with build_opener(ProxyHandler({})).open(asked, timeout=60) as answer:
            content = answer.read()
        return content if raw else json.loads(content)

    return ask


def followed(log: Any, name: str, *, limit: int) -> list[dict[str, Any]]:
    """Every row of a list, page after page by its cursor."""
    rows, following = [], f"{name}?limit={limit}"
    while following:
        found = log(following)
        rows += found["results"]
        following = found["next"]
    return rows


def verified_without_us(log: Any, pull: dict[str, Any], folder: Path, house: House) -> None:
    """The pull's file and the one file of the verifier, with nothing else of ours beside them."""
    folder.mkdir()
    (folder / "pull.jsonl").write_bytes(log(pull["file"], raw=True))
    verifier = Path(__file__).parents[2] / "administration" / "audit" / "henkan_verify.py"
    (folder / "henkan_verify.py").write_bytes(verifier.read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", "henkan_verify.py", "pull.jsonl", "--heads", "heads.jsonl"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("OK: "), done.stdout + done.stderr
    assert pull["population"]["head"]["root"] in (folder / "heads.jsonl").read_text()


# --- every figure -----------------------------------------------------------------------------------


def agree(
    statements: dict[str, Any], *, events: list[dict[str, Any]], returns: list[dict[str, Any]], population: dict[str, Any], dashboard: str
) -> None:
    """Both statements, the dashboard, the returns as read page by page, and what the pull states of its population."""
    assert [row["number"] for row in events] == [str(n) for n in range(1, len(events) + 1)]
    sums: dict[tuple[str, str], int] = {}
    for row in returns:
        key = row["asset"], row["state"]
        sums[key] = sums.get(key, 0) + int(row["amount"])
    assert {(one["asset"], one["state"]): int(one["amount"]) for one in population["returns"]["sums"]} == sums
    assert int(population["returns"]["count"]) == len(returns) and population["returns"]["gaps"] == "none"

    figures = digits(dashboard)
    scales = {row["code"]: row["scale"] for row in statements["assets"]}
    for row in statements["claims"]:
        code = row["code"]
        assert int(row["settled"]) == sums.get((code, "settled"), 0), row
        for name in ("settled", "in_flight", "admitted"):
            assert digits(shown(int(row[name]), scales[code])) in figures, (name, row)
    assert any(int(row["settled"]) for row in statements["claims"])
    for row in statements["assets"]:
        assert row["in_flight"] == "0" and row["difference"] == "0", row


def doi_agrees(data: dict[str, Any], seen: dict[str, Any], returns: list[dict[str, Any]], claim: str, *, office: str) -> None:
    """What Doi reads of each of her lines is what the log has of her returns, and what the office reads of her claim."""
    figures = digits(office)
    assert len(data["lines"]) > 1
    for line in data["lines"]:
        own = [row for row in returns if (row["claim"], row["asset"], row["claim_class"]) == (claim, line["asset"], line["class"])]
        assert sum(int(row["amount"]) for row in own if row["state"] == "settled") == int(line["settled"])
        assert {row["reference"] for row in own} == {row["reference"] for row in line["returns"]}
        for name in ("recorded", "admitted", "given", "settled"):
            assert digits(shown(int(line[name]), line["scale"])) in figures, (name, line["asset"])
    (yen,) = (line for line in data["lines"] if line["asset"] == ASSET)
    read = [amounts.parse(digits(text), yen["scale"]) for text in seen["amounts"]]
    assert read == [int(yen["recorded"]), int(yen["admitted"]), int(yen["given"])]


def shown(units: int, scale: int) -> str:
    from administration.office.readable import parts

    return "".join(parts(units, scale))


def digits(text: str) -> str:
    return re.sub(r"[^0-9.]", "", text)
