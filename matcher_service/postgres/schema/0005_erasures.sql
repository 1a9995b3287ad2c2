-- What was erased, and whether its bytes are gone from the tables' files too. Runs as facerec_owner.
--
-- A row names nobody: counts and times alone. It is written in the transaction of the erasure, so there is none
-- without the other. vacuum_time is when vacuum had removed the dead rows, after which no query and no index
-- leads to them; scrub_time when the files were written anew, after which their bytes are gone as well.
CREATE TABLE facerec.erasure (
    collection_id text COLLATE "C" NOT NULL REFERENCES facerec.collection ON DELETE CASCADE,
    erasure_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    persons       bigint NOT NULL,
    faces         bigint NOT NULL,
    delete_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    vacuum_time   timestamptz,
    scrub_time    timestamptz,
    PRIMARY KEY (collection_id, erasure_id)
);
CREATE INDEX erasure_pending ON facerec.erasure (collection_id) WHERE scrub_time IS NULL;

GRANT SELECT, INSERT ON facerec.erasure TO facerec_serve;
