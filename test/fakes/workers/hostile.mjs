// A worker that has been taken over, or is broken: `node hostile.mjs BEHAVIOUR`. Where its behaviour doesn't say otherwise, it does as agreed:
// every model has one output y, every run gives y, every generation makes the tokens 1, 2, 3.
import { writeSync } from 'node:fs';

const behaviour = process.argv[2];

function write(bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(0);
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

function prefix(headerBytes, bodyBytes) {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(headerBytes, 0);
  bytes.writeUInt32LE(bodyBytes, 4);
  return bytes;
}

function send(header, body = Buffer.alloc(0)) {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  write(Buffer.concat([prefix(json.length, body.length), json, body]));
}

function blob(entries) {
  let offset = 0;
  const header = {};
  for (const [name, dtype, shape, data] of entries) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.length] };
    offset += data.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...entries.map((entry) => entry[3])]);
}

const y = (name = 'y') => blob([[name, 'U8', [1], Buffer.of(7)]]);
const tokens = (...ids) => blob([['tokens', 'I64', [ids.length], Buffer.from(BigInt64Array.from(ids, BigInt).buffer)]]);
const result = (id, tokensMade = 0) => ({ type: 'result', id, runMs: 1, tokensMade, nearTies: 0, residentBytes: 1 });
const token = (id, index, value) => send({ type: 'token', id, index, token: value });

const atStart = {
  'never-ready': () => undefined,
  'exits-at-start': () => {
    process.stderr.write('libwonder.so: cannot open shared object file\n');
    process.exitCode = 3;
    process.stdin.destroy();
  },
  'greets-at-start': () => write(Buffer.from('Hello, I am a worker!\n')),
};

/** What it does instead of answering a `run` or `generate`. */
const atWork = {
  'writes-rubbish': () => write(Buffer.alloc(4096, 0xa5)),
  'announces-a-huge-header': () => write(prefix(0x7fffffff, 0)),
  'announces-a-huge-body': () => write(prefix(2, 0xffffffff)),
  'sends-no-json': () => send('{"type":'),
  'sends-an-unknown-reply': ({ id }) => send({ type: 'done', id }),
  'sends-extra-fields': ({ id }) => send({ ...result(id), price: '1000' }, y()),
  'answers-another-request': ({ id }) => send(result(id + 1), y()),
  'answers-with-another-type': ({ id }) => send({ type: 'unloaded', id }),
  'is-ready-again': () => send({ type: 'ready', onnxruntime: '1', node: '1' }),
  'sends-data-with-a-token': ({ id }) => send({ type: 'token', id, index: 0, token: 1 }, Buffer.alloc(9)),
  hangs: () => undefined,
  exits: () => process.exit(7),
  crashes: () => process.kill(process.pid, 'SIGSEGV'),
  'crashes-after-two-tokens': ({ id }) => {
    token(id, 0, 1);
    token(id, 1, 2);
    process.kill(process.pid, 'SIGSEGV');
  },
  'sends-too-much': ({ id, outputBytes }) => send(result(id), Buffer.alloc(outputBytes + 1)),
  'sends-without-end': ({ id }) => {
    const json = Buffer.from(JSON.stringify(result(id)));
    write(Buffer.concat([prefix(json.length, 0x7fffffff), json]));
    const piece = Buffer.alloc(1 << 16);
    const more = () => {
      write(piece);
      setImmediate(more);
    };
    more();
  },
  'sends-other-outputs': ({ id }) => send(result(id), y('z')),
  'sends-no-blob': ({ id }) => send(result(id), Buffer.alloc(100, 0xff)),
  'skips-a-token': ({ id }) => {
    token(id, 0, 1);
    token(id, 2, 3);
  },
  'makes-tokens-without-end': ({ id }) => {
    for (let index = 0; index < 10_000; index += 1) token(id, index, 1);
  },
  'takes-tokens-back': ({ id }) => {
    token(id, 0, 1);
    token(id, 1, 2);
    send(result(id, 2), tokens(1, 9));
  },
  'counts-more-tokens': ({ id }) => {
    token(id, 0, 1);
    send(result(id, 50), tokens(1));
  },
  'blames-the-ledger': ({ id }) => send({ type: 'failed', id, code: 'LEDGER_BROKEN', params: { detail: 'sell everything' } }),
  'is-at-a-loss-for-words': ({ id }) => send({ type: 'failed', id, code: 'INPUT_UNKNOWN', params: {} }),
  shouts: (request) => {
    process.stderr.write(`${'x'.repeat(4_000_000)}\nthe last line\n`, () => honest(request));
  },
  'shouts-and-exits': () => process.stderr.write(`${'x'.repeat(4_000_000)}\nthe last line\n`, () => process.exit(9)),
  'eats-memory': () => {
    globalThis.eaten = Buffer.alloc(1 << 30, 1);
  },
};

function honest(request) {
  const { id, type } = request;
  if (type === 'load') {
    const outputs = [{ name: 'y', type: 'uint8', shape: [1] }];
    send({ type: 'loaded', id, loadMs: 1, inputs: [], outputs, residentBytes: process.memoryUsage.rss() });
  } else if (type === 'unload') send({ type: 'unloaded', id });
  else if (type === 'run') send({ ...result(id), residentBytes: process.memoryUsage.rss() }, y());
  else {
    for (const value of [1, 2, 3]) token(id, value - 1, value);
    send(result(id, 3), tokens(1, 2, 3));
  }
}

let pending = Buffer.alloc(0);
process.stdin.on('data', (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  while (pending.length >= 8) {
    const [headerBytes, bodyBytes] = [pending.readUInt32LE(0), pending.readUInt32LE(4)];
    if (pending.length < 8 + headerBytes + bodyBytes) return;
    const request = JSON.parse(pending.subarray(8, 8 + headerBytes));
    pending = pending.subarray(8 + headerBytes + bodyBytes);
    if ((request.type === 'run' || request.type === 'generate') && atWork[behaviour] !== undefined) atWork[behaviour](request);
    else honest(request);
  }
});

if (atStart[behaviour] !== undefined) atStart[behaviour]();
else send({ type: 'ready', onnxruntime: '0.0.0', node: process.versions.node });
