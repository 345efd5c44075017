-- What the database itself refuses about deliveries, mappings and rows set aside.

-- A mapping never changes: another text is another version. Rows set aside stay named.
CREATE TRIGGER mapping_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_ledgermapping
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER row_set_aside_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_rowsetaside
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER delivery_not_deleted BEFORE DELETE OR TRUNCATE ON ledger_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER delivered_file_not_truncated BEFORE TRUNCATE ON ledger_deliveredfile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A delivery is completed once and destroyed once; who brought it when stays.
CREATE FUNCTION ledger_delivery_moves() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (OLD.state, NEW.state) NOT IN (
        ('arriving', 'arriving'), ('arriving', 'complete'), ('arriving', 'destroyed'), ('complete', 'destroyed')
    ) OR (NEW.case_id, NEW.deliverer, NEW.directory, NEW.received_by_id, NEW.received_at)
         IS DISTINCT FROM (OLD.case_id, OLD.deliverer, OLD.directory, OLD.received_by_id, OLD.received_at) THEN
        RAISE EXCEPTION 'delivery_stays_as_received: delivery %, % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER delivery_moves BEFORE UPDATE ON ledger_delivery FOR EACH ROW EXECUTE FUNCTION ledger_delivery_moves();

-- Files come while the delivery arrives. Once a file has its hash it is what it is; only its encoding may be confirmed.
CREATE FUNCTION ledger_delivered_file_stands() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    delivery_state text := (SELECT state FROM ledger_delivery WHERE id = coalesce(NEW.delivery_id, OLD.delivery_id));
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.sha256 IS NOT NULL OR delivery_state <> 'arriving' THEN
            RAISE EXCEPTION 'delivered_file_is_kept: %', OLD.name USING ERRCODE = '23001';
        END IF;
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF delivery_state <> 'arriving' THEN
            RAISE EXCEPTION 'delivery_is_closed: % to delivery %', NEW.name, NEW.delivery_id USING ERRCODE = '23001';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.sha256 IS NOT NULL AND (NEW.delivery_id, NEW.parent_id, NEW.name, NEW.bytes, NEW.received, NEW.sha256, NEW.received_at)
        IS DISTINCT FROM (OLD.delivery_id, OLD.parent_id, OLD.name, OLD.bytes, OLD.received, OLD.sha256, OLD.received_at) THEN
        RAISE EXCEPTION 'delivered_file_stays_as_received: %', OLD.name USING ERRCODE = '23001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER delivered_file_stands BEFORE INSERT OR UPDATE OR DELETE ON ledger_deliveredfile
    FOR EACH ROW EXECUTE FUNCTION ledger_delivered_file_stands();

-- Rows are set aside while the package is inspected, before anybody signs.
CREATE FUNCTION ledger_set_aside_in_time() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_intake WHERE state NOT IN ('received', 'inspecting') AND id IN (SELECT intake_id FROM added)
    ) THEN
        RAISE EXCEPTION 'rows_are_set_aside_at_inspection' USING ERRCODE = '23001';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER set_aside_in_time AFTER INSERT ON ledger_rowsetaside
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_set_aside_in_time();

-- What is to be set aside stands here while a package is inspected: every row, not only those listed as findings.
CREATE UNLOGGED TABLE ledger_staging_aside (
    intake bigint NOT NULL, file text NOT NULL, "row" bigint NOT NULL, kind text NOT NULL, reason text NOT NULL,
    account_id text, asset text, product text, amount numeric,
    PRIMARY KEY (intake, file, "row")
);

REVOKE UPDATE, DELETE ON ledger_ledgermapping, ledger_rowsetaside FROM henkan_app;
REVOKE DELETE ON ledger_delivery FROM henkan_app;
REVOKE SELECT ON ledger_rowsetaside, ledger_staging_aside FROM henkan_reader;  -- account numbers, and reasons that quote a row
