import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import { type JOIN_PATHS, JoinReply } from '../contract/joining.ts';
import { askJson } from './https.ts';
import { refusalOf } from './joining.ts';
import type { JoinedNetwork } from './records.ts';

type Asked = Pick<JoinedNetwork, 'id' | 'access'>;
type Path = (typeof JOIN_PATHS)[keyof typeof JOIN_PATHS];

/** Asks a joined network by HTTPS, at each of its addresses until one can be reached. @throws NETWORK_* as it refuses or can't be reached */
export async function askJoined({ id, access }: Asked, path: Path, request: unknown): Promise<unknown> {
  let last: unknown = new HearthlendError('NETWORK_UNREACHABLE', { network: id, detail: 'it has no address' });
  for (const base of access.https) {
    try {
      const { status, body } = await askJson({
        network: id,
        url: new URL(path, base).href,
        ca: access.ca,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      if (status !== 200) throw refusalOf(id, status, body);
      return body;
    } catch (thrown) {
      last = thrown;
      if (asHearthlendError(thrown).code !== 'NETWORK_UNREACHABLE') break;
    }
  }
  throw last;
}

/** Access that is granted anew. Who the network is and what was agreed to stay; where it is reached and what it pays may change. @throws as `askJoined` */
export async function askForAccess(
  asked: Asked,
  path: Path,
  request: unknown,
  clock: () => number,
): Promise<Pick<JoinedNetwork, 'aheadMs' | 'access'>> {
  const { now, ...renewed } = JoinReply.parse(await askJoined(asked, path, request));
  const { network, terms, ca } = asked.access;
  return { aheadMs: now - clock(), access: { ...renewed, network, terms, ca } };
}
