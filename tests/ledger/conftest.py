from pathlib import Path

import pytest

from administration.cases.models import Case
from tests.cast import Cast
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
