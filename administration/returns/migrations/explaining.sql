-- What a line of evidence waits for, and how it ends: by its match, by its receivable, or by what two people signed.

-- --- The explanation ------------------------------------------------------------------------------

CREATE TRIGGER explanation_is_kept BEFORE DELETE OR TRUNCATE ON returns_explanation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE ON returns_explanation FROM henkan_app;
GRANT UPDATE (state) ON returns_explanation TO henkan_app;
CREATE TRIGGER explanation_is_signed BEFORE INSERT OR UPDATE ON returns_explanation
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.explain');

-- The return of the case that a line names; NULL: none.
CREATE FUNCTION return_named_by(p_line bigint) RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT r.id FROM returns_evidenceline l JOIN returns_assetreturn r ON r.case_id = l.case_id AND r.reference = l.reference
    WHERE l.id = p_line AND l.reference <> ''
$$;

-- Does this entry say that exactly so much came into custody, or left it? What settles or brings back returns, and what
-- is a receivable already, has lines of its own.
CREATE FUNCTION entry_books_a_line(p_entry bigint, p_line bigint) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM returns_evidenceline l
        JOIN books_entry e ON e.id = p_entry AND e.case_id = l.case_id
            AND e.kind NOT IN ('opening', 'opening_suspense', 'settle', 'bounce', 'identify_entitled', 'overpay')
        JOIN books_posting p ON p.entry_id = e.id AND p.amount = l.amount
            AND p.side = CASE l.kind WHEN 'settled' THEN 'C' WHEN 'returned' THEN 'D' END
        JOIN books_account c ON c.id = p.account_id AND c.kind = 'custody'
        JOIN books_asset a ON a.id = p.asset_id AND a.code = l.asset_code
        WHERE l.id = p_line)
$$;

-- What is explained waits, is of the case, and can have been that; done, it has ended its line as its kind says.
CREATE FUNCTION explanation_fits_its_line() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    good boolean;
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state = 'approved' THEN
        SELECT l.case_id = NEW.case_id AND l.problem = NEW.problem AND l.problem NOT IN ('', 'overpaid', 'explained') AND CASE NEW.kind
            WHEN 'paid' THEN l.kind = 'settled' AND return_named_by(l.id) IS NOT NULL
            WHEN 'taken' THEN l.kind = 'settled'
            WHEN 'booked' THEN (l.kind = 'returned' OR return_named_by(l.id) IS NULL) AND entry_books_a_line(NEW.entry_id, l.id)
            ELSE true END
        INTO good FROM returns_evidenceline l WHERE l.id = NEW.line_id;
    ELSIF NEW.state = 'done' THEN
        SELECT CASE NEW.kind
            WHEN 'paid' THEN l.problem = 'overpaid' AND v.asset_return_id = return_named_by(l.id)
            WHEN 'taken' THEN l.problem = 'explained' AND v.id IS NOT NULL AND v.asset_return_id IS NULL
            ELSE l.problem = 'explained' AND v.id IS NULL END
        INTO good FROM returns_evidenceline l LEFT JOIN returns_overpayment v ON v.line_id = l.id WHERE l.id = NEW.line_id;
    ELSE
        RETURN NEW;
    END IF;
    IF good IS NOT TRUE THEN
        RAISE EXCEPTION 'explanation_fits_its_line: line % as %', NEW.line_id, NEW.kind USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER explanation_then_fits_its_line BEFORE INSERT OR UPDATE ON returns_explanation
    FOR EACH ROW EXECUTE FUNCTION explanation_fits_its_line();

-- --- The line ---------------------------------------------------------------------------------------

-- What waits for a person is let go by nothing but its end. A machine may say of any line that it waits.
CREATE FUNCTION line_waits_until_it_has_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong record;
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT o.id, o.problem AS was, n.problem AS becomes
    FROM old_rows o JOIN new_rows n ON n.id = o.id
    WHERE n.problem <> o.problem AND NOT CASE
        WHEN o.problem IN ('overpaid', 'explained') THEN false
        WHEN n.problem = 'explained' THEN o.problem <> '' AND EXISTS (
            SELECT FROM returns_explanation x WHERE x.line_id = n.id AND x.problem = o.problem AND x.state = 'approved'
              AND x.kind <> 'paid')
        WHEN o.problem = '' THEN true
        -- What came back is looked at again once that of which it came back has settled.
        WHEN n.problem = '' AND o.problem = 'nothing_to_return' AND EXISTS (
            SELECT FROM returns_attempt t WHERE t.holds_return_id = return_named_by(n.id) AND t.state = 'settled') THEN true
        -- By its match: applied, or chosen by a person and applied with the next settling.
        WHEN n.problem = '' THEN EXISTS (
            SELECT FROM returns_match m WHERE m.line_id = n.id
              AND (m.applied_at IS NOT NULL OR m.by_id IS NOT NULL AND o.problem IN ('ambiguous', 'correction', 'fee_kept')))
        WHEN n.problem = 'overpaid' THEN EXISTS (SELECT FROM returns_overpayment v WHERE v.line_id = n.id) AND (
            o.problem IN ('settled_twice', 'dead_file_debited') OR EXISTS (
                SELECT FROM returns_explanation x WHERE x.line_id = n.id AND x.problem = o.problem AND x.state = 'approved'
                  AND x.kind = 'paid'))
        WHEN n.problem = 'dead_file_debited' THEN o.problem IN ('ambiguous', 'correction')
        ELSE false END
    $q$ INTO wrong;
    GET DIAGNOSTICS many = ROW_COUNT;
    IF many > 0 THEN
        RAISE EXCEPTION 'line_waits_until_it_has_ended: line % does not go from "%" to "%"', wrong.id, wrong.was, wrong.becomes
            USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER line_waits_until_it_has_ended AFTER UPDATE ON returns_evidenceline
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION line_waits_until_it_has_ended();

-- A line comes in unexplained.
CREATE FUNCTION line_begins_unexplained() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    many bigint;
BEGIN
    EXECUTE $q$
    SELECT count(*) FROM new_rows WHERE problem IN ('overpaid', 'explained')
    $q$ INTO many;
    IF many > 0 THEN
        RAISE EXCEPTION 'line_begins_unexplained: % lines', many USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER line_begins_unexplained AFTER INSERT ON returns_evidenceline
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION line_begins_unexplained();

-- --- The receivable ---------------------------------------------------------------------------------

-- It is exactly what its line says that left; of the return that the line names, or of none. A bank's line names none: by
-- the debit of a file each of its returns is owed back for itself, together with what it settles at most what it says.
CREATE FUNCTION overpayment_is_what_its_line_says() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM returns_evidenceline l JOIN books_asset a ON a.id = NEW.asset_id
        WHERE l.id = NEW.line_id AND l.kind = 'settled' AND a.case_id = l.case_id AND a.code = l.asset_code
          AND l.case_id = NEW.case_id
          AND (NEW.attempt_id IS NULL
               OR NEW.asset_return_id = (SELECT t.asset_return_id FROM returns_attempt t WHERE t.id = NEW.attempt_id))
          AND CASE WHEN l.reference = '' AND NEW.attempt_id IS NOT NULL THEN
              EXISTS (SELECT FROM returns_assetreturn r
                      WHERE r.id = NEW.asset_return_id AND (r.case_id, r.asset_id, r.amount) = (NEW.case_id, NEW.asset_id, NEW.amount))
              AND NEW.amount + (SELECT coalesce(sum(v.amount), 0) FROM returns_overpayment v WHERE v.line_id = l.id)
                  + (SELECT coalesce(sum(m.amount), 0) FROM returns_match m WHERE m.line_id = l.id) <= l.amount
          ELSE NEW.amount = l.amount AND (NEW.asset_return_id IS NULL OR NEW.asset_return_id = return_named_by(l.id))
              AND NOT EXISTS (SELECT FROM returns_overpayment v WHERE v.line_id = l.id) END
    ) OR NEW.recovered <> 0 THEN
        RAISE EXCEPTION 'overpayment_is_what_its_line_says: line %', NEW.line_id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER overpayment_is_what_its_line_says BEFORE INSERT ON returns_overpayment
    FOR EACH ROW EXECUTE FUNCTION overpayment_is_what_its_line_says();

-- And the books say it too, by the same commit.
CREATE FUNCTION overpayment_is_in_the_books() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM books_entry e WHERE e.kind = 'overpay' AND e.subject_kind = 'overpayment' AND e.subject_id = NEW.id::text) THEN
        RAISE EXCEPTION 'overpayment_is_in_the_books: line %', NEW.line_id USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER overpayment_is_in_the_books AFTER INSERT ON returns_overpayment DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION overpayment_is_in_the_books();
