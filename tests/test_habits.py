"""The habits of the house, each run as a person would run it at the keyboard."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([BIN / "ruff", "check", "--no-fix", "--output-format", "concise", "."], id="ruff"),
        pytest.param([sys.executable, "-m", "mypy"], id="mypy"),
        pytest.param([BIN / "lint-imports", "--no-logo"], id="import contracts"),
        pytest.param(
            [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"], id="no migration is missing"
        ),
        pytest.param([sys.executable, "manage.py", "check", "--fail-level", "WARNING"], id="django's own checks"),
    ],
)
def test_habit(command):
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"


def test_the_import_contracts_bite(tmp_path):
    """A tree in which an act imports a task, a rail imports Django and a lower room an upper one."""
    for name in ("config", "administration", "claims"):
        copy_python(PROJECT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text())
    add(tmp_path / "claims/register/holds_of_nobody.py", "import administration.work.tasks")
    add(tmp_path / "administration/rails/wrong.py", "import django")
    add(tmp_path / "administration/books/wrong.py", "import claims.register.models")
    add(tmp_path / "config/servers.py", "import redis")

    done = subprocess.run(
        [BIN / "lint-imports", "--no-logo", "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    for broken in ("Upper rooms", "Amounts and rails", "The stack needs", "Acts do not know"):
        assert any(line.startswith(broken) and "BROKEN" in line for line in done.stdout.splitlines()), done.stdout


def copy_python(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def add(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"\n{line}\n")
