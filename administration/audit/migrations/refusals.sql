-- --- pulls ------------------------------------------------------------------------------------

-- A pull is history: what was handed out, when, under which head. Its hash and length are set once, by the stream
-- that reached its end.
CREATE FUNCTION audit_pull_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.sha256 IS NULL AND NEW.sha256 IS NOT NULL
       AND to_jsonb(NEW) - 'sha256' - 'bytes' = to_jsonb(OLD) - 'sha256' - 'bytes' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'append only: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = '23001';
END
$$;
CREATE TRIGGER pull_is_finished_once BEFORE UPDATE ON audit_pull
    FOR EACH ROW EXECUTE FUNCTION audit_pull_is_guarded();
CREATE TRIGGER pull_append_only BEFORE DELETE OR TRUNCATE ON audit_pull
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pull_keeps_what_it_states BEFORE UPDATE OF id, case_id, number, of, format, population, file_name, head_size,
    by_id, token_id, request_key, request_sha256, at ON audit_pull
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_pull FROM henkan_app;
GRANT UPDATE (sha256, bytes) ON audit_pull TO henkan_app;

-- --- tokens -----------------------------------------------------------------------------------

-- Issued by an office-holder to somebody who watches the case, for a year at most; collected once; revoked once.
CREATE FUNCTION audit_token_is_guarded() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    held cases_appointment;
BEGIN
    SELECT * INTO held FROM cases_appointment WHERE id = NEW.appointment_id;
    IF TG_OP = 'INSERT' THEN
        IF held.case_id <> NEW.case_id OR held.kind NOT IN ('auditor', 'court_reader')
           OR NOT cases_runs(held.from_at, held.to_at, clock_timestamp()) THEN
            PERFORM cases_refuse('a token is issued to an auditor or court reader whose appointment runs');
        END IF;
        IF held.user_id = NEW.issued_by_id
           OR NOT cases_holds_office(NEW.case_id, NEW.issued_by_id, ARRAY['office_holder']) THEN
            PERFORM cases_refuse('a token is issued by an office-holder of the case');
        END IF;
        IF NEW.sha256 IS NOT NULL OR NEW.revoked_at IS NOT NULL THEN
            PERFORM cases_refuse('a token is collected and revoked after it was issued');
        END IF;
        IF NEW.expires_at > clock_timestamp() + interval '366 days' THEN
            PERFORM cases_refuse('a token runs for a year at most');
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - ARRAY['sha256', 'collected_at', 'revoked_by_id', 'revoked_at']
       <> to_jsonb(OLD) - ARRAY['sha256', 'collected_at', 'revoked_by_id', 'revoked_at'] THEN
        PERFORM cases_refuse('a token keeps what it was issued for');
    END IF;
    IF (NEW.sha256, NEW.collected_at) IS DISTINCT FROM (OLD.sha256, OLD.collected_at)
       AND (OLD.sha256 IS NOT NULL OR OLD.revoked_at IS NOT NULL) THEN
        PERFORM cases_refuse('a token is collected once');
    END IF;
    IF OLD.revoked_at IS NOT NULL THEN
        PERFORM cases_refuse('a revoked token stays revoked');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER token_is_issued_collected_and_revoked_once BEFORE INSERT OR UPDATE ON audit_token
    FOR EACH ROW EXECUTE FUNCTION audit_token_is_guarded();
CREATE TRIGGER token_is_not_deleted BEFORE DELETE OR TRUNCATE ON audit_token
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_token FROM henkan_app;
GRANT UPDATE (sha256, collected_at, revoked_by_id, revoked_at) ON audit_token TO henkan_app;
REVOKE SELECT ON audit_token FROM henkan_reader;

-- What was read only grows.
CREATE FUNCTION audit_reading_grows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.token_id, NEW.list, NEW.day, NEW.head_size) IS DISTINCT FROM (OLD.id, OLD.token_id, OLD.list, OLD.day, OLD.head_size)
       OR NEW.pages < OLD.pages OR NEW.rows < OLD.rows THEN
        PERFORM cases_refuse('what was read only grows');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER reading_only_grows BEFORE UPDATE ON audit_reading
    FOR EACH ROW EXECUTE FUNCTION audit_reading_grows();
CREATE TRIGGER reading_is_not_deleted BEFORE DELETE OR TRUNCATE ON audit_reading
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_reading FROM henkan_app;
GRANT UPDATE (pages, rows, through) ON audit_reading TO henkan_app;

-- --- what a pull says -------------------------------------------------------------------------

-- Text that a spreadsheet would take for a formula is led by an apostrophe.
CREATE FUNCTION audit_cell(cell text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN left(cell, 1) IN ('=', '+', '-', '@', E'\t', E'\r', E'\n', '|', '%') THEN '''' || cell ELSE cell END;

-- An instant for people, in UTC, the same whatever the session's time zone and date style.
CREATE FUNCTION audit_instant(instant timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
