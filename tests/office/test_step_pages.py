"""Who may press what on the pages of steps 1 to 5, and what is refused in a sentence."""

import io
import stat
import zipfile
from datetime import UTC, datetime

import pytest

from administration.cases.models import Case
from administration.ledger import unpacking
from administration.office import readable
from administration.office.pages.planning import line_of
from administration.office.pages.taking_over import csv_line
from administration.people.models import User
from tests.office.pressing import look, paper, press, said, shown
from tests.office.test_pages import signed_in

pytestmark = pytest.mark.django_db
OPENING = {
    "reference": "T-2", "name": "Another Exchange", "trigger": "JP-PSA-2020/REG_CANCELLED", "proceeding": "bankruptcy",
    "cutoff_at": "2026-09-30T15:00", "cooling_off_hours": "24", "authority": "Tokyo District Court", "instrument": "order 2",
}  # fmt: skip


@pytest.fixture
def staff(case, cast):
    User.objects.filter(pk__in=[cast.aoki.pk, cast.baba.pk, cast.goto.pk]).update(is_staff=True)
    return cast


# --- opening ------------------------------------------------------------------------------------


def test_whoever_prepares_in_a_case_opens_another_and_the_record_says_who(staff):
    client = signed_in(staff.goto)
    answer = press(client, "/admin/open-case/", **OPENING, scan=paper(), office_holders=[str(staff.aoki.pk)])

    opened = Case.objects.get(reference="T-2")
    assert answer.status_code == 302 and answer["Location"] == "/admin/"  # Goto is not appointed there
    assert client.get("/admin/case/T-2/").status_code == 404
    assert [row.user.username for row in opened.appointments.all()] == ["aoki"]


def test_nobody_else_opens_a_case(case, cast):
    for person in (cast.baba, cast.chiba, cast.fujii):
        answer = signed_in(person).get("/admin/open-case/")
        assert answer.status_code == 403 and "may not open a case" in said(answer)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"reference": "T-1"}, "used already"),
        ({"reference": "T/2"}, "reference"),
        ({"cutoff_at": "2199-01-01T00:00"}, "still to come"),
        ({"cooling_off_hours": "3"}, "cool off"),
        ({"trigger": "JP-FIEA-2026/REG_CANCELLED"}, "in_force_from"),
    ],
)
def test_what_cannot_be_opened_is_refused_before_the_press(staff, wrong, sentence):
    answer = look(signed_in(staff.goto), "/admin/open-case/", **{**OPENING, **wrong}, scan=paper(), office_holders=[str(staff.aoki.pk)])
    assert answer.status_code in (400, 409) and sentence in said(answer)
    assert not Case.objects.filter(reference="T-2").exists()


# --- who may press what ---------------------------------------------------------------------------

ACTS = (
    "securing-complete/", "appointments/grant/", "policy/more/", "orders/register/", "deadlines/set/", "convert/",
    "takeover/receive/", "takeover/accept/", "holdings/record/", "holdings/handover/", "movements/record/", "reconciliation/run/",
    "claims-schedule/", "corrections/adjust/", "corrections/scope/", "corrections/follow/", "destinations-by-order/",
    "destinations-release/", "notices/issue/", "plan/draft/",
)  # fmt: skip


def test_an_auditor_presses_none_of_them_and_a_stranger_sees_none(case, cast):
    chiba, fujii = signed_in(cast.chiba), signed_in(cast.fujii)
    for act in ACTS:
        refused = chiba.get(f"/admin/case/{case.reference}/{act}")
        assert refused.status_code == 403 and "does not carry the power that" in said(refused), act
        assert chiba.post(f"/admin/case/{case.reference}/{act}", {"stage": "do"}).status_code == 403, act
        assert fujii.get(f"/admin/case/{case.reference}/{act}").status_code == 404, act


def test_rows_of_another_case_are_not_there(staff, case):
    signed_in(staff.goto).post("/admin/open-case/", {})  # nothing is opened by an empty form
    press(signed_in(staff.goto), "/admin/open-case/", **OPENING, scan=paper(), office_holders=[str(staff.aoki.pk)], case_officers=[str(staff.goto.pk)])
    theirs = Case.objects.get(reference="T-2").appointments.first()
    aoki = signed_in(staff.aoki)
    assert aoki.get(f"/admin/case/{case.reference}/appointments/{theirs.pk}/end/").status_code == 404
    assert aoki.get(f"/admin/case/T-2/appointments/{theirs.pk}/end/").status_code == 200


def test_the_last_office_holder_does_not_leave_by_a_button(staff, case):
    own = case.appointments.get(user=staff.aoki)
    answer = press(signed_in(staff.aoki), f"/admin/case/{case.reference}/appointments/{own.pk}/end/", reason="Retires.")
    assert answer.status_code == 409 and "last office-holder" in said(answer)


def test_one_stops_and_two_resume(staff, case):
    press(signed_in(staff.goto), f"/admin/case/{case.reference}/stops/now/", rail="", reason="A doubt.")
    stop = case.stops.get()
    address = f"/admin/case/{case.reference}/stops/{stop.pk}/resume/"
    assert "may not resume" in said(signed_in(staff.goto).get(address))  # said at the look already
    for person in (staff.aoki, staff.baba):
        client = signed_in(person)
        assert client.post(address, shown(client.get(address))).status_code == 302
    stop.refresh_from_db()
    assert stop.lifted_at is not None


# --- pure parts -------------------------------------------------------------------------------------


def zipped(tmp_path, *entries):
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"{}")
    return path


@pytest.mark.parametrize(
    "entry",
    ["../manifest2.json", "/etc/passwd", "evidence/../../x", "evidence/deep/x", "other/x", "a\\b"],
)
def test_a_zip_that_reaches_out_is_refused_and_leaves_nothing(tmp_path, entry):
    path = zipped(tmp_path, ("manifest.json", 0o644), (entry, 0o644))
    with pytest.raises(unpacking.NotUnpacked):
        unpacking.unpack(path, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["package.zip"]


def test_a_zip_with_a_link_or_two_manifests_or_none_is_refused(tmp_path):
    for entries in (
        [("manifest.json", 0o644), ("balances.csv", stat.S_IFLNK | 0o777)],
        [("a/manifest.json", 0o644), ("b/manifest.json", 0o644)],
        [("balances.csv", 0o644)],
    ):
        with pytest.raises(unpacking.NotUnpacked):
            unpacking.unpack(zipped(tmp_path, *entries), tmp_path / "out")


def test_what_says_it_is_a_zip_and_is_none_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(unpacking.NotUnpacked):
        unpacking.unpack(tmp_path / "x.zip", tmp_path / "out")


def test_a_zip_larger_than_it_says_is_stopped_while_it_is_written(tmp_path, monkeypatch):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("balances.csv", bytes(5_000_000))
    (tmp_path / "bomb.zip").write_bytes(out.getvalue())
    monkeypatch.setattr(unpacking, "BYTES_MAX", 1_000_000)
    with pytest.raises(unpacking.NotUnpacked, match="larger than"):
        unpacking.unpack(tmp_path / "bomb.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cell_that_begins_like_a_formula_is_text():
    assert csv_line(["=1+1", "@x", "plain", None, 3]) == "'=1+1,'@x,plain,,3\r\n"


def test_the_line_a_mistake_speaks_of_is_found():
    body = 'name = "A return in kind"\n# kind\nkind = "sometimes"\n[[pool]]\nname = "x"\nrouding = "floor"\n'
    assert line_of(body, "“kind” is “sometimes”. Write “interim” or “final”.") == 3
    assert line_of(body, "“rouding” in pool “x” is not known.") == 6
    assert line_of(body, "The plan is not TOML: Expected '=' (at line 4, column 2). Mend that place.") == 4


def test_an_instant_that_japan_has_no_time_for_is_shown_in_utc():
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert readable.instant(never, "en") == "9999-12-31 (Fri) 23:59 UTC"
    assert readable.instant(never, "ja").endswith("23:59 UTC")
    assert readable.instant(never.replace(year=2026), "en").endswith("JST")
