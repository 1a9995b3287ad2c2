-- What a person's audit events are found by when their id changes. Runs as facerec_owner.
--
-- The tag of an event is a hash of the person's id under a key that is erased with the person. Of one whose id was changed
-- it is kept, so that earlier and later events have one tag; null means that the tag is that of the id. A release before
-- this one appends the events of such a person under a tag of the new id.
-- serves: 15
ALTER TABLE facerec.person ADD COLUMN kept_tag bytea;
DO $$
DECLARE
    people regclass;
BEGIN
    FOR people IN
        SELECT 'facerec.person'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'facerec.person'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN kept_tag SET STATISTICS 0', people);
    END LOOP;
END
$$;
