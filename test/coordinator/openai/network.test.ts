import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { createRequestHandler } from '../../../coordinator/openai/handler.ts';
import { REQUEST_LIMITS } from '../../../coordinator/openai/limits.ts';
import { listenOnLoopback } from '../../../coordinator/openai/listen.ts';
import type { Others } from '../../../coordinator/others.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { MadeOfShard, ModelSplitter } from '../../../core/contract/jobs.ts';
import type { NetworkTerms } from '../../../core/contract/joining.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { ASK, answerOf, coordinatorKey, int64, submissionOf } from '../workbench.ts';
import { RequestBench, textTokens } from './bench.ts';

const model = 'some/model';
const messages = [{ role: 'user' as const, content: 'hi' }];

function terms(prices: NetworkTerms['prices']): NetworkTerms {
  return {
    ...{ id: 'studio', operator: 'A studio', contact: '', rules: '', coordinator: coordinatorKey.address },
    ...{ asset: 'hearth:studio/credit:practice', symbol: 'practice', decimals: 0, categories: [], isolation: ['os'] },
    ...{ prices, holdBackMs: 0, settlement: null },
  };
}

/** So many coordinators of one network, on one store, each answering the official client; what one tells of tokens the others hear. */
async function studio(coordinators: number, prices: NetworkTerms['prices'], splitter?: ModelSplitter) {
  const requests = new RequestBench();
  const { bench } = requests;
  const folder = join(bench.root, 'studio');
  mkdirSync(folder);
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const heard = new Map<string, (made: MadeOfShard) => void>();
  const others = (self: string): Others => ({
    self,
    tellMade: (made) => [...heard].filter(([name]) => name !== self).forEach(([, hear]) => void hear(made)),
    onMade(listener) {
      heard.set(self, listener);
      return () => heard.delete(self);
    },
    exchange: async () => Promise.reject(new HearthlendError('NETWORK_BUSY')),
    answer: () => undefined,
  });
  const { practice: _none, quota: _too, ...options } = { ...bench.options, networkId: 'studio' };
  const open = async (_: unknown, at: number) => {
    const core = createCoordinator({
      ...{ ...options, terms: terms(prices), store, blobs, others: others(`${at}`) },
      ...(splitter === undefined ? {} : { splitter }),
      reference: { compute: async (task) => answerOf(task, encodeSafetensors(new Map([['tokens', int64(textTokens('hello'))]]))) },
    });
    const handler = createRequestHandler({
      ...{ intake: core.intake, models: requests.models, ownMachine: false, clock: Date.now, log: () => undefined, limits: REQUEST_LIMITS },
      requesterOf: (secret) => core.keys.find(secret),
    });
    const server = await listenOnLoopback(handler, 0);
    const { secret } = await core.keys.create(`key ${at}`, null);
    const client = new OpenAI({ apiKey: secret, baseURL: `http://127.0.0.1:${server.port}/v1`, maxRetries: 0 });
    return { core, server, client };
  };
  const opened = await Promise.all(Array.from({ length: coordinators }, open));
  onTestFinished(async () => {
    for (const { core, server } of opened) {
      await server.close();
      await core.close();
    }
    await store.close();
    await bench.dispose();
  });
  return opened;
}

test('who streams from one coordinator reads the tokens that the worker tells another, as they come', async () => {
  const [first, second] = await studio(2, [{ unit: 'token', perUnit: '1', note: '' }]);
  if (first === undefined || second === undefined) throw new Error('they were not started');
  const stream = await first.client.chat.completions.create({ model, messages, stream: true, temperature: 0 });
  const worker = { address: `0x${'1'.repeat(40)}`, payee: `0x${'1'.repeat(40)}` };
  const reply = await second.core.service.lease(worker, { ...ASK, practice: false });
  if (reply.type !== 'lease') throw new Error('nothing was lent');
  const { lease } = reply;
  const key = { shardId: lease.shard.id, attempt: lease.attempt };
  const chunks = stream[Symbol.asyncIterator]();
  const next = async () => (await chunks.next()).value?.choices[0]?.delta.content;
  expect(await next()).toBe('');
  await second.core.service.progress(worker, key, null, { from: 0, tokens: [104] });
  expect(await next()).toBe('h');
  await second.core.service.progress(worker, key, null, { from: 1, tokens: [101, 108] });
  expect(await next()).toBe('el');
  const outputs = encodeSafetensors(new Map([['tokens', int64(textTokens('hello'))]]));
  expect(await first.core.service.submit(worker, submissionOf(lease, outputs), outputs)).toMatchObject({ type: 'accepted' });
  expect(await next()).toBe('lo');
});

test('a network without a price for tokens refuses texts by name, and not as a fault of its own', async () => {
  const [only] = await studio(1, [{ unit: 'run', perUnit: '1', note: '' }]);
  for (const asked of [
    only?.client.chat.completions.create({ model, messages }),
    only?.client.completions.create({ model, prompt: 'x' }),
  ]) {
    const refused = await asked?.catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(OpenAI.BadRequestError);
    expect(refused).toMatchObject({ status: 400, code: 'MODEL_UNPRICED', param: 'model', message: expect.stringContaining('a token') });
  }
});

test('a model for which no machine has the memory is refused with the numbers, while it can’t be done', async () => {
  const [only] = await studio(1, [{ unit: 'token', perUnit: '1', note: '' }], {
    mostStageBytes: 2 ** 30,
    sizes: async () => (stages) => Array.from({ length: stages }, () => ({ weightBytes: 5_000_000_000, layers: 1 })),
    split: () => Promise.reject(new Error('it is not to be cut')),
  });
  const machine = { address: `0x${'2'.repeat(40)}`, payee: `0x${'2'.repeat(40)}` };
  await only?.core.service.lease(machine, { ...ASK, memoryBytes: 4, stages: 8 });
  const refused = await only?.client.completions.create({ model, prompt: 'x' }).catch((thrown: unknown) => thrown);
  expect(refused).toBeInstanceOf(OpenAI.InternalServerError);
  expect(refused).toMatchObject({
    status: 503,
    code: 'MODEL_NOWHERE',
    param: 'model',
    message: expect.stringMatching(/largest of 1 machine/),
  });
});
