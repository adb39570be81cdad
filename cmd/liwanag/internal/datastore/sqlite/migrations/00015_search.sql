-- +goose Up
-- The words by which people are found, with a blank before each. NULL is of an earlier release: such rows are given theirs when
-- the server starts, a piece at a time.
ALTER TABLE subscriber ADD COLUMN words TEXT;
CREATE INDEX subscriber_wordless ON subscriber (id) WHERE words IS NULL;
-- The index of words. It has those people whose id is not beyond the mark, which grows in the background: an entry for each word
-- of each row would cost an import as much as everything else that it writes. What changes up to the mark, the triggers follow.
CREATE TABLE subscriber_word (
  word TEXT NOT NULL,
  subscriber_id BLOB NOT NULL,
  PRIMARY KEY (word, subscriber_id)
) WITHOUT ROWID;
CREATE TABLE search_mark (subscriber_id BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;
INSERT INTO search_mark VALUES (zeroblob(16));
CREATE TRIGGER subscriber_word_added AFTER INSERT ON subscriber WHEN NEW.id <= (SELECT subscriber_id FROM search_mark) BEGIN
  INSERT INTO subscriber_word SELECT value, NEW.id FROM json_each('["' || replace(trim(NEW.words), ' ', '","') || '"]') WHERE value <> '';
END;
CREATE TRIGGER subscriber_word_changed AFTER UPDATE OF words ON subscriber
WHEN NEW.words IS NOT OLD.words AND NEW.id <= (SELECT subscriber_id FROM search_mark) BEGIN
  DELETE FROM subscriber_word WHERE subscriber_id = OLD.id
    AND word IN (SELECT value FROM json_each('["' || replace(trim(OLD.words), ' ', '","') || '"]'));
  INSERT INTO subscriber_word SELECT value, NEW.id FROM json_each('["' || replace(trim(NEW.words), ' ', '","') || '"]') WHERE value <> '';
END;
CREATE TRIGGER subscriber_word_deleted AFTER DELETE ON subscriber BEGIN
  DELETE FROM subscriber_word WHERE subscriber_id = OLD.id
    AND word IN (SELECT value FROM json_each('["' || replace(trim(OLD.words), ' ', '","') || '"]'));
END;
