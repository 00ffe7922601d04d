// Run by spool.test.ts with `small`, a file system of 256 KiB, and `fixed`, one that is read-only, below the folder that it is given.
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { openSpool } from '../../../core/ledger/spool.ts';

const folder = process.argv[2] ?? '';
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const codeOf = (thrown: unknown) => (thrown instanceof HearthlendError ? thrown.code : String(thrown));

const spool = await openSpool(join(folder, 'small'));
const first = Buffer.alloc(100_000, 1);
const second = Buffer.alloc(200_000, 2);
await spool.put(digestOf(first), first);
const full = await spool.put(digestOf(second), second).catch(codeOf);
const left = readdirSync(join(folder, 'small')).map((name) => (name === digestOf(first) ? 'first' : name));
const readable = Buffer.from(await spool.get(digestOf(first), 's1')).equals(first);
const fixed = await openSpool(join(folder, 'fixed', 'spool')).catch(codeOf);
process.stdout.write(JSON.stringify({ full, left, readable, fixed }));
