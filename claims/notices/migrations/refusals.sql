-- Notices: what was told stays told, by numbers without a gap.

CREATE TRIGGER notice_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notices_notice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION notice_numbers_have_no_gap() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.number <> 1 AND NOT EXISTS (
        SELECT FROM notices_notice WHERE case_id = NEW.case_id AND number = NEW.number - 1
    ) THEN
        RAISE EXCEPTION 'notice_numbers_have_no_gap: %', NEW.number USING ERRCODE = '23514';
    END IF;
    IF NEW.claim_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM register_claim WHERE id = NEW.claim_id AND case_id = NEW.case_id
    ) THEN
        RAISE EXCEPTION 'notice_is_to_a_claim_of_its_case: %', NEW.number USING ERRCODE = '23503';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER notice_numbers_have_no_gap BEFORE INSERT ON notices_notice
    FOR EACH ROW EXECUTE FUNCTION notice_numbers_have_no_gap();

REVOKE UPDATE, DELETE ON notices_notice FROM henkan_app;
