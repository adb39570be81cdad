-- +goose Up
-- Where people signed up: an entry for each of their sources, which triggers keep.
CREATE TABLE subscriber_source (
  source TEXT NOT NULL,
  subscriber_id BLOB NOT NULL,
  PRIMARY KEY (source, subscriber_id)
) WITHOUT ROWID;
INSERT INTO subscriber_source SELECT source, id FROM subscriber WHERE source IS NOT NULL ORDER BY source, id;
INSERT OR IGNORE INTO subscriber_source SELECT e.value, s.id FROM subscriber s, json_each(s.sources) e WHERE s.sources IS NOT NULL;
CREATE TRIGGER subscriber_source_added AFTER INSERT ON subscriber WHEN NEW.source IS NOT NULL AND NEW.sources IS NULL BEGIN
  INSERT INTO subscriber_source VALUES (NEW.source, NEW.id);
END;
CREATE TRIGGER subscriber_sources_added AFTER INSERT ON subscriber WHEN NEW.sources IS NOT NULL BEGIN
  INSERT OR IGNORE INTO subscriber_source SELECT value, NEW.id FROM json_each(NEW.sources);
END;
CREATE TRIGGER subscriber_source_changed AFTER UPDATE OF source, sources ON subscriber
WHEN NEW.source IS NOT OLD.source OR NEW.sources IS NOT OLD.sources BEGIN
  DELETE FROM subscriber_source WHERE subscriber_id = OLD.id
    AND source IN (SELECT OLD.source UNION ALL SELECT value FROM json_each(OLD.sources));
  INSERT OR IGNORE INTO subscriber_source SELECT NEW.source, NEW.id WHERE NEW.source IS NOT NULL
    UNION ALL SELECT value, NEW.id FROM json_each(NEW.sources);
END;
CREATE TRIGGER subscriber_source_deleted AFTER DELETE ON subscriber BEGIN
  DELETE FROM subscriber_source WHERE subscriber_id = OLD.id
    AND source IN (SELECT OLD.source UNION ALL SELECT value FROM json_each(OLD.sources));
END;
-- An index over an expression answers nothing by itself: SQLite looks each row up. One that ignores case counts.
DROP INDEX subscriber_country;
DROP INDEX subscriber_seniority;
DROP INDEX subscriber_domain;
CREATE INDEX subscriber_country ON subscriber (country COLLATE NOCASE, id) WHERE country IS NOT NULL;
CREATE INDEX subscriber_seniority ON subscriber (seniority COLLATE NOCASE, id) WHERE seniority IS NOT NULL;
CREATE INDEX subscriber_domain ON subscriber (company_domain COLLATE NOCASE, id) WHERE company_domain IS NOT NULL;
