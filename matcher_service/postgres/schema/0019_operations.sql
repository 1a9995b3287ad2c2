-- Long work that was asked for with a request id, and its answer. Runs as facerec_owner.
--
-- A row is written when a matcher begins the work and extended (lease_end_time) while it works; once that is past, another
-- may take it over, under a run_id of its own. It refers to no collection, as the receipt of a deletion outlives it. Neither
-- request nor answer names a person: digest is a SHA-256 of the request, answer is the serialized response.
-- serves: 18
CREATE TABLE facerec.operation (
    collection_id  text COLLATE "C" NOT NULL,
    request_tag    bytea NOT NULL,
    method         text NOT NULL,
    digest         bytea NOT NULL,
    run_id         uuid NOT NULL,
    lease_end_time timestamptz NOT NULL,
    create_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    answer_time    timestamptz,
    answer         bytea,
    PRIMARY KEY (collection_id, request_tag)
);
ALTER TABLE facerec.operation
    ALTER COLUMN request_tag SET STATISTICS 0,
    ALTER COLUMN digest SET STATISTICS 0,
    ALTER COLUMN run_id SET STATISTICS 0,
    ALTER COLUMN answer SET STATISTICS 0;

GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.operation TO facerec_serve;
