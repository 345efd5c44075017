-- A pull is history: what was handed out, when, under which head.
CREATE TRIGGER pull_append_only BEFORE UPDATE OR DELETE ON audit_pull
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pull_not_truncated BEFORE TRUNCATE ON audit_pull
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_pull FROM henkan_app;

-- Text that a spreadsheet would take for a formula is led by an apostrophe.
CREATE FUNCTION audit_cell(cell text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN left(cell, 1) IN ('=', '+', '-', '@', E'\t', E'\r', E'\n', '|', '%') THEN '''' || cell ELSE cell END;

-- An instant for people, in UTC, the same whatever the session's time zone and date style.
CREATE FUNCTION audit_instant(instant timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
