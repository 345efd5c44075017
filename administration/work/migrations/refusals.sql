-- What the database itself refuses in the room `work`.

-- A job that ended stays as it ended: starting again is a new row.
CREATE FUNCTION job_refuse_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'waiting' THEN
        RAISE EXCEPTION 'job_that_ended_stays_ended: job % is %', OLD.id, OLD.state USING ERRCODE = '23001';
    END IF;
    IF NEW.fence < OLD.fence THEN
        RAISE EXCEPTION 'job_fence_never_falls: job %', OLD.id USING ERRCODE = '40001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER job_that_ended_stays_ended BEFORE UPDATE OF state, cursor, fence, done ON work_job
    FOR EACH ROW EXECUTE FUNCTION job_refuse_reopening();

REVOKE TRUNCATE ON work_job FROM henkan_app;
