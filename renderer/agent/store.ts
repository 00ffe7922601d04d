import { useSyncExternalStore } from 'react';
import { type AppState, FIRST_STATE } from './app-state.ts';

/** Holds the one state of the page; whoever draws from it is told when it changes. */
export interface Store {
  get(): AppState;
  change(next: (state: AppState) => AppState): void;
  subscribe(listener: () => void): () => void;
}

export function createStore(): Store {
  let state = FIRST_STATE;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    change: (next) => {
      state = next(state);
      for (const listener of listeners) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useAppState(store: Store): AppState {
  return useSyncExternalStore(store.subscribe, store.get);
}
