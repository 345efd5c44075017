"""An upload lies there between the look and the act, and no longer than its token counts."""

import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from administration.cases.models import Case
from administration.ledger import takeover
from administration.ledger.models import Intake
from administration.office import uploads
from administration.office.tasks import sweep
from config.celery import app
from tests.cast import NOON, Cast
from tests.ledger.helpers import sample, secure
from tests.office.pressing import look, paper, press, said, shown
from tests.office.test_pages import signed_in


@pytest.fixture(autouse=True)
def an_archive_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.ARCHIVE_DIR = str(tmp_path / "archive")


@pytest.fixture
def goto(case: Case, cast: Cast) -> Client:
    secure(case, cast)
    return signed_in(cast.goto)


@pytest.fixture
def clean_package(tmp_path: Path) -> Path:
    return sample(tmp_path / "clean", accounts=5)


@pytest.fixture
def folder(clean_package: Path) -> Path:
    return clean_package


def here() -> list[str]:
    return sorted(path.relative_to(uploads.folder()).as_posix() for path in uploads.folder().rglob("*")) if uploads.folder().is_dir() else []


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return out.getvalue()


def receiving(case: Case) -> str:
    return f"/admin/case/{case.reference}/takeover/receive/"


def test_a_package_taken_in_is_uploaded_no_more(case: Case, goto: Client, clean_package: Path):
    looked = look(goto, receiving(case), zipped=paper("package.zip", zipped(clean_package)), differences="refuse")
    assert here()  # while its effect is looked at
    send = shown(looked)
    assert goto.post(receiving(case), send).status_code == 302

    assert (here(), Intake.objects.count()) == ([], 1)
    again = goto.post(receiving(case), send, follow=True)  # the second of two clicks
    assert "first press" in again.content.decode() and Intake.objects.count() == 1


def test_a_package_at_fault_is_not_kept_whenever_that_is_found(case: Case, goto: Client, folder: Path, tmp_path: Path):
    (folder / "accounts.csv").unlink()
    answer = press(goto, receiving(case), zipped=paper("package.zip", zipped(folder)), differences="refuse")
    assert answer.status_code == 409 and "accounts.csv" in said(answer)
    assert (here(), answer.context["kept"]) == ([], {})

    (folder / "manifest.json").write_text("{}")
    answer = look(goto, receiving(case), zipped=paper("package.zip", zipped(folder)), differences="refuse")
    assert answer.status_code == 409 and here() == []

    answer = look(goto, receiving(case), zipped=paper("package.zip", b"no ZIP"), differences="refuse")
    assert answer.status_code == 409 and here() == []


def test_a_package_that_cannot_come_now_is_not_left_unpacked(case: Case, cast: Cast, goto: Client, clean_package: Path):
    looked = look(goto, receiving(case), zipped=paper("package.zip", zipped(clean_package)), differences="refuse")
    takeover.receive(case, clean_package, by=cast.goto, at=NOON)  # somebody else's, since then

    answer = goto.post(receiving(case), shown(looked))

    assert answer.status_code == 409 and "has a package already" in said(answer)
    assert here() == [answer.context["kept"]["zipped"].sha256]  # the package has no fault: it need not be uploaded again
    assert Intake.objects.count() == 1


def test_a_package_that_one_person_takes_in_is_not_taken_from_under_another(
    case: Case, goto: Client, clean_package: Path, monkeypatch: pytest.MonkeyPatch
):  # fmt: skip
    looked = look(goto, receiving(case), zipped=paper("package.zip", zipped(clean_package)), differences="refuse")
    take_in: Any = takeover.take_in

    def meanwhile(taken: Case, folder: Path, **options: Any) -> Any:
        monkeypatch.setattr(takeover, "take_in", take_in)
        second = press(goto, receiving(case), zipped=paper("package.zip", zipped(clean_package)), differences="refuse")
        assert second.status_code == 302
        assert (folder / "manifest.json").exists()
        return take_in(taken, folder, **options)

    monkeypatch.setattr(takeover, "take_in", meanwhile)
    answer = goto.post(receiving(case), shown(looked))

    assert answer.status_code == 409 and "has a package already" in said(answer)
    assert Intake.objects.count() == 1


def test_what_was_looked_at_and_never_done_goes_when_its_token_counts_no_more(case: Case, goto: Client, tmp_path: Path):
    look(goto, receiving(case), zipped=paper("package.zip", zipped(sample(tmp_path / "package", accounts=5))), differences="refuse")
    before = here()
    (uploads.folder() / ".half").write_bytes(b"of an upload that broke off")
    sweep()
    assert len(before) > 2 and here() == [".half", *before]

    for path in uploads.folder().iterdir():
        os.utime(path, (time.time() - uploads.KEPT_SECONDS - uploads.STILL_READ_SECONDS - 1,) * 2)
    sweep()

    assert here() == []
    assert app.conf.beat_schedule["office.sweep"]["task"] == sweep.name
