import { useSyncExternalStore } from 'react';

export type Route = 'home' | 'earnings' | 'when-to-work' | 'this-pc' | 'networks' | 'use-it' | 'wallet';

export const ADDRESS: Record<Route, string> = {
  home: '#/',
  earnings: '#/earnings',
  'when-to-work': '#/when-to-work',
  'this-pc': '#/this-pc',
  networks: '#/networks',
  'use-it': '#/use-it',
  wallet: '#/wallet',
};

/** Id of the part of "This PC" about safety, and the address that leads to it. */
export const SAFETY_ID = 'safety';
export const SAFETY_ADDRESS = `${ADDRESS['this-pc']}/${SAFETY_ID}`;

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

const hash = (): string => location.hash;

/** An invitation comes behind the page's own address: from the desktop app, to which the system hands followed links. */
const INVITATION = `${ADDRESS.networks}?link=`;

/** Takes an invitation out of the address, where history would keep it. Null where there is none. */
export function takeInvitation(): string | null {
  if (!location.hash.startsWith(INVITATION)) return null;
  const text = location.hash.slice(INVITATION.length);
  history.replaceState(null, '', ADDRESS.networks);
  dispatchEvent(new HashChangeEvent('hashchange'));
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The page that the address names, Home for everything else; and the id of its part, where it names one. */
export function useRoute(): { route: Route; part: string | null } {
  const address = useSyncExternalStore(subscribe, hash);
  const routes = Object.keys(ADDRESS) as Route[];
  const route = routes.find((each) => address === ADDRESS[each]);
  if (route !== undefined) return { route, part: null };
  if (address.startsWith(INVITATION)) return { route: 'networks', part: null };
  return address === SAFETY_ADDRESS ? { route: 'this-pc', part: SAFETY_ID } : { route: 'home', part: null };
}
