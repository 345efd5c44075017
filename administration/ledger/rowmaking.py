"""One row of a delivered file as a row of a table of the package, field by field, as the mapping says."""

from collections.abc import Callable, Sequence

from administration.ledger.grammars import TEXTS, NotInGrammar, day, day_of, in_whole_coins, instant, zero_padded
from administration.ledger.mapping import Fill, LeaveOut, Mapping, Part
from administration.ledger.package import Type
from administration.ledger.unconverted import MARK, mark

ASSET_COLUMNS = ("asset", "against", "fee_asset")
KNOWN_MAX = 10_000  # texts of a column whose conversion is remembered

Values = Sequence[str]
Field = Callable[[Values], str]


class RowMaker:
    """Makes the rows of one table out of the rows of one delivered file."""

    def __init__(self, part: Part, names: Sequence[str], mapping: Mapping, papers: dict[str, tuple[str, str]]) -> None:
        self.table, self.mapping, self.papers = part.table, mapping, papers
        self.places = {name: place for place, name in enumerate(names)}
        by_column = {fill.column.name: fill for fill in part.fills}
        self.columns = {name: "+".join(fill.sources) for name, fill in by_column.items() if fill.sources}
        self.fields = [self._field(by_column[name]) if name in by_column else _nothing for name in part.table.header]
        self.rules = [(self.places[rule.column], rule) for rule in part.leave_out]
        self.finishing = [one for one in (self._minor_units(by_column), self._evidence(by_column)) if one is not None]

    def leaves_out(self, values: Values) -> LeaveOut | None:
        for place, rule in self.rules:
            if values[place] in rule.values:
                return rule
        return None

    def row(self, values: Values) -> list[str]:
        made = [field(values) for field in self.fields]
        for finish in self.finishing:
            finish(made)
        return made

    # --- one field --------------------------------------------------------------------------------

    def _field(self, fill: Fill) -> Field:
        if fill.constant is not None:
            constant = fill.constant
            return lambda values: constant
        places = [self.places[name] for name in fill.sources]
        convert = self._convert(fill)
        if len(places) > 1:
            join = fill.join

            def joined(values: Values) -> str:
                parts = [values[place] for place in places]
                broken = next((one for one in parts if one.startswith(MARK)), None)
                text = join.join(one for one in parts if one)
                return broken or (convert(text) if convert else text)

            return joined
        (place,) = places
        if convert is None:
            return lambda values: values[place]

        def converted(values: Values) -> str:
            text = values[place]
            return text if text.startswith(MARK) else convert(text)

        return converted

    def _convert(self, fill: Fill) -> Callable[[str], str] | None:
        """What is done with the text of a field; None if nothing is."""
        steps: list[Callable[[str], str]] = [TEXTS[name] for name in fill.texts]
        if fill.values:
            values = dict(fill.values)
            steps.append(lambda text: values[text] if text in values else _raise("unknown_value"))
        if fill.column.name in ASSET_COLUMNS:
            symbols = self.mapping.symbols
            steps.append(lambda text: symbols.get(text) or f"?{text[:15]}")  # the inspection says that nobody knows it
        if fill.number is not None:
            steps.append(fill.number.read)
        if fill.column.type is Type.DATE:
            days, wide, at = fill.days, fill.full_width, fill.offset
            if fill.cut == "time":
                steps.append(lambda text: day_of(text, days, at, full_width=wide))
            else:
                steps.append(lambda text: day(text, days, full_width=wide))
        if fill.column.type is Type.INSTANT:
            grammars, offset = fill.days, fill.offset
            steps.append(lambda text: instant(text, grammars, offset))
        if fill.zero_pad:
            width = fill.zero_pad
            steps.append(lambda text: zero_padded(text, width))
        if fill.column.name == "evidence_file":
            papers = self.papers
            steps.append(lambda text: papers[text][0] if text in papers else text)
        if not steps and fill.empty is None:
            return None
        empty = fill.empty or ""
        known: dict[str, str] = {"": empty}  # words, symbols and days come again and again
        knows_most = 0 if fill.number is not None else KNOWN_MAX

        def convert(text: str) -> str:
            found = known.get(text)
            if found is not None:
                return found
            given = text
            try:
                for one in steps:
                    text = one(text)
            except NotInGrammar as wrong:
                return mark(wrong.kind, given)
            text = text or empty
            if len(known) <= knows_most:
                known[given] = text
            return text

        return convert

    # --- what needs the whole row -----------------------------------------------------------------

    def _minor_units(self, fills: dict[str, Fill]) -> Callable[[list[str]], None] | None:
        fill = fills.get("amount")
        if fill is None or fill.number is None or not fill.number.minor_units or "asset" not in fills:
            return None
        asset, amount = self.table.header.index("asset"), self.table.header.index("amount")
        scales = {one.code: one.scale for one in self.mapping.assets}

        def finish(made: list[str]) -> None:
            scale = scales.get(made[asset])
            if scale is not None and made[amount] and not made[amount].startswith(MARK):
                made[amount] = in_whole_coins(made[amount], scale)

        return finish

    def _evidence(self, fills: dict[str, Fill]) -> Callable[[list[str]], None] | None:
        """The hash of a paper is taken from the paper, where the delivered file does not give it."""
        if "evidence_sha256" in fills or "evidence_file" not in self.table.header:
            return None
        file, sha256 = self.table.header.index("evidence_file"), self.table.header.index("evidence_sha256")

        def finish(made: list[str]) -> None:
            made[sha256] = self.papers[made[file]][1] if made[file] in self.papers else ""

        return finish


def _nothing(values: Values) -> str:
    return ""


def _raise(kind: str) -> str:
    raise NotInGrammar(kind)
