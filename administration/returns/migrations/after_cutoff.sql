-- What came in after the cut-off, returned in full to who paid it in: never more than the exchange's entries say, once, and
-- only after two people have signed. Rows may be many: triggers look at all of a statement at once.

CREATE TRIGGER late_return_is_kept BEFORE DELETE OR TRUNCATE ON returns_latereturn FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER late_return_line_is_kept BEFORE DELETE OR TRUNCATE ON returns_latereturnline FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE ON returns_latereturn, returns_latereturnline FROM henkan_app;
GRANT UPDATE (state) ON returns_latereturn TO henkan_app;
GRANT UPDATE (claim_line_id) ON returns_latereturnline TO henkan_app;

CREATE TRIGGER late_return_is_signed BEFORE INSERT OR UPDATE ON returns_latereturn
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.late');

-- Proposed is what the entries say of an account of the case that has its claim: no more, and no less.
CREATE FUNCTION late_return_line_is_what_came_in() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT min(h.id) INTO wrong
    FROM added h JOIN returns_latereturn f ON f.id = h.late_return_id
    LEFT JOIN (
        SELECT k.case_id, n.* FROM (SELECT DISTINCT p.case_id FROM added x JOIN returns_latereturn p ON p.id = x.late_return_id) k
        CROSS JOIN LATERAL ledger_after_cutoff(k.case_id) n
    ) n ON n.case_id = f.case_id AND n.ledger_account_id = h.ledger_account_id AND n.asset_id = h.asset_id
    LEFT JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
    WHERE (f.state = 'proposed' AND h.claim_line_id IS NULL AND c.id IS NOT NULL AND n.why = '' AND n.net = h.amount) IS NOT TRUE;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'late_return_line_is_what_came_in: line %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER late_return_line_is_what_came_in AFTER INSERT ON returns_latereturnline
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION late_return_line_is_what_came_in();

-- Each gets its line of the register once, after the signatures: the depositor's own, in that asset, of that amount.
CREATE FUNCTION late_return_line_is_claimed_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong bigint;
BEGIN
    SELECT min(coalesce(n.id, o.id)) INTO wrong
    FROM before_it o FULL JOIN after_it n ON n.id = o.id
    LEFT JOIN returns_latereturn f ON f.id = n.late_return_id
    LEFT JOIN register_claimline l ON l.id = n.claim_line_id
    LEFT JOIN register_claim c ON c.id = l.claim_id
    WHERE (
        o.claim_line_id IS NULL AND f.state = 'approved' AND l.claim_class = 'after_cutoff' AND l.recorded = n.amount
        AND l.asset_id = n.asset_id AND c.kind = 'scheduled' AND c.ledger_account_id = n.ledger_account_id
        AND (o.late_return_id, o.ledger_account_id, o.asset_id, o.amount) = (n.late_return_id, n.ledger_account_id, n.asset_id, n.amount)
    ) IS NOT TRUE;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'late_return_line_is_claimed_once: line %', wrong USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER late_return_line_is_claimed_once AFTER UPDATE ON returns_latereturnline
    REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION late_return_line_is_claimed_once();

-- And no line of that class begins otherwise. One that is empty may: a forced sale of such coins opens it for their proceeds.
-- The planner knows nothing of rows just written: looking them up one by one would be square in them.
CREATE FUNCTION claim_line_after_cutoff_is_signed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    wrong bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM opened WHERE claim_class = 'after_cutoff') THEN
        RETURN NULL;
    END IF;
    SELECT min(l.id) INTO wrong FROM opened l
    LEFT JOIN (
        SELECT c.id AS claim_id, h.asset_id, h.amount
        FROM returns_latereturnline h JOIN returns_latereturn f ON f.id = h.late_return_id AND f.state = 'approved'
        JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
        WHERE h.claim_line_id IS NULL
    ) s ON s.claim_id = l.claim_id AND s.asset_id = l.asset_id AND s.amount = l.recorded
    WHERE l.claim_class = 'after_cutoff' AND (l.recorded, l.admitted, l.corrected) <> (0, 0, 0)
      AND (s.claim_id IS NULL OR (l.admitted, l.corrected) <> (l.recorded, 0));
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'claim_line_after_cutoff_is_signed: line %', wrong USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER claim_line_after_cutoff_is_signed AFTER INSERT ON register_claimline
    REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION claim_line_after_cutoff_is_signed();

-- Carried out, every line is there and was given in full. Looked at at the commit.
CREATE FUNCTION late_return_is_given_in_full() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM returns_latereturnline WHERE late_return_id = NEW.id) OR EXISTS (
        SELECT FROM returns_latereturnline h LEFT JOIN register_position p ON p.claim_line_id = h.claim_line_id
        WHERE h.late_return_id = NEW.id AND p.given IS DISTINCT FROM h.amount
    ) THEN
        RAISE EXCEPTION 'late_return_is_given_in_full: %', NEW.id USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late_return_is_given_in_full AFTER UPDATE ON returns_latereturn DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION late_return_is_given_in_full();

SET CONSTRAINTS ALL IMMEDIATE;
