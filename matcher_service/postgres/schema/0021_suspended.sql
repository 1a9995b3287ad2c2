-- People can be suspended: they stay enrolled and match no claim. Runs as facerec_owner.
--
-- The index holds the suspended alone, so that it is empty, and looking somebody up in it costs nothing, where nobody is. A
-- matcher of the release before still finds the suspended: suspend nobody while one runs. No column of a person has
-- statistics: docs/erasure.md.
-- serves: 18
ALTER TABLE facerec.person ADD suspended boolean NOT NULL DEFAULT false;
ALTER TABLE facerec.person ALTER COLUMN suspended SET STATISTICS 0;

-- The index of the parent, which holds no row, is what a new collection's table gets.
DO $$
DECLARE
    tenant text;
BEGIN
    FOR tenant IN SELECT '' UNION ALL SELECT collection_id FROM facerec.collection LOOP
        EXECUTE format(
            'CREATE INDEX ON facerec.%I (person_key) WHERE suspended',
            CASE tenant WHEN '' THEN 'person' ELSE facerec.partition_name('person', tenant) END
        );
    END LOOP;
END
$$;
