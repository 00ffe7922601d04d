import { useSyncExternalStore } from 'react';
import { type AppState, FIRST_STATE } from './app-state.ts';

/** Holds the one state of the page; whoever draws from it is told when it changes. */
export interface Store {
  get(): AppState;
  change(next: (state: AppState) => AppState): void;
  /** The same, for events, which may come by the thousand: it is drawn at most DRAWS_PER_SECOND times. */
  changeSoon(next: (state: AppState) => AppState): void;
  subscribe(listener: () => void): () => void;
}

const DRAWS_PER_SECOND = 25;

export function createStore(): Store {
  let state = FIRST_STATE;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const listeners = new Set<() => void>();

  function tell(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const listener of listeners) listener();
  }

  return {
    get: () => state,
    change: (next) => {
      state = next(state);
      tell();
    },
    changeSoon: (next) => {
      state = next(state);
      timer ??= setTimeout(tell, 1000 / DRAWS_PER_SECOND);
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
