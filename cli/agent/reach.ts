import type { App } from '../../core/app.ts';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { Handlers, RpcMessage } from '../../core/contract/rpc.ts';
import { createRpcClient, type RpcClient } from '../../core/contract/rpc-client.ts';
import { answer } from '../../core/contract/rpc-server.ts';
import type { World } from '../world.ts';
import { type AgentConnection, connectToAgent, requireSameVersion } from './connect.ts';

/** How long to wait for an agent that holds the folder but doesn't answer yet: it is starting, or a short command is at work. */
const BUSY_FOR_MS = 10_000;
const TRY_EVERY_MS = 100;

/** Whoever does the work of a command: the running agent, or one in this process. */
export interface Reach {
  client: RpcClient;
  /** The agent in this process; null where the command talks to a running one. */
  own: App | null;
  close(): Promise<void>;
}

/** The running agent of the data folder, else one in this process that has not started work. @throws AGENT_INCOMPATIBLE, AGENT_RUNNING */
export function reachAgent(world: World, dataDir: string): Promise<Reach> {
  return whileBusy(world, async () => {
    const running = await connectToAgent(dataDir);
    if (running !== undefined) {
      closeOnError(running, () => requireSameVersion(running, world.version));
      return { client: running.client, own: null, close: async () => running.client.close() };
    }
    const own = await world.openApp(dataDir);
    return { client: clientOf(own, dataDir), own, close: async () => void (await own.stop({ now: true })) };
  });
}

/** Runs a command's work on that agent, and lets go of it afterwards. */
export async function withAgent({ world, dataDir }: { world: World; dataDir: string }, work: (reach: Reach) => Promise<void>): Promise<0> {
  const reach = await reachAgent(world, dataDir);
  try {
    await work(reach);
  } finally {
    await reach.close();
  }
  return 0;
}

/** The agent of the data folder in this process, to be started. @throws AGENT_RUNNING where another runs, and what createApp throws */
export function openAgent(world: World, dataDir: string): Promise<App> {
  let running: AgentConnection | undefined;
  return whileBusy(
    world,
    async () => {
      running = await connectToAgent(dataDir);
      running?.client.close();
      return world.openApp(dataDir);
    },
    // An agent that answers stays; a short command that holds the folder will be over.
    () => running !== undefined,
  );
}

/** Tries again while somebody holds the folder and is not there to be asked. */
async function whileBusy<T>(world: World, attempt: () => Promise<T>, giveUp: () => boolean = () => false): Promise<T> {
  const until = world.clock() + BUSY_FOR_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      if (asHearthlendError(thrown).code !== 'AGENT_RUNNING' || giveUp() || world.clock() > until) throw thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
  }
}

/** The running agent of the data folder. @throws AGENT_NOT_RUNNING, AGENT_INCOMPATIBLE unless `anyVersion` */
export async function reachRunning(world: World, dataDir: string, { anyVersion = false } = {}): Promise<AgentConnection> {
  const running = await connectToAgent(dataDir);
  if (running === undefined) throw new HearthlendError('AGENT_NOT_RUNNING', { path: dataDir });
  if (!anyVersion) closeOnError(running, () => requireSameVersion(running, world.version));
  return running;
}

function closeOnError(connection: AgentConnection, check: () => void): void {
  try {
    check();
  } catch (error) {
    connection.client.close();
    throw error;
  }
}

/** A client of an agent in this process: the same table, the same checks, no wire. */
function clientOf(app: App, dataDir: string): RpcClient {
  const notRunning = async () => {
    throw new HearthlendError('AGENT_NOT_RUNNING', { path: dataDir });
  };
  const handlers: Handlers = { ...app.handlers, 'session.code': notRunning, 'agent.stop': notRunning };
  let deliver: (message: unknown) => void = () => undefined;
  let closed: () => void = () => undefined;
  const unsubscribe = app.events((event) => deliver(event));
  const pass = (reply: RpcMessage | undefined) => {
    if (reply !== undefined) deliver(reply);
  };
  return createRpcClient({
    send: (request) => {
      void answer(handlers, 'owner', request).then(pass);
    },
    onMessage: (listener) => {
      deliver = listener;
    },
    onClose: (listener) => {
      closed = listener;
    },
    close: () => {
      unsubscribe();
      closed();
    },
  });
}
