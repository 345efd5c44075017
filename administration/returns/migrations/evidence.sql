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
    -- What people found counts at the moment at which it is signed, and says what they signed.
    IF NEW.correction_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM returns_correction c
        WHERE c.id = NEW.correction_id AND c.case_id = NEW.case_id AND c.finding <> '' AND c.applied_at IS NULL
          AND correction_is_signed(c)
          AND NOT EXISTS (
              SELECT FROM returns_evidenceline l
              WHERE l.evidence_id = NEW.id AND l.kind <> CASE c.finding WHEN 'paid' THEN 'settled' ELSE 'dead' END)
    ) THEN
        RAISE EXCEPTION 'finding_is_signed_by_two: %', NEW.name USING ERRCODE = '23514';
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

-- Is this line what two people found of this attempt, or of the part that it is in?
CREATE FUNCTION found_by_two(p_evidence bigint, p_attempt bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM returns_evidence e JOIN returns_correction c ON c.id = e.correction_id
        WHERE e.id = p_evidence AND (
            c.machine = 'attempt' AND c.object_id = p_attempt
            OR c.machine = 'submission' AND EXISTS (
                SELECT FROM returns_submission s JOIN returns_attempt t ON t.batch_id = s.batch_id AND t.part = s.part
                WHERE s.id = c.object_id AND t.id = p_attempt))
    )
$$;

-- A part that people carried out: no machine of ours has ever called its rail with it.
CREATE FUNCTION is_of_a_carried_part(p_attempt bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM returns_attempt t JOIN returns_submission s ON s.batch_id = t.batch_id AND s.part = t.part
        WHERE t.id = p_attempt
        HAVING count(*) > 0 AND bool_and(s.fence = 0))
$$;

-- All matches of a line together are at most the line. Matching sessions go one after the other, so that two of
-- them cannot each fit and together exceed.
CREATE FUNCTION matches_fit_in_their_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
    many bigint;
    of_people boolean;
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
    SELECT m.id, e.kind = 'dead' AND m.amount <= r.amount AS of_people
    FROM new_rows m
    LEFT JOIN returns_evidenceline e ON e.id = m.line_id
    LEFT JOIN returns_attempt t ON t.id = m.attempt_id
    LEFT JOIN returns_assetreturn r ON r.id = t.asset_return_id
    LEFT JOIN books_asset a ON a.id = r.asset_id
    WHERE e.id IS NULL OR a.id IS NULL
       OR a.code <> e.asset_code OR r.case_id <> e.case_id OR m.amount > r.amount OR m.applied_at IS NOT NULL
       -- No bank, custodian or other exchange says “never paid” of a file: that is what two people find.
       OR CASE WHEN e.kind = 'dead' THEN is_of_a_carried_part(t.id) AND NOT found_by_two(e.evidence_id, t.id) ELSE false END
    $q$ INTO wrong, of_people;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 AND of_people THEN
        RAISE EXCEPTION 'never_paid_is_found_by_two: match %', wrong USING ERRCODE = '23514';
    ELSIF many > 0 THEN
        RAISE EXCEPTION 'match_is_of_one_case_and_asset: %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER matches_fit_in_their_line AFTER INSERT ON returns_match
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION matches_fit_in_their_line();

-- --- Corrections, over-payments, deposits --------------------------------------------------------

-- What was asked of two people never changes. Only the step itself marks it applied (step_is_listed); turned down by one
-- of them, it is not taken any more.
CREATE FUNCTION correction_is_as_signed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_jsonb(NEW) - '{applied_at,rejected_at}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{applied_at,rejected_at}'::text[]
       OR OLD.applied_at IS NOT NULL OR OLD.rejected_at IS NOT NULL
       OR NEW.applied_at IS NOT NULL AND pg_trigger_depth() < 2
       OR NEW.rejected_at IS NOT NULL AND NOT EXISTS (
           SELECT FROM cases_approvalrequest a
           WHERE a.case_id = NEW.case_id AND a.act = 'returns.correct' AND a.object_id = NEW.id AND a.state = 'rejected') THEN
        RAISE EXCEPTION 'correction_is_as_signed: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER correction_is_as_signed BEFORE UPDATE ON returns_correction
    FOR EACH ROW EXECUTE FUNCTION correction_is_as_signed();
REVOKE UPDATE ON returns_correction FROM henkan_app;
GRANT UPDATE (rejected_at) ON returns_correction TO henkan_app;

-- What follows an attempt's correction is its own return's step, and that only; what follows that of a file which was paid
-- after all, the steps of its attempts and of their returns.
CREATE FUNCTION correction_follows_its_attempt() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.applied_at IS NOT NULL OR NEW.rejected_at IS NOT NULL OR NEW.under_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM returns_correction s JOIN returns_attempt t ON t.id = s.object_id
        WHERE s.id = NEW.under_id AND s.case_id = NEW.case_id AND s.machine = 'attempt' AND s.under_id IS NULL
          AND NEW.machine = 'return' AND NEW.object_id = t.asset_return_id
          AND (s.to_state, NEW.from_state, NEW.to_state)
              IN (('settled', 'scheduled', 'settled'), ('pending', 'settled', 'batched'))
    ) AND NOT EXISTS (
        SELECT FROM returns_correction s JOIN returns_submission p ON p.id = s.object_id
        JOIN returns_attempt t ON t.batch_id = p.batch_id AND t.part = p.part
        WHERE s.id = NEW.under_id AND s.case_id = NEW.case_id AND s.machine = 'submission' AND s.under_id IS NULL
          AND (s.from_state, s.to_state) = ('dead', 'accepted') AND NEW.to_state = 'settled'
          AND (NEW.machine = 'attempt' AND NEW.object_id = t.id AND NEW.from_state IN ('dead', 'refused')
               OR NEW.machine = 'return' AND NEW.object_id = t.asset_return_id AND NEW.from_state = 'scheduled')
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
