import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { NatsConnection } from '@nats-io/nats-core';
import { asHearthlendError } from '../../core/contract/errors.ts';
import type { InspectModel, JobIntake, ModelSplitter, ReferenceWorker } from '../../core/contract/jobs.ts';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import type { OperatorHandlers } from '../../core/contract/operating.ts';
import type { ServedModels } from '../../core/contract/serving.ts';
import type { CoordinatorSigner } from '../batching.ts';
import { createCoordinator } from '../core.ts';
import { createHolding } from '../holding.ts';
import { blobRoute } from '../https/blobs.ts';
import { claimsRoute } from '../https/claims.ts';
import { healthRoute } from '../https/health.ts';
import { type JoiningOptions, joiningRoutes, workerOf } from '../https/joining.ts';
import { pageRoute } from '../https/page.ts';
import { rekeyingRoute } from '../https/rekeying.ts';
import { type HttpsServer, serveHttps } from '../https/server.ts';
import { createTokens } from '../https/tokens.ts';
import { openUploads } from '../https/uploads.ts';
import type { ContractAccepts } from '../joining/delegations.ts';
import { withPayouts } from '../joining/paid-service.ts';
import type { Log } from '../log.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { openNatsBlobs } from '../nats/blobs.ts';
import { connectNats, followConnection, type NatsAddress } from '../nats/connection.ts';
import { answeringLogin, type NatsCredentials, storeLogin, workerJwt } from '../nats/keys.ts';
import { openOthers } from '../nats/others.ts';
import { openNatsStore } from '../nats/store.ts';
import { serveWorkers } from '../nats/transport.ts';
import { openRequesterRoutes } from '../requester-routes.ts';
import type { Store } from '../store.ts';
import type { Authority } from '../tls/authority.ts';
import { hostAndPort, reachableNames, usefulElsewhere } from '../tls/names.ts';
import { LEAST_CAUGHT, leastHoldBack } from '../trust/hold-back.ts';
import { unpredictable } from '../trust/unpredictable.ts';
import { announce } from './announce.ts';
import { openControl } from './control.ts';
import { escrowMetrics, type ReadEscrow, watchEscrow } from './escrow.ts';
import { operatorHandlers } from './handlers.ts';
import type { NetworkFile } from './network.ts';
import { type OwnNats, watchRevocations } from './own-nats.ts';
import { meetPeers, openPeerId } from './peers.ts';
import { networkMetrics } from './status.ts';
import { trustHandlers } from './trusting.ts';

export interface OperateOptions {
  /** The coordinator's folder. */
  dir: string;
  version: string;
  network: NetworkFile;
  signer: CoordinatorSigner;
  reference: ReferenceWorker;
  /** What models are made of, for audits and for what may be asked for at all. */
  inspect: InspectModel;
  /** Cuts models that no machine has the memory for. */
  splitter: ModelSplitter;
  /** The models that may be asked by name. */
  models: ServedModels;
  authority: Authority;
  /** The NATS that this coordinator runs, or the cluster that it uses. */
  nats: { own: OwnNats } | { cluster: NatsAddress };
  credentials: NatsCredentials;
  host: string;
  /** Of HTTPS. 0: any free one. */
  port: number;
  /** Names or addresses under which machines reach this one, the best first; those that it finds by itself follow. */
  advertise: readonly string[];
  /** Of the operator's commands and metrics, on the loopback. 0: any free one. */
  controlPort: number;
  /** Whether machines of the local network may find it. */
  announced: boolean;
  /** Begins the network's log anew from this folder's replica, where it is gone or damaged. */
  restoreLog: boolean;
  /** The way to the chain of the network's escrow; null where none is known. */
  readEscrow: ReadEscrow | null;
  /** Asks wallets that are contracts on that chain; null where none is known. */
  contractAccepts: ContractAccepts | null;
  /** Serves the operator's page from these handlers, told whenever something of the network may be another. */
  servePage(handlers: Omit<OperatorHandlers, 'open'>, onChange: Store['onApplied']): Promise<OperatorPage>;
  clock: () => number;
  log: Log;
}

export interface OperatorPage {
  newCode(): { url: string; code: string };
  close(): Promise<void>;
}

/** A coordinator at work. */
export interface Operating {
  readonly intake: JobIntake;
  readonly handlers: OperatorHandlers;
  readonly control: { port: number; token: string };
  /** Rejects once it can't go on, with what has to be put right. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** How long a worker's access lasts without being renewed, and a token for blobs. */
const JWT_MS = 86_400_000;
const TOKEN_MS = 600_000;
const CERTIFICATE_LOOK_MS = 6 * 3_600_000;

/**
 * Runs a network: workers over NATS, joining and bytes over HTTPS, the operator over the loopback. Resolves when all of it answers.
 * @throws PORT_IN_USE, NATS_UNREACHABLE, STORE_UNREACHABLE, LOG_*, DATABASE_*, DISK_FULL, DATA_DIR_UNWRITABLE
 */
export async function operateNetwork(options: OperateOptions): Promise<Operating> {
  const { dir, version, network, credentials, authority, clock, log } = options;
  const { id, terms } = network;
  const { contractAccepts } = options;
  const startedAt = clock();
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) {
      await Promise.resolve(closer()).catch((thrown: unknown) => log('error', 'not-closed', { detail: asHearthlendError(thrown).message }));
    }
  };
  try {
    const own = 'own' in options.nats ? options.nats.own : null;
    const address = 'own' in options.nats ? options.nats.own.address() : options.nats.cluster;
    const connection = async (name: string, login: Parameters<typeof connectNats>[1]): Promise<NatsConnection> => {
      const opened = await connectNats(address, login, name);
      closers.push(() => opened.close());
      return opened;
    };
    // The network's own first: it is the one that invitations name.
    const trusted = address.ca === null || address.ca === authority.ca ? authority.ca : `${authority.ca}${address.ca}`;
    const storing = await connection('store', await storeLogin(credentials));
    const answering = await connection('answering', await answeringLogin(credentials));
    followConnection(storing, 'store', log);
    const isConnected = followConnection(answering, 'answering', log);
    const state = await openNatsStore({ nc: storing, dir: join(dir, 'state'), networkId: id, restoreLog: options.restoreLog, log });
    const { store } = state;
    closers.push(() => store.close());
    const blobs = await openNatsBlobs({ nc: storing, dir: join(dir, 'blobs'), networkId: id, state, clock, log });
    const others = openOthers(storing, id, log);
    closers.push(others.close);
    const coordinator = createCoordinator({
      ...{ networkId: id, store, caughtUp: state.caughtUp, others, blobs, terms, clock, log },
      ...{
        signer: options.signer,
        reference: options.reference,
        inspect: options.inspect,
        splitter: options.splitter,
        random: unpredictable,
        monotonic: () => performance.now(),
      },
    });
    closers.push(() => coordinator.close());
    const service = withPayouts(coordinator.service, store);
    const uploads = openUploads({ dir: join(dir, 'uploads'), blobs, holding: createHolding(store, blobs), store, log });
    closers.push(() => uploads.close());
    if (own !== null) closers.push(await watchRevocations(own, store, JWT_MS, clock, log));

    const metrics = createMetrics();
    const tokens = createTokens(Buffer.from(network.blobKey, 'base64'));
    const names = () => usefulElsewhere(reachableNames(options.advertise), options.advertise);
    let https: HttpsServer | undefined;
    const httpsUrls = () => names().map((name) => `https://${hostAndPort(name, https?.port ?? options.port)}`);
    let peers: Awaited<ReturnType<typeof meetPeers>> | undefined;
    const allUrls = () => peers?.urls() ?? httpsUrls();
    const servers = () => (own === null ? [...address.servers] : own.servers(names()));
    /** One that another coordinator let in a moment ago may not have come to be known here yet. */
    const known = async (nkey: WorkerNkey) => {
      if ((await store.member(nkey)) === null) await state.caughtUp();
      return workerOf(store, nkey, clock());
    };
    const transport = serveWorkers({
      ...{ connection: answering, service, version, log, metrics },
      workerOf: known,
      // What was promised for work under a former key is told to who has it now.
      nkeyOf: store.nkeyInPlaceOf,
      blobAccess(worker) {
        const expiresAt = clock() + TOKEN_MS;
        return { token: tokens.issue(worker, expiresAt), expiresAt, urls: allUrls().slice(0, MAX_URLS) };
      },
      async takeUpload(worker, digest) {
        if (!(await uploads.has(worker, digest))) await state.caughtUp();
        return uploads.take(worker, digest);
      },
      uploadDone: uploads.done,
    });
    closers.push(() => transport.stop());
    const requesters = openRequesterRoutes({
      ...{ dir, intake: coordinator.intake, keys: coordinator.keys, store, blobs, terms, models: options.models, clock, log },
    });
    closers.push(() => requesters.close());
    const joining: JoiningOptions = {
      ...{ terms, version, members: store, service, ca: trusted, jwtMs: JWT_MS, clock },
      ...(contractAccepts === null ? {} : { contractAccepts }),
      mint: (nkey, expiresAt) => workerJwt(credentials, nkey, expiresAt),
      servers: () => servers().slice(0, MAX_SERVERS),
      https: () => allUrls().slice(0, MAX_SERVERS),
    };
    https = await serveHttps({
      ...{ host: options.host, port: options.port, certified: authority.server(), log, metrics },
      routes: [
        ...joiningRoutes(joining),
        rekeyingRoute(joining),
        claimsRoute({ terms, payouts: store, contractAccepts, clock }),
        blobRoute({
          ...{ blobs, uploads, service, tokens, clock },
          async requireMember(worker) {
            const nkey = await store.nkeyOf(worker.address);
            await workerOf(store, nkey ?? '', clock());
          },
        }),
        ...requesters.routes,
        pageRoute(terms),
        healthRoute(isConnected),
      ],
    });
    const listening = https;
    closers.push(() => listening.close());
    const met = await meetPeers(store, openPeerId(dir), httpsUrls, clock, log);
    peers = met;
    closers.push(met.close);
    networkMetrics(metrics, store, transport.connected, clock);
    const { settlement } = terms;
    const watched = { store, signer: options.signer.address, read: options.readEscrow, clock, log };
    const escrow = settlement === null ? null : watchEscrow({ ...watched, terms: { ...terms, settlement } });
    if (escrow !== null) {
      closers.push(escrow.close);
      escrowMetrics(metrics, escrow);
    }

    const asked = operatorHandlers({
      intake: coordinator.intake,
      trust: trustHandlers(
        { store, blobs, clock, log },
        { reference: options.reference, inspect: options.inspect, measuring: coordinator.measuring },
      ),
      ...{ store, keys: coordinator.keys, terms, fingerprint: authority.fingerprint, escrow, clock },
      at: () => hostAndPort(names()[0] ?? 'localhost', listening.port),
      here: () => ({
        ...{ version, pid: process.pid, startedAt, https: httpsUrls(), servers: servers(), ownNats: own !== null },
        metrics: `http://127.0.0.1:${control.port}/metrics`,
        coordinators: peers?.count() ?? 1,
        connected: transport.connected(),
      }),
    });
    const page = await options.servePage(asked, store.onApplied);
    closers.push(page.close);
    const handlers: OperatorHandlers = { ...asked, open: async () => page.newCode() };
    const control = await openControl(options.controlPort, handlers, metrics, log);
    closers.push(() => control.close());

    const certifying = setInterval(() => {
      if (!authority.renew(reachableNames(options.advertise), clock())) return;
      log('info', 'certificate-renewed', {});
      listening.certify(authority.server());
      own?.server.reload().catch((thrown: unknown) => log('error', 'nats-not-reloaded', { detail: asHearthlendError(thrown).message }));
    }, CERTIFICATE_LOOK_MS);
    closers.push(() => clearInterval(certifying));
    if (options.announced)
      closers.push(announce({ id, port: listening.port, fingerprint: authority.fingerprint, operator: terms.operator }, log));
    log('info', 'coordinator-started', { id, https: listening.port, control: control.port });
    if (terms.settlement !== null) {
      // Of a machine that is trusted, and saves the whole price by not computing at all.
      const leastResults = Math.ceil(leastHoldBack(1, LEAST_CAUGHT, 1));
      log('info', 'hold-back', { holdBackMs: terms.holdBackMs, leastResults });
    }
    const failed = Promise.race([state.failed, ...(own === null ? [] : [own.server.failed])]);
    // Whoever runs it waits for it; when it closes, nobody does any more.
    failed.catch(() => undefined);
    return {
      intake: coordinator.intake,
      handlers,
      control: { port: control.port, token: control.token },
      failed,
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** As many as the contract takes. */
const MAX_URLS = 16;
const MAX_SERVERS = 32;
