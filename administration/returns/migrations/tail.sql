-- The tail of returns: what the database itself refuses. Rows here are few: row triggers.

-- --- Nothing is deleted ----------------------------------------------------------------------------

CREATE TRIGGER deposit_filing_is_kept BEFORE DELETE OR TRUNCATE ON returns_depositfiling FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER recovery_is_kept BEFORE DELETE OR TRUNCATE ON returns_recovery FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forced_sale_is_kept BEFORE DELETE OR TRUNCATE ON returns_forcedsale FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sale_share_is_kept BEFORE DELETE OR TRUNCATE ON returns_saleshare FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forfeiture_is_kept BEFORE DELETE OR TRUNCATE ON returns_forfeiture FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forfeited_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_forfeitedline FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER residue_is_kept BEFORE DELETE OR TRUNCATE ON returns_residue FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER residue_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_residueline FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER round_closing_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_roundclosing FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER release_is_kept BEFORE DELETE OR TRUNCATE ON returns_release FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER court_deposit_is_kept BEFORE DELETE OR TRUNCATE ON returns_courtdeposit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE UPDATE, DELETE ON
    returns_depositfiling, returns_courtdeposit, returns_overpayment, returns_recovery, returns_forcedsale, returns_saleshare,
    returns_forfeiture, returns_forfeitedline, returns_residue, returns_residueline, returns_roundclosing, returns_release
    FROM henkan_app;
GRANT UPDATE (state) ON returns_depositfiling, returns_recovery, returns_forfeiture, returns_release TO henkan_app;
GRANT UPDATE (state, evidence_sha256) ON returns_residue TO henkan_app;
GRANT UPDATE (state, venue, sold_at, gross, fees, evidence_sha256) ON returns_forcedsale TO henkan_app;
GRANT UPDATE (number, deposited_on, receipt_sha256) ON returns_courtdeposit TO henkan_app;
GRANT UPDATE (proceeds, into_line_id) ON returns_saleshare TO henkan_app;

-- --- What exactly is signed --------------------------------------------------------------------------

CREATE FUNCTION tail_line(p_line bigint, p_amount numeric) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.number || '|' || a.code || '|' || l.claim_class || '|' || p_amount
    FROM register_claimline l JOIN register_claim c ON c.id = l.claim_id JOIN books_asset a ON a.id = l.asset_id
    WHERE l.id = p_line
$$;

CREATE FUNCTION tail_content(p_act text, p_id bigint) RETURNS bytea LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head bytea;
    lines text;
BEGIN
    CASE p_act
    WHEN 'returns.deposit' THEN
        SELECT frame(k.reference) || frame(f.number::text) || frame(f.ground) || frame(f.office) || frame(f.facts)
            || frame(f.papers::text) || frame(coalesce(o.number, ''))
        INTO head FROM returns_depositfiling f JOIN cases_case k ON k.id = f.case_id LEFT JOIN cases_courtorder o ON o.id = f.order_id
        WHERE f.id = p_id;
        SELECT string_agg(s.line, E'\n' ORDER BY s.line COLLATE "C") INTO lines
        FROM (SELECT tail_line(d.claim_line_id, d.amount) AS line FROM returns_courtdeposit d WHERE d.filing_id = p_id) s;
    WHEN 'returns.sale' THEN
        SELECT frame(k.reference) || frame(s.number::text) || frame(a.code) || frame(i.code) || frame(s.ground) || frame(s.facts)
            || frame(coalesce(o.number, ''))
        INTO head FROM returns_forcedsale s JOIN cases_case k ON k.id = s.case_id JOIN books_asset a ON a.id = s.asset_id
        JOIN books_asset i ON i.id = s.into_id LEFT JOIN cases_courtorder o ON o.id = s.order_id WHERE s.id = p_id;
        SELECT string_agg(s.line, E'\n' ORDER BY s.line COLLATE "C") INTO lines
        FROM (SELECT tail_line(h.claim_line_id, h.quantity) AS line FROM returns_saleshare h WHERE h.sale_id = p_id) s;
    WHEN 'returns.forfeit' THEN
        SELECT frame(k.reference) || frame(f.number::text) || frame(f.facts) || frame(o.number) || frame(encode(p.sha256, 'hex'))
        INTO head FROM returns_forfeiture f JOIN cases_case k ON k.id = f.case_id JOIN cases_courtorder o ON o.id = f.order_id
        JOIN distribution_plan p ON p.id = f.plan_id WHERE f.id = p_id;
        SELECT string_agg(s.line, E'\n' ORDER BY s.line COLLATE "C") INTO lines
        FROM (SELECT tail_line(h.claim_line_id, h.amount) AS line FROM returns_forfeitedline h WHERE h.forfeiture_id = p_id) s;
    WHEN 'returns.late' THEN
        SELECT frame(k.reference) || frame(f.number::text) || frame(f.facts) || frame(coalesce(o.number, ''))
        INTO head FROM returns_latereturn f JOIN cases_case k ON k.id = f.case_id LEFT JOIN cases_courtorder o ON o.id = f.order_id
        WHERE f.id = p_id;
        SELECT string_agg(s.line, E'\n' ORDER BY s.line COLLATE "C") INTO lines
        FROM (SELECT c.number || '|' || a.code || '|' || h.amount AS line
              FROM returns_latereturnline h JOIN books_asset a ON a.id = h.asset_id
              JOIN register_claim c ON c.ledger_account_id = h.ledger_account_id AND c.kind = 'scheduled'
              WHERE h.late_return_id = p_id) s;
    WHEN 'returns.residue' THEN
        SELECT frame(k.reference) || frame(r.number::text) || frame(r.to_whom) || frame(r.facts) || frame(o.number)
        INTO head FROM returns_residue r JOIN cases_case k ON k.id = r.case_id JOIN cases_courtorder o ON o.id = r.order_id WHERE r.id = p_id;
        SELECT string_agg(a.code || '|' || h.amount, E'\n' ORDER BY a.code COLLATE "C") INTO lines
        FROM returns_residueline h JOIN books_asset a ON a.id = h.asset_id WHERE h.residue_id = p_id;
    WHEN 'returns.write_off' THEN
        SELECT frame(t.reference) || frame(a.code) || frame(v.amount::text) || frame(v.recovered::text) || frame(r.amount::text)
            || frame(r.reason) || frame(encode(r.evidence_sha256, 'hex'))
        INTO head FROM returns_recovery r JOIN returns_overpayment v ON v.id = r.overpayment_id
        JOIN returns_evidenceline t ON t.id = v.line_id
        JOIN books_asset a ON a.id = v.asset_id WHERE r.id = p_id AND r.kind = 'write_off';
    WHEN 'returns.release' THEN
        SELECT frame(t.reference) || frame(t.amount::text) || frame(m.id::text) || frame(m.reason_code) || frame(r.rail) || frame(r.reason)
        INTO head FROM returns_release r JOIN returns_assetreturn t ON t.id = r.asset_return_id
        JOIN returns_attempt m ON m.id = r.attempt_id WHERE r.id = p_id;
    WHEN 'returns.explain' THEN
        -- A stranger can make this anew from the event. What the line waits for has changed: this can be signed no more.
        SELECT frame(k.reference) || frame(encode(l.fingerprint, 'hex')) || frame(x.problem) || frame(x.kind) || frame(x.reason)
            || frame(encode(x.paper_sha256, 'hex')) || frame(coalesce(n.idem_key, ''))
            || CASE WHEN x.state = 'proposed' AND l.problem <> x.problem THEN frame(l.problem) ELSE '' END
        INTO head FROM returns_explanation x JOIN cases_case k ON k.id = x.case_id
        JOIN returns_evidenceline l ON l.id = x.line_id LEFT JOIN books_entry n ON n.id = x.entry_id WHERE x.id = p_id;
    END CASE;
    RETURN sha256(frame('henkan-tail/1') || frame(p_act) || head || frame(coalesce(lines, '')));
END $$;

-- --- Proposed, signed, carried out ----------------------------------------------------------------

-- The act and the columns that come with its carrying out are the trigger's arguments. What was proposed never changes;
-- it is approved and carried out only while the signatures over exactly this stand. Recoveries that take nothing out of
-- the estate (a refund that came, a netting) need no signature.
CREATE FUNCTION tail_is_signed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    free boolean := TG_ARGV[0] = 'returns.write_off' AND to_jsonb(NEW) ->> 'kind' <> 'write_off';
    whose bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'proposed' AND NOT (free AND NEW.state = 'done') THEN
            RAISE EXCEPTION 'tail_begins_proposed: %', TG_TABLE_NAME USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - 'state' - TG_ARGV[1:] IS DISTINCT FROM to_jsonb(OLD) - 'state' - TG_ARGV[1:]
       OR NEW.state <> 'done' AND to_jsonb(NEW) - 'state' IS DISTINCT FROM to_jsonb(OLD) - 'state' THEN
        RAISE EXCEPTION 'tail_is_as_proposed: % %', TG_TABLE_NAME, OLD.id USING ERRCODE = '23001';
    END IF;
    IF NEW.state = OLD.state
       OR (OLD.state, NEW.state) NOT IN (('proposed', 'approved'), ('proposed', 'given_up'), ('approved', 'done'), ('approved', 'given_up')) THEN
        RAISE EXCEPTION 'tail_step_is_listed: % does not go from % to %', TG_TABLE_NAME, OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;
    IF NEW.state IN ('approved', 'done') THEN
        whose := CASE TG_TABLE_NAME
            WHEN 'returns_recovery' THEN (SELECT v.case_id FROM returns_overpayment v WHERE v.id = (to_jsonb(NEW) ->> 'overpayment_id')::bigint)
            WHEN 'returns_release' THEN (SELECT t.case_id FROM returns_assetreturn t WHERE t.id = (to_jsonb(NEW) ->> 'asset_return_id')::bigint)
            ELSE (to_jsonb(NEW) ->> 'case_id')::bigint END;
        IF NOT EXISTS (
            SELECT FROM cases_approvalrequest q
            WHERE q.case_id = whose AND q.act IN (TG_ARGV[0], TG_ARGV[0] || '.resume') AND q.object_id = NEW.id
              AND q.state = 'granted' AND q.content_sha256 = tail_content(TG_ARGV[0], NEW.id)
        ) THEN
            RAISE EXCEPTION 'tail_is_signed_by_two: % %', TG_TABLE_NAME, NEW.id USING ERRCODE = '23514';
        END IF;
    END IF;
    -- What is approved may be on its way: that it is not, two people say.
    IF OLD.state = 'approved' AND NEW.state = 'given_up' AND NOT EXISTS (
        SELECT FROM cases_approvalrequest q
        WHERE q.act = TG_ARGV[0] || '_back' AND q.object_id = NEW.id AND q.state = 'granted'
          AND q.content_sha256 = tail_content(TG_ARGV[0], NEW.id)
    ) THEN
        RAISE EXCEPTION 'tail_is_given_up_by_two: % %', TG_TABLE_NAME, NEW.id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER deposit_filing_is_signed BEFORE INSERT OR UPDATE ON returns_depositfiling
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.deposit');
CREATE TRIGGER forced_sale_is_signed BEFORE INSERT OR UPDATE ON returns_forcedsale
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.sale', 'venue', 'sold_at', 'gross', 'fees', 'evidence_sha256');
CREATE TRIGGER forfeiture_is_signed BEFORE INSERT OR UPDATE ON returns_forfeiture
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.forfeit');
CREATE TRIGGER residue_is_signed BEFORE INSERT OR UPDATE ON returns_residue
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.residue', 'evidence_sha256');
CREATE TRIGGER recovery_is_signed BEFORE INSERT OR UPDATE ON returns_recovery
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.write_off');
CREATE TRIGGER release_is_signed BEFORE INSERT OR UPDATE ON returns_release
    FOR EACH ROW EXECUTE FUNCTION tail_is_signed('returns.release');

-- Lines belong to what is proposed, are of its case, and (deposits, sales) of one asset that fits.
CREATE FUNCTION tail_line_fits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    good boolean;
BEGIN
    CASE TG_TABLE_NAME
    WHEN 'returns_courtdeposit' THEN
        -- A Legal Affairs Bureau takes money, not coins.
        SELECT f.state = 'proposed' AND f.case_id = NEW.case_id AND l.case_id = f.case_id AND a.kind = 'fiat'
               AND NEW.office = f.office AND NEW.number = '' INTO good
        FROM returns_depositfiling f, register_claimline l JOIN books_asset a ON a.id = l.asset_id
        WHERE f.id = NEW.filing_id AND l.id = NEW.claim_line_id;
    WHEN 'returns_saleshare' THEN
        SELECT s.state = 'proposed' AND l.case_id = s.case_id AND l.asset_id = s.asset_id AND NEW.proceeds IS NULL INTO good
        FROM returns_forcedsale s, register_claimline l WHERE s.id = NEW.sale_id AND l.id = NEW.claim_line_id;
    WHEN 'returns_forfeitedline' THEN
        SELECT f.state = 'proposed' AND l.case_id = f.case_id INTO good
        FROM returns_forfeiture f, register_claimline l WHERE f.id = NEW.forfeiture_id AND l.id = NEW.claim_line_id;
    WHEN 'returns_residueline' THEN
        SELECT r.state = 'proposed' AND a.case_id = r.case_id INTO good
        FROM returns_residue r, books_asset a WHERE r.id = NEW.residue_id AND a.id = NEW.asset_id;
    WHEN 'returns_recovery' THEN
        -- Netted with what the same person is owed, in the same asset.
        SELECT NEW.claim_line_id IS NULL OR (l.asset_id = v.asset_id AND c.claimant_id = o.claimant_id) INTO good
        FROM returns_overpayment v
        LEFT JOIN returns_assetreturn r ON r.id = v.asset_return_id
        LEFT JOIN register_claimline ol ON ol.id = r.claim_line_id LEFT JOIN register_claim o ON o.id = ol.claim_id
        LEFT JOIN register_claimline l ON l.id = NEW.claim_line_id LEFT JOIN register_claim c ON c.id = l.claim_id
        WHERE v.id = NEW.overpayment_id;
    WHEN 'returns_release' THEN
        SELECT t.asset_return_id = NEW.asset_return_id AND t.state IN ('refused', 'dead') INTO good
        FROM returns_attempt t WHERE t.id = NEW.attempt_id;
    END CASE;
    IF good IS NOT TRUE THEN
        RAISE EXCEPTION 'tail_line_fits: %', TG_TABLE_NAME USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER court_deposit_fits BEFORE INSERT ON returns_courtdeposit FOR EACH ROW EXECUTE FUNCTION tail_line_fits();
CREATE TRIGGER sale_share_fits BEFORE INSERT ON returns_saleshare FOR EACH ROW EXECUTE FUNCTION tail_line_fits();
CREATE TRIGGER forfeited_line_fits BEFORE INSERT ON returns_forfeitedline FOR EACH ROW EXECUTE FUNCTION tail_line_fits();
CREATE TRIGGER residue_line_fits BEFORE INSERT ON returns_residueline FOR EACH ROW EXECUTE FUNCTION tail_line_fits();
CREATE TRIGGER recovery_fits BEFORE INSERT ON returns_recovery FOR EACH ROW EXECUTE FUNCTION tail_line_fits();
CREATE TRIGGER release_fits BEFORE INSERT ON returns_release FOR EACH ROW EXECUTE FUNCTION tail_line_fits();

-- The Bureau's number, day and receipt come once, to what two people signed. So do a sale's proceeds.
CREATE FUNCTION court_deposit_is_receipted_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_jsonb(NEW) - '{number,deposited_on,receipt_sha256}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{number,deposited_on,receipt_sha256}'::text[]
       OR OLD.number <> '' OR NEW.number = ''
       OR NOT EXISTS (SELECT FROM returns_depositfiling f WHERE f.id = OLD.filing_id AND f.state = 'approved') THEN
        RAISE EXCEPTION 'court_deposit_is_receipted_once: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER court_deposit_is_receipted_once BEFORE UPDATE ON returns_courtdeposit
    FOR EACH ROW EXECUTE FUNCTION court_deposit_is_receipted_once();

CREATE FUNCTION sale_share_is_paid_once() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_jsonb(NEW) - '{proceeds,into_line_id}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{proceeds,into_line_id}'::text[]
       OR OLD.proceeds IS NOT NULL OR NEW.proceeds IS NULL
       OR NOT EXISTS (
           SELECT FROM returns_forcedsale s, register_claimline o, register_claimline n
           WHERE s.id = OLD.sale_id AND s.state = 'approved' AND o.id = OLD.claim_line_id AND n.id = NEW.into_line_id
             AND n.asset_id = s.into_id AND n.claim_id = o.claim_id AND n.claim_class = o.claim_class) THEN
        RAISE EXCEPTION 'sale_share_is_paid_once: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sale_share_is_paid_once BEFORE UPDATE ON returns_saleshare
    FOR EACH ROW EXECUTE FUNCTION sale_share_is_paid_once();

-- --- Carried out: the rows, the positions and the books say the same -----------------------------------

-- What a recovery recovers is counted here and nowhere else.
CREATE FUNCTION recovery_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.state = 'done' THEN
        UPDATE returns_overpayment SET recovered = recovered + NEW.amount WHERE id = NEW.overpayment_id;
    END IF;
    RETURN NULL;
END $$;
-- The application may lock an over-payment; only the trigger above changes one.
GRANT UPDATE (recovered) ON returns_overpayment TO henkan_app;
CREATE FUNCTION overpayment_is_counted_by_its_recoveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'overpayment_is_counted_by_its_recoveries: %', OLD.id USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER overpayment_is_counted_by_its_recoveries BEFORE UPDATE ON returns_overpayment
    FOR EACH ROW EXECUTE FUNCTION overpayment_is_counted_by_its_recoveries();
CREATE TRIGGER recovery_counts AFTER INSERT OR UPDATE ON returns_recovery FOR EACH ROW EXECUTE FUNCTION recovery_counts();

-- What the entry of a kind must amount to, by the row it speaks of; NULL where no such row is there in the right state.
CREATE FUNCTION tail_sums(p_case bigint, p_kind text, p_subject_kind text, p_id bigint) RETURNS jsonb LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE p_kind || ' ' || p_subject_kind
    WHEN 'deposit depositfiling' THEN (
        SELECT jsonb_object_agg(s.asset_id, s.total::text) FROM (
            SELECT l.asset_id, sum(d.amount) AS total FROM returns_depositfiling f JOIN returns_courtdeposit d ON d.filing_id = f.id
            JOIN register_claimline l ON l.id = d.claim_line_id
            WHERE f.id = p_id AND f.case_id = p_case AND f.state = 'done' GROUP BY l.asset_id) s)
    WHEN 'overpay overpayment' THEN (
        SELECT jsonb_build_object(v.asset_id, v.amount::text) FROM returns_overpayment v WHERE v.id = p_id AND v.case_id = p_case)
    WHEN 'conversion_out forcedsale' THEN (
        SELECT jsonb_build_object(s.asset_id, sum(h.quantity)::text) FROM returns_forcedsale s JOIN returns_saleshare h ON h.sale_id = s.id
        WHERE s.id = p_id AND s.case_id = p_case AND s.state = 'done' GROUP BY s.asset_id)
    WHEN 'conversion_in forcedsale' THEN (
        SELECT jsonb_build_object(s.into_id, (s.gross - s.fees)::text) FROM returns_forcedsale s
        WHERE s.id = p_id AND s.case_id = p_case AND s.state = 'done')
    WHEN 'residue residue' THEN (
        SELECT jsonb_object_agg(h.asset_id, h.amount::text) FROM returns_residue r JOIN returns_residueline h ON h.residue_id = r.id
        WHERE r.id = p_id AND r.case_id = p_case AND r.state IN ('approved', 'done'))
    WHEN 'dispose residue' THEN (
        SELECT jsonb_object_agg(h.asset_id, h.amount::text) FROM returns_residue r JOIN returns_residueline h ON h.residue_id = r.id
        WHERE r.id = p_id AND r.case_id = p_case AND r.state = 'done')
    ELSE (
        SELECT jsonb_build_object(v.asset_id, r.amount::text) FROM returns_recovery r JOIN returns_overpayment v ON v.id = r.overpayment_id
        WHERE p_subject_kind = 'recovery' AND r.id = p_id AND v.case_id = p_case AND r.state = 'done'
          AND p_kind = CASE r.kind WHEN 'refund' THEN 'recover' ELSE r.kind END)
    END
$$;

-- Entries by which the tail's value moves rest on a row that carries them, once and for its exact sums. Looked at at the
-- commit, when everything about the act is there.
CREATE FUNCTION entry_rests_on_its_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    posted jsonb;
BEGIN
    SELECT jsonb_object_agg(asset_id, amount::text) INTO posted FROM books_posting WHERE entry_id = NEW.id AND side = 'D';
    IF NEW.subject_id !~ '^[0-9]{1,18}$'
       OR posted IS DISTINCT FROM tail_sums(NEW.case_id, NEW.kind, NEW.subject_kind, NEW.subject_id::bigint) THEN
        RAISE EXCEPTION 'entry_rests_on_its_row: % of % %', NEW.kind, NEW.subject_kind, NEW.subject_id USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER entry_rests_on_its_row AFTER INSERT ON books_entry DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.kind IN ('deposit', 'overpay', 'recover', 'net', 'write_off', 'conversion_out', 'conversion_in', 'residue', 'dispose'))
    EXECUTE FUNCTION entry_rests_on_its_row();
CREATE UNIQUE INDEX entry_of_the_tail_is_posted_once ON books_entry (kind, subject_kind, subject_id)
    WHERE subject_kind IN ('depositfiling', 'overpayment', 'recovery', 'forcedsale', 'residue');

-- And the other way: what is carried out is in the books, and each line's position says it too.
CREATE FUNCTION tail_is_in_the_books() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kinds text[];
    missing text;
BEGIN
    kinds := CASE TG_TABLE_NAME
        WHEN 'returns_depositfiling' THEN ARRAY['deposit']
        WHEN 'returns_forcedsale' THEN ARRAY['conversion_out', 'conversion_in']
        WHEN 'returns_residue' THEN ARRAY['residue', 'dispose']
        ELSE ARRAY[CASE to_jsonb(NEW) ->> 'kind' WHEN 'refund' THEN 'recover' ELSE to_jsonb(NEW) ->> 'kind' END] END;
    SELECT k INTO missing FROM unnest(kinds) AS k
    WHERE NOT EXISTS (
        SELECT FROM books_entry e WHERE e.kind = k AND e.subject_kind = substr(TG_TABLE_NAME, 9) AND e.subject_id = NEW.id::text);
    IF FOUND THEN
        RAISE EXCEPTION 'tail_is_in_the_books: % % has no entry %', TG_TABLE_NAME, NEW.id, missing USING ERRCODE = '23514';
    END IF;
    IF TG_TABLE_NAME = 'returns_depositfiling' AND EXISTS (
        SELECT FROM returns_courtdeposit d JOIN register_position p ON p.claim_line_id = d.claim_line_id
        WHERE d.filing_id = NEW.id AND (d.number = '' OR p.deposited <> (
            SELECT sum(o.amount) FROM returns_courtdeposit o JOIN returns_depositfiling f ON f.id = o.filing_id
            WHERE o.claim_line_id = d.claim_line_id AND f.state = 'done'))
    ) THEN
        RAISE EXCEPTION 'deposit_is_of_its_own_lines: filing %', NEW.id USING ERRCODE = '23514';
    END IF;
    IF TG_TABLE_NAME = 'returns_forcedsale' AND (
        (to_jsonb(NEW) ->> 'gross')::numeric - (to_jsonb(NEW) ->> 'fees')::numeric IS DISTINCT FROM
            (SELECT sum(h.proceeds) FROM returns_saleshare h WHERE h.sale_id = NEW.id)
        OR EXISTS (
            SELECT FROM returns_saleshare h JOIN register_claimline l ON l.id = h.claim_line_id
            WHERE h.sale_id = NEW.id AND l.converted_out <> (
                SELECT sum(o.quantity) FROM returns_saleshare o JOIN returns_forcedsale s ON s.id = o.sale_id
                WHERE o.claim_line_id = l.id AND s.state = 'done'))
    ) THEN
        RAISE EXCEPTION 'sale_is_shared_to_the_unit: sale %', NEW.id USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER deposit_filing_is_in_the_books AFTER UPDATE ON returns_depositfiling DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION tail_is_in_the_books();
CREATE CONSTRAINT TRIGGER forced_sale_is_in_the_books AFTER UPDATE ON returns_forcedsale DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION tail_is_in_the_books();
CREATE CONSTRAINT TRIGGER residue_is_in_the_books AFTER UPDATE ON returns_residue DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION tail_is_in_the_books();
CREATE CONSTRAINT TRIGGER recovery_is_in_the_books AFTER INSERT OR UPDATE ON returns_recovery DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION tail_is_in_the_books();

-- A sale that is shared moves its coins' lines to money: the one way in which a line is converted. Lines that the claim
-- does not have yet in that money are opened by the caller, empty.
CREATE FUNCTION sale_converts(p_sale bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    many bigint;
BEGIN
    PERFORM FROM returns_forcedsale WHERE id = p_sale AND state = 'approved' FOR UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM returns_saleshare WHERE sale_id = p_sale AND proceeds IS NULL) THEN
        RAISE EXCEPTION 'sale_converts: sale % is not approved, or not shared', p_sale USING ERRCODE = '23514';
    END IF;
    UPDATE register_claimline l SET converted_out = l.converted_out + h.quantity,
        excess = greatest(0, p.given + l.converted_out + h.quantity - l.admitted - l.converted_in)
    FROM returns_saleshare h, register_position p
    WHERE h.sale_id = p_sale AND h.claim_line_id = l.id AND p.claim_line_id = l.id;
    GET DIAGNOSTICS many = ROW_COUNT;
    UPDATE register_claimline l SET converted_in = l.converted_in + h.proceeds,
        excess = greatest(0, p.given + l.converted_out - l.admitted - l.converted_in - h.proceeds)
    FROM (SELECT into_line_id, sum(proceeds) AS proceeds FROM returns_saleshare WHERE sale_id = p_sale GROUP BY 1) h, register_position p
    WHERE h.into_line_id = l.id AND p.claim_line_id = l.id;
    RETURN many;
END $$;

-- --- A closed round stays closed -----------------------------------------------------------------------

CREATE FUNCTION round_closes_when_nothing_waits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM returns_round r WHERE r.id = NEW.round_id AND r.scheduled_at IS NULL)
       OR EXISTS (SELECT FROM returns_batch b WHERE b.round_id = NEW.round_id AND b.state NOT IN ('closed', 'voided'))
       OR EXISTS (
           SELECT FROM returns_assetreturn t WHERE t.round_id = NEW.round_id AND t.state NOT IN ('settled', 'cancelled', 'returned')) THEN
        RAISE EXCEPTION 'round_closes_when_nothing_waits: round %', NEW.round_id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER round_closes_when_nothing_waits BEFORE INSERT ON returns_roundclosing
    FOR EACH ROW EXECUTE FUNCTION round_closes_when_nothing_waits();

CREATE FUNCTION closed_round_takes_nothing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM returns_roundclosing c WHERE c.round_id IN (SELECT DISTINCT round_id FROM new_rows)) THEN
        RAISE EXCEPTION 'closed_round_takes_nothing' USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER closed_round_takes_no_return AFTER INSERT ON returns_assetreturn
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION closed_round_takes_nothing();
CREATE TRIGGER closed_round_takes_no_batch AFTER INSERT ON returns_batch
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION closed_round_takes_nothing();

-- Each later try of a return with the one before it, which is proved dead: no attempt is made while another holds it.
CREATE VIEW returns_reissue AS
SELECT t.id AS attempt_id, o.id AS after_id, o.state AS after_state, m.line_id AS proof_id
FROM returns_attempt t
JOIN returns_assetreturn r ON r.id = t.asset_return_id
JOIN LATERAL (
    SELECT p.id, p.state FROM returns_attempt p
    WHERE (p.asset_return_id = t.asset_return_id AND p.id < t.id) OR p.asset_return_id = r.after_id
    ORDER BY p.asset_return_id = t.asset_return_id DESC, p.id DESC LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT x.line_id FROM returns_match x WHERE x.attempt_id = o.id AND x.applied_at IS NOT NULL ORDER BY x.id DESC LIMIT 1
) m ON true;

SET CONSTRAINTS ALL IMMEDIATE;

-- --- Who looks after what waits ----------------------------------------------------------------------

CREATE TRIGGER assignment_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON returns_assignment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE ON returns_assignment FROM henkan_app;

-- Is there such a thing in the case?
CREATE FUNCTION there_is_a_matter(p_case bigint, p_matter text, p_thing text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE p_matter
        WHEN 'part' THEN EXISTS (
            SELECT FROM returns_submission s JOIN returns_batch b ON b.id = s.batch_id WHERE s.rail_key = p_thing AND b.case_id = p_case)
        WHEN 'return' THEN EXISTS (SELECT FROM returns_assetreturn r WHERE r.case_id = p_case AND r.reference = p_thing)
        WHEN 'line' THEN p_thing ~ '^[0-9]{1,18}$' AND EXISTS (
            SELECT FROM returns_evidenceline e
            WHERE e.id = CASE WHEN p_thing ~ '^[0-9]{1,18}$' THEN p_thing::bigint END AND e.case_id = p_case)
        WHEN 'overpayment' THEN p_thing ~ '^[0-9]{1,18}$' AND EXISTS (
            SELECT FROM returns_overpayment o
            WHERE o.id = CASE WHEN p_thing ~ '^[0-9]{1,18}$' THEN p_thing::bigint END AND o.case_id = p_case)
        WHEN 'gate' THEN p_thing ~ '^[a-z]{1,20}$'
        ELSE false END
$$;

CREATE FUNCTION assignment_is_founded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT there_is_a_matter(NEW.case_id, NEW.matter, NEW.thing) THEN
        RAISE EXCEPTION 'assignment_is_of_a_thing_of_its_case: % %', NEW.matter, NEW.thing USING ERRCODE = '23514';
    END IF;
    IF NOT EXISTS (
        SELECT FROM cases_appointment a
        WHERE a.case_id = NEW.case_id AND a.user_id = NEW.owner_id AND 'returns.evidence' = ANY (a.powers)
          AND cases_runs(a.from_at, a.to_at, clock_timestamp())
    ) THEN
        RAISE EXCEPTION 'assignment_is_to_somebody_who_may_act: %', NEW.owner_id USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER assignment_is_founded BEFORE INSERT ON returns_assignment
    FOR EACH ROW EXECUTE FUNCTION assignment_is_founded();
