"""
What rails whose files people and programs exchange have in common: canonical JSON, strictly read; cells safe in a spreadsheet.

Used by rails that have no bank's or chain's own format. A file is read whole or refused, with the place.
"""

import json
import re
from typing import Any

SIZE_MAX = 64 * 1024 * 1024
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}", re.ASCII)
UNITS = re.compile(r"[1-9][0-9]{0,77}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]*")
_EXCEL_TAKES = re.compile(r"[=+\-@\t\r']|0[0-9]|[0-9]{12}")  # for a formula, or for a number whose digits it eats


class Wrong(Exception):
    """A file is not what it should be. Inside a rail only: each face has its own refusal."""


def canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted names, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def with_point(units: int, scale: int) -> str:
    """Whole units as people write them: 12345 at scale 2 is 123.45, always with all its places."""
    whole, rest = divmod(units, 10**scale)
    return f"{whole}.{rest:0{scale}d}" if scale else str(whole)


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without a name twice. Raises Wrong."""
    if len(content) > SIZE_MAX:
        raise Wrong(f"It is larger than {SIZE_MAX // 2**20} MB.")
    try:
        said = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_float=_no_float, parse_constant=_no_float
        )
    except (ValueError, RecursionError) as wrong:
        raise Wrong(f"It is no JSON in UTF-8: {str(wrong)[:200]}.") from None
    if not isinstance(said, dict):
        raise Wrong("It is no JSON object.")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is a number with a point; amounts are texts of whole units")


def safe(cell: str) -> str:
    """A cell that a spreadsheet takes for text: with an apostrophe where it would make a formula or eat digits."""
    return f"'{cell}" if _EXCEL_TAKES.match(cell) else cell


def plain(cell: str) -> str:
    """The cell as it was meant."""
    return cell[1:] if cell.startswith("'") and _EXCEL_TAKES.match(cell[1:]) else cell
