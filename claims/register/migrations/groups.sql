-- Which claims are one person's: by the person of whoever claims, now or as frozen (the as_of of a ledger_grouping). A
-- claim whose customer is nobody else's double has a group of its own. Claims stay one per account; a group only says whom
-- caps, minimums, notices and payments count as one.
CREATE FUNCTION register_claim_groups(asked bigint, as_of bigint DEFAULT 9223372036854775807)
RETURNS TABLE (claim_id bigint, group_key bigint) LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT claim.id, coalesce(person.person_id, -claimant.identity_id)
    FROM register_claim claim JOIN register_claimant claimant ON claimant.id = claim.claimant_id
    LEFT JOIN ledger_person_of(asked, as_of) person ON person.identity_id = claimant.identity_id
    WHERE claim.case_id = asked
$$;
