"""What the rails say is wrong is kept in English and said in Japanese: every sentence of its source has its words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import override

from administration.rails import zengin
from administration.wording import said

RAISING = {"Fault": 2, "NotSetUp": 0, "CannotPrepare": 0}  # which argument is the sentence
FOLDER = Path(str(zengin.__file__)).parent


def sample(node: ast.expr) -> str:
    """The sentence with something in each of its places."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "4711" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def sentences() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISING:
                place = RAISING[node.func.id]
                if place < len(node.args) and (sentence := sample(node.args[place])):
                    yield path.name, sentence


def test_every_sentence_of_the_banks_rail_has_its_japanese():
    found = list(sentences())
    with override("ja"):
        english = [one for one in found if not re.search("[぀-ヿ一-鿿]", said(one[1]).replace("普通", ""))]

    assert len(found) > 50
    assert english == []


def test_several_faults_of_a_file_are_said_one_after_the_other():
    with override("ja"):
        told = said(
            "stmt.txt was refused and nothing of it taken. Line 3 column 25: The amount is nothing. And 7 more."
        )

    assert told == "stmt.txt は受け付けられず、何も取り込んでいません。3行目25桁目：金額がゼロです。ほかに7件。"
