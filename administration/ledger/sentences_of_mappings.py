"""
What is found wrong with the text of a mapping, marked for translation: faults are kept in one wording (administration.wording).
"""

from django.utils.translation import gettext_noop as _

SENTENCES = (
    _("it is larger than a megabyte: it holds rows that belong elsewhere."),
    # the text itself
    _("this is not TOML: %(why)s (at line %(line)s, column %(column)s)."),
    _("this is not TOML: %(why)s (at end of document)."),
    _("Invalid statement"),
    _("Invalid value"),
    _("Invalid hex value"),
    _("Invalid date or datetime"),
    _("Invalid initial character for a key part"),
    _("Expected '=' after a key in a key/value pair"),
    _("Expected ']' at the end of a table declaration"),
    _("Expected ']]' at the end of an array declaration"),
    _("Expected newline or end of document after a statement"),
    _("Unclosed array"),
    _("Unclosed inline table"),
    _("Unterminated string"),
    _("Unescaped '\\' in a string"),
    _("Cannot overwrite a value"),
    _("this is not TOML: Cannot declare %(key)s twice (at line %(line)s, column %(column)s)."),
    _("this is not TOML: Duplicate inline table key %(key)s (at line %(line)s, column %(column)s)."),
    _("this is not TOML: Illegal character %(sign)s (at line %(line)s, column %(column)s)."),
    _("this is not TOML: Found invalid character %(sign)s (at line %(line)s, column %(column)s)."),
    # plain values
    _("this is not a table."),
    _("“%(name)s” is not known here. Known: %(known)s."),
    _("“%(name)s” must be a text."),
    _("“%(name)s” is missing."),
    _("“%(name)s” has control characters. Take them out."),
    _("“%(name)s” must be a list of texts."),
    _("“%(name)s” must be a whole number from 0 to %(most)s."),
    _("“%(name)s” must be true or false."),
    _("“%(name)s” must be a list of tables: [[%(entry)s]]."),
    # the whole
    _("write format = \"%(format)s\" and version = %(version)s."),
    _("write an instant with its offset, like 2026-09-30T15:00:00+09:00."),
    _("name at least one delivered file."),
    _('say under which plain ASCII name the paper is kept: as = "balance-certificate.pdf".'),
    # assets and control totals
    _("“code” must be 2 to 16 capital letters and digits."),
    _("“%(name)s” must be one of %(choices)s."),
    _("“scale” is missing: how many decimal places the ledger keeps."),
    _("“payable_step” must be a whole number of smallest units."),
    _("“%(symbol)s” stands for %(asset)s already. One symbol means one asset."),
    _("an asset stands twice."),
    _("list the assets with their symbols. Codes are never guessed."),
    _("%(asset)s is not among the assets."),
    # one delivered file
    _("“delimiter” is one sign, “quote” one or none."),
    _("“line_end” must be LF (CR LF too) or CR."),
    _("no table of the package is made of this file. If nobody needs it, put it under ignore_files."),
    _(
        "“%(name)s” carries individual numbers (My Number), which the law forbids us to hold. "
        "Have the file made again without it, and destroy this copy."
    ),
    _("“%(name)s” is mapped and ignored."),
    _("“columns” must be a table."),
    _("“%(name)s” is not a column of %(table)s. Its columns: %(columns)s."),
    _("%(name)s must be given: name a column, or a constant."),
    _("say why these rows are left out."),
    _("give either a column or a constant."),
    _("“values” must say for each text what it means."),
    _("“%(value)s” is not one of %(choices)s."),
    _("“%(name)s” must be among %(choices)s."),
    _("day first and month first together are ambiguous."),
    _("“offset” must be like +09:00."),
    _("this column holds no number."),
    _("“decimal” is . or , and “thousands” another single sign, or none."),
    _("whole smallest units are read in the column “amount” only."),
    # why the mappings that come with the house leave rows out
    _("The line of totals at the end of the file."),
    _("A balance of nothing."),
    _("No %(asset)s in this row."),
)
