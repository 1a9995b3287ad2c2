-- Statements of the audit, run by the serving role; common conventions: postgres/statements.py.

-- name: append_audit_event
-- :person_tag may be null, :detail is JSON. In the change's own transaction.
INSERT INTO facerec.audit (collection_id, action, caller, person_tag, persons, faces, detail)
VALUES (:collection_id, :action, :caller, :person_tag, :persons, :faces, :detail::jsonb);

-- name: add_decisions
-- An array for each field of the decisions; :person_ids may have nulls. A person erased since gets no tag. Primary key of
-- person.
INSERT INTO facerec.audit (collection_id, event_time, action, caller, person_tag, persons, faces, outcome)
SELECT :collection_id, i.event_time, i.action, i.caller, coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)),
       CASE WHEN i.person_id IS NULL THEN 0 ELSE 1 END, 1, i.outcome
FROM unnest(:event_times::timestamptz[], :actions::text[], :callers::text[], :person_ids::text[], :outcomes::text[]) WITH ORDINALITY
    AS i(event_time, action, caller, person_id, outcome, ordinal)
LEFT JOIN facerec.:"person" p ON p.collection_id = :collection_id AND p.person_id = i.person_id
ORDER BY i.ordinal;

-- name: get_person_tag
-- Primary key of person.
SELECT coalesce(p.kept_tag, facerec.audit_tag(p.audit_key, p.person_id)) AS person_tag
FROM facerec.:"person" p
WHERE p.collection_id = :collection_id AND p.person_id = :person_id;

-- name: list_audit_events
-- Newest first. All filters may be null: events before :before_event_id (the last of the previous page), of :person_tag,
-- :decisions (true for decisions, false for changes), from :start_time (inclusive) to :end_time. Audit (collection_id,
-- event_id) or (collection_id, person_tag, event_id).
SELECT a.event_id, a.event_time, a.action, a.caller, a.person_tag, a.persons, a.faces, a.outcome,
       a.detail::text AS detail
FROM facerec.audit a
WHERE a.collection_id = :collection_id
  AND (:before_event_id::bigint IS NULL OR a.event_id < :before_event_id::bigint)
  AND (:person_tag::bytea IS NULL OR a.person_tag = :person_tag::bytea)
  AND (:decisions::boolean IS NULL OR (a.outcome IS NOT NULL) = :decisions::boolean)
  AND (:start_time::timestamptz IS NULL OR a.event_time >= :start_time::timestamptz)
  AND (:end_time::timestamptz IS NULL OR a.event_time < :end_time::timestamptz)
ORDER BY a.event_id DESC
LIMIT :max_rows;
