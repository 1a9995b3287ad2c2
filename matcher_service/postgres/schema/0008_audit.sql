-- What was done, by whom and when. Runs as facerec_owner. The serving role adds rows and reads them, and can neither
-- change nor delete one. Rows of an erased collection stay until their time is over, so there is no foreign key.

-- A random key for each person, which lives and dies with the person's row.
ALTER TABLE facerec.person ADD audit_key uuid NOT NULL DEFAULT gen_random_uuid();

-- How the audit names a person: a hash of the id, keyed by what is erased with the person. Afterwards the rows about
-- them remain and can be led back to nobody, not even by someone who guesses the id.
CREATE FUNCTION facerec.audit_tag(audit_key uuid, person_id text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substr(sha256(uuid_send(audit_key) || convert_to(person_id, 'UTF8')), 1, 16);

-- caller is the name of the key or certificate that asked, '' without. outcome is of a decision: match or no_match.
-- detail is of a change, counts and settings before and after. No id of a person, no vector, no distance.
CREATE TABLE facerec.audit (
    event_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    collection_id text COLLATE "C" NOT NULL,
    action        text NOT NULL,
    caller        text NOT NULL,
    person_tag    bytea,
    persons       bigint NOT NULL DEFAULT 0,
    faces         bigint NOT NULL DEFAULT 0,
    outcome       text,
    detail        jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_collection ON facerec.audit (collection_id, event_id);
CREATE INDEX audit_person ON facerec.audit (collection_id, person_tag, event_id) WHERE person_tag IS NOT NULL;
CREATE INDEX audit_time ON facerec.audit USING brin (event_time);

GRANT SELECT, INSERT ON facerec.audit TO facerec_serve;
