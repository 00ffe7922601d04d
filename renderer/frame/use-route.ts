import { useSyncExternalStore } from 'react';

export type Route = 'home' | 'use-it';

export const ADDRESS: Record<Route, string> = { home: '#/', 'use-it': '#/use-it' };

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

function current(): Route {
  return location.hash === ADDRESS['use-it'] ? 'use-it' : 'home';
}

/** The page that the address names; Home for everything else. */
export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}
