"""The exchange's own files by the office's pages: uploaded in pieces and whole, encodings confirmed, mapped with a look, converted."""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from administration.cases.models import Case
from administration.ledger import conversions, deliveries, takeover
from administration.ledger.delivered import DeliveredFile, Delivery, LedgerMapping
from administration.ledger.models import Intake
from administration.work.models import Job
from tests.cast import NOON, Cast
from tests.ledger import layouts
from tests.ledger.helpers import edit, sample, secure, work
from tests.office.test_pages import signed_in


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source = layouts.for_cp932(sample(tmp_path / "clean", accounts=12), tmp_path / "source")
    return source, layouts.write(source, tmp_path / "files", "kumo")


def pressed(client: Client, address: str, data: dict[str, Any]) -> Any:
    looked = client.post(address, {**data, "stage": "look"})
    assert looked.status_code == 200, looked.content.decode()[:3000]
    done = client.post(address, {**data, "stage": "do", "shown": looked.context["shown"]})
    assert done.status_code == 302, done.content.decode()[:3000]
    return done["Location"]


def test_files_arrive_in_pieces_and_whole_and_are_converted_as_a_person_said(case: Case, cast: Cast, files, settings):
    source, folder = files
    secure(case, cast)
    goto, base = signed_in(cast.goto), f"/admin/case/{case.reference}/takeover/"
    page = pressed(goto, f"{base}deliver/", {"deliverer": "雲野（元システム部長）", "folder": ""})
    delivery = Delivery.objects.get()
    upload = f"{page}upload/"

    def piece(content: bytes, offset: int, digest: str = "") -> Any:
        return goto.post(
            upload, content, content_type="application/octet-stream",
            headers={"X-File": str(file["file"]), "X-Offset": str(offset), "X-SHA256": digest or sha256(content).hexdigest()},
        )  # fmt: skip

    content = (folder / "kokyaku.csv").read_bytes()
    file = goto.post(upload, {"name": "kokyaku.csv", "size": len(content)}).json()
    assert file["received"] == 0
    assert piece(content[:700], 0).json()["received"] == 700
    assert piece(content[700:900], 700, "00" * 32).status_code == 409  # damaged on its way
    assert piece(content[:700], 0).json()["received"] == 700  # sent twice, counted once
    assert b"700 of" in goto.get(page).content
    again = goto.post(upload, {"name": "kokyaku.csv", "size": len(content)}).json()  # after a break
    assert again == {"file": file["file"], "received": 700}
    assert goto.post(upload, {"name": "kokyaku.csv", "size": 5}).status_code == 409  # another file of that name
    finish = {"X-File": str(file["file"]), "X-Finish": "1"}
    assert goto.post(upload, b"", content_type="application/octet-stream", headers=finish).status_code == 409
    assert piece(content[700:], 700).json()["received"] == len(content)
    done = goto.post(upload, b"", content_type="application/octet-stream", headers=finish).json()
    assert done.get("sha256") == sha256(content).hexdigest(), done

    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("kokyaku.csv", "readme.txt") and path.parent == folder:
            assert goto.post(page, {"files": SimpleUploadedFile(path.name, path.read_bytes())}).status_code == 302
    for path in sorted((folder / "evidence").iterdir()):
        with path.open("rb") as opened:
            deliveries.add(delivery, name=f"evidence/{path.name}", source=opened, by=cast.goto, at=NOON)

    shown = goto.get(page).content.decode()
    assert "Say the encoding" in shown and "Convert and inspect" not in shown
    for row in DeliveredFile.objects.filter(name__endswith=".csv"):
        asked = goto.get(f"{base}files/{row.pk}/encoding/").content.decode()
        assert "CP932" in asked
        pressed(goto, f"{base}files/{row.pk}/encoding/", {"encoding": "cp932"})
    asked = goto.get(f"{base}files/{file['file']}/encoding/").content.decode()
    assert "髙﨑①㈱" in asked or "会員番号" in asked

    draft = goto.get(f"{base}mapping/").context["form"].fields["text"].initial
    assert 'encoding = "cp932"' in draft and '"生年月日・設立日",' in draft and 'delimiter = ";"' in draft
    half = goto.post(f"{base}mapping/preview/", {"text": draft, "delivery": delivery.pk}).content.decode()
    assert "no table of the package is made of this file" in half
    text = layouts.mapping_text("kumo", source)
    look = goto.post(f"{base}mapping/preview/", {"text": text.replace('"個人" = "individual", ', ""), "delivery": delivery.pk}).content.decode()
    assert "is not among the values of the mapping" in look and "髙﨑①㈱" in look
    pressed(goto, f"{base}mapping/", {"text": text.replace("\n", "\r\n"), "delivery": delivery.pk})
    assert LedgerMapping.objects.get().text == text

    assert pressed(goto, f"{page}convert/", {"mapping": LedgerMapping.objects.get().pk, "differences": "refuse"}) == base
    assert b"being converted" in goto.get(base).content
    work(Job.objects.get(kind=conversions.CONVERT))
    work(Job.objects.get(kind=takeover.INSPECT))
    shown = goto.get(base).content.decode()
    assert Intake.objects.get().state == "inspected" and "Where a row came from" in shown and "雲野" in shown
    origin = goto.get(f"{base}origin/?table=customers.csv&row=2").content.decode()
    assert "kokyaku.csv" in origin and "個人" in origin

    asked = pressed(goto, f"{base}accept/", {"negative_policy": "exclude", "remark": "looked at"})
    signed = signed_in(cast.baba).get(asked).content.decode()
    assert "looked at" in signed and "<code title=" in signed and "&lt;code" not in signed  # the mapping's hash is no text


def test_a_running_conversion_is_given_up_by_its_button(case: Case, cast: Cast, files):
    source, folder = files
    secure(case, cast)
    base, goto = f"/admin/case/{case.reference}/takeover/", signed_in(cast.goto)
    delivery = deliveries.from_directory(case, folder, deliverer="the officer", by=cast.goto, at=NOON)
    chosen = conversions.save_mapping(case, layouts.mapping_text("kumo", source), by=cast.goto, at=NOON)
    assert "no conversion here" in goto.get(f"{base}give-up-conversion/").content.decode()
    conversions.convert(delivery, chosen, by=cast.goto, at=NOON)

    shown = goto.get(base).content.decode()
    assert "being converted" in shown and f"{base}give-up-conversion/" in shown
    assert signed_in(cast.chiba).get(f"{base}give-up-conversion/").status_code == 403
    assert pressed(goto, f"{base}give-up-conversion/", {}) == base

    assert not Job.objects.filter(kind=conversions.CONVERT).exists()
    shown = goto.get(base).content.decode()
    assert "being converted" not in shown and "Receive a package" in shown
    assert pressed(goto, f"{base}deliveries/{delivery.pk}/destroy/", {"reason": "My Number"})


def test_a_destroyed_delivery_is_neither_converted_nor_taken_in_from_a_page_left_open(case: Case, cast: Cast, files, tmp_path: Path):
    source, folder = files
    secure(case, cast)
    base, goto = f"/admin/case/{case.reference}/takeover/deliveries/", signed_in(cast.goto)
    chosen = conversions.save_mapping(case, layouts.mapping_text("kumo", source), by=cast.goto, at=NOON)
    for delivered, mapping in ((folder, chosen.pk), (tmp_path / "clean", "")):
        delivery = deliveries.from_directory(case, delivered, deliverer="the officer", by=cast.goto, at=NOON)
        data = {"mapping": mapping, "differences": "refuse"}
        looked = goto.post(f"{base}{delivery.pk}/convert/", {**data, "stage": "look"})
        assert looked.status_code == 200
        deliveries.destroy(delivery, reason="another's data", by=cast.goto, at=NOON)
        shutil.rmtree(deliveries.folder_of(delivery.directory))

        for stage in ({"stage": "look"}, {"stage": "do", "shown": looked.context["shown"]}):
            answer = goto.post(f"{base}{delivery.pk}/convert/", {**data, **stage})
            assert answer.status_code == 409 and "were destroyed" in answer.content.decode()
    assert not Intake.objects.exists() and not Job.objects.exists()


def test_a_decision_that_comes_to_nothing_leaves_the_report(case: Case, cast: Cast, files, tmp_path: Path):
    secure(case, cast)
    base, goto = f"/admin/case/{case.reference}/takeover/", signed_in(cast.goto)
    edit(tmp_path / "clean", "balances.csv", 2, amount="１００")
    delivery = deliveries.from_directory(case, tmp_path / "clean", deliverer="the officer", by=cast.goto, at=NOON)
    report = work(conversions.take_in_package(delivery, by=cast.goto, at=NOON))
    decided = {"outcome_full_width_digits": "aside", "remark_full_width_digits": "Nobody knows what it meant."}
    looked = goto.post(f"{base}outcomes/", {**decided, "stage": "look"})
    deliveries.destroy(delivery, reason="another's data", by=cast.goto, at=NOON)

    answer = goto.post(f"{base}outcomes/", {**decided, "stage": "do", "shown": looked.context["shown"]})

    assert answer.status_code == 409 and takeover.refused(case) == report
    assert "full-width" in goto.get(base).content.decode()


def test_findings_are_downloaded_by_those_who_may_see_the_rows(case: Case, cast: Cast, tmp_path: Path, files):
    secure(case, cast)
    base, goto, chiba = f"/admin/case/{case.reference}/takeover/", signed_in(cast.goto), signed_in(cast.chiba)
    edit(tmp_path / "clean", "balances.csv", 2, amount="１００")
    work(takeover.take_in(case, tmp_path / "clean", by=cast.goto, at=NOON))

    assert goto.get(f"{base}findings.csv").status_code == 200 and f"{base}findings.csv" in goto.get(base).content.decode()
    assert chiba.get(f"{base}findings.csv").status_code == 403 and f"{base}findings.csv" not in chiba.get(base).content.decode()
