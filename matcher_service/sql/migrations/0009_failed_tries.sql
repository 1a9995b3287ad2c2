-- How often a caller has failed against a person of late. Runs as facerec_owner.
--
-- A caller without scores has so many failed tries a day against one person, on all replicas together. Each try takes
-- what is regained in a part of a day, and full_time is when all of it is regained: a row past it says nothing, and
-- `maintain` drops it. person_key is a key, which names nobody once the person is erased; 0 stands for the enrolments
-- of a caller that were refused as duplicates. No vector, no distance.
CREATE TABLE facerec.failed_try (
    collection_id text COLLATE "C" NOT NULL REFERENCES facerec.collection ON DELETE CASCADE,
    person_key    bigint NOT NULL,
    caller        text COLLATE "C" NOT NULL,
    full_time     timestamptz NOT NULL,
    PRIMARY KEY (collection_id, person_key, caller)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.failed_try TO facerec_serve;
