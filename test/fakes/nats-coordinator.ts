import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { onTestFinished } from 'vitest';
import { workerJwt } from '../../coordinator/nats/keys.ts';
import { openAuthority } from '../../coordinator/tls/authority.ts';
import { formatJoinLink, type JoinReply, type JoinRequest, type NetworkTerms, type RekeyRequest } from '../../core/contract/joining.ts';
import type { NetworkInfo } from '../../core/contract/network.ts';
import { WORKER_SUBJECTS, type WorkerCallName } from '../../core/contract/worker-calls.ts';
import { frame, natsRig, type Rig, unframe } from '../coordinator/nats/rig.ts';
import { FakeNetwork } from './network.ts';

const SECRET = 's'.repeat(43);

/** How it answers one call instead of rightly: with these bytes, with an error's code, or (null) never. */
export type Lie = Uint8Array | string | null;

/**
 * A network of one worker, behind a real nats-server with real keys and HTTPS under an authority of its own, that lends as many shards as it is told
 * to and can be made to misbehave at each of its calls.
 */
export class FakeCoordinator {
  readonly network: FakeNetwork;
  readonly lies = new Map<WorkerCallName, Lie>();
  /** Calls and requests as they came: `lease`, `submit`, `POST /v1/join`. */
  readonly asked: string[] = [];
  readonly inputs: Array<{ call: WorkerCallName; input: unknown }> = [];
  /** Bytes by digest that /v1/blobs gives; `breaks`: after how many bytes the connection breaks, each once. */
  readonly blobs = new Map<string, Uint8Array>();
  readonly put = new Map<string, Uint8Array>();
  breaks: number[] = [];
  readonly ranges: Array<string | undefined> = [];
  /** What POST /v1/join and /v1/renew are refused with. */
  joinRefusal: string | null = null;
  renewRefusal: string | null = null;
  /** What POST /v1/rekey was asked, and how many of its first answers are lost on their way. */
  readonly rekeys: RekeyRequest[] = [];
  rekeysLost = 0;
  jwtMs = 3_600_000;
  /** Its clock against this machine's. */
  aheadMs = 0;
  terms: NetworkTerms;
  readonly rig: Rig;
  #https: Server;
  #connection: NatsConnection | null = null;
  #nkey = '';
  #seen = Promise.withResolvers<void>();

  constructor(rig: Rig, https: Server, shards: number, id: string) {
    this.rig = rig;
    this.#https = https;
    this.network = new FakeNetwork(shards, id);
    this.network.origin = 'network';
    this.terms = {
      id,
      operator: 'A studio',
      contact: 'studio@example.org',
      rules: 'Be kind.',
      coordinator: this.network.coordinator.address,
      asset: `hearth:${id}/credit:practice`,
      symbol: 'practice',
      decimals: 0,
      prices: [{ unit: 'run', perUnit: '3', note: '' }],
      categories: [{ id: 'images', title: 'Pictures' }],
      isolation: ['os', 'chromium'],
      holdBackMs: 60_000,
      settlement: null,
    };
    https.on('request', (request, response) => {
      this.asked.push(`${request.method} ${request.url?.replace(/[0-9a-f]{64}/, '…')}`);
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  get at(): string {
    return `127.0.0.1:${(this.#https.address() as AddressInfo).port}`;
  }

  link(fingerprint = this.rig.authority.fingerprint): string {
    return formatJoinLink({ at: this.at, secret: SECRET, fingerprint });
  }

  /** Answers calls from now on; again after `mute`, or when nats-server was started anew. */
  async answer(): Promise<void> {
    this.#connection = await this.rig.answering();
    this.#connection.subscribe('w.>', { queue: 'coordinators', callback: (_error, message) => void this.#answer(message) });
    await this.#connection.flush();
  }

  /** Answers nothing any more. */
  async mute(): Promise<void> {
    await this.#connection?.close();
  }

  /** Resolves when something was asked that the test waits for. */
  async until(is: () => boolean): Promise<void> {
    while (!is()) await this.#seen.promise;
  }

  tell(event: unknown): void {
    this.#connection?.publish(WORKER_SUBJECTS.events(this.#nkey), JSON.stringify(event));
  }

  async stop(): Promise<void> {
    await this.mute();
    this.#https.closeAllConnections();
    this.#https.close();
    await this.rig.stop();
  }

  async #answer(message: Msg): Promise<void> {
    const [, nkey = '', call] = message.subject.split('.') as [string, string, WorkerCallName];
    this.#nkey = nkey;
    this.asked.push(call);
    const { header, body } = readFrame(message.data);
    this.inputs.push({ call, input: header });
    const lie = this.lies.get(call);
    try {
      if (lie instanceof Uint8Array) message.respond(lie);
      else if (typeof lie === 'string') message.respond(frame({ ok: false, error: { code: lie, params: {} } }));
      else if (lie === undefined) message.respond(frame({ ok: true, output: await this.#output(call, header, body) }));
    } catch {
      // nats-server was killed while this was being answered.
    }
    const seen = this.#seen;
    this.#seen = Promise.withResolvers();
    seen.resolve();
  }

  async #output(call: WorkerCallName, input: never, body: Uint8Array): Promise<unknown> {
    const { network } = this;
    // biome-ignore lint/suspicious/noExplicitAny: what the schema of each call let through
    const given = input as any;
    if (call === 'connect') return this.#info();
    if (call === 'lease') {
      const reply = await network.lease();
      const further = [];
      while (reply.type === 'lease' && further.length + 1 < Number(given.count ?? 1)) {
        const next = await network.lease();
        if (next.type !== 'lease') break;
        further.push(next.lease);
      }
      return reply.type === 'lease' && further.length > 0 ? { ...reply, further } : reply;
    }
    if (call === 'progress') return { held: await network.progress() };
    if (call === 'submit') {
      if (given.inline && body.byteLength === 0) throw new Error('no outputs');
      return network.submit(given.submission as never);
    }
    if (call === 'release') {
      await network.release(given.shardId, given.attempt, given.reason, given.code);
      return {};
    }
    if (call === 'receiptsSince') return network.receiptsSince(given.sequence);
    if (call === 'pendingBatches') return network.pendingBatches();
    if (call === 'countersign') return {};
    return { token: 'token', expiresAt: Date.now() + this.aheadMs + 600_000, urls: [`https://${this.at}`] };
  }

  #info(): NetworkInfo {
    const { id, coordinator, asset, isolation } = this.terms;
    return { id, coordinator, asset, isolation, sameTrustDomain: false };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    if (url === '/v1/terms') return json(response, 200, this.terms);
    if (url.startsWith('/v1/blobs/')) return this.#blob(request, response, url.slice('/v1/blobs/'.length));
    const asked = JSON.parse((await bytesOf(request)).toString()) as JoinRequest;
    if (url === '/v1/join') {
      if (this.joinRefusal !== null) return json(response, 403, { error: { code: this.joinRefusal, params: {} } });
      if (asked.secret !== SECRET) return json(response, 403, { error: { code: 'INVITE_UNKNOWN', params: {} } });
      await this.network.connect({ address: asked.worker, payee: asked.payee });
      return json(response, 200, await this.admit(asked.nkey));
    }
    if (url === '/v1/rekey') {
      this.rekeys.push(asked as unknown as RekeyRequest);
      if (this.rekeys.length <= this.rekeysLost) throw new Error('the answer is lost');
      return json(response, 200, await this.admit((asked as unknown as RekeyRequest).successor.nkey));
    }
    if (this.renewRefusal !== null) return json(response, 403, { error: { code: this.renewRefusal, params: {} } });
    return json(response, 200, await this.admit(asked.nkey));
  }

  async admit(nkey: string): Promise<JoinReply> {
    const expiresAt = Date.now() + this.jwtMs;
    return {
      network: this.#info(),
      terms: this.terms,
      jwt: await workerJwt(this.rig.credentials, nkey, expiresAt),
      expiresAt: expiresAt + this.aheadMs,
      now: Date.now() + this.aheadMs,
      servers: this.rig.address().servers,
      https: [`https://${this.at}`],
      ca: this.rig.authority.ca,
    };
  }

  async #blob(request: IncomingMessage, response: ServerResponse, digest: string): Promise<void> {
    if (request.headers.authorization !== 'Bearer token')
      return json(response, 403, { error: { code: 'NETWORK_MEMBER_UNKNOWN', params: {} } });
    if (request.method === 'PUT') {
      this.put.set(digest, await bytesOf(request));
      response.writeHead(201).end();
      return;
    }
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) return json(response, 404, { error: { code: 'BLOB_MISSING', params: { digest } } });
    this.ranges.push(request.headers.range);
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const head = {
      'Content-Length': bytes.byteLength - from,
      'Content-Range': `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}`,
    };
    response.writeHead(from > 0 ? 206 : 200, head);
    const breaksAfter = this.breaks.shift();
    if (breaksAfter === undefined) response.end(bytes.subarray(from));
    else response.write(bytes.subarray(from, from + breaksAfter), () => (request.socket as Socket).destroy());
  }
}

/** Starts one, with everything real but what it answers; it ends with the test. */
export async function startFakeCoordinator({ shards = 0, id = 'studio', websocket = false } = {}): Promise<FakeCoordinator> {
  const rig = await natsRig({ websocket });
  const { certificate, key } = rig.authority.server();
  const https = createServer({ cert: certificate, key });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const coordinator = new FakeCoordinator(rig, https, shards, id);
  onTestFinished(() => coordinator.stop());
  await coordinator.answer();
  return coordinator;
}

/** Another authority than the network's, as a stranger would make one. */
export function strangersFingerprint(folder: string): string {
  return openAuthority(folder, 'stranger', ['127.0.0.1'], Date.now()).fingerprint;
}

function readFrame(data: Uint8Array): { header: never; body: Uint8Array } {
  const length = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(0, true);
  return { header: unframe(data) as never, body: data.subarray(8 + length) };
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
