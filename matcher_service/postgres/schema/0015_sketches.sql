-- Sketches: a short lower bound of each face's distances, for exact scans. Runs as facerec_owner.
--
-- A sketch is the first 80 coordinates of a face's vector in a rotated basis, in half precision. A rotation keeps distances
-- and leaving out coordinates only shortens them, so a face whose sketch is farther from a probe's than the threshold, plus
-- a margin for rounding, is farther than the threshold. A scan reads the sketches, a third of the bytes of the faces, and
-- compares the few people that are left by their faces. The rotation is the principal axes of the collection's own people:
-- any would be right, this one leaves the fewest. `maintain` makes it once a collection is large, with triggers that keep
-- the sketches, and fills those of the faces that are there. docs/decisions/0018-sketches.md
-- serves: 14

-- The rows of a collection's rotation: orthonormal axes in the space of the vectors. None while there are no sketches.
CREATE TABLE facerec.rotation (
    number smallint PRIMARY KEY,
    axis   vector(128) NOT NULL
);
ALTER TABLE facerec.rotation ALTER COLUMN axis SET STORAGE PLAIN;
ALTER TABLE facerec.rotation ALTER COLUMN axis SET STATISTICS 0;

-- A row for each face of a collection that has a rotation. A null sketch is of a vector so long that its rounding would
-- be larger than the margin allows: its person is always compared. PLAIN storage: a short header would be copied for
-- each row that is read.
CREATE TABLE facerec.sketch (
    person_key bigint NOT NULL,
    content_id uuid NOT NULL,
    sketch     halfvec(80),
    PRIMARY KEY (person_key, content_id)
);
ALTER TABLE facerec.sketch ALTER COLUMN sketch SET STORAGE PLAIN;
ALTER TABLE facerec.sketch ALTER COLUMN content_id SET STATISTICS 0;
ALTER TABLE facerec.sketch ALTER COLUMN sketch SET STATISTICS 0;
CREATE INDEX sketch_null ON facerec.sketch (person_key) WHERE sketch IS NULL;

-- Up to which distance a scan by sketches is worth it, as `maintain` measured, below 0 if up to none; null while sketches
-- are not complete. And when it was measured, or a build was last tried.
ALTER TABLE facerec.collection
    ADD sketch_max_distance float8,
    ADD sketch_time         timestamptz;

-- A release before this one vacuums and rewrites all but sketches: its word that an erasure is complete does not count. This
-- one sets the column with it.
ALTER TABLE facerec.erasure ADD with_sketches boolean NOT NULL DEFAULT false;
CREATE FUNCTION facerec.keep_erasure_pending() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.vacuum_time := OLD.vacuum_time;
    NEW.scrub_time := OLD.scrub_time;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_erasure_pending BEFORE UPDATE ON facerec.erasure FOR EACH ROW WHEN (NOT NEW.with_sketches)
EXECUTE FUNCTION facerec.keep_erasure_pending();

CREATE FUNCTION facerec.sketch_of(axes vector[], encoding vector) RETURNS halfvec
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN vector_norm(encoding) <= 2 THEN ARRAY(SELECT -(axis <#> encoding) FROM unnest(axes) AS axis)::halfvec(80)
END;

-- Writers hold this lock from their triggers to the end of their transaction. While it is held exclusively, the faces of
-- those before are there or gone, and the triggers of those after run later, in snapshots that have what was done
-- meanwhile: so faces are written in read committed transactions only. Not a lock on the table, since a vacuum would hold
-- that for minutes.
CREATE FUNCTION facerec.enter_sketches(face_table text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE feature_not_supported USING MESSAGE = 'faces are written in read committed transactions';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(face_table, 0));
END
$$;

-- One table of a collection, like its parent. Only the serving role's own tables can be written by it.
CREATE FUNCTION facerec.add_partition(parent text, new_collection_id text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    partition text := facerec.partition_name(parent, new_collection_id);
    by_id     boolean := EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = format('facerec.%I', parent)::regclass AND a.attname = 'collection_id'
    );
BEGIN
    EXECUTE format(
        'CREATE TABLE facerec.%I (LIKE facerec.%I INCLUDING ALL EXCLUDING CONSTRAINTS)', partition, parent
    );
    IF by_id THEN
        EXECUTE format(
            'ALTER TABLE facerec.%I ADD CONSTRAINT %I CHECK (collection_id = %L)',
            partition, parent || '_collection', new_collection_id
        );
    END IF;
    EXECUTE (
        SELECT format('ALTER TABLE facerec.%I ', partition)
            || string_agg(format('ALTER COLUMN %I SET STATISTICS 0', a.attname), ', ')
        FROM pg_attribute a
        WHERE a.attrelid = format('facerec.%I', parent)::regclass AND a.attstattarget = 0
          AND a.attnum > 0 AND NOT a.attisdropped
    );
    EXECUTE format('COMMENT ON TABLE facerec.%I IS %L', partition, new_collection_id);
    EXECUTE format(
        'GRANT %s ON facerec.%I TO facerec_serve',
        CASE WHEN parent = 'rotation' THEN 'SELECT' ELSE 'SELECT, INSERT, UPDATE, DELETE' END, partition
    );
    EXECUTE format('ALTER TABLE facerec.%I INHERIT facerec.%I', partition, parent);
END
$$;

-- Triggers that keep the sketches of a collection's faces, and write none while it has no rotation. Their functions are the
-- collection's own, since statements that name their tables are planned once a session, and those that are put together
-- for each call each time, at twice the cost. Deleting is by row: triggers for statements do not run if the statement
-- names the parent. A key that is given to another face in the statement that deletes the first keeps its sketch.
-- record_image_eq compares bytes, and needs no operator of the extension.
CREATE FUNCTION facerec.add_sketch_triggers(new_collection_id text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        $sql$
        CREATE OR REPLACE FUNCTION facerec.%4$I() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            PERFORM facerec.enter_sketches(%1$L);
            INSERT INTO facerec.%2$I AS s (person_key, content_id, sketch)
            SELECT a.person_key, a.content_id, facerec.sketch_of(r.axes, a.encoding)
            FROM (SELECT array_agg(axis ORDER BY number) AS axes FROM facerec.%3$I HAVING count(*) > 0) r, added a
            ON CONFLICT (person_key, content_id) DO UPDATE SET sketch = excluded.sketch;
            RETURN NULL;
        END
        $body$;
        CREATE OR REPLACE FUNCTION facerec.%5$I() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN
            PERFORM facerec.enter_sketches(%1$L);
            IF TG_OP = 'TRUNCATE' THEN
                DELETE FROM facerec.%2$I;
                RETURN NULL;
            END IF;
            DELETE FROM facerec.%2$I s
            WHERE s.person_key = OLD.person_key AND s.content_id = OLD.content_id
              AND NOT EXISTS (
                  SELECT FROM facerec.%1$I f
                  WHERE f.collection_id = OLD.collection_id AND f.person_key = OLD.person_key
                    AND f.content_id = OLD.content_id
              );
            IF TG_OP = 'UPDATE' THEN
                INSERT INTO facerec.%2$I AS s (person_key, content_id, sketch)
                SELECT NEW.person_key, NEW.content_id, facerec.sketch_of(r.axes, NEW.encoding)
                FROM (SELECT array_agg(axis ORDER BY number) AS axes FROM facerec.%3$I HAVING count(*) > 0) r
                ON CONFLICT (person_key, content_id) DO UPDATE SET sketch = excluded.sketch;
            END IF;
            RETURN NULL;
        END
        $body$;
        CREATE OR REPLACE TRIGGER add_sketches AFTER INSERT ON facerec.%1$I REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION facerec.%4$I();
        CREATE OR REPLACE TRIGGER delete_sketch AFTER DELETE ON facerec.%1$I FOR EACH ROW EXECUTE FUNCTION facerec.%5$I();
        CREATE OR REPLACE TRIGGER replace_sketch AFTER UPDATE ON facerec.%1$I FOR EACH ROW
        WHEN (NOT record_image_eq(
            ROW(OLD.person_key, OLD.content_id, OLD.encoding), ROW(NEW.person_key, NEW.content_id, NEW.encoding)
        ))
        EXECUTE FUNCTION facerec.%5$I();
        CREATE OR REPLACE TRIGGER delete_sketches AFTER TRUNCATE ON facerec.%1$I EXECUTE FUNCTION facerec.%5$I();
        $sql$,
        facerec.partition_name('face', new_collection_id),
        facerec.partition_name('sketch', new_collection_id),
        facerec.partition_name('rotation', new_collection_id),
        facerec.partition_name('add_sketches', new_collection_id),
        facerec.partition_name('change_sketch', new_collection_id)
    );
END
$$;

-- Whether the triggers are there and enabled: sketches are used only then.
CREATE FUNCTION facerec.has_sketch_triggers(of_collection_id text) RETURNS boolean
LANGUAGE sql STABLE
RETURN (
    SELECT count(*) = 4
    FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = to_regclass('facerec.' || facerec.partition_name('face', of_collection_id))
      AND t.tgname IN ('add_sketches', 'delete_sketch', 'replace_sketch', 'delete_sketches')
      AND t.tgenabled IN ('O', 'A')
);

CREATE OR REPLACE FUNCTION facerec.add_partitions(new_collection_id text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM facerec.add_partition('person', new_collection_id);
    PERFORM facerec.add_partition('face', new_collection_id);
    PERFORM facerec.add_partition('enroll_request', new_collection_id);
    PERFORM facerec.add_partition('rotation', new_collection_id);
    PERFORM facerec.add_partition('sketch', new_collection_id);
END
$$;

-- As before, and with the tables of sketches.
CREATE OR REPLACE FUNCTION facerec.delete_collection(
    old_collection_id text, OUT collections bigint, OUT persons bigint, OUT faces bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    person text := facerec.partition_name('person', old_collection_id);
    face text := facerec.partition_name('face', old_collection_id);
    enroll_request text := facerec.partition_name('enroll_request', old_collection_id);
    rotation text := facerec.partition_name('rotation', old_collection_id);
    sketch text := facerec.partition_name('sketch', old_collection_id);
BEGIN
    collections := 0;
    persons := 0;
    faces := 0;
    FOR attempt IN 1..20 LOOP
        BEGIN
            EXECUTE format(
                'LOCK TABLE facerec.%I, facerec.%I, facerec.%I, facerec.%I, facerec.%I IN ACCESS EXCLUSIVE MODE',
                person, face, enroll_request, rotation, sketch
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
    EXECUTE format(
        'DROP TABLE facerec.%I, facerec.%I, facerec.%I, facerec.%I, facerec.%I',
        person, face, enroll_request, rotation, sketch
    );
    EXECUTE format(
        'DROP FUNCTION IF EXISTS facerec.%I, facerec.%I',
        facerec.partition_name('add_sketches', old_collection_id),
        facerec.partition_name('change_sketch', old_collection_id)
    );
    IF old_collection_id = 'default' THEN
        PERFORM facerec.create_collection(old_collection_id, 'dlib-resnet-v1/small/150x0.25');
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION facerec.add_partition(text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION facerec.add_sketch_triggers(text) FROM PUBLIC;

SELECT facerec.add_partition(parent, c.collection_id) FROM facerec.collection c, unnest(ARRAY['rotation', 'sketch']) AS parent;
