import type { App, Summary } from '../../core/app.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import type { AgentState } from '../../core/contract/snapshot.ts';
import { type ServedAgent, serveAgent } from '../../core/loopback/serve.ts';
import { openAgent } from '../agent/reach.ts';
import { showWindow } from '../window/show.ts';
import { acceptedSince } from './accepted.ts';
import type { Context, ExitCode } from './command.ts';

export interface StartOptions {
  headless: boolean;
  /** By their ids, or addresses; null: its own and all that were joined. */
  networks: string[] | null;
  /** Stop after this many accepted shards; null: when asked to. */
  shards: number | null;
  /** Null: any free port. */
  port: number | null;
}

/** How long "leave now" waits for the worker to be killed and the ledger to be closed. */
const LEAVE_WITHIN_MS = 3000;

/** Runs the agent until it has what `--shards` asked for or is asked to stop. The first request finishes the shard that runs, the second doesn't. */
export async function runStart(context: Context, options: StartOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  const app = await openAgent(world, dataDir);
  const stopping = stopOnRequest(context, app);
  let agent: ServedAgent | undefined;
  let summary: Summary | 'left';
  const stopReporting = report(context, app, options);
  try {
    const { port } = options;
    agent = await serveAgent({
      app,
      dataDir,
      version: world.version,
      uiFolder: world.uiFolder,
      port,
      onStop: ({ now }) => stopping.request(now),
    });
    terminal.emit({ event: 'started', pid: process.pid, version: world.version, dataDir, port: agent.port, address: agent.address });
    terminal.text(message('cli.start.started', { version: world.version, address: agent.address, path: dataDir }));
    await app.start({ shards: options.shards, networks: options.networks });
    if (!options.headless) {
      const { newCode } = agent;
      // Work goes on whatever becomes of the window.
      showWindow(world, terminal, dataDir, async () => newCode()).catch(terminal.fail);
    }
    summary = await Promise.race([app.finished, stopping.left]);
  } catch (error) {
    // The error is what there is to tell, and no stopping of what never began.
    stopReporting();
    await app.stop({ now: true }).catch(() => undefined); // the error at hand came first and says more
    throw error;
  } finally {
    stopReporting();
    stopping.end();
    await agent?.close();
  }
  if (summary === 'left') return 1;
  terminal.text(message('cli.start.summary', { ...summary, seconds: Math.round(summary.ms / 1000) }));
  terminal.emit({ event: 'summary', ...summary });
  return stopping.now() ? 1 : 0;
}

/** Hears Ctrl-C, a service manager's signal and `hearthlend stop`. After the second one, the next signal ends the process the hard way. */
function stopOnRequest({ world, terminal }: Context, app: App) {
  let asked: 'no' | 'finish' | 'now' = 'no';
  let leave: (how: 'left') => void = () => undefined;
  const left = new Promise<'left'>((resolve) => {
    leave = resolve;
  });
  function request(now: boolean): void {
    if (asked === 'now' || (asked === 'finish' && !now)) return;
    asked = now ? 'now' : 'finish';
    terminal.note(message(now ? 'cli.start.leaving' : 'cli.start.finishing'));
    // What goes wrong in stopping is told by `finished`.
    app.stop({ now }).catch(() => undefined);
    if (now) setTimeout(() => leave('left'), LEAVE_WITHIN_MS).unref();
  }
  const end = world.signals.on(() => {
    if (asked === 'now') end();
    request(asked !== 'no');
    if (asked === 'now') end();
  });
  return { request, left, end, now: () => asked === 'now' };
}

/** Tells of every accepted shard and every new state as they come. */
function report({ world, terminal }: Context, app: App, { shards }: StartOptions): () => void {
  let accepted = 0;
  let told: AgentState | undefined;
  const unseen = acceptedSince(world.clock());
  const progress = terminal.progress(() => {
    const state = message(`state.${told?.name ?? 'starting'}`);
    return shards === null
      ? message('cli.progress.accepted', { state, accepted })
      : message('cli.progress.accepted-of', { state, accepted, shards });
  });
  const unsubscribe = app.events((event) => {
    if (event.event === 'job.changed') terminal.emit({ event: 'job.changed', ...event.data });
    if (event.event !== 'changed') return;
    for (const { shardId: shard, ...row } of unseen(event.data.recent ?? [])) {
      accepted += 1;
      terminal.emit({ event: 'accepted', shard, ...row });
    }
    const { state } = event.data;
    if (state === undefined || (state.name === told?.name && messageOf(state.reason) === messageOf(told.reason))) return;
    told = state;
    terminal.emit({ event: 'state', ...state });
    terminal.text(message('cli.start.state', { state: message(`state.${state.name}`), reason: messageOf(state.reason) }));
  });
  return () => {
    unsubscribe();
    progress.end();
  };
}
