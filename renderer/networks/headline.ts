import { message } from '../../core/contract/messages.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';

/** Which networks work is done for, in words: the page's answer at its top. */
export function networksHeadline(networks: readonly NetworkRow[]): { title: string; why: string } {
  const joined = networks.filter(({ terms }) => terms !== null);
  if (joined.length === 0) return { title: message('networks.none'), why: message('networks.none.why') };
  const connected = joined.filter(({ connection }) => connection.state === 'connected').length;
  const title = message('networks.some', { connected, joined: joined.length });
  const wrong = joined.find(({ connection }) => connection.state === 'suspended' || connection.state === 'refused');
  if (wrong !== undefined) return { title, why: message('networks.some.wrong', { network: wrong.id }) };
  return { title, why: message(connected === 0 ? 'networks.some.waiting' : 'networks.some.why') };
}
