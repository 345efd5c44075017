"""The README is the front door: each path and each command it names exists."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", README) + re.findall(r"^(?:python3 manage\.py .*)$", README, re.MULTILINE)
PATHS = sorted({word for word in CODE if re.fullmatch(r"[\w./-]+/[\w./-]*|[\w-]+\.(?:py|toml|md|lock|sql)", word)})
# A command is named in code as `manage.py NAME` or, in the tables, as `name CASE …` in lower case with arguments in capitals.
COMMANDS = sorted(
    {m[1] for word in CODE if (m := re.match(r"python3 manage\.py (\w+)", word))}
    | {m[1] for word in CODE if (m := re.match(r"(\w+) (?:CASE|FILE|DIR|BATCH|CLAIM|OBJECT|SECTION)\b", word))}
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_the_readme_names_exists(path):
    assert (PROJECT / path).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_the_readme_names_exists(command):
    assert command in get_commands() or command == "test"


def test_the_readme_names_paths_and_commands_at_all():
    assert len(PATHS) > 15 and len(COMMANDS) > 12


def test_the_ten_file_walk_has_ten_files():
    walk = README.split("## A walk through ten files")[1].split("\n## ")[0]
    assert len(re.findall(r"^\d+\. `[^`]+`", walk, re.MULTILINE)) == 10
