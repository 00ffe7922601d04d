import type { App } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import { asHearthlendError } from './contract/errors.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import type { ServedModels } from './contract/serving.ts';
import type { Settings } from './contract/settings.ts';

interface RequestParts {
  ports: AppPorts;
  coordinator: EmbeddedCoordinator;
  models: ServedModels;
  settings: { current: Settings };
}

/** Programs of this machine that send work under a key: nobody listens while there is none. */
export interface Requests {
  handlers: Pick<App['handlers'], 'key.create' | 'key.list' | 'key.remove'>;
  /** From now on requests can be answered, since the agent works. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export function openRequests({ ports, coordinator, models, settings }: RequestParts): Requests {
  const { clock, log } = ports;
  const { keys } = coordinator;
  let started = false;
  let server: { port: number; close(): Promise<void> } | undefined;
  /** Why nobody can be answered. */
  let problem: string | null = null;
  let last: Promise<unknown> = Promise.resolve();

  /** Listens where there is a key, and not where there is none. One at a time: keys come and go while a server opens. */
  function follow(): Promise<void> {
    const turn = last.then(async () => {
      const wanted = started && (await keys.list()).length > 0;
      if (wanted && server === undefined) {
        try {
          server = await ports.openRequests({ coordinator, models, port: settings.current.requests.port, clock, log });
          problem = null;
        } catch (thrown) {
          problem = asHearthlendError(thrown).code;
          log('error', 'requests can not be answered', { code: problem, port: settings.current.requests.port });
        }
      }
      if (wanted || server === undefined) return;
      await server.close();
      server = undefined;
    });
    last = turn.catch(() => undefined);
    return turn;
  }

  const address = () => (server === undefined ? null : `http://127.0.0.1:${server.port}/v1`);

  return {
    handlers: {
      async 'key.create'({ name }) {
        const { key, secret } = await keys.create(name, null);
        await follow();
        return { key, secret, address: address(), port: settings.current.requests.port, problem };
      },
      'key.list': async () => ({ keys: await keys.list(), address: address(), port: settings.current.requests.port, problem }),
      async 'key.remove'({ key }) {
        const removed = await keys.remove(key);
        await follow();
        return removed;
      },
    },
    start() {
      started = true;
      return follow();
    },
    async close() {
      started = false;
      await follow();
    },
  };
}
