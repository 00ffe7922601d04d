import { createReadStream, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import type { BenchmarkHistory } from '../../core/contract/benchmark.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';
import type { PaymentsStatus } from '../../core/contract/payments.ts';
import type { PauseRecord, PolicyStatus } from '../../core/contract/policy.ts';
import type { AnyEvent, CallInput, CallName, Handlers } from '../../core/contract/rpc.ts';
import { answer } from '../../core/contract/rpc-server.ts';
import { AuthenticateRequest } from '../../core/contract/session.ts';
import { Settings } from '../../core/contract/settings.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import type { TelemetryHistory } from '../../core/contract/telemetry.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { contentSecurityPolicy } from '../../core/loopback/content-policy.ts';
import { changedRules } from '../../core/policy/presets.ts';
import { earningsCalls } from './earnings.ts';
import { policyStatus } from './policy.ts';
import { noIdentity, noWallet } from './wallet.ts';

const POLICY = contentSecurityPolicy(["'self'"]);
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** A call that the page made. */
export type Called = { [N in CallName]: { name: N; input: CallInput<N> } }[CallName];

/**
 * An agent as the page sees it, typed by the contract: serves the built page with the real policy, lets in by code once and by token, and
 * answers from `snapshot`. What happens is up to the test.
 */
export class FakeAgent {
  snapshot: Snapshot;
  settings: Settings = Settings.parse({});
  wallet: WalletStatus = noWallet();
  payments: PaymentsStatus = { networks: [], gasKey: null, gasKeyTrouble: null, chains: [], transactions: [] };
  networks: NetworkRow[] = [];
  benchmark: BenchmarkHistory = {
    results: [],
    running: null,
    earnings: { networks: [], electricity: { perHour: null, currency: 'EUR', watts: null, measured: false } },
  };
  policy: { status: PolicyStatus; pauses: PauseRecord[] } = { status: policyStatus(), pauses: [] };
  telemetry: TelemetryHistory = { samples: [], energies: [] };
  /** Calls that the test answers for itself; the others have plain answers. */
  overrides: Partial<Handlers> = {};
  readonly calls: Called[] = [];
  /** With what pages came to the door, in order, and whether they were let in. */
  readonly knocks: { by: 'code' | 'token'; admitted: boolean }[] = [];
  readonly #ui: string;
  readonly #codes = new Set<string>();
  readonly #tokens = new Set<string>();
  readonly #sockets = new Set<WebSocket>();
  readonly #waiting: Array<{ name: CallName; resolve: (call: Called) => void }> = [];
  #server: Server | undefined;
  #port = 0;
  #made = 0;

  constructor(ui: string, snapshot: Snapshot) {
    this.#ui = ui;
    this.snapshot = snapshot;
  }

  /** Listens, on the port it had before, if any. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const path = normalize(new URL(request.url ?? '/', 'http://page').pathname);
      const file = join(this.#ui, path === '/' ? 'index.html' : path);
      if (!existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY });
      createReadStream(file).pipe(response);
    });
    const sockets = new WebSocketServer({ server, path: '/rpc' });
    sockets.on('connection', (socket) => this.#greet(socket));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Drops every connection and stops listening. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.terminate();
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** An address with a code that lets one page in. */
  address(): string {
    this.#made += 1;
    const code = `code-${this.#made}`;
    this.#codes.add(code);
    return `${this.origin}/#code=${code}`;
  }

  forgetSessions(): void {
    this.#tokens.clear();
  }

  send(event: AnyEvent): void {
    for (const socket of this.#sockets) socket.send(JSON.stringify(event));
  }

  /** New values of the snapshot's fields, told to the pages. */
  change(fields: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...fields };
    this.send({ event: 'changed', data: fields });
  }

  /** The next call of that name. */
  called<N extends CallName>(name: N): Promise<Extract<Called, { name: N }>> {
    return new Promise((resolve) => {
      this.#waiting.push({ name, resolve: resolve as (call: Called) => void });
    });
  }

  #greet(socket: WebSocket): void {
    socket.once('message', (raw) => {
      const { authenticate } = AuthenticateRequest.parse(JSON.parse(String(raw)));
      const known = 'code' in authenticate ? this.#codes.delete(authenticate.code) : this.#tokens.has(authenticate.token);
      this.knocks.push({ by: 'code' in authenticate ? 'code' : 'token', admitted: known });
      if (!known) {
        socket.send(JSON.stringify({ authenticated: false, error: { code: 'SESSION_REFUSED', params: {} } }));
        socket.close();
        return;
      }
      this.#made += 1;
      const token = `token-${this.#made}`;
      this.#tokens.add(token);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('message', (text) => void this.#answer(socket, JSON.parse(String(text))));
      socket.send(JSON.stringify({ authenticated: true, token }));
    });
  }

  async #answer(socket: WebSocket, request: { call: CallName; input: never }): Promise<void> {
    const call = { name: request.call, input: request.input } as Called;
    this.calls.push(call);
    const reply = await answer({ ...this.#plain(), ...this.overrides }, 'screen', request);
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(reply));
    const index = this.#waiting.findIndex((waiting) => waiting.name === call.name);
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve(call);
  }

  #plain(): Handlers {
    const notHere = (): Promise<never> => Promise.reject(new Error('the fake agent has no such call'));
    const nothing = async (): Promise<Record<string, never>> => ({});
    return {
      'app.watch': async () => this.snapshot,
      'work.pause': nothing,
      'work.resume': nothing,
      'key.create': notHere,
      'key.list': async () => ({ keys: [], address: null, port: 8477, problem: null }),
      'key.remove': notHere,
      'work.start': async ({ forMs }) => ({ overrides: [], until: this.snapshot.now + forMs }),
      'policy.status': async () => this.policy.status,
      'policy.test': notHere,
      'policy.programs': async () => [],
      'policy.history': async () => this.policy.pauses,
      'practice.extend': nothing,
      'prompt.ask': notHere,
      'prompt.run': notHere,
      'job.list': async () => [],
      'job.show': notHere,
      'job.cancel': notHere,
      'job.submit': notHere,
      'job.save': notHere,
      'model.plan': notHere,
      'model.add': notHere,
      'model.cancel': notHere,
      'model.list': notHere,
      'model.show': notHere,
      'model.remove': notHere,
      'model.split': notHere,
      'model.catalogue': notHere,
      'earnings.summary': async () => this.snapshot.earnings,
      ...earningsCalls(),
      'ledger.verify': notHere,
      'ledger.export': notHere,
      'doctor.report': notHere,
      'telemetry.history': async () => this.telemetry,
      'benchmark.run': notHere,
      'benchmark.cancel': notHere,
      'benchmark.history': async () => this.benchmark,
      'settings.get': async () => this.settings,
      'settings.set': async ({ rules = {}, ...change }) => {
        const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
        this.settings = { ...this.settings, ...given, rules: changedRules(this.settings.rules, rules) };
        return this.settings;
      },
      'network.list': async () => this.networks,
      'network.audits': notHere,
      'network.nearby': async () => [],
      'network.preview': notHere,
      'network.join': notHere,
      'network.set': notHere,
      'network.leave': notHere,
      'payments.status': async () => this.payments,
      'payments.plan': notHere,
      'payments.claim': notHere,
      'payments.balances': notHere,
      'payments.send-plan': notHere,
      'payments.send': notHere,
      'payments.contacts': async () => [],
      'payments.contact-put': notHere,
      'payments.contact-remove': notHere,
      'approved.send': notHere,
      'approved.contact': notHere,
      'approved.sign': notHere,
      'identity.show': async () => noIdentity(),
      'identity.typed-data': notHere,
      'identity.prepare': notHere,
      'identity.describe': notHere,
      'identity.sign': notHere,
      'identity.keep': notHere,
      'identity.rekey-plan': notHere,
      'identity.rekey': notHere,
      'wallet.status': async () => this.wallet,
      'wallet.begin': notHere,
      'wallet.create': notHere,
      'wallet.import': notHere,
      'wallet.unlock': notHere,
      'wallet.reveal': notHere,
      'wallet.confirm': notHere,
      'wallet.limit': notHere,
      'wallet.limits': async () => [],
      'wallet.lock': notHere,
      'wallet.watch': notHere,
      'wallet.keystore': notHere,
      'agent.stop': notHere,
      'session.code': notHere,
    };
  }
}
