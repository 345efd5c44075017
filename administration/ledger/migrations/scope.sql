-- Appeals against decisions on scope: what was written stays, one follows the other, and nobody judges their own decision.

CREATE TRIGGER scope_appeal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_scopeappeal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION scope_appeal_follows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    decided ledger_scopedecision := (SELECT d FROM ledger_scopedecision d WHERE d.id = NEW.decision_id);
BEGIN
    IF decided.case_id <> NEW.case_id THEN
        RAISE EXCEPTION 'appeal_is_of_the_case_of_its_decision' USING ERRCODE = '23514';
    END IF;
    IF NEW.state <> 'lodged' AND NOT EXISTS (
        SELECT FROM ledger_scopeappeal WHERE decision_id = NEW.decision_id AND state = 'lodged'
    ) THEN
        RAISE EXCEPTION 'appeal_ends_only_once_lodged' USING ERRCODE = '23514';
    END IF;
    IF NEW.state <> 'lodged' AND NEW.by_id = decided.decided_by_id THEN
        RAISE EXCEPTION 'appeal_is_decided_by_another_person' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER scope_appeal_follows BEFORE INSERT ON ledger_scopeappeal
    FOR EACH ROW EXECUTE FUNCTION scope_appeal_follows();
REVOKE UPDATE, DELETE ON ledger_scopeappeal FROM henkan_app;
