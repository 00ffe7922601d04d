import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFramePrefix, FrameDecoder } from '../../../core/contract/frame.ts';
import { createSealReceiver, seal } from '../../../core/contract/seal.ts';
import { SIGNER_FRAME_LIMITS, SignerReply, sealPurpose } from '../../../core/contract/signer.ts';
import { planSigner } from '../../../core/supervisor/sandbox/plan-signer.ts';
import { spawnLaunch } from '../../../core/supervisor/sandbox/spawn.ts';
import { meaningOf } from '../../../core/wallet/signer/meaning.ts';
import { serveSigner } from '../../../core/wallet/signer/serve.ts';
import { createSigner } from '../../../core/wallet/signer/signer.ts';
import { SignerProcess } from '../../../core/wallet/signer-process.ts';
import { resolveSignerNeeds, signerPort } from '../../../core/wallet-ports.ts';
import { openBench, PASSWORD, refusal, SIGNER, temporaryFolder, thisWall } from './workbench.ts';

const FRAMES = 10_000;

describe('the signer, sent rubbish', () => {
  it(`answers or ends, and goes on answering what is right, after ${FRAMES} malformed frames`, async () => {
    const folder = temporaryFolder();
    const signer = await createSigner(folder, meaningOf);
    const replies: SignerReply[] = [];
    let aborted = 0;
    const open = () => {
      const decoder = new FrameDecoder(SIGNER_FRAME_LIMITS);
      return serveSigner(signer, {
        write: (frame) => replies.push(...decoder.push(frame).map(({ header }) => SignerReply.parse(header))),
        abort: () => {
          aborted += 1;
        },
      });
    };
    const framed = (header: unknown) => encodeFramePrefix(header, 0, SIGNER_FRAME_LIMITS);
    const looksRight = fc.record(
      {
        id: fc.oneof(fc.integer(), fc.string()),
        act: fc.oneof(fc.constantFrom('unlock', 'create', 'sign', '__proto__'), fc.string()),
        sealed: fc.record({ key: fc.base64String({ maxLength: 60 }), box: fc.base64String({ maxLength: 200 }) }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    const rubbish = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.json({ maxDepth: 2 }).map((text) => framed(JSON.parse(text))),
      looksRight.map(framed),
    );
    // A stream of its own for each: what is half a frame would swallow those after it.
    for (const bytes of fc.sample(rubbish, FRAMES)) open()(bytes);
    expect(replies.filter((reply) => reply.type === 'failed').length).toBeGreaterThan(FRAMES / 2);
    expect(replies.some((reply) => reply.type === 'done')).toBe(false);
    expect(aborted).toBeGreaterThan(100);
    expect(readdirSync(folder)).toEqual([]);

    const receive = open();
    const sealed = await seal(signer.publicKey, sealPurpose('unlock'), { password: PASSWORD });
    receive(framed({ id: 77, act: 'unlock', sealed }));
    await expect.poll(() => replies.at(-1)).toEqual({ type: 'failed', id: 77, code: 'WALLET_MISSING', params: {} });
  });

  it('ends as a process at a frame over the limit, and its lock is shut', async () => {
    const bench = await openBench();
    await bench.create();
    const child = bench.children[0];
    child?.stdin.write(Buffer.from('ffffffff00000000', 'hex'));
    await expect.poll(() => bench.wallet.status().unlocked).toBe(false);
    expect(child?.exitCode ?? child?.signalCode).not.toBeNull();
    expect(readdirSync(bench.folder)).toEqual(['keystore.json']);
  });
});

it.each([
  ['rubbish', "process.stdout.write('no frame at all, this is text')"],
  ['nothing for ever, then ends', 'setTimeout(() => process.exit(3), 50)'],
])('a signer that says %s is refused', async (_what, script) => {
  const child = spawn(process.execPath, ['-e', script], { stdio: 'pipe' });
  const signer = new SignerProcess(child as never);
  expect(await refusal(signer.publicKey)).toMatch(/SIGNER_(PROTOCOL|START_FAILED)/);
  await signer.gone;
});

it('a signer whose script is missing says so', async () => {
  const folder = join(temporaryFolder(), 'wallet');
  const port = signerPort(await thisWall(), { nodePath: process.execPath, signerScript: join(folder, 'none.mjs'), folder });
  expect(await refusal(port.start())).toBe('SIGNER_START_FAILED');
});

describe.runIf(process.platform === 'linux')('the signer behind its wall', () => {
  it.each([
    ['', true],
    [", also without Node's own permissions", false],
  ])('sees its own folder and nothing else, and reaches no network%s', async (_what, permission) => {
    const wall = await thisWall();
    expect(wall.wall).toBe('bubblewrap');
    const folder = join(temporaryFolder(), 'wallet');
    const outside = join(folder, '../secret.txt');
    const script = join(temporaryFolder(), 'look.mjs');
    writeFileSync(
      script,
      `import { lookup } from 'node:dns/promises';
       import { readFileSync, writeFileSync } from 'node:fs';
       import { connect } from 'node:net';
       const tried = async (name, f) => { try { await f(); return [name, 'reached']; } catch (error) { return [name, String(error.code)]; } };
       const found = [
         await tried('own folder', () => writeFileSync(process.argv[2] + '/x', 'x')),
         await tried('outside', () => readFileSync(${JSON.stringify(outside)})),
         await tried('passwd', () => readFileSync('/etc/passwd')),
         await tried('root', () => writeFileSync('/x', 'x')),
         await tried('name', () => lookup('localhost.example')),
         await tried('network', () => new Promise((resolve, reject) => connect(443, '1.1.1.1').on('connect', resolve).on('error', reject))),
       ];
       console.log(JSON.stringify({ found: Object.fromEntries(found), env: Object.keys(process.env), argv: process.argv.slice(2) }));`,
    );
    const needs = await resolveSignerNeeds({ nodePath: process.execPath, signerScript: script, folder });
    writeFileSync(outside, 'secret');
    const { args, ...launch } = planSigner(wall, needs);
    const child = spawnLaunch({ ...launch, args: permission ? args : args.filter((each) => !/^--(permission|allow-)/.test(each)) });
    child.stdin.end();
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
    });
    let complained = '';
    child.stderr.on('data', (text) => {
      complained += text;
    });
    await once(child, 'close');
    expect(complained).toBe('');
    const { found, env, argv } = JSON.parse(said) as { found: Record<string, string>; env: string[]; argv: string[] };
    expect(Object.entries(found).filter(([, outcome]) => outcome === 'reached')).toEqual([['own folder', 'reached']]);
    expect(env.sort()).toEqual(['HOME', 'PWD', 'TMPDIR']);
    expect(argv).toEqual(['/wallet']);
  });

  it('has nothing of a secret in its arguments, its environment or its stderr, and dies with the agent', async () => {
    const folder = join(temporaryFolder(), 'wallet');
    const bench = await openBench({ folder });
    let complained = '';
    await bench.wallet.begin();
    bench.children[0]?.stderr.on('data', (text) => {
      complained += text;
    });
    const { words } = await bench.create();
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const seen = processes.flatMap((pid) =>
      ['cmdline', 'environ'].map((name) => {
        try {
          return readFileSync(`/proc/${pid}/${name}`, 'utf8');
        } catch {
          // It ended meanwhile, or is somebody else's.
          return '';
        }
      }),
    );
    expect(seen.filter((text) => text.includes(PASSWORD) || text.includes(words.slice(0, 3).join(' ')))).toEqual([]);
    expect(complained).toBe('');
  });

  it('ends when its stdin does', async () => {
    const folder = realpathSync(temporaryFolder());
    const child = spawn(process.execPath, [SIGNER, folder], { stdio: ['pipe', 'ignore', 'ignore'], env: {} });
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

it('a keystore is whole at every instant at which its writer may be killed', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'w'));
  const path = join(folder, 'w', 'keystore.json');
  const big = (letter: string) => letter.repeat(30_000);
  const writer = `const { putFile } = await import(${JSON.stringify(join(import.meta.dirname, '../../../core/wallet/durable.ts'))});
    putFile(${JSON.stringify(path)}, 'a'.repeat(30000), 'replace');
    process.stdout.write('up');
    for (;;) for (const letter of ['a', 'b']) putFile(${JSON.stringify(path)}, letter.repeat(30000), 'replace');`;
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', writer], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    // Any number of writes later: the instant is as random as the scheduler.
    for (let turns = Math.floor(Math.random() * 400); turns > 0; turns -= 1) await new Promise(setImmediate);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect([big('a'), big('b')]).toContain(readFileSync(path, 'utf8'));
  }
  await openBench({ folder: join(folder, 'w') });
  expect(readdirSync(join(folder, 'w'))).toEqual(['keystore.json']);
});

it('a signer killed in the middle of replacing a wallet leaves one that opens', async () => {
  const bench = await openBench();
  await bench.create();
  const { address } = bench.wallet.status();
  const replacing = refusal(bench.import({ kind: 'key', key: '7a'.repeat(32) }, PASSWORD));
  await expect.poll(() => readdirSync(bench.folder).length, { interval: 1, timeout: 20_000 }).toBeGreaterThan(1);
  bench.children.at(-1)?.kill('SIGKILL');
  await replacing;
  await bench.wallet.lock();
  const status = await bench.unlock();
  expect(status.unlocked).toBe(true);
  if (status.address !== address) expect(readdirSync(bench.folder)).toContain(`replaced-${address}-1.json`);
});

it('a sealed value opens for its receiver alone', async () => {
  const [one, other] = [await createSealReceiver(), await createSealReceiver()];
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 2 }), fc.string({ maxLength: 20 }), async (text, purpose) => {
      const value = JSON.parse(text) as unknown;
      const sealed = await seal(one.publicKey, purpose, value);
      expect(await one.open(sealed, purpose)).toEqual(value);
      expect(await other.open(sealed, purpose)).toBeUndefined();
      expect(await one.open(sealed, `${purpose}.`)).toBeUndefined();
    }),
    { numRuns: 50 },
  );
});
