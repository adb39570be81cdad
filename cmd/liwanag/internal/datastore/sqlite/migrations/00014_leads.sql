-- +goose Up
-- Filters and orders of leads. Only the people of whom something is known have an entry, so that importing addresses pays for none.
CREATE INDEX subscriber_country ON subscriber (lower(country), id) WHERE country IS NOT NULL;
CREATE INDEX subscriber_seniority ON subscriber (lower(seniority), id) WHERE seniority IS NOT NULL;
CREATE INDEX subscriber_domain ON subscriber (lower(company_domain), id) WHERE company_domain IS NOT NULL;
CREATE INDEX subscriber_found ON subscriber (enriched_at, id) WHERE enriched_at IS NOT NULL;
CREATE INDEX subscriber_company ON subscriber (lower(company_name), id) WHERE company_name IS NOT NULL;
CREATE INDEX subscriber_headcount ON subscriber (headcount, id) WHERE headcount IS NOT NULL;
