import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32 } from '../workbench.ts';
import { noise, RequestBench, textTokens } from './bench.ts';

const model = 'some/model';
const messages = [{ role: 'user' as const, content: 'hi' }];

describe('the official client, unchanged', () => {
  let bench: RequestBench;
  let client: OpenAI;
  beforeAll(async () => {
    bench = await new RequestBench().open();
    client = bench.client();
  });
  afterAll(() => bench.close());

  test('lists the models, and shows one whose name has a slash', async () => {
    const expected = { id: model, object: 'model', created: 1_600_000_000, owned_by: 'hearthlend' };
    expect((await client.models.list()).data).toEqual([expected]);
    expect(await client.models.retrieve(model)).toMatchObject(expected);
    await expect(client.models.retrieve('other')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  test('is answered with what the job gave, and how many tokens it took', async () => {
    bench.making = () => ({ tokens: textTokens('hello') });
    const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model,
      choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 },
    });
    const job = await bench.coordinator.job(answer.id);
    expect(job).toMatchObject({ state: 'done', kind: 'onnx.generate' });
    expect(bench.leases.at(-1)?.shard).toMatchObject({ sampling: { method: 'greedy' }, stopTokens: [0], origin: 'own' });
  });

  test('an answer ends where no more tokens were asked for, and says so', async () => {
    bench.making = ({ maxNewTokens }) => ({ tokens: textTokens('abcdefghij').slice(0, maxNewTokens) });
    const { choices } = await client.completions.create({ model, prompt: 'x', max_tokens: 3 });
    expect(choices).toEqual([{ index: 0, text: 'abc', logprobs: null, finish_reason: 'length' }]);
    const { shard } = bench.leases.at(-1) ?? {};
    expect(shard).toMatchObject({ maxNewTokens: 3 });
    await client.chat.completions.create({ model, messages, max_completion_tokens: 1000 });
    expect(bench.leases.at(-1)?.shard).toMatchObject({ maxNewTokens: 59 });
  });

  test('text streams while it is made, and ends with its usage', async () => {
    bench.making = () => ({ tokens: textTokens('hello'), told: [[104], [101, 108]] });
    const stream = await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '')).toEqual(['', 'h', 'el', 'lo', '', '']);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason ?? null)).toEqual([null, null, null, null, 'stop', null]);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 } });
    expect(bench.leases.at(-1)?.shard).toMatchObject({ stream: true });

    const plain = await client.completions.create({ model, prompt: 'x', stream: true });
    let text = '';
    for await (const { choices } of plain) text += choices[0]?.text;
    expect(text).toBe('hello');
  });

  test('one of the words at which to stop ends the answer and its job, though it came in pieces', async () => {
    bench.making = () => ({ tokens: textTokens('one. two. three'), told: [[...Buffer.from('one. t')], [...Buffer.from('wo')], [46]] });
    const answer = await client.completions.create({ model, prompt: 'x', stop: ['!', 'two'] });
    expect(answer.choices[0]).toMatchObject({ text: 'one. ', finish_reason: 'stop' });
    expect(answer.usage?.completion_tokens).toBe(8);
    expect(await bench.coordinator.job(answer.id)).toMatchObject({ state: 'cancelled' });
    // Where nothing is told on the way, what comes at the end is cut as well.
    bench.making = () => ({ tokens: textTokens('one. two. three') });
    expect((await client.completions.create({ model, prompt: 'x', stop: '. t' })).choices[0]).toMatchObject({ text: 'one' });
  });

  test('several prompts, several times each, are answered in their order', async () => {
    bench.making = ({ sampling }) => ({ tokens: textTokens(sampling.method === 'sample' ? sampling.seed : '') });
    const ask = () => client.completions.create({ model, prompt: ['a', 'b'], n: 2, seed: 7, max_tokens: 32 });
    const [first, again] = await Promise.all([ask(), ask()]);
    expect(first.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const texts = first.choices.map(({ text }) => text);
    expect(new Set(texts).size).toBe(4);
    expect(again.choices.map(({ text }) => text)).toEqual(texts);
    const [x, y] = await Promise.all([0, 1].map(() => client.completions.create({ model, prompt: 'a', max_tokens: 32 })));
    expect(x?.choices[0]?.text).not.toBe(y?.choices[0]?.text);
  });

  test('who goes away takes the job along', async () => {
    bench.making = () => 'never';
    const abort = new AbortController();
    const before = bench.leases.length;
    const asked = client.chat.completions.create({ model, messages }, { signal: abort.signal });
    await expect.poll(() => bench.leases.length).toBe(before + 1);
    abort.abort();
    await expect(asked).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    const shard = bench.leases.at(-1)?.shard;
    await expect.poll(() => bench.revoked).toContain(shard?.id);
    expect(await bench.coordinator.job(shard?.jobId ?? '')).toMatchObject({ state: 'cancelled' });
  });

  test('a second attempt that gives other words is no continuation of the first', async () => {
    bench.making = () => ({ tokens: textTokens('other'), told: [[...Buffer.from('hell')]] });
    const stream = await client.completions.create({ model, prompt: 'x', stream: true });
    let text = '';
    const read = async () => {
      for await (const { choices } of stream) text += choices[0]?.text ?? '';
    };
    await expect(read()).rejects.toMatchObject({ code: 'ANSWER_DIVERGED' });
    expect(text).toBe('hell');
    // Nobody has read any of it: the accepted answer counts.
    expect((await client.completions.create({ model, prompt: 'x', stop: ['zz'] })).choices[0]).toMatchObject({ text: 'other' });
  });

  test('texts become vectors, each the mean of its own tokens, whatever was filled up beside them', async () => {
    bench.passing = (inputs) => {
      const ids = inputs.get('input_ids');
      const [rows = 0, width = 0] = ids?.shape ?? [];
      const values = new BigInt64Array(ids?.data.slice().buffer ?? new ArrayBuffer(0));
      // The padding has values, too, which must not count.
      return new Map([
        [
          'last_hidden_state',
          float32(
            Array.from(values, Number).flatMap((id) => [id === 0 ? 9 : id, 1]),
            [rows, width, 2],
          ),
        ],
      ]);
    };
    const { data, usage } = await client.embeddings.create({ model, input: ['ab', 'd', 'abc'] });
    expect(data.map(({ embedding }) => [...embedding])).toEqual([
      [97.5, 1],
      [100, 1],
      [98, 1],
    ]);
    expect(usage).toEqual({ prompt_tokens: 6, total_tokens: 6 });
    const plain = await client.embeddings.create({ model, input: [[1, 3]], encoding_format: 'float' });
    expect(plain.data[0]?.embedding).toEqual([2, 1]);
  });

  test.each([
    ['a model that is not there', () => client.chat.completions.create({ model: 'x', messages }), 404, 'model_not_found', 'model'],
    [
      'a prompt without room for an answer',
      () => client.completions.create({ model, prompt: 'x'.repeat(64) }),
      400,
      'context_length_exceeded',
      null,
    ],
    ['a token that the model does not have', () => client.completions.create({ model, prompt: [300] }), 400, 'invalid_value', 'prompt'],
    [
      'more answers than one request may ask for',
      () => client.completions.create({ model, prompt: 'x', n: 17 }),
      400,
      'invalid_value',
      'n',
    ],
    [
      'a temperature that there is not',
      () => client.completions.create({ model, prompt: 'x', temperature: 3 }),
      400,
      'invalid_value',
      'temperature',
    ],
    [
      'tools',
      () => client.chat.completions.create({ model, messages, tools: [{ type: 'function', function: { name: 'f' } }] }),
      400,
      'unsupported_parameter',
      'tools',
    ],
    [
      'penalties',
      () => client.completions.create({ model, prompt: 'x', frequency_penalty: 1 }),
      400,
      'unsupported_parameter',
      'frequency_penalty',
    ],
    [
      'a field that nobody knows',
      () => client.post('/completions', { body: { model, prompt: 'x', colour: 1 } }),
      400,
      'unsupported_parameter',
      'colour',
    ],
    [
      'a model without a template',
      () => client.chat.completions.create({ model, messages: [{ role: 'user', content: 'no template' }] }),
      400,
      'CHAT_TEMPLATE_MISSING',
      null,
    ],
    ['no messages', () => client.chat.completions.create({ model, messages: [] }), 400, 'invalid_value', 'messages'],
    [
      'a picture',
      () =>
        client.chat.completions.create({ model, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }),
      400,
      'invalid_value',
      'messages.0.content',
    ],
  ] as const)('%s is refused in the words of the interface', async (_name, ask, status, code, param) => {
    await expect(ask()).rejects.toMatchObject({ status, code, param, message: expect.stringMatching(/\w{3}/) });
  });

  test('what asks for nothing is no reason to refuse', async () => {
    bench.making = () => ({ tokens: textTokens('ok') });
    const { choices } = await client.chat.completions.create({
      ...{
        model,
        messages,
        user: 'u',
        frequency_penalty: 0,
        logit_bias: {},
        tools: [],
        tool_choice: 'none',
        response_format: { type: 'text' },
      },
      ...{ top_p: 1, presence_penalty: 0, logprobs: false, stop: null, seed: null, parallel_tool_calls: true },
    });
    expect(choices[0]?.message.content).toBe('ok');
  });

  test('a failed job is an error that says why, and is not worth another try', async () => {
    bench.making = () => ({ tokens: [] });
    const asked = await bench.post('/completions', JSON.stringify({ model, prompt: 'x' }));
    expect(asked.status).toBe(500);
    expect(asked.headers.get('x-should-retry')).toBe('false');
    expect(await asked.json()).toMatchObject({ error: { type: 'server_error' } });
  });

  test('a key opens it, and nothing else does; of its secret nothing is kept', async () => {
    for (const wrong of ['', 'hl-wrong', `${bench.secret}x`]) {
      await expect(bench.client(wrong || 'x').models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    }
    const { key, secret } = await bench.coordinator.keys.create('short lived', null);
    expect((await bench.client(secret).models.list()).data).toHaveLength(1);
    await bench.coordinator.keys.remove('short lived');
    await expect(bench.client(secret).models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    expect((await bench.coordinator.keys.list()).map(({ id }) => id)).not.toContain(key.id);
    const file = join(bench.bench.dir, 'coordinator.db');
    for (const name of [file, `${file}-wal`]) {
      const bytes = readFileSync(name);
      expect(bytes.includes(bench.secret) || bytes.includes(secret)).toBe(false);
      expect(statSync(name).mode & 0o077).toBe(0);
    }
  });

  test('ten thousand at once are each answered, most of them by being told to come back', async () => {
    bench.making = () => ({ tokens: textTokens('one') });
    const body = JSON.stringify({ model, prompt: 'x' });
    const head = `POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:${bench.server.port}\r\nAuthorization: Bearer ${bench.secret}\r\n`;
    const request = `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
    const talk = async () => {
      const socket = connect(bench.server.port, '127.0.0.1').setEncoding('utf8');
      let said = '';
      socket.write(request.repeat(20));
      for await (const text of socket) {
        said += text;
        if (said.split('HTTP/1.1 ').length > 20 && said.endsWith('}')) break;
      }
      return Array.from(said.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => Number(status));
    };
    const statuses = (await Promise.all(Array.from({ length: 500 }, talk))).flat();
    expect(statuses).toHaveLength(10_000);
    expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0);
    expect((await bench.post('/completions', body)).status).toBe(200);
  });
});

describe('what strangers send', () => {
  let bench: RequestBench;
  const limits = { bodyBytes: 4096, bodyMs: 200, requests: 8, requestsPerKey: 4, bufferedBytes: 64 << 10, readMs: 300 };
  beforeAll(async () => {
    bench = await new RequestBench().open(limits);
  });
  afterAll(() => bench.close());

  const errorOf = async (response: Response) => ({ status: response.status, ...((await response.json()) as { error: object }).error });

  test('nonsense is refused by name', async () => {
    expect(await errorOf(await bench.post('/completions', '{"model":'))).toMatchObject({ status: 400, param: 'body' });
    expect(await errorOf(await bench.post('/completions', '[]'))).toMatchObject({ status: 400, param: 'body' });
    expect(await errorOf(await bench.post('/completions', JSON.stringify({ model: 7, prompt: 'x' })))).toMatchObject({ param: 'model' });
    expect(await errorOf(await bench.post('/completions', '['.repeat(4000)))).toMatchObject({ status: 400 });
    expect(await errorOf(await bench.post('/nowhere', '{}'))).toMatchObject({ status: 404, code: 'unknown_url' });
    expect(
      await errorOf(await fetch(`${bench.address}/completions`, { headers: { authorization: `Bearer ${bench.secret}` } })),
    ).toMatchObject({ status: 404 });
    expect(await errorOf(await fetch(`${bench.address}/models`))).toMatchObject({ status: 401 });
    expect(
      await errorOf(await fetch(`${bench.address}/models/%ff`, { headers: { authorization: `Bearer ${bench.secret}` } })),
    ).toMatchObject({ status: 404 });
  });

  test('a body that is too large, or never comes, is not waited for', async () => {
    expect(await errorOf(await bench.post('/completions', noise(5000)))).toMatchObject({ status: 413, code: 'request_too_large' });
    const socket = connect(bench.server.port, '127.0.0.1');
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:${bench.server.port}\r\nAuthorization: Bearer ${bench.secret}\r\nContent-Length: 10\r\n\r\n{`,
    );
    let said = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(socket, 'close');
    expect(said).toMatch(/^HTTP\/1\.1 408 [\s\S]*request_timeout/);
  });

  test('a page that calls this machine by another name is turned away', async () => {
    const socket = connect(bench.server.port, '127.0.0.1');
    socket.end(`GET /v1/models HTTP/1.1\r\nHost: evil.example:${bench.server.port}\r\nAuthorization: Bearer ${bench.secret}\r\n\r\n`);
    const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer.toLowerCase()).not.toContain('access-control');
  });

  test('more at once than are answered are told to come back, and none of the others is lost', async () => {
    bench.making = () => ({ tokens: textTokens('one') });
    const body = JSON.stringify({ model, prompt: 'x' });
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const response = await bench.post('/completions', body);
        return { status: response.status, retry: response.headers.get('retry-after'), body: (await response.json()) as object };
      }),
    );
    const served = answers.filter(({ status }) => status === 200);
    expect(served.length).toBeGreaterThanOrEqual(4);
    for (const each of served) expect(each.body).toMatchObject({ choices: [{ text: 'one' }] });
    for (const each of answers.filter(({ status }) => status !== 200)) {
      expect(each).toMatchObject({ status: 429, retry: '1', body: { error: { code: 'rate_limit_exceeded' } } });
    }
    // Nothing of it stays behind.
    expect((await bench.post('/completions', body)).status).toBe(200);
    expect((await bench.coordinator.jobs()).filter(({ state }) => state === 'queued' || state === 'running')).toEqual([]);
  });

  test('a reader that never reads is cut off, and its answer with it', async () => {
    bench.making = () => ({ tokens: textTokens('x') });
    const socket = connect(bench.server.port, '127.0.0.1');
    socket.pause();
    // Asked for over and over on one connection that nobody reads: what fills it up ends it.
    const ask = `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:${bench.server.port}\r\nAuthorization: Bearer ${bench.secret}\r\n\r\n`;
    socket.on('error', () => undefined);
    const gone = new Promise((resolve) => {
      socket.on('close', resolve);
    });
    const pour = () => {
      while (!socket.destroyed && socket.write(ask.repeat(200)));
    };
    socket.on('drain', pour);
    pour();
    await gone;
    expect((await bench.client().models.list()).data).toHaveLength(1);
  });

  test('closing ends what is being answered by a word, and its jobs', async () => {
    const own = await new RequestBench().open();
    own.making = () => 'never';
    const asked = own.post('/completions', JSON.stringify({ model, prompt: 'x' })).then(errorOf);
    await expect.poll(() => own.leases.length).toBe(1);
    const id = own.leases[0]?.shard.jobId ?? '';
    const closing = own.server.close();
    expect(await asked).toMatchObject({ status: 503, code: 'CANCELLED' });
    await closing;
    await expect.poll(async () => (await own.coordinator.job(id))?.state).toBe('cancelled');
    await own.close();
  });
});
