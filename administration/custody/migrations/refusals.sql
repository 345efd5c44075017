-- What is held: what the database itself refuses.

-- --- Structure the models cannot say ---------------------------------------------------------

ALTER TABLE custody_holdingplace
    ADD CONSTRAINT holding_place_is_of_the_case_of_its_asset
        FOREIGN KEY (asset_id, case_id) REFERENCES books_asset (id, case_id);
ALTER TABLE custody_holding
    ADD CONSTRAINT holding_is_of_the_asset_of_its_place
        FOREIGN KEY (place_id, case_id, asset_id) REFERENCES custody_holdingplace (id, case_id, asset_id),
    ADD CONSTRAINT holding_has_its_evidence CHECK (octet_length(evidence_sha256) = 32);
ALTER TABLE custody_movement
    ADD CONSTRAINT movement_has_its_evidence CHECK (octet_length(evidence_sha256) = 32);
ALTER TABLE custody_reconciliation
    ADD CONSTRAINT reconciliation_is_of_the_case_of_its_asset
        FOREIGN KEY (asset_id, case_id) REFERENCES books_asset (id, case_id);
ALTER TABLE custody_reserveentry
    ADD CONSTRAINT reserve_entry_has_its_evidence CHECK (octet_length(evidence_sha256) = 32);
ALTER TABLE custody_policy
    ADD CONSTRAINT policy_has_its_evidence CHECK (octet_length(evidence_sha256) = 32);

-- --- Movements -------------------------------------------------------------------------------

-- The first proved holding of a place opens it in the books with all that is there. What came or went before
-- is in that figure already: as a movement it would be counted twice.
CREATE FUNCTION movement_follows_a_proved_holding() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    place custody_holdingplace;
BEGIN
    SELECT * INTO place FROM custody_holdingplace WHERE id = NEW.place_id;
    IF place.case_id IS DISTINCT FROM NEW.case_id THEN
        RAISE EXCEPTION 'movement_is_at_a_place_of_its_case: place %', NEW.place_id USING ERRCODE = '23503';
    END IF;
    IF NEW.order_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM cases_courtorder WHERE id = NEW.order_id AND case_id = NEW.case_id) THEN
        RAISE EXCEPTION 'movement_rests_on_an_order_of_its_case: order %', NEW.order_id USING ERRCODE = '23503';
    END IF;
    IF place.tag <> 'own' AND NEW.kind <> 'sweep'
       AND NOT EXISTS (SELECT FROM custody_holding WHERE place_id = NEW.place_id AND access = 'proved') THEN
        RAISE EXCEPTION 'movement_follows_a_proved_holding: nothing is proved at place %', NEW.place_id
            USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER movement_follows_a_proved_holding BEFORE INSERT ON custody_movement
    FOR EACH ROW EXECUTE FUNCTION movement_follows_a_proved_holding();

-- --- Append-only -----------------------------------------------------------------------------

CREATE TRIGGER holding_place_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_holdingplace
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER holding_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_holding
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER movement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_movement
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reconciliation_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_reconciliation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reserve_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_reserveentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER policy_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_policy
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON
    custody_holdingplace, custody_holding, custody_movement, custody_reconciliation, custody_reserveentry, custody_policy
    FROM henkan_app;
