import type { App } from '../core/app.ts';
import type { Handlers } from '../core/contract/rpc.ts';
import type { Settings } from '../core/contract/settings.ts';
import type { Log } from '../core/log/log.ts';
import type { Announce } from './announce.ts';
import type { StartOptions } from './options.ts';
import type { Troubles } from './trouble/troubles.ts';

/** The window, as the other features know it. */
export interface Window {
  /** Shows it, in front: the one that is there, or a new one. @param address of one of its pages: what follows the # */
  show(address?: string): void;
  /** Makes it anew, for one whose page is dead. */
  replace(): void;
  /** The number of the page that is ours, by which its messages are told from strangers'. Null while there is none. */
  pageId(): number | null;
}

/** What a feature of the desktop shell is given. */
export interface Deps {
  options: StartOptions;
  dataDir: string;
  /** Folder of this program's own files. */
  appPath: string;
  log: Log;
  announce: Announce;
  troubles: Troubles;
  app: App;
  /** Every call of the table, for callers whose scope is checked. */
  handlers: Handlers;
  /** Calls the listener with the settings as they are, and whenever they are changed. */
  onSettings(listener: (settings: Settings) => void): void;
  window: Window;
  /** Finishes the shard that runs, then ends everything; `now` drops it. May be called again, to hurry. */
  quit(how: { now: boolean }): void;
  /** Null until somebody has asked to quit. */
  quitting(): 'finish' | 'now' | null;
}

/** One feature of the desktop shell. `onLoad` runs in the order of the list in desktop.ts, `onQuit` in the opposite one. */
export interface Feature {
  /** A feature that can't do its part throws, and the start ends there. */
  onLoad?(): void | Promise<void>;
  /** Somebody has asked to quit, or asks again; what runs is being finished. */
  onQuitting?(): void;
  onQuit?(): void | Promise<void>;
}

export type InitFeature = (deps: Deps) => Feature;
