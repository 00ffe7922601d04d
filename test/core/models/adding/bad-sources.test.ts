import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HearthlendError } from '../../../../core/contract/errors.ts';
import { describeError } from '../../../../core/contract/messages.ts';
import { mayFollow } from '../../../../core/models/adding/hosts.ts';
import { parseSource } from '../../../../core/models/adding/source.ts';
import { type Bench, openBench, published, REPOSITORY, split, TEST_PACE } from './workbench.ts';

const system = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: 'ignore' });

type Prepare = (bench: Bench) => void;
const html = '<!doctype html><title>Sign in to the network</title>';

/** Changes what the description says of one file. */
const ofFile =
  (path: string, change: (file: { size: number; lfs?: { sha256: string; size: number } }) => void): Prepare =>
  ({ hub }) => {
    hub.lie = (description) => {
      for (const file of description.siblings) if (file.rfilename === path) change(file);
      return description;
    };
  };

/** A second place for each lie: what is asked for, the code it ends with, and whether what came before it is kept for the next try. */
const LIES: [string, Prepare, string, 'nothing' | 'parts'][] = [
  [
    'promises another digest than what it sends',
    ofFile('onnx/model.onnx_data', (file) => {
      if (file.lfs) file.lfs.sha256 = '0'.repeat(64);
    }),
    'DIGEST_MISMATCH',
    'nothing',
  ],
  [
    "sends other bytes than git's name of a small file stands for",
    ({ hub }) => {
      hub.onFile = ({ path, data, response }) => {
        if (path !== 'tokenizer.json') return false;
        response.end(data.slice().fill(32));
        return true;
      };
    },
    'DIGEST_MISMATCH',
    'nothing',
  ],
  [
    'promises a smaller size than it sends',
    ofFile('onnx/model.onnx', (file) => {
      file.size -= 1;
      if (file.lfs) file.lfs.size -= 1;
    }),
    'DOWNLOAD_SIZE_WRONG',
    'nothing',
  ],
  [
    'sends more than it promised without saying how much',
    ({ hub }) => {
      hub.onFile = ({ path, data, response }) => {
        if (!path.endsWith('_data')) return false;
        response.write(data);
        response.end('and more');
        return true;
      };
    },
    'DOWNLOAD_SIZE_WRONG',
    'nothing',
  ],
  [
    'gives one file two sizes',
    ofFile('onnx/model.onnx', (file) => {
      file.size += 1;
    }),
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
  [
    'sends us on to another host',
    ({ hub }) => {
      hub.onFile = ({ path, response }) => {
        if (!path.endsWith('_data')) return false;
        response.writeHead(302, { location: 'https://models.example.com/weights' }).end();
        return true;
      };
    },
    'HUB_REDIRECT_REFUSED',
    'nothing',
  ],
  [
    'redirects in a circle',
    ({ hub }) => {
      hub.onFile = ({ request, response }) => {
        response.writeHead(302, { location: request.url ?? '/' }).end();
        return true;
      };
    },
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
  [
    'stops half-way, each time at the same byte',
    ({ hub, sendPart }) => {
      hub.onFile = ({ path, data, request, response }) => {
        if (!path.endsWith('_data')) return false;
        if (request.headers.range === undefined) sendPart(response, data, 90_000, 'break');
        else response.destroy();
        return true;
      };
    },
    'HUB_UNREACHABLE',
    'parts',
  ],
  [
    'ends early as if that were all',
    ({ hub }) => {
      hub.onFile = ({ path, data, request, response }) => {
        if (!path.endsWith('_data')) return false;
        // Without a length, an early end looks like an end.
        if (request.headers.range === undefined) {
          response.write(data.subarray(0, 90_000));
          response.end();
        } else response.writeHead(206, { 'content-range': `bytes 90000-${data.byteLength - 1}/${data.byteLength}` }).end();
        return true;
      };
    },
    'DOWNLOAD_CUT_OFF',
    'parts',
  ],
  [
    'gives a web page in place of a file',
    ({ hub }) => {
      hub.onFile = ({ path, response }) => {
        if (path !== 'config.json') return false;
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
        return true;
      };
    },
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
  [
    'gives a web page under the name of JSON in place of the list',
    ({ hub }) => {
      hub.lie = () => html;
    },
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
  [
    'lists a file outside the model',
    ({ hub }) => {
      hub.lie = (description) => ({
        ...description,
        siblings: [...description.siblings, { rfilename: '../x', size: 1, blobId: 'a'.repeat(40) }],
      });
    },
    'MODEL_PATH_UNSAFE',
    'nothing',
  ],
  [
    'lists a file by an absolute path',
    ({ hub }) => {
      hub.lie = (description) => ({ ...description, siblings: [{ rfilename: '/etc/passwd', size: 1, blobId: 'a'.repeat(40) }] });
    },
    'MODEL_PATH_UNSAFE',
    'nothing',
  ],
  [
    'gives another part than the one asked for',
    ({ hub, sendPart }) => {
      hub.onFile = ({ path, data, request, response }) => {
        if (!path.endsWith('_data')) return false;
        if (request.headers.range === undefined) sendPart(response, data, 90_000, 'break');
        else response.writeHead(206, { 'content-range': `bytes 0-${data.byteLength - 1}/${data.byteLength}` }).end(data);
        return true;
      };
    },
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
  [
    'fails',
    ({ hub }) => {
      hub.onFile = ({ response }) => {
        response.writeHead(503).end();
        return true;
      };
    },
    'HUB_REFUSED',
    'parts',
  ],
  [
    'encodes what was asked for as it is',
    ({ hub }) => {
      hub.onFile = ({ response }) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
        return true;
      };
    },
    'HUB_ANSWER_INVALID',
    'nothing',
  ],
];

test.each(LIES)('a hub that %s: a clear error, and nothing is half-placed', async (_, prepare, code, kept) => {
  const bench = await openBench();
  bench.hub.publish('someone/other', { 'model.onnx': split().graph, 'model.onnx_data': split().data });
  await bench.add({ source: 'hf:someone/other' });
  const before = bench.contents();
  bench.hub.publish(REPOSITORY, { ...published(), 'onnx/model.onnx_data': split().data.map((byte) => byte ^ 1) });
  prepare(bench);
  const error = await bench.add().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HearthlendError);
  expect(error).toMatchObject({ code });
  const { what, next } = describeError(error);
  expect(`${what} ${next}`).toMatch(/^[^{}]+\.$/);
  const after = bench.contents();
  const parts = Object.keys(after).filter((path) => path.startsWith('downloads/'));
  for (const path of parts) delete after[path];
  expect(after).toEqual(before);
  if (kept === 'nothing') expect(parts).toEqual([]);
  expect(bench.store.owned.added()).toHaveLength(1);

  bench.hub.lie = (description) => description;
  bench.hub.onFile = () => false;
  await bench.add();
  expect(bench.store.owned.added()).toHaveLength(2);
});

test('a hub that is slow for ever is given up by its pace, and gone on with later', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  bench.hub.onFile = ({ path, data, response }) => {
    if (!path.endsWith('_data')) return false;
    bench.sendPart(response, data, 80_000, 'silence');
    const drip = setInterval(() => response.write(data.subarray(80_000, 80_001)), 5);
    response.on('close', () => clearInterval(drip));
    return true;
  };
  const pace = { answerMs: 10_000, windowMs: 300, leastBytes: 4096 };
  await expect(bench.add({}, { pace })).rejects.toMatchObject({ code: 'DOWNLOAD_STALLED', params: { leastBytes: 4096 } });
  expect(Object.keys(bench.contents()).some((path) => path.startsWith('downloads/'))).toBe(true);
  bench.hub.onFile = () => false;
  await bench.add();
});

test('a hub that never answers is given up', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const bench = await openBench();
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const pace = { ...TEST_PACE, answerMs: 100 };
  await expect(bench.add({ hub: { endpoint, token: null, proxy: {} } }, { pace })).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

test('models, revisions and files that are not there, and those given to some only, are told apart', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published(), { gated: true });
  await expect(bench.plan()).rejects.toMatchObject({ code: 'HUB_GATED' });
  await expect(bench.plan({ source: 'hf:nobody/nothing' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
  const hub = { endpoint: bench.hub.endpoint, token: 'hf_right', proxy: {} };
  await expect(bench.plan({ source: `hf:${REPOSITORY}@v9`, hub })).rejects.toMatchObject({
    code: 'HUB_NOT_FOUND',
    params: { what: `model ${REPOSITORY} at v9` },
  });
  await bench.add({ hub });
});

test('the token goes to the hub alone, never to where it sends us', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published(), { gated: true });
  await bench.add({ hub: { endpoint: bench.hub.endpoint, token: 'hf_right', proxy: {} } });
  const authorized = (host: 'hub' | 'store') =>
    new Set(bench.hub.seen.filter((seen) => seen.host === host).map(({ headers }) => headers.authorization));
  expect(authorized('hub')).toEqual(new Set(['Bearer hf_right']));
  expect(authorized('store')).toEqual(new Set([undefined]));
});

test.each([
  ['../weights.bin', 'MODEL_PATH_UNSAFE'],
  ['/etc/passwd', 'MODEL_PATH_UNSAFE'],
  ['weights.bin', 'MODEL_DATA_MISSING'],
])('a graph that wants its data from %s is refused', async (location, code) => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, { 'onnx/model.onnx': split(location).graph });
  await expect(bench.add()).rejects.toMatchObject({ code });
  expect(bench.contents()).toEqual({});
});

test('a file that is no model, and data that is cut off, are refused', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, { 'model.onnx': new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\n') });
  await expect(bench.add()).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  bench.hub.publish(REPOSITORY, { 'model.onnx': split().graph, 'model.onnx_data': split().data.subarray(0, 5000) });
  await expect(bench.add()).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  expect(bench.contents()).toEqual({});
});

test('on a disk without room nothing is placed, whether that shows before or in the middle', async (context) => {
  context.skip(process.platform !== 'linux' || process.getuid?.() !== 0, 'only root on Linux can mount a small disk to fill');
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-small-'));
  try {
    system('mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder);
  } catch {
    context.skip(true, 'this machine lets no disk be mounted');
  }
  onTestFinished(() => {
    system('umount', '--lazy', folder);
    rmSync(folder, { recursive: true, force: true });
  });
  const bench = await openBench({ dir: folder });
  const large = { 'model.onnx': split('model.onnx_data', 200_000).graph, 'model.onnx_data': new Uint8Array(800_000) };
  const commit = bench.hub.publish(REPOSITORY, large);
  await expect(bench.add()).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(bench.contents()).toEqual({});
  expect(bench.hub.asked('model.onnx_data')).toEqual([]);

  // An address tells no sizes beforehand.
  const store = await fetch(`${bench.hub.endpoint}/${REPOSITORY}/resolve/${commit}/model.onnx`, { redirect: 'manual' });
  const source = (store.headers.get('location') as string).replace(/\?.*/, '');
  await expect(bench.add({ source, acceptMissingLicence: true })).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(bench.contents()).toEqual({});
});

test('a hub is reached through the proxy that is set, and without it where NO_PROXY says so', async () => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const bench = await openBench();
  const endpoint = 'https://hub.invalid';
  const through = { endpoint, token: null, proxy: { HTTPS_PROXY: address } };
  await expect(bench.plan({ hub: through })).rejects.toMatchObject({ code: 'HUB_UNREACHABLE', params: { host: 'hub.invalid' } });
  expect(asked).toEqual(['hub.invalid:443']);
  const around = { ...through, proxy: { HTTPS_PROXY: address, NO_PROXY: 'hub.invalid' } };
  await expect(bench.plan({ hub: around })).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  expect(asked).toHaveLength(1);
  await expect(bench.plan({ hub: { ...through, proxy: { HTTPS_PROXY: 'no address' } } })).rejects.toMatchObject({
    code: 'HUB_UNREACHABLE',
  });
});

test('redirects lead only to hosts that are known by their whole names, over https', () => {
  const hub = new URL('https://huggingface.co/a/b/resolve/c/d');
  const follows = (to: string, from = hub, isHub = true) => mayFollow(from, new URL(to), isHub);
  for (const fine of ['https://huggingface.co/x', 'https://us.aws.cdn.hf.co/x', 'https://cas-bridge.xethub.hf.co/x'])
    expect(follows(fine)).toBe(true);
  for (const bad of [
    'http://us.aws.cdn.hf.co/x',
    'https://us.aws.cdn.hf.co:8443/x',
    'https://evil.hf.co.example.com/x',
    'https://evilus.aws.cdn.hf.co/x',
    'https://user:word@us.aws.cdn.hf.co/x',
    'https://huggingface.co.evil.net/x',
    'http://127.0.0.1/x',
    'http://169.254.169.254/latest',
    'file:///etc/passwd',
  ]) {
    expect(`${bad} ${follows(bad)}`).toBe(`${bad} false`);
  }
  expect(follows('https://us.aws.cdn.hf.co/x', new URL('https://example.com/m.onnx'), false)).toBe(false);
  expect(follows('https://release-assets.githubusercontent.com/x', new URL('https://github.com/a/b'), false)).toBe(true);
  expect(follows('https://example.com/x', new URL('http://127.0.0.1:1/x'), true)).toBe(false);
});

test.each([
  'hf:',
  'hf:name',
  'hf:owner/name/more',
  'hf:../name',
  'hf:owner/..',
  'hf:owner/name@',
  'hf:owner/name@a b',
  'http://example.com/model.onnx',
  'https://user:word@example.com/model.onnx',
  'https://example.com/model.onnx#md5=1',
  'ftp://example.com/model.onnx',
  'relative/model.onnx',
  '',
])('%j names no source', (source) => {
  expect(() => parseSource(source)).toThrow(expect.objectContaining({ code: 'MODEL_SOURCE_INVALID' }));
});

test('an endpoint that is not https is used only on this machine', async () => {
  const bench = await openBench();
  for (const endpoint of ['http://example.com', 'ftp://127.0.0.1', 'https://user:word@example.com', 'nonsense']) {
    await expect(bench.plan({ hub: { endpoint, token: null, proxy: {} } })).rejects.toMatchObject({ code: 'MODEL_SOURCE_INVALID' });
  }
});
