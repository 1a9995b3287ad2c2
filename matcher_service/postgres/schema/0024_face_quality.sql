-- A stored face knows the quality of the photo it was enrolled from. Runs as facerec_owner.
--
-- Its form is that of postgres/qualities.py; '' is none. Not null: a first null in a row would cost eight bytes of every
-- face, an empty value costs one. The default rewrites nothing, and is what a release before this one stores. No column of
-- a person has statistics: docs/erasure.md. docs/decisions/0039-stored-quality.md
-- serves: 18
ALTER TABLE facerec.face ADD quality bytea NOT NULL DEFAULT '';
ALTER TABLE facerec.face ALTER COLUMN quality SET STATISTICS 0;
