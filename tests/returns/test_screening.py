"""Nobody is paid who was not screened under the newest sanctions list."""

import pytest

from administration.cases.appointments import NotEmpowered
from administration.fields import db_now
from administration.ledger.models import Identity
from administration.returns import batches, gates, screening
from administration.returns.models import AssetReturn, SanctionedName
from claims.register.models import Hold

HEAD = b"name,born_on\r\n"


def received(world, *rows, version="2026-11-20"):
    content = HEAD + "".join(f"{row}\r\n" for row in rows).encode()
    return screening.receive(world.case, version=version, content=content, by=world.goto, at=db_now())


def shut():
    return {tuple(closed) for closed in gates.closed(AssetReturn.objects.values_list("pk", flat=True)).values()}


def test_a_new_version_of_the_list_holds_everybody_back_until_all_were_screened_under_it(world):
    world.scheduled()
    assert shut() == {()}

    listed = received(world, "Nobody Known,1950-01-01")
    assert shut() == {("sanctions",)}
    with pytest.raises(batches.NothingToBatch):
        world.drafted()
    made = screening.screen(listed, by=world.goto, at=db_now())
    assert (made.people, made.hits) == (4, 0)
    assert shut() == {()}

    received(world, "Nobody Known,", version="2026-11-21")
    assert shut() == {("sanctions",)}


def test_a_hit_is_put_on_hold_in_whatever_way_the_name_is_written(world, as_superuser):
    world.scheduled()
    people = list(Identity.objects.order_by("pk"))
    with as_superuser() as cursor:
        for person, name, kana, born in (
            (people[0], "山田 太郎", "ヤマダ タロウ", "1980-04-01"), (people[1], "Sato, Jiro", "", None),
            (people[2], "鈴木花子", "スズキ ハナコ", "1990-01-01"), (people[3], "Ito Ken", "", "1970-01-01"),
        ):  # fmt: skip
            cursor.execute(
                "UPDATE ledger_identity SET name = %s, kana = %s, romaji = '', birth_or_founding_date = %s WHERE id = %s",
                [name, kana, born, person.pk],
            )
    listed = received(world, "ﾔﾏﾀﾞ　ﾀﾛｳ,1980-04-01", '"SATO JIRO",1960-05-05', "鈴木 花子,1991-01-01")

    made = screening.screen(listed, by=world.goto, at=db_now())
    again = screening.screen(listed, by=world.goto, at=db_now())

    assert (made.hits, again.hits) == (2, 2)  # the third was born on another day
    held = Hold.objects.filter(kind="sanctions").order_by("claim__number")
    assert [hold.claim.claimant.identity_id for hold in held] == [people[0].pk, people[1].pk]
    assert held[0].reason == "list 2026-11-20, entry 1"
    assert shut() == {(), ("sanctions",)}


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        *((name, name) for name in ("Ito-Ken", "伊藤・健", "O'Neil", "ｲﾄｳ ｹﾝ", "Łukasz (Jr.)", "Strauß", "İbrahim Işık", "ﬁlip ΐ", "Οδυσσεύς")),
        ("ito　ken", "Ｉｔｏ Ｋｅｎ"), ("STRAUSS", "Strauß"), ("STRAUẞ", "Strauß"), ("Ibrahim IŞIK", "İbrahim Işık"), ("FILIP", "ﬁlip"),
        ("ΟΔΥΣΣΕΎΣ", "Οδυσσεύς"),
    ],
)  # fmt: skip
def test_a_name_is_found_however_its_letters_are_made_capitals(world, as_superuser, listed, name):
    world.scheduled()
    with as_superuser() as cursor:
        cursor.execute("UPDATE ledger_identity SET name = %s WHERE id = (SELECT min(id) FROM ledger_identity)", [name])
    made = screening.screen(received(world, f'"{listed}",'), by=world.goto, at=db_now())
    assert made.hits == 1


def test_a_list_that_cannot_be_read_is_refused_by_row(world):
    for content, why in (
        (b"\xff", "no CSV"), (HEAD + b"A\0,\r\n", "NUL"), (b"who\r\n", "first row"), (HEAD, "no name"), (HEAD + b"-,\r\n", "Row 2"), (HEAD + b"A,1-1\r\n", "no day"),
        (HEAD + b"A\r\n", "two cells"),
    ):  # fmt: skip
        with pytest.raises(screening.NotScreened, match=why):
            screening.receive(world.case, version="1", content=content, by=world.goto, at=db_now())
    received(world, "A,")
    with pytest.raises(screening.NotScreened, match="each version comes once"):
        received(world, "B,")
    with pytest.raises(NotEmpowered):
        screening.receive(world.case, version="9", content=HEAD + b"A,\r\n", by=world.people.chiba, at=db_now())
    assert SanctionedName.objects.count() == 1
