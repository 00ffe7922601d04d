import type { App } from '../core/app.ts';
import type { AddBackendRequest, addBackend } from '../core/backend-adding.ts';
import type { BenchLine } from '../core/bench.ts';
import type { CallOutput, LedgerVerification } from '../core/contract/rpc.ts';
import type { Diagnostics } from '../core/diagnostics.ts';
import type { EscrowDesk } from './operator/escrow-desk.ts';
import type { Operated, OperateRequest } from './operator/request.ts';
import type { Keyboard } from './terminal/keyboard.ts';
import type { Signals } from './terminal/signals.ts';
import type { TextStream } from './terminal/terminal.ts';
import type { Surroundings } from './window/window.ts';

/** Everything that the commands need from outside, so that tests can put something else in its place. */
export interface World extends Surroundings {
  stdout: TextStream;
  stderr: TextStream;
  /** The folder that relative paths are meant from. */
  cwd: string;
  /** ms since 1970. */
  clock: () => number;
  /** The data folder, absolute; `option` is what `--data-dir` said. */
  dataDir: (option: string | undefined) => string;
  signals: Signals;
  keyboard: Keyboard;
  version: string;
  /** Folder of the built pages. */
  uiFolder: string;
  /** Opens the agent of a data folder in this process, without starting work. @throws AGENT_RUNNING and what createApp throws */
  openApp(dataDir: string): Promise<App>;
  /** Checks the ledger of a data folder and changes nothing, also where `openApp` would refuse it. */
  verifyLedger(dataDir: string): Promise<LedgerVerification>;
  /** What helps to find a fault, from the files of a data folder; `report` asks the running agent, null where there is none. */
  diagnose(dataDir: string, report: (() => Promise<CallOutput<'doctor.report'>>) | null): Promise<Diagnostics>;
  /** Fetches what a backend needs and the package leaves out, into a data folder. */
  addBackend(request: Omit<AddBackendRequest, 'parts'>): ReturnType<typeof addBackend>;
  /** Runs a network's coordinator in this process. */
  operate(request: OperateRequest): Promise<Operated>;
  /** Opens the desk at which an operator looks after the escrow of a coordinator's folder. */
  escrowDesk(dir: string): Promise<EscrowDesk>;
  /** Writes what another coordinator of the same network needs. */
  shareNetwork(dir: string, out: string): Promise<void>;
  /** Measures what the agent costs on this machine, in a folder of its own inside the data folder. */
  bench(dataDir: string, quick: boolean): AsyncIterable<BenchLine>;
}
