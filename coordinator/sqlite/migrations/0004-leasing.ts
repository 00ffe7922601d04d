const OPEN = "('leased', 'submitted', 'disputed')";

/** Who begins to wait starts level with who waits already. */
const level = `
  UPDATE shares SET served_ms = MAX(served_ms, (SELECT p.clock_ms FROM shares p WHERE p.id = shares.parent))
    WHERE id IN (NEW.lot, (SELECT parent FROM shares WHERE id = NEW.lot)) AND queued = 0;`;

/** A shard joins or leaves the line of those that wait, and the counts above it follow. */
function moved(by: 1 | -1, lot = 'NEW.lot'): string {
  const begins = `
  UPDATE shares SET waiting = waiting + 1 WHERE id = (SELECT parent FROM shares WHERE id = ${lot} AND queued = 0);
  UPDATE shares SET waiting = waiting + 1
    WHERE id = (SELECT r.parent FROM shares l JOIN shares r ON r.id = l.parent WHERE l.id = ${lot} AND r.queued = 0);`;
  const ends = `
  UPDATE shares SET waiting = waiting - 1 WHERE id = (SELECT parent FROM shares WHERE id = ${lot} AND queued = 0);
  UPDATE shares SET waiting = waiting - 1
    WHERE id = (SELECT r.parent FROM shares l JOIN shares r ON r.id = l.parent WHERE l.id = ${lot} AND r.queued = 0);`;
  return `${by === 1 ? begins : ''}
  UPDATE shares SET queued = queued + ${by} WHERE id IN (${lot}, (SELECT parent FROM shares WHERE id = ${lot}), 1);
  UPDATE demands SET queued = queued + ${by} WHERE id = (SELECT demand FROM shares WHERE id = ${lot});
  UPDATE asks SET queued = queued + ${by}
    WHERE (requester, demand) = (SELECT parent, demand FROM shares WHERE id = ${lot});${by === -1 ? ends : ''}`;
}

/** Who waits for work to be done, for what, and how fast it is done. Times in ms since 1970, shares in ms of machines' time. */
export const leasing = `
-- Practice has none: it waits until nothing else does.
ALTER TABLE shards ADD COLUMN lot INTEGER;
DROP INDEX shards_queued;
CREATE INDEX shards_waiting ON shards (lot, attempt) WHERE state = 'queued';
CREATE INDEX practice_waiting ON shards (created_at) WHERE state = 'queued' AND origin = 'practice';
-- When the work should be done, from its lending on, where that is known; and what its requester's share was charged for it.
ALTER TABLE attempts ADD COLUMN expected_ms REAL;
ALTER TABLE attempts ADD COLUMN cost_ms REAL NOT NULL DEFAULT 0;
CREATE INDEX attempts_of_worker ON attempts (worker) WHERE state IN ${OPEN};

CREATE TABLE demands (id INTEGER PRIMARY KEY, demand TEXT NOT NULL UNIQUE, queued INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX demands_waiting ON demands (id) WHERE queued > 0;

-- The network (1), below it its requesters, below each its lots: the shards of one job that ask the same. served_ms: what was lent of it. clock_ms: where
-- its children stand. waiting: children with shards queued.
CREATE TABLE shares (
  id INTEGER PRIMARY KEY,
  parent INTEGER,
  name TEXT NOT NULL,
  job_id TEXT,
  demand INTEGER,
  queued INTEGER NOT NULL DEFAULT 0,
  waiting INTEGER NOT NULL DEFAULT 0,
  served_ms REAL NOT NULL DEFAULT 0,
  clock_ms REAL NOT NULL DEFAULT 0,
  UNIQUE (parent, name)
) STRICT;
INSERT INTO shares (id, name) VALUES (1, '');
CREATE INDEX requesters_waiting ON shares (served_ms, id) WHERE parent = 1 AND queued > 0;
CREATE INDEX lots_waiting ON shares (parent, demand, served_ms, id) WHERE queued > 0 AND demand IS NOT NULL;
CREATE INDEX lots_of_job ON shares (job_id) WHERE job_id IS NOT NULL;

-- Which demands a requester's lots have. served_ms: in which order they are looked at.
CREATE TABLE asks (
  requester INTEGER NOT NULL,
  demand INTEGER NOT NULL,
  queued INTEGER NOT NULL DEFAULT 0,
  served_ms REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (requester, demand)
) STRICT, WITHOUT ROWID;
CREATE INDEX asks_waiting ON asks (requester, served_ms, demand) WHERE queued > 0;

-- worker '': of all of them.
CREATE TABLE paces (
  worker TEXT NOT NULL,
  model TEXT NOT NULL,
  unit TEXT NOT NULL,
  samples INTEGER NOT NULL,
  shard_ms REAL NOT NULL,
  unit_ms REAL NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (worker, model, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX paces_by_time ON paces (worker, at);

-- What a worker said of its machine when it last asked for work.
CREATE TABLE machines (worker TEXT PRIMARY KEY, machine TEXT NOT NULL, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX machines_by_time ON machines (seen_at);

CREATE TRIGGER shard_begins_to_wait AFTER INSERT ON shards WHEN NEW.lot IS NOT NULL AND NEW.state = 'queued' BEGIN${level}${moved(1)}
END;
CREATE TRIGGER shard_waits_again AFTER UPDATE OF state ON shards
  WHEN NEW.lot IS NOT NULL AND NEW.state = 'queued' AND OLD.state <> 'queued' BEGIN${moved(1)}
END;
CREATE TRIGGER shard_waits_no_more AFTER UPDATE OF state ON shards
  WHEN NEW.lot IS NOT NULL AND NEW.state <> 'queued' AND OLD.state = 'queued' BEGIN${moved(-1)}
END;
-- A shard may be with two machines near its job's end: when it is over, nothing is awaited of the other.
CREATE TRIGGER shard_is_over AFTER UPDATE OF state ON shards WHEN NEW.state IN ('done', 'failed') AND OLD.state <> NEW.state BEGIN
  UPDATE attempts SET state = 'cancelled', settled_at = NEW.settled_at, reply = '{"type":"expired"}'
    WHERE shard_id = NEW.id AND state IN ${OPEN};
END;
CREATE TRIGGER attempt_comes_to_nothing AFTER UPDATE OF state ON attempts
  WHEN NEW.cost_ms > 0 AND NEW.state IN ('released', 'expired') AND OLD.state IN ${OPEN} BEGIN
  UPDATE shares SET served_ms = MAX(served_ms - NEW.cost_ms, 0) WHERE id IN (
    SELECT lot FROM shards WHERE id = NEW.shard_id
    UNION SELECT l.parent FROM shards s JOIN shares l ON l.id = s.lot WHERE s.id = NEW.shard_id);
END;
CREATE TRIGGER attempt_succeeds AFTER UPDATE OF state ON attempts WHEN NEW.state = 'accepted' AND OLD.state <> 'accepted' BEGIN
  INSERT INTO paces
    SELECT w.worker, s.shard ->> '$.model.digest', s.shard ->> '$.price.unit', 1, NEW.run_ms,
      NEW.run_ms / MAX(NEW.submission ->> '$.units', 1), NEW.settled_at
    FROM shards s JOIN (SELECT NEW.worker AS worker UNION SELECT '') w
    WHERE s.id = NEW.shard_id AND s.lot IS NOT NULL AND NEW.run_ms IS NOT NULL
    ON CONFLICT DO UPDATE SET samples = samples + 1, at = excluded.at,
      shard_ms = shard_ms + (excluded.shard_ms - shard_ms) * MAX(1.0 / (samples + 1), 0.1),
      unit_ms = unit_ms + (excluded.unit_ms - unit_ms) * MAX(1.0 / (samples + 1), 0.1);
END;
-- Bounded: a worker's last 64 models, the network's last 4096.
CREATE TRIGGER pace_is_new AFTER INSERT ON paces BEGIN
  DELETE FROM paces WHERE worker = NEW.worker AND at < (
    SELECT at FROM paces WHERE worker = NEW.worker ORDER BY at DESC LIMIT 1 OFFSET iif(NEW.worker = '', 4095, 63));
END;
CREATE TRIGGER job_is_forgotten AFTER DELETE ON jobs BEGIN
  DELETE FROM asks WHERE (requester, demand) IN (SELECT parent, demand FROM shares WHERE job_id = OLD.id)
    AND NOT EXISTS (SELECT 1 FROM shares o WHERE o.parent = asks.requester AND o.demand = asks.demand AND o.job_id <> OLD.id);
  DELETE FROM shares WHERE job_id = OLD.id;
  DELETE FROM shares WHERE parent = 1 AND NOT EXISTS (SELECT 1 FROM shares o WHERE o.parent = shares.id);
  DELETE FROM demands WHERE queued = 0 AND NOT EXISTS (SELECT 1 FROM asks a WHERE a.demand = demands.id);
END;
`;
