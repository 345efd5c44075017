"""
A take-over on a stack of its own while workers, the office's web and PostgreSQL are killed: `python -m tests.ledger.killing`.

People press on the office's pages, and press again when nobody answers. When the ledger is accepted before the last kill
was struck, another case takes over the same package. At the end one more does so undisturbed, and every row of every
disturbed case must be among its rows and the other way round, by natural keys. One JSON object on standard output.
"""

import argparse
import contextlib
import html
import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

TARGETS = ("worker", "web", "postgres")
STATE = {
    "customers": """SELECT to_jsonb(i) - '{id,case_id,file_id}'::text[], f.name FROM ledger_identity i
        JOIN ledger_sourcefile f ON f.id = i.file_id WHERE i.case_id = %s""",
    "accounts": """SELECT a.account_ref, i.customer_ref, a.capacity, a.status, a.opened_on, a.row FROM ledger_ledgeraccount a
        JOIN ledger_identity i ON i.id = a.identity_id WHERE a.case_id = %s""",
    "balances": """SELECT a.account_ref, s.code, b.product, b.amount, f.name, b.row FROM ledger_ledgerbalance b
        JOIN ledger_ledgeraccount a ON a.id = b.ledger_account_id JOIN books_asset s ON s.id = b.asset_id
        JOIN ledger_sourcefile f ON f.id = b.file_id WHERE b.case_id = %s""",
    "destinations": """SELECT a.account_ref, s.code, d.network, d.details, d.valid, d.problem, f.name, d.row
        FROM ledger_handedoverdestination d JOIN ledger_ledgeraccount a ON a.id = d.ledger_account_id
        JOIN books_asset s ON s.id = d.asset_id JOIN ledger_sourcefile f ON f.id = d.file_id WHERE d.case_id = %s""",
    "holds": """SELECT a.account_ref, h.kind, h.since, h.reference, h.row FROM ledger_handedoverhold h
        JOIN ledger_ledgeraccount a ON a.id = h.ledger_account_id WHERE h.case_id = %s""",
    "prices": """SELECT s.code, p.num, p.den, p.quoted_at, p.source FROM ledger_handedoverprice p
        JOIN books_asset s ON s.id = p.asset_id WHERE p.case_id = %s""",
    "places": """SELECT s.code, p.details, p.amount, p.row FROM ledger_handedoverplace p
        JOIN books_asset s ON s.id = p.asset_id WHERE p.case_id = %s""",
    "adjustments": """SELECT a.account_ref, s.code, j.product, j.amount, j.reason FROM ledger_adjustment j
        JOIN ledger_ledgeraccount a ON a.id = j.ledger_account_id JOIN books_asset s ON s.id = j.asset_id WHERE j.case_id = %s""",
    "assets": "SELECT code, name, scale, payable_step, network, kind FROM books_asset WHERE case_id = %s",
    "files": "SELECT name, sha256, bytes, rows, deliverer FROM ledger_sourcefile WHERE case_id = %s",
    "control totals": """SELECT t.asset_code, t.product, t.declared, t.declared_accounts, t.computed, t.computed_accounts, t.suspense, t.source
        FROM ledger_controltotal t JOIN ledger_intake i ON i.id = t.intake_id WHERE i.case_id = %s""",
    "findings": """SELECT g.kind, g.severity, g.file, g.row, g.column, g.reason, g.rows FROM ledger_finding g
        JOIN ledger_intake i ON i.id = g.intake_id WHERE i.case_id = %s""",
    "intakes": "SELECT state, accounts, balances, package_sha256, content_sha256, negative_policy FROM ledger_intake WHERE case_id = %s",
    # what an event covers is hashed over every balance; instants and numbers of rows differ
    "events": """SELECT kind, by, body::jsonb #- '{received_at}' #- '{cover,params}' FROM record_event
        WHERE case_id = %s AND kind LIKE 'ledger.%%'""",
}  # fmt: skip
STAGED = "ledger_staging_customers", "ledger_staging_accounts", "ledger_staging_balances", "ledger_laid_aside"


class Plant:
    """The two servers and a small household: two workers, the beat, the office."""

    def __init__(self, folder: Path) -> None:
        from config import stack
        from config.servers import Servers

        self.folder = folder
        self.servers = Servers(folder, durable=False)
        self.servers.start()
        os.environ.update(
            DATABASE_URL=self.servers.database_url, REDIS_URL=self.servers.redis_url, HENKAN_STATE_DIR=str(folder),
            HENKAN_EMBEDDED="1", HENKAN_SECRET_KEY="only-of-a-test", NO_BOOTSTRAP="1", HENKAN_LOG_LEVEL="WARNING",
            DJANGO_SETTINGS_MODULE="config.settings", PYTHONWARNINGS="ignore",
        )  # fmt: skip
        for variable, name in stack.KEPT.items():
            if variable != "HENKAN_SECRET_KEY":
                os.environ[variable] = str(folder / name)
        self.sql("ALTER DATABASE henkan SET synchronous_commit = on")  # a commit that was answered survives the server
        self.hurt_until = 0.0

    def open(self) -> None:
        from administration.office.household import Household, free_port

        self.web_port = free_port(None, first=8100)
        self.household = Household(
            self.folder / "logs", office_port=self.web_port, portal_port=0, rehearsal=(str(self.folder / "r.sock"), self.folder / "truth", 1)
        )
        self.household.members = [one for one in self.household.members if one.name not in ("rehearsal", "portal")]
        self.household.start()

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.servers.database_url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode(), args or None)
            return cursor.fetchall() if cursor.description else []

    def kill(self, target: str, rng: random.Random) -> None:
        """By SIGKILL with all its children; PostgreSQL as `pg_ctl stop -m immediate` does, and then it is started again."""
        if target == "postgres":
            from config.servers import footing

            postgres = self.servers.postgres
            assert postgres is not None
            postgres.send_signal(signal.SIGQUIT)
            postgres.wait()
            self.servers._start_postgres(footing(self.folder))
        else:
            name = "office" if target == "web" else rng.choice(["worker 1", "worker 2"])
            member = next(one for one in self.household.members if one.name == name)
            assert member.process is not None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(member.process.pid, signal.SIGKILL)
            member.process.wait()
        self.household.restart_the_dead()
        until = time.monotonic() + 60
        while time.monotonic() < until and not all(one.is_ready(one) for one in self.household.members):
            time.sleep(0.1)

    def close(self) -> None:
        if hasattr(self, "household"):
            self.household.stop()
        self.servers.stop()


class Person:
    """Goto and Baba at their browsers: look where the take-over stands, press what comes next, again if nobody answered."""

    def __init__(self, plant: Plant) -> None:
        from administration.people.models import User
        from tests.storm.visitors import Browser

        self.plant = plant
        self.goto, self.baba = (Browser(plant, User.objects.get(username=name)) for name in ("goto", "baba"))  # type: ignore[arg-type]
        self.pressing = threading.Event()
        self.pressed: Counter[str] = Counter()
        self.wrong: list[str] = []

    def take_over(self, case: Any) -> None:
        from django.db import DatabaseError, InterfaceError, connections

        from tests.storm.visitors import Away

        while True:
            try:
                if self.next(case):
                    return
            except (DatabaseError, InterfaceError, Away):
                self.pressed["again"] += 1
                for alias in connections:
                    connections[alias].close()
            time.sleep(0.1)

    def next(self, case: Any) -> bool:
        """One thing that is to do now. True when the ledger is accepted."""
        from administration.cases.models import ApprovalRequest
        from administration.ledger import takeover
        from administration.ledger.models import Intake
        from administration.work.models import Job

        intake = Intake.objects.filter(case=case).exclude(state="cancelled").first()
        if intake is None:
            if takeover.refused(case):
                raise AssertionError("the package was refused")
            self.press(self.goto, case, "takeover/receive/", folder="package", differences="refuse")
        elif intake.state == "received":
            self.press(self.goto, case, "takeover/inspect/")
        elif intake.state == "inspected":
            request = ApprovalRequest.objects.filter(case=case, act=takeover.ACCEPT, state="open").first()
            if request is None:
                self.press(self.goto, case, "takeover/accept/", negative_policy="exclude")
            else:
                code = bytes(request.content_sha256).hex()[-4:]
                self.press(self.baba, case, f"approvals/{request.pk}/", decision="sign", code=code)
        elif intake.state == "accepting":
            job = Job.objects.filter(kind=takeover.ACCEPT, subject_id=intake.pk).order_by("-pk").first()
            if job is not None and job.state == "failed":
                self.press(self.goto, case, "takeover/go-on/")
        return intake is not None and intake.state == "accepted"

    def press(self, browser: Any, case: Any, rest: str, **fields: str) -> None:
        """Look, then do what was shown."""
        address = f"/admin/case/{case.reference}/{rest}"
        self.pressing.set()
        try:
            began = time.monotonic()
            signing = rest.startswith("approvals/")
            if signing or not fields:
                status, page = browser.ask("GET", address)
            else:
                status, page = browser.ask("POST", address, {**fields, "stage": "look"})
            shown = re.search(r'name="shown" value="([^"]+)"', page)
            if status == 200 and shown:
                status, page = browser.ask("POST", address, {**fields, "stage": "do", "shown": html.unescape(shown[1])})
            self.pressed[f"{re.sub(r'[0-9]+', 'N', rest)} {status}"] += 1
            if status >= 500 and began > self.plant.hurt_until:
                self.wrong.append(f"{rest}: {status}")
        finally:
            self.pressing.clear()


def rows_of(plant: Plant, case_id: int) -> dict[str, list[str]]:
    """Every row of a case's ledger by natural keys, in order."""
    return {name: sorted(map(repr, plant.sql(sql, case_id))) for name, sql in STATE.items()}


def run(folder: Path, *, kills: int, seed: int, accounts: int) -> dict[str, Any]:
    rng = random.Random(seed)
    plant = Plant(folder)
    try:
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from administration.office import sample

        sample.write(folder / "inbox" / "package", accounts=accounts, seed=seed)
        return struck(plant, rng, kills=kills, seed=seed)
    finally:
        plant.close()


def struck(plant: Plant, rng: random.Random, *, kills: int, seed: int) -> dict[str, Any]:
    from allauth.mfa.models import Authenticator
    from django.db import connections

    from administration.office.demo import Way
    from administration.people.models import User

    def a_case(name: str) -> Any:
        connections.close_all()  # the server was killed since
        way = Way(0, seed, reference=name)
        way.secure()
        return way.case

    disturbed = [a_case("KILLED-1")]
    for user in User.objects.filter(username__in=("goto", "baba")):
        Authenticator.objects.get_or_create(user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": "x"}})
    plant.open()
    person = Person(plant)
    order = [TARGETS[n % len(TARGETS)] for n in range(kills)]
    rng.shuffle(order)
    struck_at: list[str] = []
    while order:
        case = disturbed[-1]
        working = threading.Thread(target=person.take_over, args=(case,), daemon=True)
        working.start()
        while working.is_alive():
            if not order:
                working.join(0.2)
                plant.household.restart_the_dead()
                continue
            target = order[0]
            if target == "web":
                person.pressing.wait(3)  # while a page is asked for, if one is
                pause = rng.random() * 0.3
            else:
                until = time.monotonic() + 10
                while time.monotonic() < until and working.is_alive() and not under_way(plant, case):
                    time.sleep(0.02)
                pause = rng.expovariate(1 / 0.7)
            working.join(pause)
            if not working.is_alive():
                break
            struck_at.append(f"{target} at {standing(plant, case)}")
            plant.hurt_until = float("inf")
            plant.kill(order.pop(0), rng)
            plant.hurt_until = time.monotonic() + 2
        if order:
            disturbed.append(a_case(f"KILLED-{len(disturbed) + 1}"))
    calm = a_case("UNDISTURBED")
    quiet = threading.Thread(target=person.take_over, args=(calm,), daemon=True)
    quiet.start()
    while quiet.is_alive():
        quiet.join(0.5)
        plant.household.restart_the_dead()
    expected = rows_of(plant, calm.pk)
    differ = [
        f"{case.reference}: {name}" for case in disturbed for name, rows in rows_of(plant, case.pk).items() if rows != expected[name]
    ]
    left = [f"{table}: {many}" for table in STAGED for ((many,),) in [plant.sql(f"SELECT count(*) FROM {table}")] if many]
    left += [str(path.relative_to(plant.folder)) for path in (plant.folder / "archive").glob("*/handover/arriving-*")]
    return {
        "ok": not (differ or left or person.wrong) and len(struck_at) == kills,
        "seed": seed, "kills": len(struck_at), "cases": len(disturbed), "struck": struck_at,
        "rows": {name: len(rows) for name, rows in expected.items()}, "differ": differ, "left": left, "wrong": person.wrong,
        "pressed": dict(person.pressed),
    }  # fmt: skip


def under_way(plant: Plant, case: Any) -> bool:
    """Whether workers have something in hand for this case, or should have."""
    return bool(plant.sql("SELECT 1 FROM work_job WHERE case_id = %s AND state = 'waiting'", case.pk))


def standing(plant: Plant, case: Any) -> str:
    """Where the take-over stood when somebody was killed."""
    with contextlib.suppress(Exception):
        job = plant.sql("SELECT kind, phase, done FROM work_job WHERE case_id = %s AND state = 'waiting' ORDER BY id DESC LIMIT 1", case.pk)
        if job:
            return " ".join(map(str, job[0]))
        return str((plant.sql("SELECT state FROM ledger_intake WHERE case_id = %s", case.pk) or [("nothing received",)])[0][0])
    return "?"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.ledger.killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="killing-") as folder:
        result = run(Path(folder), kills=asked.kills, seed=asked.seed, accounts=asked.accounts)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
