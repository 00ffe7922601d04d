import { once } from 'node:events';
import { request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { estimateCost, type RunRequest } from '../../../core/jobs/remote.ts';
import { digestOf, float32, runRequest } from '../workbench.ts';
import { JobBench } from './bench.ts';

let bench: JobBench;
beforeEach(async () => {
  bench = await new JobBench().open();
});
afterEach(() => bench.close());

const none = new AbortController().signal;
const x = (value: number) => encodeSafetensors(new Map([['x', float32([value])]]));
const asked = (changes: Partial<RunRequest> = {}) => runRequest(bench.bench.model, changes) as RunRequest;

async function runJob(request: RunRequest, secret?: string) {
  const requester = bench.requester(secret);
  const submitted = await requester.submit(request, {}, () => undefined);
  const job = await requester.follow(submitted, () => undefined, none);
  return { job, outputs: job.state === 'done' ? await requester.outputs(job, null) : null };
}

test('a job goes to the network, and its outputs come back; what it costs is known before and after', async () => {
  const requester = bench.requester();
  const view = await requester.view();
  expect(view).toMatchObject({ name: 'studio', network: 'studio', symbol: 'OPEN', budget: null, spent: '0' });
  expect(estimateCost(view, asked(), undefined)).toEqual({ unit: 'run', units: 1, perUnit: '7', cost: 7n });
  const { job, outputs } = await runJob(asked());
  expect(job).toMatchObject({ state: 'done', accepted: 1, charge: { unit: 'run', perUnit: '7', maxUnits: 1, units: 1 } });
  expect([...new Float32Array(outputs?.get('y')?.data.slice().buffer ?? new ArrayBuffer(0))]).toEqual([42, 1, 2, 3]);
  expect((await requester.view()).spent).toBe('7');
  expect((await requester.jobs()).map(({ id }) => id)).toEqual([job.id]);
});

test('the same job asked for again is the same job, and nothing is sent or paid for twice', async () => {
  const first = await runJob(asked());
  const sent = bench.requests.filter((each) => each.startsWith('PUT')).length;
  const again = await runJob(asked());
  expect(again.job).toEqual(first.job);
  expect(again.outputs).toEqual(first.outputs);
  expect(bench.requests.filter((each) => each.startsWith('PUT'))).toHaveLength(sent);
  expect((await bench.requester().view()).spent).toBe('7');
  const other = await runJob(asked({ inputs: x(43) }));
  expect(other.job.id).not.toBe(first.job.id);
});

test('a batch in parts is a job of several shards, put together in order', async () => {
  const { job, outputs } = await runJob(asked({ inputs: x(1), further: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(x) }));
  expect(job).toMatchObject({ state: 'done', shards: 12, accepted: 12, charge: { maxUnits: 12, units: 12 } });
  const y = outputs?.get('y');
  expect(y?.shape).toEqual([24, 2]);
  const values = new Float32Array(y?.data.slice().buffer ?? new ArrayBuffer(0));
  expect(Array.from(values.filter((_, index) => index % 4 === 0))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

test('an upload that breaks off goes on where it broke off', async () => {
  const part = encodeSafetensors(
    new Map([
      ['x', float32([42])],
      ['pad', { type: 'uint8', shape: [20 << 20], data: new Uint8Array(20 << 20) }],
    ]),
  );
  let broken = 0;
  bench.interfere = (request) => {
    if (request.method !== 'PUT' || Number(request.headers['upload-offset']) === 0 || broken > 0) return false;
    broken += 1;
    request.once('data', () => request.socket.destroy());
    return true;
  };
  await expect(bench.requester().submit(asked({ inputs: part }), {}, () => undefined)).rejects.toMatchObject({
    code: 'NETWORK_UNREACHABLE',
  });
  const before = bench.requests.length;
  const job = await bench.requester().submit(asked({ inputs: part }), {}, () => undefined);
  expect(job.shards).toBe(1);
  // The first piece of 8 MiB was there; two were not.
  const uploaded = bench.requests.slice(before).filter((each) => each === `PUT /v1/uploads/${digestOf(part)}`);
  expect(uploaded).toHaveLength(2);
});

test('what is just being sent for another job is waited for', async () => {
  const inputs = x(42);
  const digest = digestOf(inputs);
  const { port } = bench.server.address() as AddressInfo;
  const headers = { authorization: `Bearer ${bench.secret}`, 'upload-offset': '0', 'upload-length': String(inputs.byteLength) };
  const sending = request({ port, path: `/v1/uploads/${digest}`, method: 'PUT', headers });
  sending.write(inputs.subarray(0, 10));
  const sent = once(sending, 'response');
  await vi.waitUntil(() => bench.requests.includes(`PUT /v1/uploads/${digest}`));
  const submitted = bench.requester(bench.secret, 60_000).submit(asked({ inputs }), {}, () => undefined);
  await vi.waitUntil(() => bench.requests.filter((each) => each === `PUT /v1/uploads/${digest}`).length > 1, { timeout: 30_000 });
  sending.end(inputs.subarray(10));
  await sent;
  expect((await submitted).shards).toBe(1);
});

test('nobody pays more than they allow, nor more than their key may spend', async () => {
  const requester = bench.requester();
  await expect(requester.submit(asked(), { maxCost: '6' }, () => undefined)).rejects.toMatchObject({
    code: 'COST_TOO_HIGH',
    params: { cost: '7', limit: '6' },
  });
  expect((await requester.submit(asked(), { perUnit: '3', maxCost: '6' }, () => undefined)).charge).toMatchObject({ perUnit: '3' });
  const { secret } = await bench.coordinator.keys.create('poor', '20');
  expect((await runJob(asked({ inputs: x(1), further: [x(2)] }), secret)).job.state).toBe('done');
  await expect(runJob(asked({ inputs: x(3) }), secret)).rejects.toMatchObject({
    code: 'BUDGET_EXCEEDED',
    params: { cost: '7', left: '6' },
  });
  expect(await bench.requester(secret).view()).toMatchObject({ budget: '20', spent: '14' });
});

test('a key sees its own jobs and no other’s, and cancels them', async () => {
  const { job } = await runJob(asked());
  const { secret } = await bench.coordinator.keys.create('other', null);
  const other = bench.requester(secret);
  expect(await other.jobs()).toEqual([]);
  for (const ask of [other.job(job.id), other.cancel(job.id), other.outputs(job, null)])
    await expect(ask).rejects.toMatchObject({ code: 'JOB_UNKNOWN' });
  await expect(bench.requester('hl-nobody').jobs()).rejects.toMatchObject({ code: 'API_KEY_INVALID' });
  expect(await bench.requester().cancel(job.id)).toMatchObject({ state: 'done' });
});

test('what is uploaded must be what it is said to be', async () => {
  const call = async (path: string, headers: Record<string, string>, body: string) => {
    const address = bench.server.address() as { port: number };
    const response = await fetch(`http://127.0.0.1:${address.port}${path}`, {
      method: 'PUT',
      body,
      headers: { ...headers, authorization: `Bearer ${bench.secret}` },
    });
    return ((await response.json()) as { error: { code: string } }).error.code;
  };
  const digest = 'a'.repeat(64);
  expect(await call(`/v1/uploads/${digest}`, { 'upload-offset': '0', 'upload-length': '3' }, 'abc')).toBe('DIGEST_MISMATCH');
  expect(await call(`/v1/uploads/${digest}`, { 'upload-offset': '2', 'upload-length': '3' }, 'c')).toBe('UPLOAD_INVALID');
  expect(await call(`/v1/uploads/${digest}`, { 'upload-offset': '0', 'upload-length': '2' }, 'abc')).toBe('UPLOAD_INVALID');
  expect(await call(`/v1/uploads/${digest}`, {}, 'abc')).toBe('UPLOAD_INVALID');
  expect(await call('/v1/uploads/..%2f..%2fx', { 'upload-offset': '0', 'upload-length': '3' }, 'abc')).toBe('UPLOAD_INVALID');
});

test('a job that is nonsense is refused by name', async () => {
  const address = bench.server.address() as { port: number };
  const post = async (body: string) => {
    const response = await fetch(`http://127.0.0.1:${address.port}/v1/jobs`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${bench.secret}` },
    });
    return ((await response.json()) as { error: { code: string } }).error.code;
  };
  expect(await post('{')).toBe('NETWORK_REQUEST_INVALID');
  expect(await post('{}')).toBe('PARAMETER_INVALID');
  expect(await post(`"${'x'.repeat(3 << 20)}"`)).toBe('NETWORK_REQUEST_INVALID');
  // Inputs that are no tensors are found out before anybody computes.
  const inputs = new TextEncoder().encode('no tensors');
  await expect(bench.requester().submit(asked({ inputs }), {}, () => undefined)).rejects.toMatchObject({ code: 'TENSOR_INVALID' });
  expect(await bench.requester().jobs()).toEqual([]);
});

/** What a coordinator that lies answers in place of an output. */
const send = (response: ServerResponse, bytes: Uint8Array, announced = bytes.byteLength) => {
  response.writeHead(200, { 'Content-Length': announced }).write(bytes, () => {
    if (announced === bytes.byteLength) response.end();
    else response.destroy();
  });
};

test.each([
  ['sends other bytes', 'DIGEST_MISMATCH', (response: ServerResponse) => send(response, new Uint8Array(96))],
  ['sends more than it said', 'DIGEST_MISMATCH', (response: ServerResponse) => send(response, new Uint8Array(1 << 20))],
  ['stops half-way each time', 'BLOB_TRUNCATED', (response: ServerResponse) => send(response, new Uint8Array(0), 8)],
  ['answers with somebody’s page', 'NETWORK_ANSWER_INVALID', (response: ServerResponse) => void response.writeHead(500).end('<html>')],
])('a coordinator that %s is found out', async (_what, code, lie) => {
  const requester = bench.requester();
  const { job } = await runJob(asked());
  bench.interfere = (request, response) => {
    if (!/outputs\/0$/.test(request.url ?? '')) return false;
    lie(response);
    return true;
  };
  await expect(requester.outputs(job, null)).rejects.toMatchObject({ code });
});

test('outputs that the model does not give are not written, whoever vouches for them', async () => {
  const { job } = await runJob(asked());
  const requester = bench.requester();
  const value = (name: string, shape: number[]) => [{ name, type: 'float32' as const, shape }];
  await expect(requester.outputs(job, value('z', [2, 2]))).rejects.toMatchObject({ code: 'OUTPUTS_INVALID' });
  await expect(requester.outputs(job, value('y', [2, 3]))).rejects.toMatchObject({ code: 'OUTPUTS_INVALID' });
  expect((await requester.outputs(job, value('y', [2, 2]))).size).toBe(1);
});

test('an answer about another job, or of another form, is no answer', async () => {
  const { job } = await runJob(asked());
  bench.interfere = (_request, response) => {
    response.end(JSON.stringify({ ...job, id: 'job-other', state: 'running' }));
    return true;
  };
  await expect(bench.requester().follow({ ...job, state: 'queued' }, () => undefined, none)).rejects.toMatchObject({
    code: 'NETWORK_ANSWER_INVALID',
  });
  bench.interfere = (_request, response) => {
    response.end(JSON.stringify({ hello: 1 }));
    return true;
  };
  await expect(bench.requester().job(job.id)).rejects.toMatchObject({ code: 'NETWORK_ANSWER_INVALID' });
});
