/** Copies of audited shards, for second workers. Structures are JSON text. */
export const twins = `
CREATE TABLE twins (
  shard_id TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  outputs TEXT NOT NULL,
  backend TEXT,
  offered TEXT NOT NULL,
  verdict TEXT,
  UNIQUE (source, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX twins_offered ON twins (offered) WHERE verdict IS NULL;
CREATE INDEX twins_awaited ON twins (worker) WHERE verdict IS NULL;
CREATE TRIGGER twin_is_forgotten AFTER DELETE ON shards BEGIN
  DELETE FROM twins WHERE shard_id = OLD.id;
END;

-- What shards that were lent for audits alone came to: no requester is charged for them. It outlives those.
CREATE TABLE audit_pay (number INTEGER PRIMARY KEY, asset TEXT NOT NULL, amount TEXT NOT NULL) STRICT;
CREATE TRIGGER audit_is_paid AFTER INSERT ON receipts
  WHEN EXISTS (SELECT 1 FROM twins WHERE shard_id = NEW.shard_id) OR EXISTS (SELECT 1 FROM canaries WHERE shard_id = NEW.shard_id)
BEGIN
  INSERT INTO audit_pay (asset, amount) VALUES (NEW.receipt ->> '$.asset', NEW.receipt ->> '$.amount');
END;
`;
