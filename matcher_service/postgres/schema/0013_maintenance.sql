-- What maintenance did last, for whoever watches the matchers: `maintain` may be a job that is gone when it is asked.
-- Runs as facerec_owner.
--
-- A row a step of a run: `erase` and `keep` of collections, `audit` of all. success_time is when the step last ended
-- without a failure, failures counts collections and runs in which it failed since the first run, and waiting is in how
-- many collections the last run left something for a later one, because somebody held what it needs. Counts and times
-- alone: a row names neither a collection nor a person.
CREATE TABLE facerec.maintenance (
    step         text COLLATE "C" PRIMARY KEY CHECK (step IN ('erase', 'keep', 'audit')),
    success_time timestamptz,
    failures     bigint NOT NULL DEFAULT 0,
    waiting      integer NOT NULL DEFAULT 0
);
INSERT INTO facerec.maintenance (step) VALUES ('erase'), ('keep'), ('audit');
GRANT SELECT ON facerec.maintenance TO facerec_serve;

-- For the oldest erasure whose rows are not vacuumed away, which every matcher asks for again and again. Built under a
-- lock that erasures wait for: a second for a million receipts.
CREATE INDEX erasure_unvacuumed ON facerec.erasure (delete_time) WHERE vacuum_time IS NULL;
