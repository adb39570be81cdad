-- +goose Up
-- Where people signed up: an entry for each of their sources, which triggers keep.
CREATE TABLE subscriber_source (
  source text COLLATE "C" NOT NULL,
  subscriber_id uuid NOT NULL,
  PRIMARY KEY (source, subscriber_id)
);
CREATE FUNCTION subscriber_sources(source text, sources text) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
  SELECT source WHERE source IS NOT NULL
    UNION SELECT json_array_elements_text(replace(sources, '\u0000', '\ufffd')::json) WHERE sources IS NOT NULL $$;
INSERT INTO subscriber_source SELECT source, id FROM subscriber WHERE source IS NOT NULL ORDER BY source, id;
INSERT INTO subscriber_source SELECT e, s.id FROM subscriber s, subscriber_sources(s.source, s.sources) e WHERE s.sources IS NOT NULL
  ON CONFLICT DO NOTHING;
CREATE FUNCTION subscriber_source_add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO subscriber_source SELECT n.source, n.id FROM added n WHERE n.source IS NOT NULL AND n.sources IS NULL
    UNION ALL SELECT e, n.id FROM added n, subscriber_sources(n.source, n.sources) e WHERE n.sources IS NOT NULL;
  RETURN NULL;
END $$;
CREATE FUNCTION subscriber_source_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM subscriber_source WHERE subscriber_id = OLD.id AND source IN (SELECT subscriber_sources(OLD.source, OLD.sources));
  IF TG_OP = 'UPDATE' THEN
    INSERT INTO subscriber_source SELECT e, NEW.id FROM subscriber_sources(NEW.source, NEW.sources) e;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER subscriber_source_added AFTER INSERT ON subscriber REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION subscriber_source_add();
CREATE TRIGGER subscriber_source_changed AFTER UPDATE OF source, sources ON subscriber FOR EACH ROW
  WHEN (NEW.source IS DISTINCT FROM OLD.source OR NEW.sources IS DISTINCT FROM OLD.sources) EXECUTE FUNCTION subscriber_source_follow();
CREATE TRIGGER subscriber_source_deleted AFTER DELETE ON subscriber FOR EACH ROW EXECUTE FUNCTION subscriber_source_follow();
-- Whether a member of a JSON object has a text. What the server cannot take as text (NULs, halves of a pair) is replaced first.
CREATE FUNCTION metadata_has(metadata text, name text, wanted text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  IF strpos(metadata, '\') > 0 THEN
    BEGIN
      RETURN EXISTS (SELECT 1 FROM json_each_text(metadata::json) m WHERE m.key = name AND m.value = wanted);
    EXCEPTION WHEN data_exception THEN
      metadata := regexp_replace(metadata, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\ufffd', 'g');
    END;
  END IF;
  RETURN EXISTS (SELECT 1 FROM json_each_text(metadata::json) m WHERE m.key = name AND m.value = wanted);
END $$;
