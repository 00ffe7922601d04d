import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { Sha256 } from './contract/digest.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import { createRequester, type Requester } from './jobs/remote.ts';
import { openHttps } from './network/https.ts';
import { pinnedAuthority } from './network/joining.ts';
import { Records } from './network/records.ts';

/** How long a job is waited for while its network can't be reached. */
const PATIENCE_MS = 600_000;

/**
 * A requester's channel to a network: one that this machine joined, by its id, or a coordinator by its address, `https://HOST:PORT#sha256=…` with
 * the fingerprint of its certificate authority; without one, an authority that everybody trusts has to stand behind it.
 * @throws NETWORK_UNKNOWN, NETWORK_UNREACHABLE, INVITE_FINGERPRINT_WRONG
 */
export async function openRequester({ dataDir, network, key }: { dataDir: string; network: string; key: string }): Promise<Requester> {
  const { urls, ca } = await whereIs(dataDir, network);
  let at = 0;
  return createRequester({
    network,
    patienceMs: PATIENCE_MS,
    steady: () => performance.now(),
    async call({ method, path, headers, body }) {
      try {
        return await openHttps({
          ...{ network, url: `${urls[at % urls.length]}${path}`, ca, method },
          headers: { ...headers, authorization: `Bearer ${key}` },
          ...(body === undefined ? {} : { body }),
        });
      } catch (thrown) {
        // Another of its coordinators knows as much.
        if (asHearthlendError(thrown).code === 'NETWORK_UNREACHABLE') at += 1;
        throw thrown;
      }
    },
  });
}

async function whereIs(dataDir: string, network: string): Promise<{ urls: readonly string[]; ca: string }> {
  const url = URL.parse(network);
  if (url?.protocol !== 'https:') {
    const readOnly = () => {
      throw new TypeError('a requester writes no records');
    };
    const record = new Records(join(dataDir, 'networks'), readOnly).get(network);
    if (record === undefined) throw new HearthlendError('NETWORK_UNKNOWN', { network });
    return { urls: record.access.https.map((each) => each.replace(/\/+$/, '')), ca: record.access.ca };
  }
  const fingerprint = Sha256.safeParse(/^#sha256=([0-9a-f]{64})$/.exec(url.hash)?.[1]);
  if (!fingerprint.success && url.hash !== '') throw new HearthlendError('NETWORK_UNKNOWN', { network });
  const ca = fingerprint.success
    ? await pinnedAuthority({ at: `${url.hostname}:${url.port || '443'}`, fingerprint: fingerprint.data })
    : rootCertificates.join('\n');
  return { urls: [url.origin], ca };
}
