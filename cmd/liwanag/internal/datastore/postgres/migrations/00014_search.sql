-- +goose Up
-- The words by which people are found, with a blank before each. NULL is of an earlier release: such rows are given theirs when
-- the server starts, a piece at a time.
ALTER TABLE subscriber ADD COLUMN words text COLLATE "C";
CREATE INDEX subscriber_wordless ON subscriber (id) WHERE words IS NULL;
-- The index of words. It has those people whose id is not beyond the mark, which grows in the background: an entry for each word
-- of each row would cost an import as much as everything else that it writes. What changes up to the mark, the triggers follow.
CREATE TABLE subscriber_word (
  word text COLLATE "C" NOT NULL,
  subscriber_id uuid NOT NULL,
  PRIMARY KEY (word, subscriber_id)
);
CREATE TABLE search_mark (subscriber_id uuid NOT NULL PRIMARY KEY);
INSERT INTO search_mark VALUES ('00000000-0000-0000-0000-000000000000');
CREATE FUNCTION subscriber_word_add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO subscriber_word SELECT w, n.id FROM added n JOIN search_mark m ON n.id <= m.subscriber_id, unnest(string_to_array(btrim(n.words), ' ')) AS w
    WHERE w <> '';
  RETURN NULL;
END $$;
CREATE FUNCTION subscriber_word_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM subscriber_word WHERE subscriber_id = OLD.id AND word = ANY (string_to_array(btrim(OLD.words), ' '));
  IF TG_OP = 'UPDATE' THEN
    INSERT INTO subscriber_word SELECT w, NEW.id FROM search_mark m, unnest(string_to_array(btrim(NEW.words), ' ')) AS w
      WHERE w <> '' AND NEW.id <= m.subscriber_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER subscriber_word_added AFTER INSERT ON subscriber REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION subscriber_word_add();
CREATE TRIGGER subscriber_word_changed AFTER UPDATE OF words ON subscriber FOR EACH ROW
  WHEN (NEW.words IS DISTINCT FROM OLD.words) EXECUTE FUNCTION subscriber_word_follow();
CREATE TRIGGER subscriber_word_deleted AFTER DELETE ON subscriber FOR EACH ROW EXECUTE FUNCTION subscriber_word_follow();
