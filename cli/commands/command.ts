import type { Terminal } from '../terminal/terminal.ts';
import type { World } from '../world.ts';

/** What every command is given. */
export interface Context {
  world: World;
  terminal: Terminal;
  dataDir: string;
}

/** 0: it worked. 1: it failed. 2: it was called wrongly. */
export type ExitCode = 0 | 1 | 2;
