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

-- Takes so many tries, and returns 0; or, where none is left, the seconds until one is regained: then nothing of the try
-- may be told, whatever came of it. A try is regained in try_seconds, and one is left while no more than
-- most_missing_seconds are missing.
--
-- Of one caller and person there is one at a time: the lock is held until the transaction's end, and what is read then
-- was committed before, since each statement of a volatile function takes a snapshot of its own. Two numbers and not
-- one: a space of locks of its own. The clock is the database's, which all replicas share.
CREATE FUNCTION facerec.count_try(
    tried_collection_id text, tried_person_key bigint, tried_caller text, tries float8,
    try_seconds float8, most_missing_seconds float8
) RETURNS float8
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    missing_seconds float8;
BEGIN
    -- Where a failure cannot be counted a match is not told either.
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'tries are counted where the database can be written';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(tried_caller), (tried_person_key % 2147483647)::integer);
    SELECT extract(epoch FROM t.full_time - clock_timestamp()) INTO missing_seconds
    FROM facerec.failed_try t
    WHERE t.collection_id = tried_collection_id
      AND t.person_key = tried_person_key
      AND t.caller = tried_caller;
    IF missing_seconds > most_missing_seconds THEN
        RETURN missing_seconds - most_missing_seconds;
    END IF;
    IF tries > 0 THEN
        INSERT INTO facerec.failed_try AS t (collection_id, person_key, caller, full_time)
        VALUES (
            tried_collection_id, tried_person_key, tried_caller,
            clock_timestamp() + make_interval(secs => tries * try_seconds)
        )
        ON CONFLICT (collection_id, person_key, caller) DO UPDATE
        SET full_time = greatest(t.full_time, clock_timestamp()) + make_interval(secs => tries * try_seconds);
    END IF;
    RETURN 0;
END
$$;

REVOKE EXECUTE ON FUNCTION facerec.count_try(text, bigint, text, float8, float8, float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION facerec.count_try(text, bigint, text, float8, float8, float8) TO facerec_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.failed_try TO facerec_serve;
