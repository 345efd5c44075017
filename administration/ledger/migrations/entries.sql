-- Books of entries: where they stand while a package is inspected, and what the database refuses of those that are kept.

CREATE UNLOGGED TABLE ledger_staging_fiat_ledger (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    entry_id text, account_id text, "at" timestamptz, kind text, asset text, amount numeric, balance numeric, reference text
);
CREATE UNLOGGED TABLE ledger_staging_crypto_ledger (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    entry_id text, account_id text, "at" timestamptz, kind text, asset text, amount numeric, balance numeric, reference text,
    address text, manager text
);
CREATE UNLOGGED TABLE ledger_staging_trades (
    intake bigint NOT NULL, "row" bigint NOT NULL,
    trade_id text, account_id text, "at" timestamptz, asset text, quantity numeric, against text, paid numeric, fee_asset text,
    fee numeric
);
CREATE INDEX ledger_staging_fiat_ledger_rows ON ledger_staging_fiat_ledger USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_crypto_ledger_rows ON ledger_staging_crypto_ledger USING brin (intake, "row") WITH (pages_per_range = 32);
CREATE INDEX ledger_staging_trades_rows ON ledger_staging_trades USING brin (intake, "row") WITH (pages_per_range = 32);
REVOKE SELECT ON ledger_staging_fiat_ledger, ledger_staging_crypto_ledger, ledger_staging_trades FROM henkan_reader;

CREATE TRIGGER kept_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_keptentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept_entry_frozen AFTER INSERT ON ledger_keptentry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_after_acceptance();

-- Whether an entry is after the cut-off is the intake's word, not that of whoever writes the row.
CREATE FUNCTION ledger_entry_is_where_its_time_says() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added e JOIN ledger_intake i ON i.id = e.intake_id
        WHERE e.case_id <> i.case_id OR e.after_cutoff <> (e."at" > i.cutoff_at)
    ) OR EXISTS (
        SELECT FROM added e JOIN ledger_ledgeraccount a ON a.id = e.ledger_account_id
        WHERE a.case_id <> e.case_id OR a.account_ref <> e.account_ref
    ) THEN
        RAISE EXCEPTION 'entry_is_where_its_time_says' USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER entry_is_where_its_time_says AFTER INSERT ON ledger_keptentry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_entry_is_where_its_time_says();
REVOKE UPDATE, DELETE ON ledger_keptentry FROM henkan_app;

-- Entries of the last days before the cut-off are many, those after it few.
CREATE INDEX entry_after_cutoff ON ledger_keptentry (case_id) WHERE after_cutoff;
