-- What Enroll does with a face that is nearer to somebody else's than to its person's own. Runs as facerec_owner.
-- serves: 18
ALTER TABLE facerec.collection
    ADD consistency_policy text NOT NULL DEFAULT 'flag' CHECK (consistency_policy IN ('allow', 'flag', 'refuse'));

GRANT UPDATE (consistency_policy) ON facerec.collection TO facerec_serve;
