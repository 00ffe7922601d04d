import { randomBytes } from 'node:crypto';
import OpenAI from 'openai';
import { createRequestHandler } from '../../../coordinator/openai/handler.ts';
import { REQUEST_LIMITS, type RequestLimits } from '../../../coordinator/openai/limits.ts';
import { listenOnLoopback, type RequestServer } from '../../../coordinator/openai/listen.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { EmbeddedCoordinator } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Embedding, Generating, OpenedModel, ServedModels } from '../../../core/contract/serving.ts';
import type { GenerateShard, Lease } from '../../../core/contract/shard.ts';
import type { Tensors } from '../../../core/contract/tensor.ts';
import { ASK, inputsOf, int64, submissionOf, Workbench } from '../workbench.ts';

const MAX_POSITIONS = 64;

/** Text as its characters' codes; 0 ends it. */
const generating: Generating = {
  decoder: { layers: 1, keyValueHeads: 1, headSize: 2, maxPositions: MAX_POSITIONS },
  stopTokens: [0],
  encode: (text) => [1, ...Buffer.from(text)],
  encodeChat(messages) {
    if (messages.some(({ content }) => content === 'no template')) throw new HearthlendError('CHAT_TEMPLATE_MISSING');
    return [1, ...Buffer.from(messages.map(({ role, content }) => `${role[0]}:${content}`).join('|'))];
  },
  knows: (id) => id < 256,
  stream: () => (id) => String.fromCharCode(id),
};
const embedding: Embedding = {
  encode: (text) => [...Buffer.from(text)],
  maxTokens: 32,
  output: 'last_hidden_state',
  pooling: 'mean',
  normalize: false,
};

/** What the worker is to make of a generation: the tokens that it hands in, and those that it tells before. */
export type Making = (shard: GenerateShard) => { tokens: number[]; told?: number[][] } | 'never';

export const textTokens = (text: string): number[] => [...Buffer.from(text), 0];

/** A coordinator that answers requests, with a worker that makes of them what the test says. */
export class RequestBench {
  readonly bench = new Workbench();
  readonly leases: Lease[] = [];
  readonly revoked: string[] = [];
  coordinator!: EmbeddedCoordinator;
  server!: RequestServer;
  secret = '';
  making: Making = () => ({ tokens: textTokens('hello') });
  /** What an embedding's pass gives for a batch of ids. */
  passing: (inputs: Tensors) => Tensors = () => new Map();
  #working: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #closed = false;

  async open(limits: Partial<RequestLimits> = {}): Promise<this> {
    this.coordinator = await this.bench.open();
    this.secret = (await this.coordinator.keys.create('test', null)).secret;
    const handler = createRequestHandler({
      intake: this.coordinator,
      models: this.models,
      requesterOf: (secret) => this.coordinator.keys.find(secret),
      ownMachine: true,
      clock: () => 1_700_000_000_000,
      log: () => undefined,
      limits: { ...REQUEST_LIMITS, ...limits },
    });
    this.server = await listenOnLoopback(handler, 0);
    this.coordinator.subscribe((event) => {
      if (event.type === 'work') this.#wake();
      if (event.type === 'revoked') this.revoked.push(event.shardId);
    });
    this.#working = this.#work();
    return this;
  }

  get models(): ServedModels {
    const { manifest, files } = this.bench.model;
    const opened: OpenedModel = {
      ...{ manifest, files, outputs: [] },
      inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'int64' as const, shape: ['batch', 'sequence'] })),
      limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 1 << 20 },
      generating: async () => generating,
      embedding: async () => embedding,
      release: () => undefined,
    };
    return {
      list: () => [{ id: 'some/model', addedAt: 1_600_000_000_000 }],
      async open(model) {
        if (model !== 'some/model') throw new HearthlendError('MODEL_UNKNOWN', { model });
        return opened;
      },
    };
  }

  get address(): string {
    return `http://127.0.0.1:${this.server.port}/v1`;
  }

  client(apiKey = this.secret): OpenAI {
    return new OpenAI({ apiKey, baseURL: this.address, maxRetries: 0 });
  }

  /** A request as somebody writes it by hand. */
  post(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.address}${path}`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${this.secret}`, 'content-type': 'application/json', ...headers },
    });
  }

  async #work(): Promise<void> {
    while (!this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const reply = await this.coordinator.lease({ ...ASK, practice: false });
      if (reply.type === 'lease') {
        this.leases.push(reply.lease);
        await this.#compute(reply.lease);
      } else await promise;
    }
  }

  async #compute(lease: Lease): Promise<void> {
    const { shard, attempt } = lease;
    if (shard.kind === 'onnx.run') {
      const outputs = encodeSafetensors(this.passing(decodeSafetensors(await inputsOf(this.coordinator, shard))));
      await this.coordinator.submit(submissionOf(lease, outputs), outputs);
      return;
    }
    const making = this.making(shard);
    if (making === 'never') return;
    let from = 0;
    for (const tokens of making.told ?? []) {
      if (!(await this.coordinator.progress(shard.id, attempt, null, { from, tokens }))) return;
      from += tokens.length;
    }
    const outputs = encodeSafetensors(new Map([['tokens', int64(making.tokens)]]));
    await this.coordinator.submit(submissionOf(lease, outputs), outputs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.server.close();
    await this.#working;
    await this.bench.dispose();
  }
}

/** Bytes that nobody compresses away. */
export const noise = (bytes: number): string =>
  randomBytes(Math.ceil(bytes / 2))
    .toString('hex')
    .slice(0, bytes);
