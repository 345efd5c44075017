"""
Spoiling a good package as a small file of the corpus says.

    file = "balances.csv"          which file of the package (the manifest too)
    row = 5                        which row of it, the header being row 1
    set = { amount = "NaN" }       fields of that row
    line / insert = "…"            the whole row instead, or a row before it
    twice / gone = true            the row doubled, or taken out
    replace = ["a", "b"]           every a of the file (or of the row) becomes b
    hex = "83 41"                  bytes in place of the row (with `row`) or of the whole file
    before / after = "…"           text put before or after everything
    encoding = "cp932"             the file written in another encoding
    text = "…"                     the whole file
    missing, link, pipe, folder    the file is not there, is a link, a pipe, a folder
    add = "name"                   a file nobody listed
    field = "assets[1].scale"      a field of the manifest: `value`, or `gone = true`
    stale = true                   the manifest is not told: its hash and size are those of the good file

Afterwards the manifest says of each changed file what it is, rows included, so that the fault is in the content only.
"""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from administration.ledger import package

CORPUS = Path(__file__).parents[1] / "corpus" / "handover"
BASE = CORPUS / "base"


@dataclass(frozen=True)
class Spoilt:
    """One case of the corpus: what is done to the good package, and every finding there must be."""

    name: str
    why: str
    changes: tuple[dict[str, Any], ...]
    expect: tuple[str, ...]


def every() -> list[Spoilt]:
    return [read(path) for path in sorted(CORPUS.glob("*/*.toml"))]


def read(path: Path) -> Spoilt:
    said = tomllib.loads(path.read_text("utf-8"))
    return Spoilt(
        f"{path.parent.name}/{path.stem}", said["why"], tuple(said.get("change", ())), tuple(said["expect"])
    )


def spoil(case: Spoilt, folder: Path) -> Path:
    """A copy of the good package in `folder`, spoilt as the case says."""
    shutil.copytree(BASE, folder)
    told: dict[str, bool] = {}
    for change in case.changes:
        if "field" in change:
            _set_field(folder, change)
            continue
        name = change["add"] if "add" in change else change["file"]
        _change(folder / name, name, change)
        told[name] = told.get(name, True) and not change.get("stale")
    for name, tell in told.items():
        if tell and name != package.MANIFEST and (folder / name).is_file() and not (folder / name).is_symlink():
            _tell(folder, name)
    return folder


def _change(path: Path, name: str, change: dict[str, Any]) -> None:
    if "add" in change:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(change.get("text", "x"), "utf-8")
    elif change.get("missing"):
        path.unlink()
    elif change.get("link"):
        elsewhere = path.parents[1] / f"elsewhere-{path.name}"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    elif change.get("pipe"):
        path.unlink()
        os.mkfifo(path)
    elif change.get("folder"):
        path.unlink()
        path.mkdir()
    elif "row" in change:
        lines = path.read_bytes().split(b"\n")
        place = change["row"] - 1
        lines[place : place + 1] = _row(name, lines[place], change)
        path.write_bytes(b"\n".join(lines))
    else:
        path.write_bytes(_whole(path.read_bytes(), change))


def _row(name: str, line: bytes, change: dict[str, Any]) -> list[bytes]:
    if "set" in change:
        header = package.BY_FILE[name].header
        values = next(csv.reader([line.decode()]))
        for column, text in change["set"].items():
            values[header.index(column)] = text
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerow(values)
        return [out.getvalue().removesuffix("\r\n").encode()]
    if "replace" in change:
        return [line.replace(change["replace"][0].encode(), _bytes(change["replace"][1]))]
    if "insert" in change:
        return [change["insert"].encode(), line]
    if "line" in change:
        return [change["line"].encode()]
    if "hex" in change:
        return [bytes.fromhex(change["hex"])]
    return [line, line] if change.get("twice") else []


def _bytes(text: str) -> bytes:
    """Text, or after `hex:` bytes that are none."""
    return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()


def _whole(content: bytes, change: dict[str, Any]) -> bytes:
    if "text" in change:
        content = change["text"].encode()
    if "hex" in change:
        content = bytes.fromhex(change["hex"])
    if "replace" in change:
        content = content.replace(change["replace"][0].encode(), _bytes(change["replace"][1]))
    if "encoding" in change:
        content = content.decode().encode(change["encoding"], "replace")
    return change.get("before", "").encode() + content + change.get("after", "").encode() * change.get("times", 1)


def _set_field(folder: Path, change: dict[str, Any]) -> None:
    path = folder / package.MANIFEST
    facts = json.loads(path.read_text("utf-8"))
    steps: list[Any] = [int(n) if n else name for name, n in re.findall(r"([a-z_A-Z0-9]+)|\[(\d+)\]", change["field"])]
    steps = [int(step) if isinstance(step, str) and step.isdecimal() else step for step in steps]
    place = facts
    for step in steps[:-1]:
        place = place[step]
    if change.get("gone"):
        del place[steps[-1]]
    elif isinstance(place, list) and steps[-1] == len(place):
        place.append(change["value"])
    else:
        place[steps[-1]] = None if change.get("null") else change["value"]
    path.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")


def _tell(folder: Path, name: str) -> None:
    """The manifest says what the file is now."""
    path = folder / package.MANIFEST
    facts = json.loads(path.read_text("utf-8"))
    content = (folder / name).read_bytes()
    for entry in facts["files"]:
        if entry["name"] == name:
            entry.update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            if entry["rows"] is not None:
                entry["rows"] = _records(content)
    path.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")


def _records(content: bytes) -> int:
    """Data rows: lines after the first, a line end inside quotes not counted."""
    body = content.split(b"\n", 1)[1] if b"\n" in content else b""
    rows, open_ = 0, False
    for line in body.removesuffix(b"\n").split(b"\n") if body else []:
        rows += not open_
        open_ ^= line.count(b'"') % 2 == 1
    return rows
