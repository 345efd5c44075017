-- Appeals against decisions on scope: what was written stays, one follows the other, and nobody judges their own decision.
-- And who gets back what came in after the cut-off, which scope has a word in.

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

-- What each account gained of each asset after the cut-off, less what went out again. `why` is empty where that is owed in
-- full; otherwise it says why it is not returned as it is: no more came in than went out, nobody lists the account, it is the
-- exchange's own, or one of its people's.
CREATE FUNCTION ledger_after_cutoff(p_case bigint) RETURNS TABLE (
    account_ref text, ledger_account_id bigint, asset_id bigint, net numeric, why text
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT n.account_ref, n.ledger_account_id, n.asset_id, n.net,
           CASE WHEN n.net <= 0 THEN 'nothing_left' WHEN n.ledger_account_id IS NULL THEN 'not_listed'
                WHEN r.rank = 'house' THEN 'house' WHEN r.rank = 'insider' THEN 'insider' ELSE '' END
    FROM (
        SELECT e.account_ref, e.ledger_account_id, e.asset_id, sum(e.amount) AS net FROM ledger_keptentry e
        WHERE e.case_id = p_case AND e.after_cutoff GROUP BY e.account_ref, e.ledger_account_id, e.asset_id
    ) n
    LEFT JOIN LATERAL (
        -- Entries name no product: what is said of one of an account's products holds for them.
        SELECT CASE WHEN bool_or(d.rank = 'house') THEN 'house' WHEN bool_or(d.rank = 'insider') THEN 'insider' END AS rank
        FROM (
            SELECT DISTINCT ON (s.product) s.rank FROM ledger_scopedecision s
            WHERE s.ledger_account_id = n.ledger_account_id ORDER BY s.product, s.at DESC, s.id DESC
        ) d
    ) r ON true
$$;
