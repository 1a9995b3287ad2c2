-- What a collection that refuses duplicates keeps of its latest enrolments. Runs as facerec_owner.
--
-- An enrolment searches for duplicates before its transaction. At its end it locks this row and compares its faces
-- with those that were enrolled since the search, so that of two enrolments of one face at once the second finds the first.
-- `enrolled` counts what the collection took, and face_ids are the last of them, oldest first: where it counted more
-- than there are ids, the search is done anew. It starts at the time in microseconds, so that no count of a collection
-- erased and created anew equals an earlier one. A row for each collection that has ever refused duplicates; it goes
-- with its collection.
CREATE TABLE facerec.recent_enrollment (
    collection_id text COLLATE "C" PRIMARY KEY REFERENCES facerec.collection ON DELETE CASCADE,
    enrolled      bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    face_ids      uuid[] NOT NULL DEFAULT '{}'
);
INSERT INTO facerec.recent_enrollment (collection_id)
SELECT c.collection_id FROM facerec.collection c WHERE c.duplicate_policy = 'refuse';

ALTER TABLE facerec.recent_enrollment ALTER COLUMN face_ids SET STATISTICS 0;

GRANT SELECT, INSERT, UPDATE ON facerec.recent_enrollment TO facerec_serve;

-- Every enrolment and each chunk of an import holds this lock, shared, until its end, and reads the policy afterwards.
CREATE FUNCTION facerec.enter_enrollment(collection_id text) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT pg_advisory_xact_lock_shared(hashtextextended(collection_id, 0));
END;

-- Waits until no enrolment of the collection is under way, and lets none begin until the transaction's end: so a
-- policy that is changed afterwards holds for all that follow. Enrolments queue up behind the wait with a connection
-- each, so that it lasts a moment at a time, with longer ones between, for 3 seconds in all.
CREATE FUNCTION facerec.stop_enrollment(collection_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SET lock_timeout = '50ms' AS $$
BEGIN
    FOR attempt IN 1..20 LOOP
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended(collection_id, 0));
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF attempt = 20 THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION facerec.enter_enrollment(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION facerec.stop_enrollment(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION facerec.enter_enrollment(text) TO facerec_serve;
GRANT EXECUTE ON FUNCTION facerec.stop_enrollment(text) TO facerec_serve;
