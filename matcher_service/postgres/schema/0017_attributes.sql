-- Attributes of people: labels to search by, and opaque metadata; references of faces, and names of people to look up.
-- Runs as facerec_owner.
--
-- metadata is json and not jsonb: it is never searched, and is answered with the very numbers that were sent, which jsonb
-- may write with hundreds of digits. No column of a person has statistics: docs/erasure.md.
-- serves: 15
ALTER TABLE facerec.person
    ADD labels   jsonb NOT NULL DEFAULT '{}',
    ADD metadata json;
ALTER TABLE facerec.person
    ALTER COLUMN labels SET STATISTICS 0,
    ALTER COLUMN metadata SET STATISTICS 0;

-- Indexes of the parents, which hold no row, are what a new collection's tables get. Each is over the rows that have what
-- it finds: people and faces without labels, names and references cost nothing.
DO $$
DECLARE
    tenant text;
    person text;
    face text;
BEGIN
    FOR tenant IN SELECT '' UNION ALL SELECT collection_id FROM facerec.collection LOOP
        person := CASE tenant WHEN '' THEN 'person' ELSE facerec.partition_name('person', tenant) END;
        face := CASE tenant WHEN '' THEN 'face' ELSE facerec.partition_name('face', tenant) END;
        EXECUTE format(
            'CREATE INDEX ON facerec.%I USING gin (labels jsonb_path_ops) WITH (fastupdate = off) WHERE labels <> ''{}''',
            person
        );
        EXECUTE format(
            'CREATE INDEX ON facerec.%I (display_name text_pattern_ops) WHERE display_name <> ''''', person
        );
        EXECUTE format(
            'CREATE INDEX ON facerec.%I (external_ref, create_time, face_id) WHERE external_ref <> ''''', face
        );
    END LOOP;
END
$$;
