"""
What a pull says, line by line: each kind of line is one query whose columns are texts in natural keys.

Instants are micros() (whole microseconds since 1970), amounts whole units, hashes hexadecimal. `%(case)s` is the
case's id, `%(size)s` how many events are pulled.
"""

from collections.abc import Sequence

HEADS = """
SELECT 'head' AS type, size::text, encode(root, 'hex') AS root, micros(signed_at) AS signed_at, key_id,
       encode(public_key, 'hex') AS public_key, encode(signature, 'hex') AS signature
FROM record_head h WHERE case_id = %(case)s AND h.size <= %(size)s ORDER BY h.size
"""

LEAVES = """
SELECT 'leaves' AS type, first::text, encode(hashes, 'hex') AS hashes
FROM record_leaves l WHERE case_id = %(case)s ORDER BY l.first
"""

EVENTS = """
SELECT 'event' AS type, number::text, case_reference AS "case", kind, subject_kind, subject_id, by, micros(at) AS at,
       micros(recorded_at) AS recorded_at, body
FROM record_event e WHERE case_id = %(case)s AND e.number <= %(size)s ORDER BY e.number
"""

MANIFESTS = """
SELECT 'manifest' AS type, b.reference AS batch, b.state, encode(m.sha256, 'hex') AS sha256, m.body
FROM returns_manifest m JOIN returns_batch b ON b.id = m.batch_id WHERE b.case_id = %(case)s ORDER BY b.reference
"""

# When a return settled is what the evidence says, not when we read it.
_WHEN = """
SELECT t.asset_return_id, max(e.at) FILTER (WHERE e.kind = 'settled') AS settled_at,
       max(e.at) FILTER (WHERE e.kind = 'returned') AS returned_at
FROM returns_match m JOIN returns_attempt t ON t.id = m.attempt_id JOIN returns_evidenceline e ON e.id = m.line_id
WHERE e.case_id = %(case)s AND m.applied_at IS NOT NULL
"""
_WHEN_ALL = "LEFT JOIN (" + _WHEN + " GROUP BY t.asset_return_id) s ON s.asset_return_id = r.id"
_WHEN_EACH = "LEFT JOIN LATERAL (" + _WHEN + " AND t.asset_return_id = r.id GROUP BY t.asset_return_id) s ON true"
_COLUMNS = """
    r.reference, o.number::text AS round, c.number AS claim, l.claim_class, a.code AS asset, r.amount::text AS amount,
    r.state, b.reference AS batch, r.part::text AS part, r.rail, d.network,
    encode(d.fingerprint, 'hex') AS destination, r.tries::text AS tries, p.reference AS after,
    {instant}(o.scheduled_at) AS scheduled_at, {instant}(b.frozen_at) AS frozen_at,
    {instant}(s.settled_at) AS settled_at, {instant}(s.returned_at) AS returned_at
"""
_FROM = """
FROM returns_assetreturn r
JOIN returns_round o ON o.id = r.round_id
JOIN register_claimline l ON l.id = r.claim_line_id
JOIN register_claim c ON c.id = l.claim_id
JOIN books_asset a ON a.id = r.asset_id
LEFT JOIN returns_batch b ON b.id = r.batch_id
LEFT JOIN destinations_destination d ON d.id = r.destination_id
LEFT JOIN returns_assetreturn p ON p.id = r.after_id
{when}
WHERE {where}
"""
_OF_THE_CASE = "r.case_id = %(case)s"


def returns(where: Sequence[str] = (), *, instant: str = "micros", marked: bool = False) -> str:
    """All columns of the returns that meet the conditions, in order."""
    found = _FROM.format(when=_WHEN_ALL, where=" AND ".join([_OF_THE_CASE, *where]))
    first = "SELECT 'return' AS type," if marked else "SELECT"
    return first + _COLUMNS.format(instant=instant) + found + 'ORDER BY r.reference COLLATE "C"'


def returns_csv(where: Sequence[str] = ()) -> str:
    """For people and spreadsheets. Texts that anybody outside could choose are made harmless; amounts are whole units."""
    return f"""
SELECT reference, round, claim, claim_class, audit_cell(asset) AS asset, amount, state, audit_cell(batch) AS batch, part,
       audit_cell(rail) AS rail, audit_cell(network) AS network, destination, tries, after, scheduled_at, frozen_at,
       settled_at, returned_at
FROM ({returns(where, instant="audit_instant")}) returns"""  # noqa: S608  our own columns; values are parameters


def returns_page(where: Sequence[str] = ()) -> str:
    """Some returns, found one by one: `%(limit)s` after the reference `%(after)s`."""
    conditions = [_OF_THE_CASE, "r.reference > %(after)s", *where]
    found = _FROM.format(when=_WHEN_EACH, where=" AND ".join(conditions))
    return "SELECT" + _COLUMNS.format(instant="micros") + found + "ORDER BY r.reference LIMIT %(limit)s"


def returns_sums(where: Sequence[str] = ()) -> str:
    """By asset and state: count, sum, first and last reference. What no condition speaks of is not looked up."""
    joins = "JOIN books_asset a ON a.id = r.asset_id"
    conditions = " AND ".join([_OF_THE_CASE, *where])
    if "o." in conditions:
        joins += " JOIN returns_round o ON o.id = r.round_id"
    if "b." in conditions:
        joins += " LEFT JOIN returns_batch b ON b.id = r.batch_id"
    if "s." in conditions:
        joins += f" {_WHEN_ALL}"
    return f"""
SELECT a.code, r.state, count(*), sum(r.amount), min(r.reference), max(r.reference)
FROM returns_assetreturn r {joins} WHERE {conditions} GROUP BY a.code, r.state ORDER BY a.code COLLATE "C", r.state"""  # noqa: S608  our own columns; values are parameters


RETURNS = returns(marked=True)

ATTEMPTS = """
SELECT 'attempt' AS type, r.reference AS "return", b.reference AS batch, t.part::text AS part, t.state,
       t.reason_code AS reason, micros(t.recorded_at) AS recorded_at
FROM returns_attempt t JOIN returns_assetreturn r ON r.id = t.asset_return_id JOIN returns_batch b ON b.id = t.batch_id
WHERE r.case_id = %(case)s ORDER BY r.reference COLLATE "C", b.reference COLLATE "C"
"""

EVIDENCE = """
SELECT 'evidence' AS type, encode(e.sha256, 'hex') AS sha256, e.rail, e.name, e.lines_count::text AS lines,
       u.username AS received_by, micros(e.received_at) AS received_at
FROM returns_evidence e LEFT JOIN people_user u ON u.id = e.received_by_id WHERE e.case_id = %(case)s ORDER BY e.id
"""

EVIDENCE_LINES = """
SELECT 'line' AS type, encode(e.sha256, 'hex') AS evidence, l.line::text, encode(l.fingerprint, 'hex') AS fingerprint,
       l.kind, l.reference, l.part, l.asset_code AS asset, l.amount::text, micros(l.at) AS at, l.reason, l.problem
FROM returns_evidenceline l JOIN returns_evidence e ON e.id = l.evidence_id
WHERE l.case_id = %(case)s ORDER BY l.evidence_id, l.line
"""

MATCHES = """
SELECT 'match' AS type, encode(l.fingerprint, 'hex') AS fingerprint, r.reference AS "return", b.reference AS batch,
       m.amount::text, micros(m.applied_at) AS applied_at, u.username AS by
FROM returns_match m JOIN returns_evidenceline l ON l.id = m.line_id JOIN returns_attempt t ON t.id = m.attempt_id
JOIN returns_assetreturn r ON r.id = t.asset_return_id JOIN returns_batch b ON b.id = t.batch_id
LEFT JOIN people_user u ON u.id = m.by_id
WHERE l.case_id = %(case)s ORDER BY r.reference COLLATE "C", l.kind, l.fingerprint
"""

KINDS = (HEADS, LEAVES, EVENTS, MANIFESTS, RETURNS, ATTEMPTS, EVIDENCE, EVIDENCE_LINES, MATCHES)


# --- events -----------------------------------------------------------------------------------

_EVENT = """
SELECT {first}e.number::text AS number, e.kind, e.subject_kind, e.subject_id, e.by, {instant}(e.at) AS at,
       {instant}(e.recorded_at) AS recorded_at, encode(record_leaf(e), 'hex') AS leaf, e.body
FROM record_event e WHERE {where} ORDER BY e.number
"""


def events(where: Sequence[str] = (), *, marked: bool = False) -> str:
    """The events up to `%(size)s` that meet the conditions, each with its leaf."""
    conditions = ["e.case_id = %(case)s", "e.number <= %(size)s", *where]
    return _EVENT.format(first="'event' AS type, " if marked else "", instant="micros", where=" AND ".join(conditions))


def events_csv(where: Sequence[str] = ()) -> str:
    conditions = ["e.case_id = %(case)s", "e.number <= %(size)s", *where]
    found = _EVENT.format(first="", instant="audit_instant", where=" AND ".join(conditions))
    return f"""
SELECT number, kind, subject_kind, audit_cell(subject_id) AS subject_id, audit_cell(by) AS by, at, recorded_at, leaf,
       audit_cell(body) AS body
FROM ({found}) events"""  # noqa: S608  our own columns; values are parameters


def events_counts(where: Sequence[str] = ()) -> str:
    """By kind: how many, first and last number."""
    conditions = " AND ".join(["e.case_id = %(case)s", "e.number <= %(size)s", *where])
    return f"SELECT e.kind, count(*), min(e.number), max(e.number) FROM record_event e WHERE {conditions} GROUP BY e.kind ORDER BY e.kind"  # noqa: S608  our own columns; values are parameters
