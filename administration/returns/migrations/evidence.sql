-- What rails say, what it is matched to, and what two people correct.

-- --- Evidence and matches ------------------------------------------------------------------------

REVOKE UPDATE ON returns_evidence, returns_evidenceline, returns_match FROM henkan_app;
GRANT UPDATE (problem) ON returns_evidenceline TO henkan_app;
GRANT UPDATE (applied_at) ON returns_match TO henkan_app;

-- A line is of the case of its evidence. Lines come before their evidence's row, so at the evidence.
CREATE FUNCTION evidence_is_of_the_case_of_its_lines() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM returns_evidenceline l WHERE l.evidence_id = NEW.id AND l.case_id <> NEW.case_id) THEN
        RAISE EXCEPTION 'evidence_is_of_the_case_of_its_lines: %', NEW.name USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_is_of_the_case_of_its_lines AFTER INSERT ON returns_evidence
    FOR EACH ROW EXECUTE FUNCTION evidence_is_of_the_case_of_its_lines();

-- Of a line of evidence only our own remark about it changes.
CREATE FUNCTION evidence_line_is_as_received() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id FROM old_rows o LEFT JOIN new_rows n ON n.id = o.id
    WHERE (n.evidence_id, n.case_id, n.line, n.fingerprint, n.reference, n.part, n.kind, n.asset_code, n.amount, n.at, n.reason)
        IS DISTINCT FROM
          (o.evidence_id, o.case_id, o.line, o.fingerprint, o.reference, o.part, o.kind, o.asset_code, o.amount, o.at, o.reason)
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'evidence_line_is_as_received: line % does not change', wrong USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER evidence_line_is_as_received AFTER UPDATE ON returns_evidenceline
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_line_is_as_received();

CREATE FUNCTION match_is_applied_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id FROM old_rows o LEFT JOIN new_rows n ON n.id = o.id
    WHERE (n.line_id, n.attempt_id, n.amount, n.by_id) IS DISTINCT FROM (o.line_id, o.attempt_id, o.amount, o.by_id)
       OR o.applied_at IS NOT NULL OR n.applied_at IS NULL
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'match_is_applied_once: %', wrong USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER match_is_applied_once AFTER UPDATE ON returns_match
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION match_is_applied_once();

-- All matches of a line together are at most the line. Matching sessions go one after the other, so that two of
-- them cannot each fit and together exceed.
CREATE FUNCTION matches_fit_in_their_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('returns_match', 0));
    EXECUTE $q$
    SELECT e.id
    FROM returns_evidenceline e
    JOIN returns_match m ON m.line_id = e.id
    WHERE e.id IN (SELECT line_id FROM new_rows)
    GROUP BY e.id, e.amount
    HAVING sum(m.amount) > e.amount
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'matches_fit_in_their_line: line % is smaller than what is matched to it', wrong
            USING ERRCODE = '23514';
    END IF;
    EXECUTE $q$
    SELECT m.id
    FROM new_rows m
    LEFT JOIN returns_evidenceline e ON e.id = m.line_id
    LEFT JOIN returns_attempt t ON t.id = m.attempt_id
    LEFT JOIN returns_assetreturn r ON r.id = t.asset_return_id
    LEFT JOIN books_asset a ON a.id = r.asset_id
    WHERE e.id IS NULL OR a.id IS NULL
       OR a.code <> e.asset_code OR r.case_id <> e.case_id OR m.amount > r.amount OR m.applied_at IS NOT NULL
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'match_is_of_one_case_and_asset: %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER matches_fit_in_their_line AFTER INSERT ON returns_match
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION matches_fit_in_their_line();

-- --- Corrections, over-payments, deposits --------------------------------------------------------

-- What was asked of two people never changes. Only the step itself marks it applied (step_is_listed).
CREATE FUNCTION correction_is_as_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'applied_at' IS DISTINCT FROM to_jsonb(OLD) - 'applied_at' OR OLD.applied_at IS NOT NULL
       OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'correction_is_as_signed: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correction_is_as_signed BEFORE UPDATE ON returns_correction
    FOR EACH ROW EXECUTE FUNCTION correction_is_as_signed();
REVOKE UPDATE ON returns_correction FROM henkan_app;

-- What follows an attempt's correction is its own return's step, and that only.
CREATE FUNCTION correction_follows_its_attempt() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.applied_at IS NOT NULL OR NEW.under_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM returns_correction s JOIN returns_attempt t ON t.id = s.object_id
        WHERE s.id = NEW.under_id AND s.case_id = NEW.case_id AND s.machine = 'attempt' AND s.under_id IS NULL
          AND NEW.machine = 'return' AND NEW.object_id = t.asset_return_id
          AND (s.to_state, NEW.from_state, NEW.to_state)
              IN (('settled', 'scheduled', 'settled'), ('pending', 'settled', 'batched'))
    ) THEN
        RAISE EXCEPTION 'correction_follows_its_attempt: % %', NEW.machine, NEW.object_id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correction_follows_its_attempt BEFORE INSERT ON returns_correction
    FOR EACH ROW EXECUTE FUNCTION correction_follows_its_attempt();

CREATE FUNCTION overpayment_is_only_recovered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'recovered' IS DISTINCT FROM to_jsonb(OLD) - 'recovered' OR NEW.recovered < OLD.recovered THEN
        RAISE EXCEPTION 'overpayment_is_only_recovered: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER overpayment_is_only_recovered BEFORE UPDATE ON returns_overpayment
    FOR EACH ROW EXECUTE FUNCTION overpayment_is_only_recovered();
REVOKE UPDATE ON returns_manifest FROM henkan_app;
