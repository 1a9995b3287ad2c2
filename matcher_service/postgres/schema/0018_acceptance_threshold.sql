-- The index acceptance threshold has the name that the contract gives it. Runs as facerec_owner.
--
-- Before the first release; a build from before it does not know the column, so it is not served.
-- serves: 18
ALTER TABLE facerec.collection RENAME COLUMN trust_distance TO acceptance_threshold;
ALTER TABLE facerec.collection
    RENAME CONSTRAINT collection_trust_distance_check TO collection_acceptance_threshold_check;
