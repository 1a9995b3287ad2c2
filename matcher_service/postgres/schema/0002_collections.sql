-- Collections as tenants: each has partitions of its own for its people, faces and request ids, and every
-- statement addresses them by name. Runs as facerec_owner.
--
-- The partitions inherit from parents that hold no row and are not touched while serving: a later migration
-- changes columns in one place, and a report reads all tenants at once (an index is a partition's own).
-- They are not declared with PARTITION BY, since an INSERT into such a partition locks its parent to read
-- the bounds, and erasing one locks the parent against that: one tenant's end would be waited for by
-- others. As it is, adding or erasing a tenant locks nothing that another one's calls need.

-- The name of a collection's partition: the table's, and 128 bits of a hash of the id, which can be as
-- long as Postgres lets a name be.
CREATE FUNCTION facerec.partition_name(parent text, collection_id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN parent || '_' || left(encode(sha256(convert_to(collection_id, 'UTF8')), 'hex'), 32);

-- retention null means for ever. index_effort is null
-- while the collection has no index that may be used; it and the rest of the index_ columns are written by
-- `maintain`.
ALTER TABLE facerec.collection
    ADD display_name        text NOT NULL DEFAULT '',
    ADD duplicate_policy    text NOT NULL DEFAULT 'flag'
        CHECK (duplicate_policy IN ('allow', 'flag', 'refuse')),
    ADD duplicate_threshold float8 NOT NULL DEFAULT 0.5 CHECK (duplicate_threshold BETWEEN 0 AND 4),
    ADD min_face_pixels     integer NOT NULL DEFAULT 0 CHECK (min_face_pixels BETWEEN 0 AND 65535),
    ADD exact_only          boolean NOT NULL DEFAULT false,
    ADD index_above_faces   bigint NOT NULL DEFAULT 20000 CHECK (index_above_faces BETWEEN 1000 AND 1000000000),
    ADD trust_distance      float8 NOT NULL DEFAULT 0.45 CHECK (trust_distance BETWEEN 0 AND 4),
    ADD target_recall       float8 NOT NULL DEFAULT 0.998 CHECK (target_recall BETWEEN 0.5 AND 1),
    ADD retention           interval CHECK (retention > interval '0'),
    ADD update_time         timestamptz NOT NULL DEFAULT now(),
    ADD index_name          text,
    ADD index_effort        integer,
    ADD index_persons       bigint,
    ADD index_faces         bigint,
    ADD index_recall        float8,
    ADD index_time          timestamptz;

-- How far a build is, for GetCollection to show. A row while one runs.
CREATE TABLE facerec.index_build (
    collection_id text COLLATE "C" PRIMARY KEY,
    phase         text NOT NULL,
    done          float8 NOT NULL DEFAULT 0,
    start_time    timestamptz NOT NULL DEFAULT now(),
    update_time   timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE facerec.face RENAME TO old_face;
ALTER TABLE facerec.old_face RENAME CONSTRAINT face_pkey TO old_face_pkey;
ALTER TABLE facerec.old_face
    RENAME CONSTRAINT face_collection_id_person_key_content_id_key TO old_face_content_key;
ALTER TABLE facerec.person RENAME TO old_person;
ALTER TABLE facerec.old_person RENAME CONSTRAINT person_pkey TO old_person_pkey;
ALTER TABLE facerec.old_person RENAME CONSTRAINT person_person_key_key TO old_person_person_key_key;
ALTER SEQUENCE facerec.person_person_key_seq RENAME TO old_person_person_key_seq;
ALTER TABLE facerec.enroll_request RENAME TO old_enroll_request;
ALTER TABLE facerec.old_enroll_request RENAME CONSTRAINT enroll_request_pkey TO old_enroll_request_pkey;

-- One sequence for all partitions: a key names one person in the whole database, for ever.
CREATE SEQUENCE facerec.person_key;

-- centroid is the mean of the person's encodings: what the index proposes people by, so that its size and
-- cost follow the people and not their photos. It decides nothing. Null for a person without a face.
CREATE TABLE facerec.person (
    person_key    bigint NOT NULL DEFAULT nextval('facerec.person_key'),
    centroid      vector(128),
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    collection_id text COLLATE "C" NOT NULL,
    person_id     text COLLATE "C" NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    CONSTRAINT person_pkey PRIMARY KEY (collection_id, person_id),
    CONSTRAINT person_key_key UNIQUE (collection_id, person_key)
);
ALTER TABLE facerec.person ALTER COLUMN centroid SET STORAGE PLAIN;

-- What an exact scan reads comes first, at fixed offsets: it is read a million times a second. expire_time
-- is infinity where nothing ends; a face past it is seen by no statement, and `maintain` deletes it.
-- content_id is the first 128 bits of a SHA-256 of the photo or encoding, so that one photo is stored
-- once a person. The unique index over it is also the way to one person's faces.
--
-- A face's person is guaranteed by row locks: Enroll locks the person before it adds faces, and whatever
-- deletes either locks the person first. Models are never deleted.
CREATE TABLE facerec.face (
    person_key    bigint NOT NULL,
    face_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    expire_time   timestamptz NOT NULL DEFAULT 'infinity',
    model_key     integer NOT NULL,
    encoding      vector(128) NOT NULL,
    content_id    uuid NOT NULL,
    create_time   timestamptz NOT NULL DEFAULT clock_timestamp(),
    collection_id text COLLATE "C" NOT NULL,
    external_ref  text NOT NULL DEFAULT '',
    CONSTRAINT face_pkey PRIMARY KEY (collection_id, face_id),
    CONSTRAINT face_content_key UNIQUE (collection_id, person_key, content_id)
);
-- Next to empty where nothing expires; an enrolled face enters it only with an end.
CREATE INDEX face_expire_time ON facerec.face (expire_time) WHERE expire_time < 'infinity';
-- In line: a scan that followed every vector into the TOAST table would be many times slower.
ALTER TABLE facerec.face ALTER COLUMN encoding SET STORAGE PLAIN;

-- What an exact scan found: how many faces it compared, and those near enough.
CREATE TYPE facerec.scan AS (faces bigint, hits facerec.hit[]);

-- What a request id was answered with. The row names nobody: person_key means nothing once the person is
-- erased, and stays so that a replay finds them gone instead of enrolling them again. The digest covers
-- the photos, so it cannot be guessed from a name.
CREATE TABLE facerec.enroll_request (
    collection_id    text COLLATE "C" NOT NULL,
    request_id       text COLLATE "C" NOT NULL,
    digest           bytea NOT NULL,
    person_key       bigint NOT NULL,
    person_created   boolean NOT NULL,
    face_ids         uuid[] NOT NULL,
    already_enrolled boolean[] NOT NULL,
    model_keys       integer[] NOT NULL,
    face_times       timestamptz[] NOT NULL,
    create_time      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enroll_request_pkey PRIMARY KEY (collection_id, request_id)
);

-- No row is a parent's own.
ALTER TABLE facerec.person ADD CONSTRAINT person_in_partition CHECK (false) NO INHERIT;
ALTER TABLE facerec.face ADD CONSTRAINT face_in_partition CHECK (false) NO INHERIT;
ALTER TABLE facerec.enroll_request ADD CONSTRAINT enroll_request_in_partition CHECK (false) NO INHERIT;

-- Makes a collection's partitions. Waits for no reader, and for no writer but of the same collection.
CREATE FUNCTION facerec.add_partitions(new_collection_id text) RETURNS void
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
        EXECUTE format('COMMENT ON TABLE facerec.%I IS %L', partition, new_collection_id);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON facerec.%I TO facerec_serve', partition);
        EXECUTE format('ALTER TABLE facerec.%I INHERIT facerec.%I', partition, parent);
    END LOOP;
END
$$;

-- Adds a collection and says whether it is new.
CREATE FUNCTION facerec.create_collection(new_collection_id text, new_space text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO facerec.collection (collection_id, space) VALUES (new_collection_id, new_space)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM facerec.add_partitions(new_collection_id);
    RETURN true;
END
$$;

-- Erases a collection with its files and counts what went. This tenant's own calls queue up behind a lock that
-- is waited for, and each holds a connection that other tenants could use: so it is waited for only a moment
-- at a time, with longer ones between, for 3 seconds in all. `default` exists always: it is left empty and as
-- it was made.
CREATE FUNCTION facerec.delete_collection(
    old_collection_id text, OUT collections bigint, OUT persons bigint, OUT faces bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    person text := facerec.partition_name('person', old_collection_id);
    face text := facerec.partition_name('face', old_collection_id);
    enroll_request text := facerec.partition_name('enroll_request', old_collection_id);
BEGIN
    collections := 0;
    persons := 0;
    faces := 0;
    FOR attempt IN 1..20 LOOP
        BEGIN
            EXECUTE format(
                'LOCK TABLE facerec.%I, facerec.%I, facerec.%I IN ACCESS EXCLUSIVE MODE',
                person, face, enroll_request
            );
            EXIT;
        EXCEPTION
            WHEN undefined_table THEN
                RETURN;
            WHEN lock_not_available THEN
                IF attempt = 20 THEN
                    RAISE;
                END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    DELETE FROM facerec.collection c WHERE c.collection_id = old_collection_id;
    collections := 1;
    DELETE FROM facerec.index_build b WHERE b.collection_id = old_collection_id;
    EXECUTE format('SELECT count(*) FROM facerec.%I', person) INTO persons;
    EXECUTE format('SELECT count(*) FROM facerec.%I', face) INTO faces;
    EXECUTE format('DROP TABLE facerec.%I, facerec.%I, facerec.%I', person, face, enroll_request);
    IF old_collection_id = 'default' THEN
        PERFORM facerec.create_collection(old_collection_id, 'dlib-resnet-v1/small/150x0.25');
    END IF;
END
$$;

-- How many rows a partition has, about: what the last vacuum or analyze counted, carried on by the size of
-- the file as the planner does. Exact counting would read the whole partition.
CREATE FUNCTION facerec.estimated_rows(parent text, collection_id text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT CASE
        WHEN c.relpages > 0 AND c.reltuples >= 0
            THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::bigint)
        ELSE pg_relation_size(c.oid) / 640  -- bytes a row, either way
    END::bigint
    FROM pg_class c
    WHERE c.oid = to_regclass('facerec.' || facerec.partition_name(parent, collection_id))
);

-- Says whether there is an index to use, and has it searched with its effort (IVFFlat's probes) until the
-- transaction's end. In plpgsql, so that it isn't inlined: set_config would keep the whole statement from
-- running on parallel workers, although it is not called where they are used.
CREATE FUNCTION facerec.use_index(effort integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED AS $$
BEGIN
    IF effort IS NULL THEN
        RETURN false;
    END IF;
    PERFORM set_config('ivfflat.probes', effort::text, true);
    RETURN true;
END
$$;

DO $$
DECLARE
    tenant text;
BEGIN
    FOR tenant IN SELECT collection_id FROM facerec.collection LOOP
        PERFORM facerec.add_partitions(tenant);
        EXECUTE format(
            'INSERT INTO facerec.%I ('
            '    person_key, centroid, create_time, update_time, collection_id, person_id, display_name'
            ') '
            'SELECT p.person_key, '
            '       (SELECT avg(f.encoding) FROM facerec.old_face f'
            '        WHERE f.collection_id = p.collection_id AND f.person_key = p.person_key), '
            '       p.create_time, p.update_time, p.collection_id, p.person_id, p.display_name '
            'FROM facerec.old_person p WHERE p.collection_id = $1',
            facerec.partition_name('person', tenant)
        ) USING tenant;
        EXECUTE format(
            'INSERT INTO facerec.%I ('
            '    person_key, face_id, model_key, encoding, content_id, create_time, collection_id, external_ref'
            ') '
            'SELECT person_key, face_id, model_key, encoding, content_id, create_time, collection_id,'
            '       external_ref '
            'FROM facerec.old_face WHERE collection_id = $1',
            facerec.partition_name('face', tenant)
        ) USING tenant;
        EXECUTE format(
            'INSERT INTO facerec.%I SELECT * FROM facerec.old_enroll_request WHERE collection_id = $1',
            facerec.partition_name('enroll_request', tenant)
        ) USING tenant;
    END LOOP;
END
$$;
SELECT setval('facerec.person_key', (SELECT coalesce(max(person_key), 0) + 1 FROM facerec.person), false);

DROP TABLE facerec.old_enroll_request;
DROP TABLE facerec.old_face;
DROP TABLE facerec.old_person;

REVOKE EXECUTE ON FUNCTION facerec.add_partitions(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION facerec.create_collection(text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION facerec.delete_collection(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION facerec.estimated_rows(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION facerec.create_collection(text, text) TO facerec_serve;
GRANT EXECUTE ON FUNCTION facerec.delete_collection(text) TO facerec_serve;
GRANT EXECUTE ON FUNCTION facerec.estimated_rows(text, text) TO facerec_serve;
GRANT USAGE ON SEQUENCE facerec.person_key TO facerec_serve;
GRANT SELECT ON facerec.index_build TO facerec_serve;
GRANT UPDATE (
    display_name, verify_threshold, identify_threshold, duplicate_policy, duplicate_threshold,
    min_face_pixels, exact_only, index_above_faces, trust_distance, target_recall, retention, update_time
) ON facerec.collection TO facerec_serve;
