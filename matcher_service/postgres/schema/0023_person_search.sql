-- People are found by the words of their ids and names. Runs as facerec_owner.
--
-- The words are in an index alone, of an expression: a column would have each collection's table rewritten, while nobody
-- reads it. An index of an expression has statistics of its own, which would copy names into the catalogs: they are turned
-- off for each, in add_partition for those of collections to come (docs/erasure.md).
-- serves: 18

-- The words of a person's id and name: what white space separates (all that Unicode counts as such, and U+001C to U+001F),
-- in NFC and in lower case as the database's locale has it. Only the first 500 characters of each count, which leaves out
-- nothing unless NFC makes a name longer, as it does with a few letters: a word of 2047 bytes could not be in a tsvector.
CREATE FUNCTION facerec.search_words(person_id text, display_name text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_tsvector(array_remove(regexp_split_to_array(
    lower((left(normalize(person_id, NFC), 500) || ' ' || left(normalize(display_name, NFC), 500)) COLLATE "default"),
    '[\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
), ''));

-- Matches the words of whom each word of a text begins one; null for a text without words.
CREATE FUNCTION facerec.search_query(search text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg('''' || replace(replace(word.lexeme, '\', '\\'), '''', '''''') || ''':*', ' & ')::tsquery
    FROM unnest(facerec.search_words(search, '')) word
);

CREATE OR REPLACE FUNCTION facerec.add_partition(parent text, new_collection_id text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    partition text := facerec.partition_name(parent, new_collection_id);
    by_id     boolean := EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = format('facerec.%I', parent)::regclass AND a.attname = 'collection_id'
    );
    words     regclass;
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
    FOR words IN
        SELECT i.indexrelid FROM pg_index i
        WHERE i.indrelid = format('facerec.%I', partition)::regclass AND i.indexprs IS NOT NULL
    LOOP
        EXECUTE format('ALTER INDEX %s ALTER COLUMN 1 SET STATISTICS 0', words);
    END LOOP;
    EXECUTE format('COMMENT ON TABLE facerec.%I IS %L', partition, new_collection_id);
    EXECUTE format(
        'GRANT %s ON facerec.%I TO facerec_serve',
        CASE WHEN parent = 'rotation' THEN 'SELECT' ELSE 'SELECT, INSERT, UPDATE, DELETE' END, partition
    );
    EXECUTE format('ALTER TABLE facerec.%I INHERIT facerec.%I', partition, parent);
END
$$;

-- The index of the parent, which holds no row, is what a new collection's table gets.
DO $$
DECLARE
    tenant text;
    person text;
    words  regclass;
BEGIN
    FOR tenant IN SELECT '' UNION ALL SELECT collection_id FROM facerec.collection LOOP
        person := CASE tenant WHEN '' THEN 'person' ELSE facerec.partition_name('person', tenant) END;
        EXECUTE format(
            'CREATE INDEX ON facerec.%I USING gin (facerec.search_words(person_id, display_name)) WITH (fastupdate = off)',
            person
        );
        FOR words IN
            SELECT i.indexrelid FROM pg_index i
            WHERE i.indrelid = format('facerec.%I', person)::regclass AND i.indexprs IS NOT NULL
        LOOP
            EXECUTE format('ALTER INDEX %s ALTER COLUMN 1 SET STATISTICS 0', words);
        END LOOP;
    END LOOP;
END
$$;
