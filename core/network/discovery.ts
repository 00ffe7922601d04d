import multicastDns from 'multicast-dns';
import { SERVICE_TYPE } from '../contract/discovery.ts';
import { NearbyNetwork } from '../contract/networks.ts';

const MAX_FOUND = 64;
const ASK_AGAIN_MS = 1000;

/**
 * Asks the local network for coordinators, for so long, and gives those that answered. On a machine without a network there are none.
 * @param options of the multicast socket, for tests
 */
export async function findNetworks(lastingMs: number, options: multicastDns.Options = {}): Promise<NearbyNetwork[]> {
  const found = new Map<string, NearbyNetwork>();
  const mdns = multicastDns(options);
  mdns.on('error', () => undefined);
  mdns.on('warning', () => undefined);
  mdns.on('response', ({ answers = [], additionals = [] }, { address }) => {
    for (const network of networksIn([...answers, ...additionals], address)) if (found.size < MAX_FOUND) found.set(network.at, network);
  });
  const ask = () => mdns.query({ questions: [{ name: SERVICE_TYPE, type: 'PTR' }] });
  ask();
  const asking = setInterval(ask, ASK_AGAIN_MS);
  await new Promise((resolve) => setTimeout(resolve, lastingMs));
  clearInterval(asking);
  await new Promise<void>((resolve) => mdns.destroy(() => resolve()));
  return [...found.values()].sort((a, b) => a.id.localeCompare(b.id));
}

type Records = NonNullable<multicastDns.ResponsePacket['answers']>;

/** What an answer tells of coordinators; what is malformed in it tells of none. @param sender the address that it came from */
export function networksIn(records: Records, sender: string): NearbyNetwork[] {
  const networks: NearbyNetwork[] = [];
  for (const record of records) {
    if (record.type !== 'PTR' || record.name !== SERVICE_TYPE) continue;
    const service = records.find((each) => each.type === 'SRV' && each.name === record.data && each.ttl !== 0);
    const described = records.find((each) => each.type === 'TXT' && each.name === record.data);
    if (service?.type !== 'SRV' || described?.type !== 'TXT') continue;
    const text = textOf(described.data);
    const network = NearbyNetwork.safeParse({
      id: text.get('id'),
      operator: text.get('operator') ?? '',
      fingerprint: text.get('sha256'),
      // Names ending in .local mean nothing to most programs: the address that it speaks from does.
      at: `${sender.includes(':') ? `[${sender}]` : sender}:${service.data.port}`,
    });
    if (network.success) networks.push(network.data);
  }
  return networks;
}

function textOf(data: string | Buffer | (string | Buffer)[]): Map<string, string> {
  const entries = Array.isArray(data) ? data : [data];
  return new Map(
    entries.map((entry) => {
      const text = entry.toString();
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
