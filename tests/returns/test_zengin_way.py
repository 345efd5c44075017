"""The whole way of a bank file: frozen, signed, carried out, debited, some of it back, the rest left to people."""

import dataclasses
import json
from datetime import timedelta

import pytest
from django.db import connection, transaction

from administration.audit import henkan_verify, pulls
from administration.fields import db_now
from administration.rails.custodian import manifest, results
from administration.rails.zengin import Zengin, bank_days
from administration.record import verify
from administration.returns import (
    batches,
    carrying,
    evidence,
    parts,
    rounds,
    routes,
    settlement,
    statements,
    submissions,
)
from administration.returns.models import Attempt, EvidenceLine, Manifest, Submission
from claims.register import tie_out
from tests.rails import zengin_bank as bank
from tests.returns.world import STEPS, build, done

NAMES = ("ﾔﾏﾀﾞ ﾀﾛｳ", "ｽｽﾞｷ ﾊﾅｺ", "ｻﾄｳ ｼﾞﾛｳ", "ｻﾄｳ ｼﾞﾛｳ")

BANKS = """
INSERT INTO destinations_destination
    (case_id, claim_id, asset_id, version, network, details, fingerprint, origin, state, keyed_by_id, proposed_at,
     revoke_reason, recorded_at)
SELECT c.case_id, c.id, a.id, 2, 'bank', n.details, destination_fingerprint('bank', n.details), 'paper', 'proposed', %(keyed)s,
       now(), '', now()
FROM unnest(%(claims)s::bigint[], %(details)s::jsonb[]) AS n (claim, details)
JOIN register_claim c ON c.id = n.claim JOIN books_asset a ON a.case_id = c.case_id AND a.code = 'JPY'
"""


@pytest.fixture
def house(settings):
    settings.ZENGIN_FILE = str(bank.DATA / "house.toml")
    return bank.rail()


def banks(world, names=NAMES, **where):
    """Every claim's yen goes to a bank account under these names."""

    claims = list(world.case.claims.order_by("number").values_list("pk", flat=True))
    details = [json.dumps(bank.to(name, number=f"{n:07d}", **where)) for n, name in enumerate(names, start=1)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET state = 'revoked', revoked_at = now(), revoke_reason = 'moved'"
            " WHERE asset_id = %s AND state <> 'revoked'",
            [world.assets["JPY"].pk],
        )
        params = {"claims": claims, "details": details, "keyed": world.goto.pk, "second": world.people.aoki.pk}
        cursor.execute(BANKS, params)
        for step in STEPS:
            cursor.execute(step, params)


def drafted(world, rail="zengin", asset="JPY", **wanted):
    done(rounds.schedule(world.case, world.run, by=world.goto, at=db_now(), rails={asset: rail, "*": "rehearsal"}))
    return batches.draft(world.case, world.case.rounds.get(), rail, by=world.goto, at=db_now(), **wanted)


def frozen(world, *arguments, **wanted):
    batch = drafted(world, *arguments, **wanted)
    batches.freeze(batch, by=world.goto, at=db_now())
    batch.refresh_from_db()
    return batch


def carried(world, folder, *arguments, **wanted):
    """A batch signed and carried out of the house; the files lie in the folder."""
    batch = world.approve(frozen(world, *arguments, **wanted))
    done(submissions.export(batch, by=world.goto, at=db_now()))
    submissions.carry_out(batch, by=world.goto, at=db_now())
    batch.refresh_from_db()
    carrying.write(batch, folder)
    return batch


def told(world, rows, *, batch, name="statement.txt", rail="zengin", **more):
    """The bank's statement arrives and is settled."""
    first = batch.value_date
    data = bank.statement(rows, first=first, last=first + timedelta(days=20), **more)
    evidence.receive(world.case, rail, name=name, data=data, by=world.goto, at=db_now())
    return done(settlement.settle(world.case, by=world.goto, at=db_now()))


def out(batch, amount=4000, **more):
    return bank.movement(amount, out=True, day=batch.value_date, narrative="ｿｳｺﾞｳﾌﾘｺﾐ", **more)


def back(batch, name, amount=1000, **more):
    later = bank_days.after(batch.value_date, 1)
    return bank.movement(amount, out=False, day=later, remitter=name, narrative="ﾌﾘｺﾐﾓﾄﾞｼ", **more)


def yen(world):
    return {row.reference: row.state for row in world.returns(asset__code="JPY")}


def problems(world):
    return list(
        EvidenceLine.objects.filter(case=world.case)
        .exclude(problem="")
        .order_by("pk")
        .values_list("problem", flat=True)
    )


def test_a_file_is_frozen_signed_carried_out_and_settled_by_the_debit_of_its_sum(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)

    (file,) = tmp_path.glob("*.txt")
    content = file.read_bytes()
    assert content == bytes(Submission.objects.get().payload)
    assert [(reference, sent.payee, sent.amount) for reference, sent in house.references(content)] == [
        (row.reference, name, 1000) for row, name in zip(world.returns(asset__code="JPY"), NAMES, strict=True)
    ]
    assert Submission.objects.get().state == "exported" and batch.state == "exported"
    assert set(yen(world).values()) == {"batched"}

    job = told(world, [out(batch), bank.movement(880, out=True, day=batch.value_date, narrative="ﾃｽｳﾘﾖｳ")], batch=batch)

    assert set(yen(world).values()) == {"settled"}
    assert job.result["ties"] and Submission.objects.get().state == "final"
    batch.refresh_from_db()
    assert batch.state == "closed"
    assert problems(world) == ["unknown_debit"]
    assert EvidenceLine.objects.first().matches.count() == 4
    tie_out.require(world.case)


def test_the_approvers_sign_the_value_date_which_is_a_bank_day(world, house):
    banks(world)
    batch = frozen(world)

    assert bank_days.is_open(batch.value_date)
    assert f'"policy":{{"value_date":"{batch.value_date}"}}' in Manifest.objects.get(batch=batch).body
    assert batch.rail_version == house.version


@pytest.mark.parametrize(
    ("names", "where", "said"),
    [
        (
            ("ﾔﾏﾀﾞ ﾀﾛｳ", "鈴木花子", "ｻﾄｳ", "ｻﾄｳ"),
            {},
            r"Line 3 \(R.*\) column 51: The payee's name '鈴木花子' has '鈴' in place 1, a kanji",
        ),
        (("ｱ" * 31, "ｱ", "ｱ", "ｱ"), {}, r"Line 2 \(R.*\) column 81: .* has 31 characters; 30 fit"),
        (NAMES, {"branch": "999"}, "has no branch '999'"),
    ],
)
def test_what_a_file_cannot_carry_is_said_before_anybody_signs(world, house, names, where, said):
    banks(world, names, **where)
    batch = drafted(world)

    with pytest.raises(parts.NotWritable, match=said):
        batches.freeze(batch, by=world.goto, at=db_now())

    batch.refresh_from_db()
    assert batch.state == "draft" and batch.manifest_sha256 is None


def test_a_day_on_which_banks_are_closed_is_refused_before_anybody_signs(world, house):
    banks(world)
    sunday = db_now().date()
    while sunday.weekday() != 6 or sunday <= db_now().date() + timedelta(days=1):
        sunday += timedelta(days=1)

    with pytest.raises(parts.NotWritable, match="a Sunday"):
        batches.freeze(drafted(world, value_date=sunday), by=world.goto, at=db_now())


def test_a_batch_too_large_for_one_file_goes_in_several_with_sums_of_their_own(world, house, settings, tmp_path):
    small = tmp_path / "house.toml"
    text = (bank.DATA / "house.toml").read_text().replace('profile = "standard"', "")
    small.write_text(text + "[profile]\nrecords_max = 3\ntotal_max = 2500\n")
    settings.ZENGIN_FILE = str(small)
    banks(world)

    batch = carried(world, tmp_path)

    assert batch.parts == len(list(tmp_path.glob("*.txt"))) >= 2
    assert sorted(row.part for row in world.returns(asset__code="JPY")) == [1, 1, 2, 3] or batch.parts == 2


def test_another_payer_than_was_signed_is_not_exported(world, house, settings, tmp_path):
    banks(world)
    batch = world.approve(frozen(world))
    other = tmp_path / "other.toml"
    other.write_text((bank.DATA / "house.toml").read_text().replace("0098765", "0098766"))
    settings.ZENGIN_FILE = str(other)

    with pytest.raises(submissions.NotExported, match="Void it and freeze again"):
        submissions.export(batch, by=world.goto, at=db_now())


def test_returned_transfers_are_matched_and_an_ambiguous_pair_waits_for_a_person(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    references = list(yen(world))

    told(world, [
        out(batch),
        back(batch, "ﾔﾏﾀﾞ ﾀﾛｳ"),
        back(batch, "ｽｽﾞｷ ﾊﾅｺ", inquiry=7),
        back(batch, "ｻﾄｳ ｼﾞﾛｳ", inquiry=8),
    ], batch=batch)  # fmt: skip

    assert [yen(world)[reference] for reference in references] == ["returned", "returned", "settled", "settled"]
    line = EvidenceLine.objects.get(problem="ambiguous")
    assert statements.candidates(line) == tuple(references[2:])
    tie_out.require(world.case)

    with pytest.raises(statements.NotDecided, match="Choose one of"):
        statements.decide(line, references[0], by=world.goto, at=db_now())
    statements.decide(line, references[3], by=world.goto, at=db_now())
    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    assert [yen(world)[reference] for reference in references] == ["returned", "returned", "settled", "returned"]
    assert Attempt.objects.get(asset_return__reference=references[3], batch=batch).state == "returned"
    assert EvidenceLine.objects.get(pk=line.pk).matches.get().by == world.goto
    tie_out.require(world.case)


def test_a_return_in_a_later_statement_that_overlaps_counts_once(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [out(batch)], batch=batch)
    told(world, [out(batch), back(batch, "ﾔﾏﾀﾞ ﾀﾛｳ")], batch=batch, name="later.txt")
    told(world, [back(batch, "ﾔﾏﾀﾞ ﾀﾛｳ")], batch=batch, name="last.txt")

    assert list(yen(world).values()).count("returned") == 1
    assert problems(world) == []
    assert EvidenceLine.objects.filter(case=world.case).count() == 2
    tie_out.require(world.case)


def test_a_debit_of_another_sum_settles_nothing_and_a_second_debit_stops_the_rail(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [out(batch, 3999)], batch=batch)

    assert set(yen(world).values()) == {"batched"} and problems(world) == ["unknown_debit"]

    told(world, [out(batch), out(batch, inquiry=2)], batch=batch, name="twice.txt")

    assert set(yen(world).values()) == {"settled"}
    assert problems(world) == ["unknown_debit", "debited_twice"]
    assert world.case.stops.filter(rail="zengin", lifted_at__isnull=True).exists()


def test_a_statement_of_another_account_or_with_a_wrong_sum_is_refused_whole(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    day = {"first": batch.value_date, "last": batch.value_date}
    other = bank.statement([out(batch)], number="0000001", **day)
    torn = bank.statement([out(batch)], **day).replace(b"0000000004000", b"0000000004001")

    for data, said in ((other, "of the account"), (torn, "Line 3 column 27")):
        with pytest.raises(evidence.NotReceived, match=said):
            evidence.receive(world.case, "zengin", name="x.txt", data=data, by=world.goto, at=db_now())
    assert not EvidenceLine.objects.exists()


def test_a_file_whose_debit_never_came_is_in_doubt_and_never_sent_again(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    late = db_now() + Zengin.quiet_period + (batch.value_date - db_now().date()) + timedelta(days=2)

    done(settlement.settle(world.case, by=world.goto, at=late))

    assert Submission.objects.get().state == "unknown"
    assert set(Attempt.objects.values_list("state", flat=True)) == {"unknown"}
    assert set(yen(world).values()) == {"batched"}
    with pytest.raises(submissions.NotSent, match="sends nothing itself"):
        submissions.submit(batch, by=world.goto, at=db_now())

    told(world, [out(batch)], batch=batch)  # it was debited after all
    assert set(yen(world).values()) == {"settled"}


def test_files_carried_out_twice_are_the_same_files(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert submissions.carry_out(batch, by=world.goto, at=db_now()) == 0
    carrying.write(batch, tmp_path)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_yen_kept_with_places_after_the_point_settle_by_the_banks_whole_yen(world, house, tmp_path):
    observation = house.read(bank.statement([bank.movement(4000, out=True)]))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE books_asset SET scale = 4 WHERE id = %s", [world.assets["JPY"].pk])
        found = statements.in_units(world.case, "zengin", observation)
        transaction.set_rollback(False)
        cursor.execute("UPDATE books_asset SET scale = 0 WHERE id = %s", [world.assets["JPY"].pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("SET LOCAL ROLE henkan_app")

    assert [line.amount for line in found] == [40_000_000]


def test_without_a_file_that_says_who_pays_there_is_no_such_rail(settings):
    for path in ("", "/nowhere.toml"):
        settings.ZENGIN_FILE = path
        with pytest.raises(routes.NoSuchRail, match="not set up"):
            routes.rail("zengin")


def test_the_record_and_the_offline_verifier_understand_a_banks_lines(
    committed, as_superuser, house, settings, tmp_path
):
    settings.ARCHIVE_DIR = str(tmp_path / "archive")
    world = build(as_superuser)
    banks(world)
    batch = carried(world, tmp_path)
    told(world, [out(batch), back(batch, "ﾔﾏﾀﾞ ﾀﾛｳ")], batch=batch)

    assert verify.verify(world.case)["first_bad"] is None
    made = pulls.make(world.case, format="jsonl", by=world.people.chiba, at=db_now())
    found = henkan_verify.verify(pulls.path_of(made))
    assert int(found["returns"]) == 12

    torn = tmp_path / "torn.jsonl"
    torn.write_text(pulls.path_of(made).read_text().replace('"amount":"4000","at"', '"amount":"4001","at"'))
    assert torn.read_text() != pulls.path_of(made).read_text()
    with pytest.raises(henkan_verify.Misfit):
        henkan_verify.verify(torn)


# --- the custodian -------------------------------------------------------------------------------------------


ADDRESSES = ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")


def test_a_custodians_answer_settles_and_refuses_each_return_and_foreign_ones_are_refused(world, house, tmp_path):
    banks(world)
    batch = carried(world, tmp_path, "custodian", "JPY")
    (asked,) = tmp_path.glob("*[0-9].json")
    key, digest, items = manifest.read(asked.read_bytes())
    assert len(list(tmp_path.glob("*.csv"))) == 1 and batch.value_date is None

    def said(item, status, **changed):
        reason = "account closed" if status == "refused" else ""
        row = results.Result(0, key, digest, item.reference, status, item.asset, item.amount, db_now(), "", reason)
        return dataclasses.replace(row, **changed)

    def answer(*rows):
        data = results.write(rows)
        return evidence.receive(world.case, "custodian", name="results.json", data=data, by=world.goto, at=db_now())

    for row, why in (
        (said(items[0], "settled", reference="R0000000999"), "is not in"),
        (said(items[0], "settled", units=1), "was to be paid"),
        (said(items[0], "settled", key="T-1-B09-001/1"), "nobody was asked"),
    ):
        with pytest.raises(evidence.NotReceived, match=why):
            answer(row)
    answer(said(items[0], "settled"), said(items[1], "refused"), said(items[2], "unknown"), said(items[3], "accepted"))
    done(settlement.settle(world.case, by=world.goto, at=db_now()))

    assert [yen(world)[item.reference] for item in items] == ["settled", "scheduled", "batched", "batched"]
    assert Submission.objects.get().state == "accepted"
    tie_out.require(world.case)
