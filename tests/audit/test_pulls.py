"""Pulls: whole, under a signed head, and verified by a program that knows nothing of ours."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from pyarrow import parquet

from administration.audit import henkan_verify, pulls
from administration.audit.models import Pull
from administration.cases.appointments import NotEmpowered
from administration.errors import Refused
from administration.fields import db_now
from administration.record import heads, verify
from administration.record.models import Event
from administration.returns import evidence, settlement, submissions
from administration.returns.models import AssetReturn
from tests.rehearsing import rehearsal  # noqa: F401  a fixture
from tests.returns.world import build, done


@pytest.fixture
def world(committed, as_superuser, rehearsal, settings, tmp_path):  # noqa: F811
    """Some returns settled, some refused, some that came back, some still scheduled."""
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    rehearsal.kill()
    rehearsal.start("--refuse", "0.15", "--return", "0.15")
    world = build(as_superuser, claims_count=12)
    batch = world.exported(limit=30)
    done(submissions.submit(batch, by=world.goto, at=db_now()))
    done(evidence.observe(world.case, "rehearsal", by=world.goto, at=db_now()))
    done(settlement.settle(world.case, by=world.goto, at=db_now()))
    assert set(AssetReturn.objects.values_list("state", flat=True)) == {"settled", "returned", "scheduled"}
    return world


@pytest.fixture
def pull(world):
    def pull(form="jsonl", **more):
        made = pulls.make(world.case, format=form, by=world.people.chiba, at=db_now(), **more)
        return pulls.path_of(made)

    return pull


def test_the_offline_verifier_accepts_a_clean_pull_outside_the_project(world, pull, tmp_path):
    out = tmp_path / "elsewhere"
    pull(out=out)
    shutil.copy(henkan_verify.__file__, out)
    (file,) = out.glob("*.jsonl")

    def verify(*arguments):
        return subprocess.run(
            [sys.executable, "-I", "henkan_verify.py", file.name, *arguments], cwd=out, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    found = verify("--heads", "mine.jsonl")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"OK: {Event.objects.count() - 1} events under ")
    assert "36 returns" in found.stdout
    key = json.loads((out / "mine.jsonl").read_text())["public_key"]
    assert verify("--heads", "mine.jsonl", "--public-key", key).returncode == 0
    assert len((out / "mine.jsonl").read_text().splitlines()) == 1
    other = verify("--public-key", "00" * 32)
    assert (other.returncode, "signed by another key" in other.stdout) == (1, True)
    file.write_bytes(file.read_bytes()[:-40])
    cut = verify()
    assert cut.returncode == 1
    file.write_text("")
    assert verify().returncode == 2


def test_a_pull_states_its_population_and_is_recorded(world, pull, settings):
    path = pull()
    with path.open(encoding="utf-8") as file:
        statement = json.loads(file.readline())
    made = Pull.objects.get()
    assert made.population == statement
    assert statement["head"] == heads.as_json(heads.latest(world.case))
    assert statement["events"]["unsealed"] == "0"
    assert statement["returns"]["count"] == "36"
    assert (statement["returns"]["first"], statement["returns"]["last"]) == ("R0000000018", "R0000000364")
    assert statement["returns"]["gaps"] == "none"
    sums = {}
    for line in statement["returns"]["sums"]:
        sums[line["asset"]] = sums.get(line["asset"], 0) + int(line["amount"])
    assert sums == {"JPY": 12_000, "BTC": 24 * 10**8, "ETH": 36 * 10**18}
    event = Event.objects.latest("number")
    assert event.kind == "pull.made"
    assert json.loads(event.body)["sha256"] == bytes(made.sha256).hex()
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_earlier_heads_must_be_the_beginning_of_a_later_pull(world, pull, tmp_path):
    mine = tmp_path / "mine.jsonl"
    henkan_verify.verify(pull(), heads=mine)
    found = henkan_verify.verify(pull(), heads=mine)
    assert found["own_heads"] == 1
    kept = [json.loads(line) for line in mine.read_text().splitlines()]
    assert [int(head["size"]) for head in kept] == sorted({int(head["size"]) for head in kept})
    assert len(kept) == 2


def test_what_no_head_covers_yet_is_said_and_not_trusted(world, pull, monkeypatch):
    """An office so busy that something always happens between the seal and the look."""
    pull()
    heads.seal(world.case, at=db_now())
    monkeypatch.setattr(heads, "seal", lambda case, at: None)
    pull("csv")
    found = henkan_verify.verify(pull())
    assert found["unsealed"] == "1"
    assert found["events"] == int(found["head"]["size"]) + 1


def test_a_csv_pull_has_every_return_once_and_its_population_beside_it(world, pull, tmp_path):
    path = pull("csv", out=tmp_path / "out")
    with (tmp_path / "out" / path.name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    statement = json.loads((tmp_path / "out" / path.name).with_suffix(".population.json").read_text())
    assert [row["reference"] for row in rows] == sorted(AssetReturn.objects.values_list("reference", flat=True))
    assert statement["file"] == path.name
    assert statement["sha256"] == bytes(Pull.objects.get().sha256).hex()
    for line in statement["returns"]["sums"]:
        same = [row for row in rows if (row["asset"], row["state"]) == (line["asset"], line["state"])]
        assert (str(len(same)), str(sum(int(row["amount"]) for row in same))) == (line["count"], line["amount"])
    settled = [row for row in rows if row["state"] == "settled"]
    assert all(row["settled_at"].endswith("Z") and row["destination"] for row in settled)


def test_a_parquet_pull_is_the_csv_with_what_is_missing_as_null_and_its_population_inside(world, pull):
    with pull("csv").open(encoding="utf-8", newline="") as file:
        expected = [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(file)]
    path = pull("parquet")
    table = parquet.read_table(path)
    assert table.to_pylist() == expected
    assert set(map(str, table.schema.types)) == {"string"}  # no figure is a float, none is cut
    statement = json.loads(table.schema.metadata[b"henkan.population"])
    assert statement["returns"] == Pull.objects.latest("number").population["returns"]
    assert path.with_suffix(".population.json").exists()


def test_the_same_pull_can_be_had_again_from_the_archive_and_no_other(world, pull, tmp_path):
    path = pull()
    before = path.read_bytes()
    made = Pull.objects.get()
    by = world.people.chiba
    again = pulls.hand_out_again(made, out=tmp_path / "again", by=by, at=db_now())
    assert again.read_bytes() == before
    assert Event.objects.latest("number").kind == "pull.handed_out"
    path.write_bytes(before + b"\n")
    with pytest.raises(Refused, match="is not the file that was pulled"):
        pulls.hand_out_again(made, out=tmp_path / "again", by=by, at=db_now())
    path.unlink()
    with pytest.raises(Refused, match="no T-1-pull-0001"):
        pulls.hand_out_again(made, out=tmp_path / "again", by=by, at=db_now())


def test_a_csv_cell_is_never_a_formula(db):
    with connection.cursor() as cursor:
        for cell in ("=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "|x", "%x"):
            cursor.execute("SELECT audit_cell(%s), audit_cell('plain'), audit_cell(NULL)", [cell])
            assert cursor.fetchone() == ("'" + cell, "plain", None)


# --- tampering --------------------------------------------------------------------------------

SETTLED = "(SELECT min(id) FROM returns_assetreturn WHERE state = 'settled')"
LAST = "(SELECT id FROM returns_assetreturn ORDER BY reference DESC LIMIT 1)"
RETURNED = "(SELECT min(id) FROM returns_assetreturn WHERE state = 'returned')"
OTHER = '{"to": "thief"}'
TAMPERED = [
    ("UPDATE record_event SET body = replace(body, '\"items\":\"30\"', '\"items\":\"31\"') WHERE kind = 'batch.drafted'",
     r"event \d+ \(batch\.drafted\) is not what was sealed"),
    ("UPDATE record_event SET by = 'baba' WHERE kind = 'batch.frozen'", r"event \d+ \(batch\.frozen\) is not what was sealed"),
    ("DELETE FROM record_event WHERE number = 3", r"Event 3 is missing"),
    ("UPDATE record_leaves SET hashes = set_byte(hashes, 70, 255 - get_byte(hashes, 70)) WHERE first = 1",
     r"kept leaf of event 3 "),
    ("UPDATE record_head SET signed_at = signed_at - interval '1 day'", r"Head \d+ is not signed"),
    (f"UPDATE returns_assetreturn SET amount = amount + 1 WHERE id = {SETTLED}",
     r"Return (?P<settled>R\d+): amount is \d+, but \d+ was approved in batch T-1-B01-001"),
    (f"UPDATE returns_assetreturn SET destination_id = (SELECT max(id) FROM destinations_destination) WHERE id = {SETTLED}",
     r"Return (?P<settled>R\d+): destination is \w+, but \w+ was approved"),
    (f"UPDATE destinations_destination SET details = '{OTHER}', fingerprint = destination_fingerprint(network, '{OTHER}') WHERE id = (SELECT destination_id FROM returns_assetreturn WHERE id = {SETTLED})",
     r"Return (?P<settled>R\d+): destination is \w+, but \w+ was approved"),
    (f"UPDATE returns_assetreturn SET state = 'scheduled', batch_id = NULL, part = NULL WHERE id = {SETTLED}",
     r"Return (?P<settled>R\d+) is scheduled, but its attempts say otherwise"),
    (f"UPDATE returns_assetreturn SET state = 'settled', batch_id = (SELECT min(id) FROM returns_batch), part = 1 WHERE id = {LAST}",
     r"Return R0000000364 is in batch T-1-B01-001, but not in the manifest"),
    (f"UPDATE returns_assetreturn SET state = 'settled' WHERE id = {RETURNED}", r"Return (?P<returned>R\d+) is settled, but its attempts"),
    (f"UPDATE returns_assetreturn SET amount = amount + 1 WHERE id = {LAST}",
     r"Event \d+ \(round\.scheduled\) covers rows that were changed since: JPY 12000 then, 12001 now"),
    (f"DELETE FROM returns_assetreturn WHERE id = {LAST}",
     r"Event \d+ \(round\.scheduled\) covers rows that were changed since: 36 rows then, 35 now"),
    ("UPDATE returns_manifest SET body = replace(body, '\"amount\":\"1000\"', '\"amount\":\"1001\"')",
     r"The manifest of batch T-1-B01-001 is not the one that event \d+ froze"),
    ("UPDATE returns_manifest SET sha256 = sha256('x')", r"The manifest of batch T-1-B01-001 is not the one"),
    ("UPDATE returns_attempt SET state = 'settled', holds_return_id = asset_return_id WHERE state = 'refused'",
     r"Return R\d+ is scheduled, but its attempts say otherwise"),
    (f"UPDATE returns_attempt SET state = 'pending' WHERE asset_return_id = {SETTLED}",
     r"Return (?P<settled>R\d+) is settled, but its attempts say otherwise"),
    ("UPDATE returns_evidenceline SET amount = amount + 1 WHERE id = (SELECT min(line_id) FROM returns_match)",
     r"Return R\d+ was matched with \d+, but the line of evidence says R\d+: \d+"),
    ("UPDATE returns_evidenceline SET at = at - interval '1 day' WHERE id = (SELECT min(line_id) FROM returns_match)",
     r"Event \d+ \(evidence\.received\) covers rows that were changed since: equal count and sums"),
    ("DELETE FROM returns_match WHERE id = (SELECT min(id) FROM returns_match)", r"Return R\d+ is \w+ in batch T-1-B01-001, but the evidence"),
    ("UPDATE returns_match SET applied_at = NULL WHERE id = (SELECT min(id) FROM returns_match)", r"Return R\d+ is \w+ in batch"),
    ("UPDATE returns_batch SET state = 'voided'", r"Return R\d+ is \w+ in batch T-1-B01-001, which was given up before anything left"),
    (f"UPDATE returns_assetreturn SET state = 'cancelled' WHERE id = {LAST}", r"Return R0000000364 is cancelled, but no event says so"),
    ("UPDATE register_claimline SET recorded = recorded + 1, admitted = admitted + 1 WHERE id = (SELECT min(id) FROM register_claimline)",
     r"Event \d+ \(claims\.scheduled\) covers rows that were changed since"),
]  # fmt: skip


def test_what_a_superuser_changes_with_triggers_off_is_named_offline(world, pull, as_superuser, monkeypatch, tmp_path):
    """One settled estate, tampered with in every way, one after the other, each undone."""
    mine = tmp_path / "mine.jsonl"
    henkan_verify.verify(pull(), heads=mine)
    heads.seal(world.case, at=db_now())
    monkeypatch.setattr(heads, "seal", lambda case, at: None)  # it wants transactions of its own
    named = {
        state: AssetReturn.objects.filter(state=state).order_by("pk").first().reference for state in ("settled", "returned")
    }
    for statement, finding in TAMPERED:
        with transaction.atomic():
            with as_superuser() as cursor:
                cursor.execute(statement)
                assert cursor.rowcount, statement
            path = pull()
            transaction.set_rollback(True)
        with pytest.raises(henkan_verify.Misfit) as misfit:
            henkan_verify.verify(path, heads=mine)
        found = re.search(finding, str(misfit.value))
        assert found, f"{statement}: {misfit.value}"
        for state, reference in found.groupdict().items():
            assert reference == named[state]
    henkan_verify.verify(pull(), heads=mine)


def test_a_record_rebuilt_under_another_key_is_found_by_the_auditors_own_heads(
    world, pull, as_superuser, settings, tmp_path
):
    mine = tmp_path / "mine.jsonl"
    henkan_verify.verify(pull(), heads=mine)
    with as_superuser() as cursor:
        cursor.execute("UPDATE record_event SET by = 'baba' WHERE number = 2")
        cursor.execute("DELETE FROM record_head")
        cursor.execute("DELETE FROM record_leaves")
    settings.HEAD_KEY_FILE, settings.HEAD_LOG_FILE = str(tmp_path / "forged.pem"), str(tmp_path / "forged.log")
    path = pull()
    henkan_verify.verify(path)  # by itself it fits
    with pytest.raises(henkan_verify.Misfit, match="Your own head"):
        henkan_verify.verify(path, heads=mine)


ONLINE = [
    (f"UPDATE returns_assetreturn SET destination_id = (SELECT max(id) FROM destinations_destination) WHERE id = {SETTLED}",
     "returns: return {settled} is not what the manifest of batch T-1-B01-001 says"),
    (f"UPDATE returns_assetreturn SET state = 'settled' WHERE id = {RETURNED}", "returns: return {returned} is settled, which"),
    (f"UPDATE returns_attempt SET state = 'pending' WHERE asset_return_id = {SETTLED}",
     "returns: return {settled} is settled, which its attempts"),
    ("DELETE FROM cases_signature WHERE id = (SELECT max(id) FROM cases_signature)",
     "approvals: request {request} (returns.batch) is approved without the signatures it needs"),
    ("UPDATE cases_signature SET signer_id = (SELECT id FROM people_user WHERE username = 'fujii') WHERE id = (SELECT max(id) FROM cases_signature)",
     "approvals: request {request} (returns.batch) is approved without the signatures it needs"),
    ("UPDATE cases_approvalrequest SET state = 'rejected'", "approvals: batch T-1-B01-001 was tried without its approval"),
]  # fmt: skip


def test_what_changes_only_a_return_an_attempt_or_a_signature_is_named_online(world, as_superuser):
    """The rows that events cover are all as they were; what follows from them is not."""
    heads.seal(world.case, at=db_now())
    assert verify.verify(world.case)["first_bad"] is None
    named = {
        state: AssetReturn.objects.filter(state=state).order_by("pk").first().reference for state in ("settled", "returned")
    }
    named["request"] = world.case.approvals.get().pk
    for statement, finding in ONLINE:
        with transaction.atomic():
            with as_superuser() as cursor:
                cursor.execute(statement)
            found = verify.verify(world.case)["first_bad"]
            transaction.set_rollback(True)
        assert found is not None, statement
        assert found.startswith(finding.format(**named)), statement


# --- refusals ---------------------------------------------------------------------------------


def test_only_who_has_the_power_may_pull(world, pull):
    with pytest.raises(NotEmpowered):
        pulls.make(world.case, format="csv", by=world.people.goto, at=db_now())
    with pytest.raises(Refused, match="no pull format"):
        pull("xlsx")
    assert not Pull.objects.exists()
    assert Event.objects.filter(kind="pull.made").count() == 0


@pytest.mark.parametrize("statement", ["UPDATE audit_pull SET number = 2", "DELETE FROM audit_pull", "TRUNCATE audit_pull"])
def test_a_pull_is_history(db, as_role, as_owner, statement):
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_app") as cursor:
        cursor.execute(statement)
    with pytest.raises(DatabaseError, match="append only"), as_owner() as cursor:
        cursor.execute(statement)
    with pytest.raises(DatabaseError, match="permission denied"), as_role("henkan_portal") as cursor:
        cursor.execute("SELECT * FROM audit_pull")


# --- commands ---------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(world, capsys, tmp_path):
    call_command("pull_returns", "T-1", "--format", "csv", "--out", str(tmp_path / "out"), "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert said["count"] == 36
    assert said["totals"] == {"BTC": str(24 * 10**8), "ETH": str(36 * 10**18), "JPY": "12000"}
    assert Path(said["file"]).exists()
    call_command("pull_returns", "T-1", "--again", "1", "--out", str(tmp_path / "again"), "--json")
    assert json.loads(capsys.readouterr().out)["content_sha256"] == said["content_sha256"]
    with pytest.raises(CommandError) as usage:
        call_command("pull_returns", "T-1")
    assert usage.value.returncode == 2
    call_command("verify_record", "T-1", "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["first_bad"]) == (True, None)


def test_verify_record_exits_with_one_and_names_what_does_not_fit(world, as_superuser, capsys):
    heads.seal(world.case, at=db_now())
    with as_superuser() as cursor:
        cursor.execute("UPDATE record_event SET by = 'baba' WHERE number = 2")
    with pytest.raises(SystemExit) as stopped:
        call_command("verify_record", "T-1")
    assert stopped.value.code == 1
    assert "Event 2 of T-1" in capsys.readouterr().out
