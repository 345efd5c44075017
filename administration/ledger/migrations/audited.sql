-- The last audited accounts beside the ledger: stated while the package waits for acceptance, beside what its rows add up to.

CREATE TRIGGER audited_total_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_auditedtotal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION ledger_audited_total_stands() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (SELECT state FROM ledger_intake WHERE id = NEW.intake_id) <> 'inspected' THEN
        RAISE EXCEPTION 'audited_totals_are_stated_before_acceptance: intake %', NEW.intake_id USING ERRCODE = '23001';
    END IF;
    IF NEW.ledger <> (
        SELECT coalesce(sum(computed), 0) FROM ledger_controltotal WHERE intake_id = NEW.intake_id AND asset_code = NEW.asset_code
    ) THEN
        RAISE EXCEPTION 'audited_total_stands_beside_the_ledger: %', NEW.asset_code USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audited_total_stands BEFORE INSERT ON ledger_auditedtotal
    FOR EACH ROW EXECUTE FUNCTION ledger_audited_total_stands();
REVOKE UPDATE, DELETE ON ledger_auditedtotal FROM henkan_app;
