import { createHash, randomBytes } from 'node:crypto';
import type { ApiKey, ApiKeys } from '../core/contract/api-keys.ts';
import { HearthlendError } from '../core/contract/errors.ts';
import type { Requester, RequesterChanges, RequesterReads } from './requesters.ts';
import type { Appends } from './store.ts';

/** 256 bits. */
const SECRET_BYTES = 32;
/** By which programs that look for lost secrets know what they have found. */
const PREFIX = 'hl-';
const MAX_KEYS = 1000;

/** The keys under which work may be sent here, in the coordinator's store. */
export function createKeys(store: RequesterReads & Appends<RequesterChanges>, clock: () => number): ApiKeys {
  return {
    async create(name, budget) {
      const secret = `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
      const key = { id: `key-${randomBytes(6).toString('hex')}`, name, createdAt: clock(), budget };
      if (!(await store.addRequester({ ...key, hash: digestOf(secret) }, MAX_KEYS))) {
        throw new HearthlendError('API_KEYS_TOO_MANY', { limit: MAX_KEYS });
      }
      return { key: { ...key, spent: '0' }, secret };
    },
    list: async () => (await store.requesters()).map(keyOf),
    async remove(wanted) {
      const [found, ...others] = (await store.requesters()).filter(({ id, name }) => id === wanted || name === wanted);
      const removed = found === undefined || others.length > 0 ? null : await store.removeRequester(found.id);
      if (removed === null) throw new HearthlendError('API_KEY_UNKNOWN', { key: wanted });
      return keyOf(removed);
    },
    async find(secret) {
      const found = await store.requesterByHash(digestOf(secret));
      return found === null ? null : keyOf(found);
    },
  };
}

/** Looked up by its digest, a secret is compared with nothing that tells how much of it was right. */
function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function keyOf({ id, name, createdAt, budget, spent }: Requester): ApiKey {
  return { id, name, createdAt, budget, spent };
}
