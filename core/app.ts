import { join } from 'node:path';
import { createHandlers } from './app-handlers.ts';
import type { AppPorts } from './app-ports.ts';
import { openBenchmark } from './benchmark-ports.ts';
import { asHearthlendError } from './contract/errors.ts';
import type { Address } from './contract/receipt.ts';
import type { AnyEvent, Handlers } from './contract/rpc.ts';
import { lockDataDir } from './datadir/lock.ts';
import { openDataDir } from './datadir/open.ts';
import { openEarnings } from './earnings-handlers.ts';
import { openEngine } from './engine.ts';
import { identityHandlers } from './identities.ts';
import { openIdentity, presentIdentity } from './identity/identity.ts';
import { openLedger } from './ledger/ledger.ts';
import { openSpool } from './ledger/spool.ts';
import type { Log } from './log/log.ts';
import { cataloguePathIn, createModels } from './model-handlers.ts';
import { createModelStore } from './models/store.ts';
import { rekeyHandlers } from './rekeying.ts';
import { openRequests } from './requests.ts';
import { openSending } from './sending.ts';
import { createServedModels } from './serving.ts';
import { loadSettings } from './settings/settings.ts';
import { payeeOf } from './wallet/state.ts';
import { openWallet } from './wallet/wallet.ts';
import { signerPort } from './wallet-ports.ts';

/** What came of a run of the agent. */
export interface Summary {
  accepted: number;
  rejected: number;
  failed: number;
  released: number;
  ms: number;
}

export interface StartOptions {
  /** Stop by itself after so many accepted shards; null: never. */
  shards: number | null;
  /** By their ids, or addresses; null: its own and all that were joined. */
  networks: string[] | null;
  /** Whether to take practice when nothing else waits; default true. */
  practice?: boolean;
}

/** The agent without a shell: what a window, a browser page and the command line all talk to. */
export interface App {
  /** Everything of the RPC table but what only a shell can do. */
  handlers: Omit<Handlers, 'session.code' | 'agent.stop'>;
  events(listener: (event: AnyEvent) => void): () => void;
  /** Resolves once the agent works. @throws NETWORK_UNKNOWN */
  start(options: StartOptions): Promise<void>;
  /** The machine goes to sleep: resolves when nothing computes any more and what was leased is released. */
  suspend(): Promise<void>;
  /** The machine is awake again: goes on, unless the user had paused. */
  wake(): void;
  /** Resolves when the agent has stopped, by itself or by `stop`; rejects with what made going on impossible. */
  finished: Promise<Summary>;
  /** Hands in the shard that runs, or drops it now; then closes everything. May be called again, to hurry. */
  stop(options: { now: boolean }): Promise<Summary>;
}

/**
 * Opens a data folder and puts the features together. Nothing runs yet.
 * @throws AGENT_RUNNING, DATA_DIR_UNWRITABLE, DATABASE_*, LEDGER_BROKEN, IDENTITY_*, SETTINGS_INVALID, DISK_FULL, WORKER_START_FAILED
 */
export async function createApp(ports: AppPorts): Promise<App> {
  const { dataDir, clock, log } = ports;
  const closers: Array<() => void | Promise<void>> = [];
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    openDataDir(dataDir);
    const lock = lockDataDir(dataDir);
    closers.push(() => lock.release());
    const settingsPath = join(dataDir, 'settings.json');
    const settings = { current: loadSettings(settingsPath) };
    log.setLevel?.(settings.current.logLevel);
    const identity = presentIdentity(openIdentity(join(dataDir, 'identity.json')));
    const ledger = openLedger({
      path: join(dataDir, 'ledger.db'),
      signer: openIdentity(join(dataDir, 'identity.json')),
      successions: identity.successions,
    });
    closers.push(() => ledger.close());
    const spool = await openSpool(join(dataDir, 'spool'));
    const store = await createModelStore({ dir: join(dataDir, 'models'), diskBytes: settings.current.models.diskBytes });
    const walletDir = join(dataDir, 'wallet');
    const walletPayee = payeeHere(walletDir, log);
    const payee = () => walletPayee ?? identity.address;
    const engine = await openEngine({ ports, settings, identity, payee, ledger, spool, models: store });
    closers.push(() => engine.close());
    const models = createModels({
      store,
      clock,
      settings,
      cataloguePath: cataloguePathIn(ports.parts.practiceModel),
      emit: (event) => engine.screen.emit(event),
      freeDiskBytes: async () => (await engine.hardware()).disk.freeBytes,
    });
    closers.push(() => models.close());
    const requests = openRequests({
      ports,
      coordinator: engine.coordinator,
      models: createServedModels({ store, practiceModel: ports.parts.practiceModel, startedAt: clock() }),
      settings,
    });
    closers.push(() => requests.close());
    const wallet = openWallet({
      folder: walletDir,
      signer: signerPort(engine.workers.wall, {
        nodePath: ports.parts.nodePath,
        signerScript: ports.parts.signerScript,
        folder: walletDir,
      }),
      get payee() {
        return payee();
      },
      autoLockMinutes: () => settings.current.wallet.autoLockMinutes,
      clock,
      onChange: (data) => engine.screen.emit({ event: 'wallet.changed', data }),
      onFault: ({ code, params }) => log('error', 'the wallet', { code, params }),
    });
    closers.push(() => wallet.close());
    const sending = openSending({ dataDir, payments: engine.payments, wallet, clock, log });
    closers.push(() => sending.close());
    const known = identityHandlers({
      ...{ dataDir, wallet, clock, tellNetworks: engine.networks.tellWalletSaid },
      get worker() {
        return identity.address;
      },
    });
    const show = () => known['identity.show']({});
    const identities = { ...known, ...rekeyHandlers({ dataDir, identity, ledger, engine, wallet, payee, clock, log, show }) };
    const benchmark = openBenchmark({ ports, settings, engine });
    closers.push(() => benchmark.cancel());
    engine.measuredBy(benchmark.measured);
    const earnings = openEarnings({ ports, ledger, settings, engine, models, practiceDigest: engine.practiceDigest });
    closers.push(() => earnings.close());
    engine.pricedBy(earnings.worth);
    log('info', 'opened', { dataDir, worker: identity.address });

    const startedAt = clock();
    let starting: Promise<{ running: Promise<void> }> | undefined;
    let concluding = false;
    const finished = Promise.withResolvers<Summary>();
    // Whoever doesn't wait for the end is told of errors by `stop` and by the screen.
    finished.promise.catch(() => undefined);

    const end = async (): Promise<Summary> => {
      try {
        // A stop may come while it still starts.
        await starting?.then(({ running }) => running);
      } finally {
        await close();
      }
      return { ...engine.counts(), ms: clock() - startedAt };
    };

    function conclude(): void {
      if (concluding) return;
      concluding = true;
      end().then(finished.resolve, finished.reject);
    }

    return {
      handlers: createHandlers({
        dataDir,
        engine,
        ledger,
        models,
        requests,
        benchmark,
        earnings,
        settings,
        settingsPath,
        wallet,
        sending,
        identities,
        log,
      }),
      events: (listener) => engine.screen.listen(listener),
      async start(options) {
        starting = engine.start(options);
        const { running } = await starting;
        await requests.start();
        // It may end by itself: the wanted shards are accepted, or going on is impossible.
        running.then(conclude, conclude);
      },
      async suspend() {
        await benchmark.cancel();
        engine.policy.suspend();
        await engine.settled();
      },
      wake: () => engine.policy.wake(),
      finished: finished.promise,
      stop({ now }) {
        engine.stop(now);
        conclude();
        return finished.promise;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A wallet's file that can't be read stops no practice; the wallet's own calls say what is wrong with it. */
function payeeHere(walletDir: string, log: Log): Address | null {
  try {
    return payeeOf(walletDir);
  } catch (thrown) {
    log('error', 'the wallet could not be read', { code: asHearthlendError(thrown).code });
    return null;
  }
}
