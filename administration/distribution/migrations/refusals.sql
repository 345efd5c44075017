-- Plans, runs, entitlements: what the database itself refuses.
--
-- Entitlements come by the million, so no foreign key, CHECK or trigger looks at each row. Nobody may insert any: one
-- function writes those of a run that computes, once, and the run's step computing -> computed checks them all at once.

-- --- Plans and prices ----------------------------------------------------------------------------

ALTER TABLE distribution_plan ADD CONSTRAINT plan_hash_is_of_its_text
    CHECK (sha256 = pg_catalog.sha256(convert_to(body, 'UTF8')));

CREATE TRIGGER plan_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON distribution_plan
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER price_table_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON distribution_pricetable
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER price_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON distribution_price
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- Runs ----------------------------------------------------------------------------------------

INSERT INTO distribution_runtransition (from_state, to_state) VALUES
    ('computing', 'computed'), ('computed', 'approved'), ('approved', 'declared'),
    ('computing', 'withdrawn'), ('computed', 'withdrawn'),
    ('approved', 'withdrawn');  -- only while nothing of it is declared: see below

CREATE TRIGGER run_transition_append_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON distribution_runtransition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER run_is_kept BEFORE DELETE OR TRUNCATE ON distribution_run
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What signatures under a run bind: its plan, its inputs and everything it says.
CREATE FUNCTION distribution_run_content(asked bigint) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(
        frame('henkan-run/1') || frame(c.reference) || frame(r.number::text) || frame(r.kind)
        || frame(encode(p.sha256, 'hex')) || frame(encode(r.inputs_sha256, 'hex')) || frame(encode(r.outputs_root, 'hex'))
        || (
            SELECT coalesce(string_agg(
                frame(l.pool) || frame(a.code) || frame(l.amount::text) || frame(l.distributed::text)
                || frame(l.withdrawn::text) || frame(l.left::text) || frame(encode(l.root, 'hex')),
                ''::bytea ORDER BY l.pool COLLATE "C", a.code COLLATE "C"), ''::bytea)
            FROM distribution_poolline l JOIN books_asset a ON a.id = l.asset_id WHERE l.run_id = r.id
        )
    )
    FROM distribution_run r JOIN cases_case c ON c.id = r.case_id JOIN distribution_plan p ON p.id = r.plan_id
    WHERE r.id = asked
$$;

-- What is wrong with the rows of a run, asset by asset and in one pass over all: against the claims as they are at this
-- moment, and each figure once more by the rule. Rounded down, a share is the whole part of weight * P' / T; by
-- largest remainder it may be the next whole number, which is less than one part of T away.
-- The planner knows little of rows just written: looking them up one by one is never the better way here.
CREATE FUNCTION distribution_run_figures(asked distribution_run) RETURNS TABLE (
    asset_id bigint, n bigint, amounts numeric, weighed numeric, held numeric, taken numeric, orphans bigint,
    above bigint, untrue bigint, unruly bigint
) LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' SET enable_nestloop = off AS $$
    SELECT e.asset_id, count(*), sum(e.amount),
           sum(e.weight) + coalesce(sum(e.disputed) FILTER (WHERE e.disputed <> 0), 0),
           coalesce(sum(e.given) FILTER (WHERE e.given <> 0), 0),
           coalesce(sum(greatest(e.given - greatest(e.kept, e.cumulative), 0)) FILTER (WHERE e.given <> 0), 0),
           count(*) FILTER (WHERE c.asset_id IS DISTINCT FROM e.asset_id),
           -- Most weigh no more than was admitted and converted nothing: then nothing need be added up.
           count(*) FILTER (
               WHERE (e.weight > c.admitted OR c.converted_out > 0)
                 AND e.weight > c.admitted + c.converted_in - c.converted_out AND e.weight > 0
           ),
           count(*) FILTER (
               WHERE e.weight < 0 OR e.disputed < 0 OR CASE
                   WHEN e.given = 0 THEN e.kept <> 0 OR e.amount <> e.cumulative
                   ELSE e.kept < 0 OR e.kept > e.given
                        OR e.amount <> greatest(0, greatest(e.kept, e.cumulative) - e.given) END
           ),
           count(*) FILTER (
               WHERE CASE
                   WHEN l.rounding = 'floor' THEN e.cumulative <> div(e.weight * l.effective, l.weights)
                   ELSE abs(e.weight * l.effective - e.cumulative * l.weights) >= l.weights END
           )
    FROM distribution_entitlement e
    LEFT JOIN (SELECT * FROM register_claimline WHERE case_id = asked.case_id) c ON c.id = e.claim_line_id
    LEFT JOIN (
        SELECT asset_id, effective, greatest(weights, 1) AS weights, rounding FROM distribution_poolline
        WHERE run_id = asked.id
    ) l ON l.asset_id = e.asset_id
    WHERE e.run_id = asked.id
    GROUP BY e.asset_id
$$;

-- Refuses a run that is not right, naming what is wrong with it first.
CREATE FUNCTION distribution_run_is_right(asked distribution_run) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.code, l.*, e.*, sum(e.n) OVER () AS entitlements INTO wrong
    FROM (SELECT * FROM distribution_poolline WHERE run_id = asked.id) l
    FULL JOIN distribution_run_figures(asked) e ON e.asset_id = l.asset_id
    LEFT JOIN books_asset a ON a.id = coalesce(l.asset_id, e.asset_id)
    ORDER BY coalesce(e.orphans, 0) DESC, coalesce(e.above, 0) DESC, coalesce(e.untrue, 0) DESC, (
        l.id IS NULL OR l.root IS NULL OR coalesce(e.n, 0) <> l.lines OR coalesce(e.amounts, 0) <> l.distributed
        OR coalesce(e.weighed, 0) <> l.weights OR coalesce(e.held, 0) <> l.given_before
        OR coalesce(e.taken, 0) <> l.withdrawn
    ) DESC, coalesce(e.unruly, 0) DESC
    LIMIT 1;
    IF wrong.orphans > 0 THEN
        RAISE EXCEPTION 'run_entitles_claim_lines_of_its_case: % entitlements of % have no claim line',
            wrong.orphans, coalesce(wrong.code, 'an asset') USING ERRCODE = '23503';
    ELSIF wrong.above > 0 THEN
        RAISE EXCEPTION 'run_gives_nothing_above_what_is_admitted: % claims in % were lowered while it was computed',
            wrong.above, wrong.code USING ERRCODE = '23514';
    ELSIF wrong.untrue > 0 THEN
        RAISE EXCEPTION 'entitlement_is_what_the_share_raises: % entitlements in % are negative or give something else',
            wrong.untrue, wrong.code USING ERRCODE = '23514';
    ELSIF wrong.id IS NULL OR wrong.root IS NULL OR coalesce(wrong.n, 0) <> wrong.lines
        OR coalesce(wrong.amounts, 0) <> wrong.distributed OR coalesce(wrong.weighed, 0) <> wrong.weights
        OR coalesce(wrong.held, 0) <> wrong.given_before OR coalesce(wrong.taken, 0) <> wrong.withdrawn THEN
        RAISE EXCEPTION 'run_adds_up_to_its_pools: entitlements and pool line of % differ', coalesce(wrong.code, 'an asset')
            USING ERRCODE = '23514';
    ELSIF wrong.unruly > 0 THEN
        RAISE EXCEPTION 'run_shares_by_its_rule: % entitlements in % are not their line''s share', wrong.unruly, wrong.code
            USING ERRCODE = '23514';
    ELSIF coalesce(wrong.entitlements, 0) <> asked.entitlement_count THEN
        RAISE EXCEPTION 'run_counts_its_entitlements: % are there, % are announced',
            coalesce(wrong.entitlements, 0), asked.entitlement_count USING ERRCODE = '23514';
    END IF;
END $$;

-- Lines that do not hold any more what the run was computed over.
CREATE FUNCTION distribution_moved_lines(asked bigint) RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' SET enable_nestloop = off AS $$
    SELECT count(*) FROM distribution_entitlement e LEFT JOIN register_position p ON p.claim_line_id = e.claim_line_id
    WHERE e.run_id = asked AND p.given IS DISTINCT FROM e.given
$$;

CREATE FUNCTION distribution_run_is_guarded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    counted bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'computing' OR NEW.inputs_sha256 IS NOT NULL OR NEW.outputs_root IS NOT NULL
           OR NOT EXISTS (SELECT FROM distribution_plan WHERE id = NEW.plan_id AND case_id = NEW.case_id) THEN
            RAISE EXCEPTION 'run_begins_computing: a run begins with a plan of its case and nothing else'
                USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;

    IF (NEW.id, NEW.case_id, NEW.plan_id, NEW.number, NEW.kind, NEW.computed_by_id)
       IS DISTINCT FROM (OLD.id, OLD.case_id, OLD.plan_id, OLD.number, OLD.kind, OLD.computed_by_id) THEN
        RAISE EXCEPTION 'run_keeps_what_it_began_with: run %', OLD.number USING ERRCODE = '23001';
    END IF;
    IF OLD.state <> 'computing' AND (NEW.inputs_sha256, NEW.outputs_root, NEW.entitlement_count, NEW.computed_at)
       IS DISTINCT FROM (OLD.inputs_sha256, OLD.outputs_root, OLD.entitlement_count, OLD.computed_at)
       OR OLD.inputs_sha256 IS NOT NULL AND NEW.inputs_sha256 IS DISTINCT FROM OLD.inputs_sha256 THEN
        RAISE EXCEPTION 'run_is_frozen_once_computed: run %', OLD.number USING ERRCODE = '23001';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT FROM distribution_runtransition WHERE from_state = OLD.state AND to_state = NEW.state
    ) THEN
        RAISE EXCEPTION 'run_takes_listed_steps_only: from % to %', OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;

    IF NEW.state = 'computed' THEN
        PERFORM distribution_run_is_right(NEW);
    ELSIF NEW.state = 'approved' THEN
        IF NOT EXISTS (
            SELECT FROM cases_approvalrequest
            WHERE act IN ('distribution.plan', 'distribution.plan.resume') AND object_id = NEW.id
              AND case_id = NEW.case_id AND state = 'granted' AND content_sha256 = distribution_run_content(NEW.id)
        ) THEN
            RAISE EXCEPTION 'run_is_approved_by_signatures: none are granted for what run % says', OLD.number
                USING ERRCODE = '23514';
        END IF;
        counted := distribution_moved_lines(NEW.id);
        IF counted > 0 THEN
            RAISE EXCEPTION 'run_is_approved_over_what_it_was_computed_over: % lines were given something since', counted
                USING ERRCODE = '23514';
        END IF;
        IF EXISTS (
            SELECT FROM distribution_poolline l
            JOIN register_apart_after_cutoff(NEW.case_id) o ON o.asset_id = l.asset_id
            LEFT JOIN books_account a ON a.case_id = NEW.case_id AND a.asset_id = l.asset_id AND a.kind = 'free'
            LEFT JOIN books_balance b ON b.account_id = a.id
            WHERE l.run_id = NEW.id AND l.distributed > l.withdrawn
              AND l.distributed - l.withdrawn > coalesce(b.credits - b.debits, 0) - o.units
        ) THEN
            RAISE EXCEPTION 'run_leaves_what_came_after_the_cut_off: run %', OLD.number USING ERRCODE = '23514';
        END IF;
    ELSIF NEW.state = 'declared' THEN
        SELECT count(*) INTO counted
        FROM distribution_entitlement e LEFT JOIN register_position p ON p.claim_line_id = e.claim_line_id
        WHERE e.run_id = NEW.id
          AND (p.given IS NULL OR p.given > greatest(e.given, e.kept, e.cumulative))
          -- What a forced sale brought this line is given beside any run, also while one is being declared.
          AND (p.given IS NULL OR p.given > greatest(e.given, e.kept, e.cumulative) + (
              SELECT coalesce(sum(h.proceeds), 0) FROM returns_saleshare h JOIN returns_forcedsale s ON s.id = h.sale_id
              WHERE h.into_line_id = e.claim_line_id AND s.state = 'done'));
        IF counted > 0 THEN
            RAISE EXCEPTION 'run_declares_no_more_than_its_entitlements: % lines hold more', counted USING ERRCODE = '23514';
        END IF;
    ELSIF OLD.state = 'approved' AND NEW.state = 'withdrawn' AND distribution_moved_lines(NEW.id) > 0 THEN
        RAISE EXCEPTION 'run_is_withdrawn_only_while_nothing_of_it_is_declared: run %', OLD.number USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER run_is_guarded BEFORE INSERT OR UPDATE ON distribution_run
    FOR EACH ROW EXECUTE FUNCTION distribution_run_is_guarded();

-- --- Pool lines and the holdings they rest on ----------------------------------------------------

ALTER TABLE distribution_poolline ADD CONSTRAINT pool_line_has_one_asset UNIQUE (id, asset_id);
ALTER TABLE distribution_poolholding
    ADD CONSTRAINT pool_holding_is_of_its_pools_asset
        FOREIGN KEY (pool_line_id, asset_id) REFERENCES distribution_poolline (id, asset_id),
    ADD CONSTRAINT pool_holding_is_a_holding_proved
        FOREIGN KEY (holding_id, access, asset_id) REFERENCES custody_holding (id, access, asset_id);

CREATE FUNCTION distribution_pool_is_guarded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    asked bigint;
    of_case bigint;
    now_in text;
BEGIN
    IF TG_TABLE_NAME = 'distribution_poolholding' THEN
        SELECT l.run_id INTO asked FROM distribution_poolline l WHERE l.id = NEW.pool_line_id;
    ELSE
        asked := NEW.run_id;
    END IF;
    -- FOR SHARE: the run cannot be frozen until this row is in, or is refused.
    SELECT state, case_id INTO now_in, of_case FROM distribution_run WHERE id = asked FOR SHARE;
    IF now_in IS DISTINCT FROM 'computing' THEN
        RAISE EXCEPTION 'run_is_frozen_once_computed: nothing is added to its pools' USING ERRCODE = '23001';
    END IF;
    IF NOT EXISTS (SELECT FROM books_asset WHERE id = NEW.asset_id AND case_id = of_case) THEN
        RAISE EXCEPTION 'pool_line_is_of_an_asset_of_its_case' USING ERRCODE = '23514';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.root IS NOT NULL OR to_jsonb(NEW) - 'root' IS DISTINCT FROM to_jsonb(OLD) - 'root' THEN
            RAISE EXCEPTION 'pool_line_changes_only_by_its_root_once' USING ERRCODE = '23001';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER pool_line_is_guarded BEFORE INSERT OR UPDATE ON distribution_poolline
    FOR EACH ROW EXECUTE FUNCTION distribution_pool_is_guarded();
CREATE TRIGGER pool_line_is_kept BEFORE DELETE OR TRUNCATE ON distribution_poolline
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pool_holding_is_guarded BEFORE INSERT ON distribution_poolholding
    FOR EACH ROW EXECUTE FUNCTION distribution_pool_is_guarded();
CREATE TRIGGER pool_holding_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON distribution_poolholding
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- Entitlements --------------------------------------------------------------------------------

-- One partition for each run: it is filled as one new table without a key, and the key is built by one sort; a million
-- inserts under a key take twice as long.
ALTER TABLE distribution_entitlement RENAME TO distribution_entitlement_as_made;
ALTER INDEX distribution_entitlement_pkey RENAME TO distribution_entitlement_as_made_pkey;
CREATE TABLE distribution_entitlement (LIKE distribution_entitlement_as_made INCLUDING ALL) PARTITION BY LIST (run_id);
DROP TABLE distribution_entitlement_as_made;

-- What shares: with its weight w, its disputed quantity d, what it was given g, and what of that it keeps k (all of it,
-- unless its claim was lowered since: then only what is on its way or arrived). `assets`, `classes` and so on are one
-- row for each asset and class. Three functions by what happened in the case before, all of them read as if they
-- were written out where they are called. What is numeric(78,0) already is not made so again: a million casts are felt.

-- No run was declared and nothing was given: positions need not be read.
CREATE FUNCTION distribution_lines_first(
    of_case bigint, assets bigint[], classes text[], reserves boolean[], earlier bigint[], pools numeric[], totals numeric[]
) RETURNS TABLE (
    id bigint, claim_id bigint, asset_id bigint, claim_class text, pool numeric, total numeric, weight numeric,
    disputed numeric, given numeric, kept numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.id, l.claim_id, l.asset_id, s.claim_class, s.pool, s.total,
           CASE WHEN l.converted_in = 0 AND l.converted_out = 0 THEN l.admitted
                ELSE greatest(0, l.admitted + l.converted_in - l.converted_out)::numeric(78,0) END,
           CASE WHEN s.reserve THEN l.disputed ELSE 0::numeric(78,0) END, 0::numeric(78,0), 0::numeric(78,0)
    FROM register_claimline l
    JOIN unnest(assets, classes, reserves, pools, totals) AS s (asset_id, claim_class, reserve, pool, total)
        ON s.asset_id = l.asset_id AND s.claim_class = l.claim_class
    WHERE l.case_id = of_case
$$;

-- Something was given, by no run of this room's.
CREATE FUNCTION distribution_lines_given(
    of_case bigint, assets bigint[], classes text[], reserves boolean[], earlier bigint[], pools numeric[], totals numeric[]
) RETURNS TABLE (
    id bigint, claim_id bigint, asset_id bigint, claim_class text, pool numeric, total numeric, weight numeric,
    disputed numeric, given numeric, kept numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.id, l.claim_id, l.asset_id, s.claim_class, s.pool, s.total,
           CASE WHEN l.converted_in = 0 AND l.converted_out = 0 THEN l.admitted
                ELSE greatest(0, l.admitted + l.converted_in - l.converted_out)::numeric(78,0) END,
           CASE WHEN s.reserve THEN l.disputed ELSE 0::numeric(78,0) END, p.given, p.given
    FROM register_claimline l
    JOIN unnest(assets, classes, reserves, pools, totals) AS s (asset_id, claim_class, reserve, pool, total)
        ON s.asset_id = l.asset_id AND s.claim_class = l.claim_class
    JOIN register_position p ON p.claim_line_id = l.id
    WHERE l.case_id = of_case
$$;

-- An earlier run was declared. A claim below what it was in the last declared run has been lowered by a decision since.
CREATE FUNCTION distribution_lines_later(
    of_case bigint, assets bigint[], classes text[], reserves boolean[], earlier bigint[], pools numeric[], totals numeric[]
) RETURNS TABLE (
    id bigint, claim_id bigint, asset_id bigint, claim_class text, pool numeric, total numeric, weight numeric,
    disputed numeric, given numeric, kept numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.id, l.claim_id, l.asset_id, s.claim_class, s.pool, s.total,
           CASE WHEN l.converted_in = 0 AND l.converted_out = 0 THEN l.admitted
                ELSE greatest(0, l.admitted + l.converted_in - l.converted_out)::numeric(78,0) END,
           CASE WHEN s.reserve THEN l.disputed ELSE 0::numeric(78,0) END, p.given,
           CASE WHEN e.weight > l.admitted + l.converted_in - l.converted_out
                THEN least(p.given, p.scheduled + p.in_flight + p.settled + p.deposited) ELSE p.given END
    FROM register_claimline l
    JOIN unnest(assets, classes, reserves, earlier, pools, totals) AS s (asset_id, claim_class, reserve, run, pool, total)
        ON s.asset_id = l.asset_id AND s.claim_class = l.claim_class
    JOIN register_position p ON p.claim_line_id = l.id
    LEFT JOIN (
        SELECT run_id, claim_line_id, weight FROM distribution_entitlement WHERE run_id = ANY (earlier)
    ) e ON e.run_id = s.run AND e.claim_line_id = l.id
    WHERE l.case_id = of_case
$$;

CREATE FUNCTION distribution_entitlements_are_kept() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'entitlements_are_written_by_their_run_alone: append only: % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '23001';
END $$;
CREATE TRIGGER entitlements_are_kept BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON distribution_entitlement
    FOR EACH STATEMENT EXECUTE FUNCTION distribution_entitlements_are_kept();

-- Writes the entitlements of a run that computes, all at once; there is no second time, and no other way.
--
-- Every share is the whole part of (weight * P' + lift) / T. In an interim round the lift is 0. By largest remainder
-- it is what carries exactly those remainders over the next whole number that are large enough, and `chosen` are the
-- lines that get one unit more among equals. Whoever keeps more than the share rounded down takes no part in that.
CREATE FUNCTION distribution_entitle(
    asked bigint, before text, assets bigint[], classes text[], reserves boolean[], earlier bigint[], pools numeric[],
    totals numeric[], lifts numeric[] DEFAULT NULL, chosen bigint[] DEFAULT '{}'
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET work_mem = '128MB' SET enable_nestloop = off
SET parallel_tuple_cost = 0.01 AS $$
DECLARE
    name text := 'distribution_entitlement_' || asked;
    lines text := CASE before WHEN 'first' THEN 'distribution_lines_first' WHEN 'given' THEN 'distribution_lines_given'
                              WHEN 'later' THEN 'distribution_lines_later' END;
    share text := 'div(l.weight * l.pool, l.total)';
    lifted text := '';
    amount text := 'greatest(0, greatest(kept, cumulative) - given)';
    of_case bigint;
BEGIN
    -- FOR SHARE: the run is neither frozen nor withdrawn until its rows are in.
    SELECT case_id INTO of_case FROM distribution_run WHERE id = asked AND state = 'computing' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run_is_frozen_once_computed: no entitlement is added to a run that is %',
            coalesce((SELECT state FROM distribution_run WHERE id = asked), 'not there') USING ERRCODE = '23001';
    ELSIF 'after_cutoff' = ANY (classes) THEN
        RAISE EXCEPTION 'what_came_after_the_cut_off_is_in_no_pool: run %', asked USING ERRCODE = '23514';
    ELSIF to_regclass('public.' || name) IS NOT NULL THEN
        RAISE EXCEPTION 'run_is_entitled_once: run % has its entitlements', asked USING ERRCODE = '23505';
    END IF;
    IF lifts IS NOT NULL THEN
        share := 'CASE WHEN l.kept > 0 AND l.kept > div(l.weight * l.pool, l.total) THEN div(l.weight * l.pool, l.total)
                       ELSE div(l.weight * l.pool + x.lift, l.total) + (c.id IS NOT NULL)::int END';
        lifted := 'JOIN (SELECT DISTINCT * FROM unnest($3, $9)) AS x (asset_id, lift) ON x.asset_id = l.asset_id
                   LEFT JOIN unnest($10) AS c (id) ON c.id = l.id';
    END IF;
    IF before = 'first' THEN
        amount := 'cumulative';
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%I AS
         SELECT $1 AS run_id, id AS claim_line_id, asset_id, weight, disputed, given, kept, cumulative,
                (%s)::numeric(78,0) AS amount
         FROM (SELECT l.id, l.asset_id, l.weight::numeric(78,0) AS weight, l.disputed::numeric(78,0) AS disputed,
                      l.given::numeric(78,0) AS given, l.kept::numeric(78,0) AS kept,
                      (%s)::numeric(78,0) AS cumulative
               FROM %I($2, $3, $4, $5, $6, $7, $8) l %s OFFSET 0) l',
        name, amount, share, lines, lifted
    ) USING asked, of_case, assets, classes, reserves, earlier, pools, totals, lifts, chosen;
    -- All in one statement: one pass over the rows finds whether they may be what the table asks for.
    EXECUTE format(
        'ALTER TABLE public.%I
            ALTER run_id SET NOT NULL, ALTER claim_line_id SET NOT NULL, ALTER asset_id SET NOT NULL,
            ALTER weight SET NOT NULL, ALTER disputed SET NOT NULL, ALTER given SET NOT NULL, ALTER kept SET NOT NULL,
            ALTER cumulative SET NOT NULL, ALTER amount SET NOT NULL,
            ADD PRIMARY KEY (run_id, claim_line_id), ADD CONSTRAINT of_one_run CHECK (run_id = %s)',
        name, asked
    );
    EXECUTE format(
        'CREATE TRIGGER entitlements_are_kept BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.%I
         FOR EACH STATEMENT EXECUTE FUNCTION distribution_entitlements_are_kept()',
        name
    );
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON public.%I FROM henkan_app', name);
    EXECUTE format('ALTER TABLE distribution_entitlement ATTACH PARTITION public.%I FOR VALUES IN (%s)', name, asked);
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT of_one_run', name);
    EXECUTE format('ANALYZE public.%I (run_id, asset_id)', name);  -- all that follows reads every row of it
END $$;

-- --- Leaves of the sum trees ---------------------------------------------------------------------

-- The key of HMAC-SHA-256 (RFC 2104) in one of its two guises: every byte of it, filled up to 64, XOR `pad`.
CREATE FUNCTION hmac_pad(key bytea, pad int) RETURNS bytea LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    padded bytea := CASE WHEN octet_length(key) > 64 THEN sha256(key) ELSE key END;
BEGIN
    padded := padded || decode(repeat('00', 64 - octet_length(padded)), 'hex');
    FOR n IN 0 .. 63 LOOP
        padded := set_byte(padded, n, get_byte(padded, n) # pad);
    END LOOP;
    RETURN padded;
END $$;

-- One leaf as administration/distribution/sumtree.py has it, salted by HMAC-SHA-256 of who gets it. `inner` is the key's
-- first guise with the frames of 'leaf' and the inputs' hash after it, `outer` its second. An array of texts in binary
-- form is a head of 20 bytes and then the frames of its texts.
CREATE FUNCTION distribution_leaf(
    "inner" bytea, "outer" bytea, claim text, asset text, claim_class text, amount text
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(
        '\x00'::bytea
        || substring(sha256("outer" || sha256("inner" || substring(array_send(ARRAY[claim, asset, claim_class]) FROM 21)))
                     FOR 16)
        || substring(array_send(ARRAY[claim, asset, claim_class, amount]) FROM 21)
    )
$$;

-- --- Rights --------------------------------------------------------------------------------------

REVOKE INSERT ON distribution_entitlement FROM henkan_app;
REVOKE UPDATE, DELETE ON
    distribution_plan, distribution_pricetable, distribution_price, distribution_run, distribution_poolline,
    distribution_poolholding, distribution_entitlement FROM henkan_app;
REVOKE INSERT, UPDATE, DELETE ON distribution_runtransition FROM henkan_app;
GRANT UPDATE (state, inputs_sha256, outputs_root, entitlement_count, computed_at) ON distribution_run TO henkan_app;
GRANT UPDATE (root) ON distribution_poolline TO henkan_app;
REVOKE EXECUTE ON FUNCTION
    distribution_run_is_right(distribution_run), distribution_run_is_guarded(), distribution_pool_is_guarded(),
    distribution_run_figures(distribution_run), distribution_entitlements_are_kept() FROM henkan_app;


