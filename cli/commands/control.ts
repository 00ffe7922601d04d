import { HearthlendError } from '../../core/contract/errors.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import { processAlive } from '../../core/loopback/endpoint.ts';
import { reachRunning } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import { showWindow } from '../window/show.ts';
import type { Context, ExitCode } from './command.ts';

const GONE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;

export async function runOpen({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const { client } = await reachRunning(world, dataDir);
  try {
    const showing = showWindow(world, terminal, dataDir, () => client.call('session.code', {}));
    await withProgress(terminal, () => message('cli.progress.window'), showing);
  } finally {
    client.close();
  }
  return 0;
}

interface PauseOptions {
  /** Null: until told otherwise. */
  forMs: number | null;
  untilIdle: boolean;
  finish: boolean;
}

export async function runPause({ world, terminal, dataDir }: Context, { forMs, untilIdle, finish }: PauseOptions): Promise<ExitCode> {
  const { client } = await reachRunning(world, dataDir);
  await client.call('work.pause', { forMs, untilIdle, finish });
  client.close();
  if (finish) terminal.text(message('cli.paused-after-task'));
  else if (untilIdle) terminal.text(message('cli.paused-until-idle'));
  else if (forMs === null) terminal.text(message('cli.paused'));
  else terminal.text(message('cli.paused-for', { minutes: Math.max(1, Math.round(forMs / 60_000)) }));
  terminal.emit({ event: 'paused', forMs, untilIdle, finish });
  return 0;
}

/** Ends a pause of the user's; with a time, works for so long also against the rules that say no now. */
export async function runResume({ world, terminal, dataDir }: Context, forMs: number | null): Promise<ExitCode> {
  const { client } = await reachRunning(world, dataDir);
  const started = forMs === null ? null : await client.call('work.start', { forMs });
  if (started === null) await client.call('work.resume', {});
  const { decisions } = await client.call('policy.status', {});
  client.close();
  const [decision] = decisions;
  const against = decision !== undefined && (decision.act === 'pause' || decision.overridden.length > 0);
  terminal.text(against ? messageOf(decision.reason) : message('cli.resumed'));
  if (decision?.act === 'pause' && forMs === null) terminal.text(message('cli.resume-anyway'));
  terminal.emit({ event: 'resumed', ...(started ?? {}), decisions });
  return 0;
}

/** Stops the running agent, of whichever version, and returns when its process is gone: the next start finds everything free. */
export async function runStop({ world, terminal, dataDir }: Context, now: boolean): Promise<ExitCode> {
  const { client, endpoint } = await reachRunning(world, dataDir, { anyVersion: true });
  await client.call('agent.stop', { now });
  await withProgress(terminal, () => message('cli.progress.stopping'), processGone(endpoint.pid));
  client.close();
  terminal.text(message('cli.stopped', { pid: String(endpoint.pid) }));
  terminal.emit({ event: 'stopped', pid: endpoint.pid });
  return 0;
}

async function processGone(pid: number): Promise<void> {
  const until = performance.now() + GONE_WITHIN_MS;
  while (processAlive(pid)) {
    if (performance.now() > until) throw new HearthlendError('AGENT_RUNNING', { pid: String(pid) });
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
