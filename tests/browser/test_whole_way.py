"""
The whole way once more, by people at their browsers: nine steps of a second case, pressed on the office's own pages.

Everything runs as `up` starts it: two webs, two workers, the beat, the rehearsal rail.
"""

import json
import re
import shutil

import pytest

from administration.distribution import plans
from administration.office import sample as handover
from tests.browser.people import House, Person

ACCOUNTS = 12
BASE = "/admin/case/SECOND-2/"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house") / "state", accounts=40, port=8710)
    yield house
    house.stop()


def test_nine_steps_are_walked_by_people_and_every_figure_agrees(house, browser, tmp_path):
    goto, aoki, baba, chiba = (
        Person(browser, house.office, name, house.password(name), house.code) for name in ("goto", "aoki", "baba", "chiba")
    )
    paper = tmp_path / "paper.txt"
    paper.write_text("A paper of the sample case.")

    # 1  Goto opens a second case by its appointing instrument and secures it
    goto.see("/admin/open-case/")
    who = {name: goto.page.locator(f".entry label:has-text('({name})') input").first.get_attribute("value") for name in ("aoki", "baba", "goto", "chiba")}
    goto.act(
        "/admin/open-case/", reference="SECOND-2", name="夕凪取引所株式会社", trigger="JP-PSA-2020/INSOLVENCY_PETITION",
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

    # 2  the ledger is taken over as the exchange delivers it, and Baba accepts it
    handover.write(tmp_path / "package", accounts=ACCOUNTS, seed=5)
    zipped = shutil.make_archive(str(tmp_path / "package"), "zip", tmp_path, "package")
    goto.act(f"{BASE}takeover/receive/", zipped=zipped, differences="refuse")
    goto.until(f"{BASE}takeover/", "every control total is met")
    goto.act(f"{BASE}takeover/accept/", negative_policy="exclude")
    baba.sign(newest_request(baba))

    # 3  what is held, and owed beside held
    goto.act(f"{BASE}holdings/handover/")
    goto.act(f"{BASE}reconciliation/run/")

    # 4  claims are made of it; destinations stand by the court's order
    goto.act(f"{BASE}claims-schedule/")
    goto.act(f"{BASE}destinations-by-order/", order={"index": 1})
    goto.act(f"{BASE}destinations-release/")

    # 5  a plan, a run, two signatures, declared
    goto.act(f"{BASE}plan/draft/", body=plans.EXAMPLE.read_text())
    goto.act(f"{BASE}plan/1/compute/")
    goto.act(f"{BASE}runs/1/approve/")
    for person in (aoki, baba):
        person.sign(newest_request(person))

    # 6  a round, a batch, two signatures
    goto.act(f"{BASE}rounds/schedule/")
    goto.act(f"{BASE}draft/", round={"index": 0}, rail="rehearsal")
    batch = re.search(r"/batches/([^/]+)/", goto.page.url)[1]
    goto.act(f"{BASE}batches/{batch}/freeze/")
    for person in (aoki, baba):
        person.sign(newest_request(person))

    # 7, 8  it goes out, the rail says what became of it, and that is settled
    goto.act(f"{BASE}batches/{batch}/export/")
    statements = None
    for _again in range(20):
        goto.act(f"{BASE}evidence/observe/", rail="rehearsal")
        goto.act(f"{BASE}evidence/settle/")
        statements = json.loads(house.command("tie_out", "SECOND-2", "--json"))
        assert statements["ok"]
        if all(row["in_flight"] == "0" for row in statements["assets"]):
            break
    assert any(int(row["settled"]) for row in statements["assets"])
    board = goto.see(f"{BASE}board/")
    assert goto.page.locator(".office").count() and "0" in board

    # every figure of the dashboard is the statement's
    figures = digits(goto.see(BASE))
    scales = {row["code"]: row["scale"] for row in statements["assets"]}
    for row in statements["claims"]:
        assert digits(shown(row["settled"], scales[row["code"]])) in figures, row

    assert goto.trouble == [] and aoki.trouble == [] and baba.trouble == [] and chiba.trouble == []
    verified = json.loads(house.command("verify_record", "SECOND-2", "--json"))
    assert verified["ok"], verified


def newest_request(person):
    """The first request that waits for this person, as their own list of approvals has it."""
    person.see(f"{BASE}approvals/?state=open")
    return person.page.locator(f".office a[href*='{BASE}approvals/']").first.get_attribute("href")


def shown(units, scale):
    from administration.office.readable import parts

    return "".join(parts(int(units), scale))


def digits(text):
    return re.sub(r"[^0-9.]", "", text)
