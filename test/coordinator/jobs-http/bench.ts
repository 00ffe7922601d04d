import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { type Coordinator, createCoordinator } from '../../../coordinator/core.ts';
import type { Route } from '../../../coordinator/https/server.ts';
import { jobRoutes } from '../../../coordinator/jobs-http/routes.ts';
import { openRequesterUploads } from '../../../coordinator/jobs-http/uploads.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Store } from '../../../coordinator/store.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { NetworkTerms } from '../../../core/contract/joining.ts';
import { createRequester, type Requester } from '../../../core/jobs/remote.ts';
import { ASK, coordinatorKey, outputsOf, submissionOf, Workbench, workerKey } from '../workbench.ts';

const TERMS: NetworkTerms = {
  ...{ id: 'studio', operator: 'A studio', contact: '', rules: '', coordinator: coordinatorKey.address },
  ...{ asset: 'eip155:161201/slip44:60', symbol: 'OPEN', decimals: 18, categories: [], isolation: ['os'], holdBackMs: 0, settlement: null },
  prices: [
    { unit: 'run', perUnit: '7', note: '' },
    { unit: 'token', perUnit: '2', note: '' },
  ],
};

/** A network's coordinator whose requester's routes stand on a plain HTTP server, and a worker that computes rightly. */
export class JobBench {
  readonly bench = new Workbench();
  readonly requests: string[] = [];
  coordinator!: Coordinator;
  secret = '';
  server!: Server;
  /** Put before the routes: what a broken or lying network does. True where it has answered. */
  interfere: (request: IncomingMessage, response: Parameters<RequestListener>[1]) => boolean = () => false;
  #store!: Store;
  #working: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #closed = false;

  async open(): Promise<this> {
    const dir = join(this.bench.root, 'network');
    const blobs = openBlobs(dir);
    this.#store = openSqliteStore(join(this.bench.root, 'coordinator.db'), 'studio').store;
    this.coordinator = createCoordinator({
      ...{ networkId: 'studio', store: this.#store, blobs, signer: coordinatorKey, terms: TERMS },
      reference: { compute: async (task) => outputsOf(task.shard, task.inputs) },
      ...{ clock: () => this.bench.now, monotonic: () => performance.now(), random: () => 0.99, log: () => undefined },
    });
    this.secret = (await this.coordinator.keys.create('studio', null)).secret;
    const routes = jobRoutes({
      ...{ intake: this.coordinator.intake, keys: this.coordinator.keys, store: this.#store, blobs, terms: TERMS, log: () => undefined },
      uploads: openRequesterUploads(join(this.bench.root, 'uploads')),
    });
    this.server = createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      if (this.interfere(request, response)) return;
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const found = routes.find((route: Route) => (route.path.endsWith('/') ? path.startsWith(route.path) : path === route.path));
      if (found?.methods.includes(request.method ?? '') !== true) response.writeHead(404).end();
      else void found.answer(request, response, path.slice(found.path.length));
    });
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.coordinator.service.subscribe((event) => {
      if (event.type === 'work') this.#wake();
    });
    this.#working = this.#work(blobs);
    return this;
  }

  requester(secret = this.secret, patienceMs = 0): Requester {
    const { port } = this.server.address() as AddressInfo;
    return createRequester({
      network: 'studio',
      patienceMs,
      steady: () => performance.now(),
      call: ({ method, path, headers, body }) =>
        new Promise((resolve, reject) => {
          const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
          const asked = httpRequest(
            { host: '127.0.0.1', port, method, path, agent: false, headers: { ...headers, ...length, authorization: `Bearer ${secret}` } },
            resolve,
          );
          asked.on('error', (cause) => reject(new HearthlendError('NETWORK_UNREACHABLE', { network: 'studio', detail: cause.message })));
          asked.end(body);
        }),
    });
  }

  async #work(blobs: ReturnType<typeof openBlobs>): Promise<void> {
    const worker = { address: workerKey.address, payee: workerKey.address };
    const { service } = this.coordinator;
    await service.connect(worker);
    while (!this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const reply = await service.lease(worker, { ...ASK, practice: false });
      if (reply.type === 'lease') {
        const { shard } = reply.lease;
        const outputs = outputsOf(shard, await blobs.read(shard.inputs.digest));
        await service.submit(worker, submissionOf(reply.lease, outputs), outputs);
      } else await promise;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#working;
    this.server.closeAllConnections();
    this.server.close();
    await this.coordinator.close();
    await this.#store.close();
    await this.bench.dispose();
  }
}
