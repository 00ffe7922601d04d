import { rmSync } from 'node:fs';
import type { AnyEvent, Handlers } from '../contract/rpc.ts';
import { createAccess } from './access.ts';
import { readBundle } from './bundle.ts';
import { servingCalls } from './connection.ts';
import { removeEndpoint, writeEndpoint } from './endpoint.ts';
import { launchFilePath, removeLaunchFiles } from './launch-file.ts';
import { LOOPBACK_LIMITS } from './limits.ts';
import { openLoopback } from './server.ts';

/** What is served of an agent: its calls but those that only this server can answer, and its events. */
interface ServedApp {
  handlers: Omit<Handlers, 'session.code' | 'agent.stop'>;
  events(listener: (event: AnyEvent) => void): () => void;
}

export interface ServeOptions {
  app: ServedApp;
  dataDir: string;
  version: string;
  /** Folder of the built pages. */
  uiFolder: string;
  /** Null: any free port. */
  port: number | null;
  /** Called when the owner's command line asks to stop. */
  onStop(options: { now: boolean }): void;
}

export interface ServedAgent {
  readonly port: number;
  /** The UI's address, without a code. */
  readonly address: string;
  /** Every call, those of this server among them: for callers on other ways than the loopback's. */
  readonly handlers: Handlers;
  /** An address that lets one page in, once, within 30 s. */
  newCode(): { url: string; code: string };
  /** Takes the endpoint file away and closes every connection. */
  close(): Promise<void>;
}

/** Makes the agent reachable: the loopback server, and the endpoint file that leads this user's commands to it. @throws PORT_IN_USE */
export async function serveAgent(options: ServeOptions): Promise<ServedAgent> {
  const { app, dataDir } = options;
  await removeLaunchFiles(dataDir);
  const access = createAccess(LOOPBACK_LIMITS.codeMs);
  const newCode = () => {
    const code = access.issueCode(() => {
      rmSync(launchFilePath(dataDir, code), { force: true });
    });
    return { url: `${address}/#code=${code}`, code };
  };
  const handlers: Handlers = {
    ...app.handlers,
    'session.code': async () => newCode(),
    'agent.stop': async (stop) => {
      options.onStop(stop);
      return {};
    },
  };
  const bundle = await readBundle(options.uiFolder);
  const open = servingCalls(handlers, (listener) => app.events(listener), LOOPBACK_LIMITS.callsInFlight);
  const loopback = await openLoopback(options.port, bundle, { access, open }, LOOPBACK_LIMITS);
  const address = `http://127.0.0.1:${loopback.port}`;
  const close = async () => {
    await removeEndpoint(dataDir, process.pid);
    access.close();
    await loopback.close();
  };
  try {
    const startedAt = Date.now();
    await writeEndpoint(dataDir, { pid: process.pid, version: options.version, port: loopback.port, token: access.ownerToken, startedAt });
  } catch (error) {
    await close();
    throw error;
  }
  return { port: loopback.port, address, handlers, newCode, close };
}
