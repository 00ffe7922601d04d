import { useSyncExternalStore } from 'react';

export type Route = 'home' | 'use-it' | 'wallet';

export const ADDRESS: Record<Route, string> = { home: '#/', 'use-it': '#/use-it', wallet: '#/wallet' };

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

function current(): Route {
  const routes = Object.keys(ADDRESS) as Route[];
  return routes.find((route) => location.hash === ADDRESS[route]) ?? 'home';
}

/** The page that the address names; Home for everything else. */
export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}
