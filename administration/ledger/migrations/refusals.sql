-- What the database itself refuses in the room `ledger`: changes of what was taken over, and an acceptance
-- of what does not add up.

-- --- staging ----------------------------------------------------------------------------------

-- What is read of a package stands here until it is accepted or refused, under the number of its intake. Not
-- logged: after a crash of the server they are empty, and the files are read again from the archive. They
-- have no foreign keys and no checks, because what is wrong with a package is to be found and said, not to fail.
-- A validation without a case makes temporary tables of the same names, which hide these. Rows lie in the order they
-- were read in, so what finds a range of them is a few numbers a block (see ledger_analyze_staging), not an index of each.
CREATE UNLOGGED TABLE ledger_staging_customers (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    customer_id text, entity_type text, name text, kana text, romaji text, birth_or_founding_date date,
    nationality text, residence_country text, postcode text, address text, address_kana text, phone text,
    email text, corporate_number text, kyc_status text, language text
);
CREATE UNLOGGED TABLE ledger_staging_accounts (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    account_id text, customer_id text, capacity text, status text, opened_on date
);
-- numeric without a scale: numeric(p,s) would round silently
CREATE UNLOGGED TABLE ledger_staging_balances (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    account_id text, asset text, product text, amount numeric
);
CREATE UNLOGGED TABLE ledger_staging_bank_accounts (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    account_id text, bank_code text, branch_code text, kind text, number text, holder_kana text, problem text
);
CREATE UNLOGGED TABLE ledger_staging_withdrawal_addresses (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    account_id text, asset text, network text, address text, memo text, whitelisted_on date, problem text
);
CREATE UNLOGGED TABLE ledger_staging_wallets (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    place_id text, asset text, place_kind text, network text, address text, temperature text, tag text,
    controller text, custodian text, amount numeric, as_of timestamptz, evidence_file text,
    evidence_sha256 text, access text, proof text
);
CREATE UNLOGGED TABLE ledger_staging_holds (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    account_id text, kind text, since date, reference text
);
CREATE UNLOGGED TABLE ledger_staging_prices (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    asset text, jpy_num numeric, jpy_den numeric, "at" timestamptz, source text
);
-- What was found wrong so far. One row a fault up to a limit for each kind, file and column; then only counted.
CREATE UNLOGGED TABLE ledger_staging_findings (
    intake bigint NOT NULL, kind text NOT NULL, severity text NOT NULL, file text NOT NULL, "row" bigint,
    "column" text NOT NULL, reason text NOT NULL, remedy text NOT NULL, rows bigint NOT NULL
);

-- Whose staging was begun: a crash of the server empties this with the rest, and so it is noticed.
CREATE UNLOGGED TABLE ledger_staging_begun (intake bigint PRIMARY KEY);

CREATE INDEX ledger_staging_customers_rows ON ledger_staging_customers USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_accounts_rows ON ledger_staging_accounts USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_balances_rows ON ledger_staging_balances USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_bank_accounts_rows ON ledger_staging_bank_accounts USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_withdrawal_addresses_rows ON ledger_staging_withdrawal_addresses USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_wallets_rows ON ledger_staging_wallets USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_holds_rows ON ledger_staging_holds USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_prices_rows ON ledger_staging_prices USING brin (intake, "row") WITH (pages_per_range = 32);

-- Nobody tidies up behind us while rows come and go: what is staged is counted when it has come, and emptied as a whole.
DO $$
DECLARE
    staging regclass;
BEGIN
    FOR staging IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE 'ledger\_staging\_%' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', staging);
    END LOOP;
END
$$;

-- Empty the staging of one intake: at once where it is alone there, as it is in the database of one estate.
CREATE FUNCTION ledger_clear_staging(this bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    staging text;
    shared boolean;
BEGIN
    FOREACH staging IN ARRAY ARRAY['accounts', 'aside', 'balances', 'bank_accounts', 'begun', 'crypto_ledger', 'customers', 'fiat_ledger',
                                   'findings', 'holds', 'prices', 'trades', 'wallets', 'withdrawal_addresses']
    LOOP
        EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', 'ledger_staging_' || staging);
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I WHERE intake <> $1)', 'ledger_staging_' || staging)
            INTO shared USING this;
        IF shared THEN
            EXECUTE format('DELETE FROM public.%I WHERE intake = $1', 'ledger_staging_' || staging) USING this;
        ELSE
            EXECUTE format('TRUNCATE public.%I', 'ledger_staging_' || staging);
        END IF;
    END LOOP;
END
$$;

-- Tell the planner what has come, right after it came: the next step begins at once.
-- A small sample will do: what is joined is told by its size.
CREATE FUNCTION ledger_analyze_staging() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET default_statistics_target = 10 AS $$
BEGIN
    -- What is written in one range, or in few, is read through as fast. Its first pages are told all the same: of an index
    -- that tells of none, as after a crash of the server, the planner believes that it costs less than nothing.
    PERFORM CASE WHEN pg_relation_size(i.indrelid) > 256 * 1024 * 1024 THEN brin_summarize_new_values(c.oid)
                 ELSE brin_summarize_range(c.oid, 0) END
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'ledger\_staging\_%\_rows';
    ANALYZE public.ledger_staging_accounts (intake, "row", account_id, customer_id),
            public.ledger_staging_balances (intake, "row", account_id, asset, product),
            public.ledger_staging_bank_accounts (intake, "row", account_id),
            public.ledger_staging_crypto_ledger (intake, "row", account_id, asset, "at"),
            public.ledger_staging_customers (intake, "row", customer_id),
            public.ledger_staging_fiat_ledger (intake, "row", account_id, asset, "at"),
            public.ledger_staging_holds (intake, "row", account_id),
            public.ledger_staging_trades (intake, "row", account_id, asset, "at"),
            public.ledger_staging_wallets (intake, "row", asset),
            public.ledger_staging_withdrawal_addresses (intake, "row", account_id, asset);
END
$$;
CREATE FUNCTION ledger_analyze(asked text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET default_statistics_target = 30 AS $$
BEGIN
    CASE asked
        WHEN 'ledger_identity' THEN ANALYZE public.ledger_identity (id, case_id, customer_ref, file_id);
        WHEN 'ledger_ledgeraccount' THEN ANALYZE public.ledger_ledgeraccount (id, case_id, account_ref, identity_id, file_id);
        WHEN 'ledger_ledgerbalance' THEN
            ANALYZE public.ledger_ledgerbalance (id, case_id, ledger_account_id, asset_id, product, file_id);
        WHEN 'ledger_handedoverdestination' THEN
            ANALYZE public.ledger_handedoverdestination (id, case_id, ledger_account_id, asset_id, network, valid, file_id);
    END CASE;
END
$$;

-- --- writing a whole ledger -------------------------------------------------------------------

-- Keys that are looked after row by row cost many times what the rows cost. While the first ledger of this database is
-- written, they are laid aside, each with the statement that makes it again, and put back set-based before anybody can
-- accept (ledger_check_acceptance). With another ledger in the table, or one accepted, they stay.
CREATE TABLE ledger_laid_aside (place bigint GENERATED ALWAYS AS IDENTITY, of_table text NOT NULL, put_back text NOT NULL);
REVOKE INSERT, UPDATE, DELETE ON ledger_laid_aside FROM henkan_app;

-- Up to which row destinations are written by a session of its own while another writes balances: with them, or not at all.
CREATE TABLE ledger_written_beside (intake bigint PRIMARY KEY, part int NOT NULL, "row" bigint NOT NULL);

CREATE FUNCTION ledger_lay_aside(asked text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    this regclass;
    taken boolean;
    found record;
BEGIN
    IF asked NOT IN ('ledger_identity', 'ledger_ledgeraccount', 'ledger_ledgerbalance', 'ledger_handedoverdestination') THEN
        RAISE EXCEPTION 'only_the_ledger_is_written_so: %', asked USING ERRCODE = '42501';
    END IF;
    this := format('public.%I', asked)::regclass;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', this);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', this) INTO taken;
    IF taken OR EXISTS (SELECT FROM ledger_intake WHERE state = 'accepted')
       OR NOT EXISTS (SELECT FROM ledger_intake WHERE state = 'accepting') THEN
        RETURN;
    END IF;
    FOR found IN
        SELECT conname AS name, pg_get_constraintdef(c.oid) AS said FROM pg_constraint c
        WHERE conrelid = this AND contype IN ('p', 'u', 'f')
          AND (contype = 'f' OR NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.conindid))
        ORDER BY array_position('{p,u,f}'::text[], contype::text), conname
    LOOP
        INSERT INTO ledger_laid_aside (of_table, put_back)
        VALUES (asked, format('ALTER TABLE %s ADD CONSTRAINT %I %s', this, found.name, found.said));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', this, found.name);
    END LOOP;
    FOR found IN
        SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS said FROM pg_index i
        WHERE i.indrelid = this AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
    LOOP
        INSERT INTO ledger_laid_aside (of_table, put_back) VALUES (asked, found.said);
        EXECUTE format('DROP INDEX %s', found.name);
    END LOOP;
    -- What refuses rows after acceptance keeps a copy of each row it looks at.
    FOR found IN SELECT tgname AS name FROM pg_trigger WHERE tgrelid = this AND tgname LIKE '%\_frozen' AND tgenabled <> 'D' LOOP
        INSERT INTO ledger_laid_aside (of_table, put_back)
        VALUES (asked, format('ALTER TABLE %s ENABLE TRIGGER %I', this, found.name));
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', this, found.name);
    END LOOP;
END
$$;

CREATE FUNCTION ledger_put_back(asked text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET maintenance_work_mem = '64MB' AS $$
DECLARE
    one record;
BEGIN
    FOR one IN DELETE FROM ledger_laid_aside WHERE of_table = asked RETURNING place, put_back LOOP
        EXECUTE one.put_back;
    END LOOP;
END
$$;

-- --- what was taken over never changes --------------------------------------------------------

CREATE TRIGGER source_file_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_sourcefile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER finding_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_finding
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER identity_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_identity
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_account_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_ledgeraccount
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_balance_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_ledgerbalance
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER handed_over_hold_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_handedoverhold
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER handed_over_destination_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_handedoverdestination
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER handed_over_price_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_handedoverprice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER handed_over_place_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_handedoverplace
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER adjustment_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_adjustment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER proposed_adjustment_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_proposedadjustment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER scope_decision_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_scopedecision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER intake_not_truncated BEFORE TRUNCATE ON ledger_intake
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER control_total_not_deleted BEFORE DELETE OR TRUNCATE ON ledger_controltotal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Once the ledger of a case is accepted, nothing is added to it either: corrections are adjustments.
CREATE FUNCTION ledger_refuse_after_acceptance() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_intake WHERE state = 'accepted' AND case_id IN (SELECT DISTINCT case_id FROM added)
    ) THEN
        RAISE EXCEPTION 'ledger_is_frozen_at_acceptance: INSERT on %', TG_TABLE_NAME USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER identity_frozen AFTER INSERT ON ledger_identity
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER ledger_account_frozen AFTER INSERT ON ledger_ledgeraccount
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER ledger_balance_frozen AFTER INSERT ON ledger_ledgerbalance
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER handed_over_hold_frozen AFTER INSERT ON ledger_handedoverhold
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER handed_over_destination_frozen AFTER INSERT ON ledger_handedoverdestination
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER handed_over_price_frozen AFTER INSERT ON ledger_handedoverprice
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();
CREATE TRIGGER handed_over_place_frozen AFTER INSERT ON ledger_handedoverplace
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();

-- A correction counts only as it was signed: its proposal, word for word, under a granted request. What brings negative
-- balances to nothing was signed with the acceptance of the ledger, and brings each to nothing exactly.
CREATE FUNCTION adjustment_was_signed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added n WHERE n.proposal_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM ledger_proposedadjustment p
            JOIN cases_approvalrequest q ON q.object_id = p.id AND q.case_id = p.case_id
            WHERE p.id = n.proposal_id AND q.act = 'ledger.adjust' AND q.state = 'granted'
              AND (p.case_id, p.ledger_account_id, p.asset_id, p.product, p.amount, p.reason, p.note)
                = (n.case_id, n.ledger_account_id, n.asset_id, n.product, n.amount, n.reason, n.note))
    ) OR EXISTS (
        SELECT FROM (SELECT DISTINCT case_id FROM added WHERE proposal_id IS NULL) n WHERE NOT EXISTS (
            SELECT FROM ledger_intake i JOIN cases_approvalrequest q ON q.object_id = i.id AND q.case_id = i.case_id
            WHERE i.case_id = n.case_id AND i.state = 'accepting' AND q.act = 'ledger.accept' AND q.state = 'granted')
    ) OR EXISTS (
        SELECT FROM added n WHERE n.proposal_id IS NULL AND NOT EXISTS (
            SELECT FROM ledger_ledgerbalance b
            WHERE b.ledger_account_id = n.ledger_account_id AND b.asset_id = n.asset_id AND b.product = n.product
              AND b.case_id = n.case_id AND b.amount = -n.amount AND b.amount < 0
              AND n.reason = 'negative_balance_excluded')
    ) THEN
        RAISE EXCEPTION 'adjustment_was_signed: a correction counts only as it was signed' USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER adjustment_was_signed AFTER INSERT ON ledger_adjustment
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION adjustment_was_signed();

CREATE FUNCTION ledger_refuse_file() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added JOIN ledger_sourcefile earlier ON earlier.case_id = added.case_id
                           AND earlier.sha256 = added.sha256 AND earlier.intake_id <> added.intake_id
        JOIN ledger_intake i ON i.id = earlier.intake_id AND i.state = 'accepted' WHERE earlier.rows IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'the_same_file_is_not_taken_over_twice' USING ERRCODE = '23505';
    END IF;
    IF EXISTS (
        SELECT FROM ledger_intake WHERE state = 'accepted' AND id IN (SELECT intake_id FROM added)
    ) THEN
        RAISE EXCEPTION 'ledger_is_frozen_at_acceptance: INSERT on %', TG_TABLE_NAME USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER source_file_frozen AFTER INSERT ON ledger_sourcefile
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_file();

-- --- control totals ---------------------------------------------------------------------------

-- They are stated while the package is inspected. Afterwards only the unexplained rest may go into suspense, and
-- only with the signatures for exactly that.
CREATE FUNCTION ledger_control_total_stands() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    intake_state text := (SELECT state FROM ledger_intake WHERE id = NEW.intake_id);
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF intake_state NOT IN ('received', 'inspecting') OR NEW.suspense <> 0 THEN
            RAISE EXCEPTION 'control_totals_are_stated_at_inspection: intake % is %', NEW.intake_id, intake_state
                USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF intake_state <> 'inspected'
       OR (NEW.intake_id, NEW.asset_code, NEW.product, NEW.declared, NEW.declared_accounts, NEW.source, NEW.computed,
           NEW.computed_accounts, NEW.aside, NEW.aside_rows)
          IS DISTINCT FROM (OLD.intake_id, OLD.asset_code, OLD.product, OLD.declared, OLD.declared_accounts, OLD.source,
                            OLD.computed, OLD.computed_accounts, OLD.aside, OLD.aside_rows) THEN
        RAISE EXCEPTION 'control_total_never_changes: % %', OLD.asset_code, OLD.product USING ERRCODE = '23001';
    END IF;
    IF NEW.suspense = OLD.suspense AND OLD.suspense = 0 THEN
        RETURN NEW;  -- the name it shall have, which is part of what is signed
    END IF;
    IF NOT EXISTS (
        SELECT FROM cases_approvalrequest WHERE act = 'ledger.suspense' AND object_id = NEW.id AND state = 'granted'
    ) THEN
        RAISE EXCEPTION 'suspense_needs_its_signatures: % %', OLD.asset_code, OLD.product USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER control_total_stands BEFORE INSERT OR UPDATE ON ledger_controltotal
    FOR EACH ROW EXECUTE FUNCTION ledger_control_total_stands();

-- --- the intake -------------------------------------------------------------------------------

-- What the second person signed is what stands: every difference explained or in named suspense, every row there,
-- every sum as stated, no row without its parents, every key of the tables in its place. Looked at once, each table
-- read through once, at the step to accepted.
CREATE FUNCTION ledger_check_acceptance(this ledger_intake) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp SET work_mem = '40MB' AS $$
DECLARE
    accounts numeric;
    odd text;
    lost boolean;
BEGIN
    IF EXISTS (SELECT FROM ledger_laid_aside) THEN
        RAISE EXCEPTION 'acceptance_needs_every_key' USING ERRCODE = '23514';
    END IF;

    WITH balances AS MATERIALIZED (
        SELECT balance.asset_id, balance.product, balance.file_id, account.id IS NULL AS orphan,
               sum(balance.amount) AS amount, count(*) AS rows
        FROM ledger_ledgerbalance balance
        LEFT JOIN ledger_ledgeraccount account ON account.id = balance.ledger_account_id AND account.case_id = this.case_id
        WHERE balance.case_id = this.case_id GROUP BY 1, 2, 3, 4
    ), accounts AS MATERIALIZED (
        SELECT account.file_id, identity.id IS NULL AS orphan, count(*) AS rows
        FROM ledger_ledgeraccount account
        LEFT JOIN ledger_identity identity ON identity.id = account.identity_id AND identity.case_id = this.case_id
        WHERE account.case_id = this.case_id GROUP BY 1, 2
    ), destinations AS MATERIALIZED (
        SELECT destination.asset_id, destination.file_id, account.id IS NULL AS orphan
        FROM ledger_handedoverdestination destination
        LEFT JOIN ledger_ledgeraccount account ON account.id = destination.ledger_account_id AND account.case_id = this.case_id
        WHERE destination.case_id = this.case_id GROUP BY 1, 2, 3
    ), named AS (
        SELECT asset_id, file_id, orphan FROM balances
        UNION ALL SELECT asset_id, file_id, orphan FROM destinations
        UNION ALL SELECT NULL, file_id, orphan FROM accounts
        UNION ALL SELECT NULL, file_id, false FROM ledger_identity WHERE case_id = this.case_id GROUP BY file_id
    )
    SELECT (SELECT coalesce(sum(rows), 0) FROM accounts),
           (SELECT format('%s %s', coalesce(total.asset_code, there.code), coalesce(total.product, there.product))
            FROM (SELECT * FROM ledger_controltotal WHERE intake_id = this.id) total
            FULL JOIN (
                SELECT asset.code, balances.product, sum(balances.amount) AS amount, sum(balances.rows) AS rows
                FROM balances JOIN books_asset asset ON asset.id = balances.asset_id GROUP BY 1, 2
            ) there ON there.code = total.asset_code AND there.product = total.product
            WHERE coalesce(there.amount, 0) IS DISTINCT FROM total.computed
               OR coalesce(there.rows, 0) IS DISTINCT FROM total.computed_accounts
            LIMIT 1),
           EXISTS (SELECT FROM named WHERE orphan
                   OR NOT EXISTS (SELECT FROM ledger_sourcefile f WHERE f.case_id = this.case_id AND f.id = file_id)
                   OR asset_id IS NOT NULL
                      AND NOT EXISTS (SELECT FROM books_asset a WHERE a.case_id = this.case_id AND a.id = asset_id))
    INTO accounts, odd, lost;

    IF accounts <> this.accounts THEN
        RAISE EXCEPTION 'acceptance_needs_every_row: % accounts of %', accounts, this.accounts USING ERRCODE = '23514';
    END IF;
    IF odd IS NOT NULL THEN
        RAISE EXCEPTION 'acceptance_needs_sums_as_stated: %', odd USING ERRCODE = '23514';
    END IF;
    IF lost THEN
        RAISE EXCEPTION 'acceptance_needs_every_rows_parent' USING ERRCODE = '23503';
    END IF;
END
$$;

CREATE FUNCTION ledger_intake_moves() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state NOT IN ('received', 'inspecting') THEN
            RAISE EXCEPTION 'intake_once_inspected_is_kept: intake % is %', OLD.id, OLD.state USING ERRCODE = '23001';
        END IF;
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'received' THEN
            RAISE EXCEPTION 'intake_begins_as_received' USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.state, NEW.state) NOT IN (
        ('received', 'inspecting'), ('inspecting', 'inspected'), ('inspected', 'accepting'), ('accepting', 'accepted'),
        ('inspected', 'cancelled'), ('received', 'received'), ('inspecting', 'inspecting'), ('inspected', 'inspected')
    ) THEN
        RAISE EXCEPTION 'intake_moves_forward_only: intake %, % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = '23001';
    END IF;
    IF (NEW.case_id, NEW.manifest, NEW.package_sha256, NEW.directory, NEW.cutoff_at, NEW.differences, NEW.received_by_id,
        NEW.received_at, NEW.outcomes, NEW.delivery_id, NEW.mapping_id)
       IS DISTINCT FROM (OLD.case_id, OLD.manifest, OLD.package_sha256, OLD.directory, OLD.cutoff_at, OLD.differences,
                         OLD.received_by_id, OLD.received_at, OLD.outcomes, OLD.delivery_id, OLD.mapping_id)
       OR OLD.state IN ('inspected', 'accepting') AND (NEW.accounts, NEW.balances)
       IS DISTINCT FROM (OLD.accounts, OLD.balances)
       OR OLD.state = 'accepting' AND (NEW.content_sha256, NEW.negative_policy, NEW.remark)
       IS DISTINCT FROM (OLD.content_sha256, OLD.negative_policy, OLD.remark) THEN
        RAISE EXCEPTION 'intake_stays_what_was_received: intake %', OLD.id USING ERRCODE = '23001';
    END IF;
    IF NEW.state IN ('accepting', 'accepted') THEN
        IF EXISTS (
            SELECT FROM ledger_controltotal WHERE intake_id = NEW.id
            AND NOT (declared IS NOT NULL AND declared = computed + suspense OR declared IS NULL AND source = 'none')
        ) THEN
            RAISE EXCEPTION 'acceptance_needs_every_difference_explained: intake %', NEW.id USING ERRCODE = '23514';
        END IF;
        IF NOT EXISTS (
            SELECT FROM cases_approvalrequest WHERE act = 'ledger.accept' AND object_id = NEW.id
            AND state IN ('granted', 'suspended') AND content_sha256 = NEW.content_sha256
        ) THEN
            RAISE EXCEPTION 'acceptance_needs_its_signatures: intake %', NEW.id USING ERRCODE = '23514';
        END IF;
    END IF;
    IF NEW.state = 'accepted' THEN
        PERFORM ledger_check_acceptance(NEW);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER intake_moves BEFORE INSERT OR UPDATE OR DELETE ON ledger_intake
    FOR EACH ROW EXECUTE FUNCTION ledger_intake_moves();

-- --- who may read and write what --------------------------------------------------------------

REVOKE UPDATE, DELETE ON ledger_sourcefile, ledger_finding, ledger_identity, ledger_ledgeraccount, ledger_ledgerbalance,
    ledger_handedoverhold, ledger_handedoverdestination, ledger_handedoverprice, ledger_handedoverplace,
    ledger_adjustment, ledger_proposedadjustment, ledger_scopedecision FROM henkan_app;
REVOKE DELETE ON ledger_controltotal FROM henkan_app;

-- Personal data, and holds that must not be known: not for auditors' queries.
REVOKE SELECT ON ledger_identity, ledger_handedoverdestination, ledger_handedoverhold, ledger_finding,
    ledger_staging_accounts, ledger_staging_balances, ledger_staging_bank_accounts, ledger_staging_customers,
    ledger_staging_findings, ledger_staging_holds, ledger_staging_prices, ledger_staging_wallets,
    ledger_staging_withdrawal_addresses FROM henkan_reader;
