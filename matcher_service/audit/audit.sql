-- Statements of the audit, run by the serving role; what they have in common is in postgres/statements.py.

-- name: note_change
-- $2 action, $3 caller, $4 person's tag or null, $5 persons, $6 faces, $7 detail as JSON. In the change's own
-- transaction.
INSERT INTO facerec.audit (collection_id, action, caller, person_tag, persons, faces, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb);

-- name: add_decisions
-- A column a decision: $2 times, $3 actions, $4 callers, $5 person ids or null, $6 outcomes. Whoever is erased by
-- now gets no tag. Primary key of person.
INSERT INTO facerec.audit (collection_id, event_time, action, caller, person_tag, persons, faces, outcome)
SELECT $1, i.event_time, i.action, i.caller, facerec.audit_tag(p.audit_key, p.person_id),
       CASE WHEN i.person_id IS NULL THEN 0 ELSE 1 END, 1, i.outcome
FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
    AS i(event_time, action, caller, person_id, outcome, place)
LEFT JOIN facerec.:"person" p ON p.collection_id = $1 AND p.person_id = i.person_id
ORDER BY i.place;

-- name: get_person_tag
-- $2 person. Primary key of person.
SELECT facerec.audit_tag(p.audit_key, p.person_id) AS person_tag
FROM facerec.:"person" p
WHERE p.collection_id = $1 AND p.person_id = $2;

-- name: list_audit_events
-- $2 the last page's last event or null, $3 a person's tag or null, $4 true for decisions, false for changes, null
-- for both, $5 from, $6 until, either null, $7 most rows. Newest first. Audit (collection_id, event_id) or
-- (collection_id, person_tag, event_id).
SELECT a.event_id, a.event_time, a.action, a.caller, a.person_tag, a.persons, a.faces, a.outcome,
       a.detail::text AS detail
FROM facerec.audit a
WHERE a.collection_id = $1
  AND ($2::bigint IS NULL OR a.event_id < $2::bigint)
  AND ($3::bytea IS NULL OR a.person_tag = $3::bytea)
  AND ($4::boolean IS NULL OR (a.outcome IS NOT NULL) = $4::boolean)
  AND ($5::timestamptz IS NULL OR a.event_time >= $5::timestamptz)
  AND ($6::timestamptz IS NULL OR a.event_time < $6::timestamptz)
ORDER BY a.event_id DESC
LIMIT $7;
