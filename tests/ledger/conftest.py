from pathlib import Path

import pytest

from administration.cases.models import Case
from administration.ledger import conversions, deliveries
from administration.ledger.delivered import Delivery, LedgerMapping
from tests.cast import NOON, Cast
from tests.ledger import layouts
from tests.ledger.helpers import sample, secure


@pytest.fixture
def secured(case: Case, cast: Cast) -> Case:
    secure(case, cast)
    return case


@pytest.fixture(scope="session")
def clean_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package without faults; copy it before changing it."""
    return sample(tmp_path_factory.mktemp("clean"), accounts=60)


@pytest.fixture
def folder(clean_package: Path, tmp_path: Path) -> Path:
    """A package of one's own, to spoil."""
    import shutil

    return Path(shutil.copytree(clean_package, tmp_path / "package"))


@pytest.fixture
def foreign(secured: Case, cast: Cast, clean_package: Path, tmp_path: Path) -> tuple[Delivery, LedgerMapping]:
    """A delivery in an exchange's own form, and the mapping for it."""
    source = layouts.for_cp932(clean_package, tmp_path / "source")
    delivery = deliveries.from_directory(secured, layouts.write(source, tmp_path / "files", "kumo"), deliverer="the officer", by=cast.goto, at=NOON)
    return delivery, conversions.save_mapping(secured, layouts.mapping_text("kumo", source), by=cast.goto, at=NOON)
