-- Nothing of the erased in statistics, in what request ids are kept for, or in what collections share. Runs as
-- facerec_owner.
--
-- ANALYZE, autovacuum's too, copies values of columns into pg_statistic: whole vectors, ids, names. It is kept from
-- every column but those that name nobody: collection_id, person_key and model_key. What it copied before goes when a
-- column's type is set, even to the same one, which rewrites no table and no index over plain columns. The index
-- over centroids would be built anew for it under the lock: it is dropped instead, and `maintain` builds it.
DO $$
DECLARE
    index_name text;
    target regclass;
BEGIN
    FOR index_name IN
        SELECT i.relname
        FROM pg_inherits h
        JOIN pg_index x ON x.indrelid = h.inhrelid
        JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_am a ON a.oid = i.relam
        WHERE h.inhparent = 'facerec.person'::regclass AND a.amname = 'ivfflat'
    LOOP
        EXECUTE format('DROP INDEX facerec.%I', index_name);
    END LOOP;
    FOREACH target IN ARRAY ARRAY[
        'facerec.person', 'facerec.face', 'facerec.enroll_request', 'facerec.model', 'facerec.face_import',
        'facerec.calibration', 'facerec.audit'
    ]::regclass[] LOOP
        EXECUTE (
            SELECT format('ALTER TABLE %s ', target) || string_agg(
                format('ALTER COLUMN %I TYPE %s', a.attname, format_type(a.atttypid, a.atttypmod))
                || CASE
                    WHEN a.attcollation <> t.typcollation THEN format(' COLLATE %s', a.attcollation::regcollation)
                    ELSE ''
                END
                || CASE  -- setting the type sets its way to be stored, too
                    WHEN a.attstorage = 'p' AND t.typstorage <> 'p'
                        THEN format(', ALTER COLUMN %I SET STORAGE PLAIN', a.attname)
                    ELSE ''
                END
                || format(', ALTER COLUMN %I SET STATISTICS 0', a.attname),
                ', ' ORDER BY a.attnum
            )
            FROM pg_attribute a
            JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
              AND CASE target
                  WHEN 'facerec.model'::regclass THEN a.attname = 'fingerprint'
                  WHEN 'facerec.face_import'::regclass THEN a.attname = 'import_id'
                  WHEN 'facerec.calibration'::regclass THEN a.attname = 'evidence'
                  WHEN 'facerec.audit'::regclass THEN a.attname IN ('person_tag', 'detail')
                  ELSE a.attname NOT IN ('collection_id', 'person_key', 'model_key')
              END
        );
    END LOOP;
END
$$;
UPDATE facerec.collection
SET index_name = NULL, index_effort = NULL, index_recall = NULL, index_persons = NULL, index_faces = NULL,
    index_time = NULL, recall_time = NULL, recall_persons = NULL
WHERE index_name IS NOT NULL;

-- What was called scrubbed had left statistics: the next scrub comes back to it.
UPDATE facerec.erasure SET scrub_time = NULL WHERE scrub_time IS NOT NULL;

-- As before, and a new partition keeps ANALYZE from the columns that its parent does: neither LIKE nor INHERIT
-- carries that over.
CREATE OR REPLACE FUNCTION facerec.add_partitions(new_collection_id text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    partition text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['person', 'face', 'enroll_request'] LOOP
        partition := facerec.partition_name(parent, new_collection_id);
        EXECUTE format(
            'CREATE TABLE facerec.%I (LIKE facerec.%I INCLUDING ALL EXCLUDING CONSTRAINTS, '
            'CONSTRAINT %I CHECK (collection_id = %L))',
            partition, parent, parent || '_collection', new_collection_id
        );
        EXECUTE (
            SELECT format('ALTER TABLE facerec.%I ', partition)
                || string_agg(format('ALTER COLUMN %I SET STATISTICS 0', a.attname), ', ')
            FROM pg_attribute a
            WHERE a.attrelid = format('facerec.%I', parent)::regclass AND a.attstattarget = 0
              AND a.attnum > 0 AND NOT a.attisdropped
        );
        EXECUTE format('COMMENT ON TABLE facerec.%I IS %L', partition, new_collection_id);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.%I TO facerec_serve', partition);
        EXECUTE format('ALTER TABLE facerec.%I INHERIT facerec.%I', partition, parent);
    END LOOP;
END
$$;

-- A request id as it is kept: its SHA-256. It has to be found again without the person, whom it outlives, so
-- whoever reads the table can try ids that they guess.
CREATE FUNCTION facerec.request_tag(request_id text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(request_id, 'UTF8'));

-- A key's block of HMAC (RFC 2104) for a hash with blocks of 64 bytes: the key and zeros, each byte xor the pad, two
-- hex digits.
CREATE FUNCTION facerec.hmac_block(key uuid, pad text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int8send(
        ('x' || substr(encode(uuid_send(key), 'hex'), 1, 16))::bit(64)::bigint
        # ('x' || repeat(pad, 8))::bit(64)::bigint
    )
    || int8send(
        ('x' || substr(encode(uuid_send(key), 'hex'), 17, 16))::bit(64)::bigint
        # ('x' || repeat(pad, 8))::bit(64)::bigint
    )
    || decode(repeat(pad, 48), 'hex');

-- The hash of a request's content as it is kept: HMAC-SHA256 under the person's audit_key, which is erased with the
-- person. Afterwards nothing can be tried against it.
CREATE FUNCTION facerec.request_digest(audit_key uuid, digest bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(
    facerec.hmac_block(audit_key, '5c') || sha256(facerec.hmac_block(audit_key, '36') || digest)
);

-- Requests of the living are keyed; of the erased, only that there was a request is kept.
DO $$
DECLARE
    tenant text;
BEGIN
    FOR tenant IN SELECT collection_id FROM facerec.collection LOOP
        EXECUTE format(
            'UPDATE facerec.%I r SET digest = facerec.request_digest(p.audit_key, r.digest) '
            'FROM facerec.%I p WHERE p.collection_id = $1 AND p.person_key = r.person_key',
            facerec.partition_name('enroll_request', tenant), facerec.partition_name('person', tenant)
        ) USING tenant;
        EXECUTE format(
            'UPDATE facerec.%I r '
            'SET digest = '''', face_ids = ''{}'', already_enrolled = ''{}'', model_keys = ''{}'', face_times = ''{}'' '
            'WHERE NOT EXISTS ('
            '    SELECT FROM facerec.%I p WHERE p.collection_id = $1 AND p.person_key = r.person_key'
            ')',
            facerec.partition_name('enroll_request', tenant), facerec.partition_name('person', tenant)
        ) USING tenant;
    END LOOP;
END
$$;
-- Both write their tables anew: what the rows were before is in no file any more.
ALTER TABLE facerec.enroll_request ALTER COLUMN request_id TYPE bytea USING facerec.request_tag(request_id);
ALTER TABLE facerec.enroll_request RENAME COLUMN request_id TO request_tag;

-- All collections share this table, and its rows outlive persons and collections: a fingerprint is made of parts of
-- letters, digits and ._+- with = within, joined by ;. Others were whatever a caller wrote.
ALTER TABLE facerec.model ALTER COLUMN fingerprint TYPE text USING CASE
    WHEN fingerprint ~ '^([A-Za-z0-9._+-]+(=[A-Za-z0-9._+-]+)?(;[A-Za-z0-9._+-]+(=[A-Za-z0-9._+-]+)?)*)?$'
        THEN fingerprint
    ELSE 'unknown=' || model_key
END;
