"""manage.py on a bare machine."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
NOTHING_ELSE = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@pytest.fixture
def manage():
    """manage.py as a module, to ask it things without a second interpreter."""
    spec = importlib.util.spec_from_file_location("manage_under_test", PROJECT / "manage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose lock names nothing, so that it needs no network, and whose stack does nothing."""
    shutil.copy(PROJECT / "manage.py", tmp_path)
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/stack.py").write_text(
        "import sys\nclass NoStack(Exception): pass\n"
        "def for_command(arguments, migrate):\n    print(sys.executable, *arguments); sys.exit(7)\n"
    )
    return tmp_path


def test_two_at_once_on_a_bare_machine_make_one_venv_and_both_run_in_it(clone):
    base = getattr(sys, "_base_executable", sys.executable)
    started = [
        subprocess.Popen(
            [base, clone / "manage.py", "tie_out", "C-1"],
            cwd="/", env=NOTHING_ELSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=120) for process in started]

    assert [process.returncode for process in started] == [7, 7], said
    for out, _ in said:
        assert out.split()[1:] == ["tie_out", "C-1"]
        assert Path(out.split()[0]).parent == clone / ".venv/bin"
    assert sum("Making .venv" in err for _, err in said) == 1

    (clone / "requirements.lock").write_text("# another nothing\n")
    again = subprocess.run([base, clone / "manage.py", "up"], env=NOTHING_ELSE, capture_output=True, text=True, check=False)
    assert again.returncode == 7
    assert "Making .venv" in again.stderr  # the lock has changed


def test_an_old_python_gets_a_sentence(manage, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))

    with pytest.raises(SystemExit, match=r"needs Python 3.11 or newer; this is 3\.9"):
        manage.main()


def test_a_python_without_venv_is_told_what_to_install(manage, monkeypatch, tmp_path):
    monkeypatch.setattr(manage, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(manage.shutil, "which", lambda name: None)
    monkeypatch.setattr(manage.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SystemExit, match="apt install python3-venv"):
        manage.make_venv(tmp_path / ".venv/bin/python")


def test_an_interpreter_that_has_everything_is_left_alone(manage, monkeypatch):
    monkeypatch.setenv("NO_BOOTSTRAP", "1")
    assert manage.is_ready()


def test_every_package_of_the_lock_has_its_hashes():
    lock = (PROJECT / "requirements.lock").read_text().replace("\\\n", " ")
    packages = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert len(packages) > 50
    assert [line.split()[0] for line in packages if "--hash=sha256:" not in line] == []
    assert "://" not in "".join(packages)
