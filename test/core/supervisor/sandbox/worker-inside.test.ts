import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { detectWall } from '../../../../core/supervisor/sandbox/detect.ts';
import { type DeviceAccess, NO_DEVICE } from '../../../../core/supervisor/sandbox/device-access.ts';
import { resolveNeeds } from '../../../../core/supervisor/sandbox/needs.ts';
import { type Launch, planBare, planLaunch, type SandboxNeeds, type Wall } from '../../../../core/supervisor/sandbox/plan.ts';
import { spawnLaunch } from '../../../../core/supervisor/sandbox/spawn.ts';

const root = join(import.meta.dirname, '../../../..');
const onLinux = process.platform === 'linux';
let folder: string;
let needs: SandboxNeeds;
let wall: Wall;

beforeAll(async () => {
  // Below the checkout, so that a bare script finds onnxruntime-node and models can be hard-linked.
  folder = mkdtempSync(join(root, 'dist/.sandbox-test-'));
  mkdirSync(join(folder, 'models'));
  needs = await resolveNeeds({
    nodePath: process.execPath,
    scriptPath: join(root, 'dist/worker/probe.mjs'),
    modelsDir: join(folder, 'models'),
    scratchBytes: 1 << 20,
    heapMiB: 512,
  });
  wall = await detectWall(needs);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const withScript = (name: string, source: string): SandboxNeeds => {
  const scriptPath = join(folder, name);
  writeFileSync(scriptPath, source);
  return { ...needs, scriptPath };
};

async function run(launch: Launch, ...args: string[]): Promise<{ out: string; err: string; code: number | null }> {
  const child = spawnLaunch({ ...launch, args: [...launch.args, ...args] });
  child.stdin.end();
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { out, err, code };
}

/** One pass of the practice model over 96 tokens, then what it gave and what ran. */
const SCORE = `
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import ort from 'onnxruntime-node';
const session = await ort.InferenceSession.create(process.argv[2] + '/model.onnx', { intraOpNumThreads: Number(process.argv[3]) });
const length = 96;
const ids = (make) => new ort.Tensor('int64', BigInt64Array.from({ length }, (_, at) => BigInt(make(at))), [1, length]);
const feeds = { input_ids: ids((at) => (at * 37) % 500), attention_mask: ids(() => 1), position_ids: ids((at) => at) };
for (const value of session.inputMetadata) {
  if (value.name.startsWith('past_key_values')) {
    const shape = value.shape.map((each, axis) => (typeof each === 'number' ? each : axis === 0 ? 1 : 0));
    feeds[value.name] = new ort.Tensor('float32', new Float32Array(0), shape);
  }
}
const threads = readdirSync('/proc/self/task').length;
const { logits } = await session.run(feeds);
const times = [];
for (let round = 0; round < 7; round += 1) {
  const started = performance.now();
  await session.run(feeds);
  times.push(performance.now() - started);
}
console.log(JSON.stringify({ digest: createHash('sha256').update(new Uint8Array(logits.data.buffer)).digest('hex'), threads, ms: Math.min(...times) }));
`;

describe.runIf(onLinux)('ONNX Runtime in the sandbox', () => {
  test.each([0, 1])(
    'gives the same bits with as many threads as outside, and warns of nothing (threads asked for: %i)',
    async (threads) => {
      const model = join(root, 'resources/models/wordnet-lm/onnx/model.onnx');
      // After the sandbox's mounts are planned, as the agent does it: a new file in a folder that is mounted already.
      const scored = withScript('score.mjs', SCORE);
      rmSync(join(needs.modelsDir, 'model.onnx'), { force: true });
      linkSync(model, join(needs.modelsDir, 'model.onnx'));
      // Without Node's permissions, since the script counts its threads in /proc.
      const [inside, outside] = [planLaunch(wall, { ...scored, permission: false }), planBare({ ...scored, permission: false })];
      const results = [];
      for (const launch of [inside, outside]) {
        const { out, err, code } = await run(launch, launch.inside.modelsDir, String(threads));
        expect({ err, code }).toEqual({ err: '', code: 0 });
        results.push(JSON.parse(out) as { digest: string; threads: number; ms: number });
      }
      expect(results[0]?.digest).toBe(results[1]?.digest);
      expect(results[0]?.threads).toBe(results[1]?.threads);
    },
  );

  test('sees a model that is linked into its folder while it runs', async () => {
    const watching = withScript(
      'watch.mjs',
      `import { readFileSync } from 'node:fs';
       process.stdout.write('up');
       process.stdin.once('data', () => { process.stdout.write(readFileSync(process.argv[2] + '/late.txt')); process.exit(0); });`,
    );
    const launch = planLaunch(wall, watching);
    const child = spawnLaunch({ ...launch, args: [...launch.args, launch.inside.modelsDir] });
    await once(child.stdout, 'data');
    writeFileSync(join(folder, 'late.txt'), 'came later');
    linkSync(join(folder, 'late.txt'), join(needs.modelsDir, 'late.txt'));
    child.stdin.write('now');
    expect(await text(child.stdout)).toBe('came later');
  });

  test("sees of a device its node and those files that it was given, and can't change them", async () => {
    // /dev/full stands for a card's node: 1:7 in Documentation/admin-guide/devices.txt.
    const system = '/sys/dev/char/1:7';
    const device: DeviceAccess = {
      ...NO_DEVICE,
      nodes: ['/dev/full'],
      files: [`${system}/uevent`],
      links: [{ path: `${system}/subsystem`, target: '../../../../bus/pci' }],
      proc: ['/proc/driver/nvidia', '/proc/devices'].filter(existsSync),
      environment: { VK_DRIVER_FILES: '/nowhere.json' },
    };
    const looking = withScript(
      'look.mjs',
      `import { openSync, readFileSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
       const refused = (act) => { try { act(); return 'done'; } catch (error) { return error.code; } };
       console.log(JSON.stringify({
         sys: readdirSync('/sys'), entries: readdirSync('${system}').sort(), uevent: readFileSync('${system}/uevent', 'utf8'),
         subsystem: readlinkSync('${system}/subsystem'), devices: readFileSync('/proc/devices', 'utf8').length > 0, env: process.env.VK_DRIVER_FILES,
         node: refused(() => writeSync(openSync('/dev/full', 'w'), 'x')), change: refused(() => openSync('${system}/uevent', 'w')),
       }));`,
    );
    const { out, err, code } = await run(planLaunch(wall, { ...looking, device, permission: false }));
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(JSON.parse(out)).toEqual({
      sys: ['dev'],
      entries: ['subsystem', 'uevent'],
      uevent: readFileSync(`${system}/uevent`, 'utf8'),
      subsystem: '../../../../bus/pci',
      devices: true,
      env: '/nowhere.json',
      node: 'ENOSPC',
      change: expect.stringMatching(/^(EROFS|EACCES|EPERM)$/),
    });
  });

  test("Node's permission model stands as a second wall, and lets the addon load", async () => {
    const reading = withScript(
      'read.mjs',
      `import { readFileSync } from 'node:fs';
       import 'onnxruntime-node';
       try { readFileSync('/lib64/ld-linux-x86-64.so.2'); console.log('read'); } catch (error) { console.log(error.code); }`,
    );
    expect((await run(planLaunch(wall, reading))).out).toBe('ERR_ACCESS_DENIED\n');
  });
});

/** What the system says of its limits, and whether the one on open files is real. */
const LIMITS = `
import { openSync, readFileSync } from 'node:fs';
const limits = readFileSync('/proc/self/limits', 'utf8');
for (const name of ['Max core file size', 'Max open files']) {
  const [soft, hard] = limits.split('\\n').find((line) => line.startsWith(name)).slice(name.length).trim().split(/\\s+/);
  console.log(name, soft, hard);
}
let opened = 0;
try {
  while (opened < 5000) opened += openSync(process.argv[1], 'r') > 0 ? 1 : 0;
  console.log('no end');
} catch (error) {
  console.log(error.code, opened < 1024 ? 'below 1024' : 'above it');
}
`;

describe.runIf(onLinux)('a sandboxed worker', () => {
  const idle = () => withScript('idle.mjs', "process.stdout.write('up'); setInterval(() => {}, 1 << 30);");

  test('is gone with all its processes once bubblewrap is killed', async () => {
    const child = spawnLaunch(planLaunch(wall, idle()));
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    // `close` comes when nobody holds the other end of its pipes any more.
    await once(child, 'close');
    expect(child.signalCode).toBe('SIGKILL');
  });

  test('is gone once its agent is killed', async () => {
    const agent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { planLaunch } from ${JSON.stringify(join(root, 'core/supervisor/sandbox/plan.ts'))};
         import { spawnLaunch } from ${JSON.stringify(join(root, 'core/supervisor/sandbox/spawn.ts'))};
         const child = spawnLaunch(planLaunch(${JSON.stringify(wall)}, ${JSON.stringify(idle())}));
         child.stdout.once('data', () => console.log(child.pid));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [bubblewrap] = (await once(agent.stdout, 'data')) as [Buffer];
    const family = descendants(Number(bubblewrap.toString()));
    expect(family.length).toBeGreaterThanOrEqual(3);
    agent.kill('SIGKILL');
    await Promise.all(
      family.map((pid) => once(spawn('tail', [`--pid=${pid}`, '-s', '0.05', '-f', '/dev/null'], { stdio: 'ignore' }), 'exit')),
    );
  });

  test.each([
    ['behind its wall', (all: SandboxNeeds) => planLaunch(wall, all)],
    ['without one', planBare],
  ])('leaves no core dump and opens no more than 1024 files, %s', async (_name, plan) => {
    const { out } = await run(plan({ ...withScript('limits.mjs', LIMITS), permission: false }));
    expect(out.trim().split('\n')).toEqual(['Max core file size 0 0', 'Max open files 1024 1024', 'EMFILE below 1024']);
  });

  test('gets none of the descriptors that the agent inherited, whatever their number', async () => {
    const listing = withScript(
      'list.mjs',
      `import { readdirSync, readlinkSync } from 'node:fs';
       for (const name of readdirSync('/proc/self/fd')) try { console.log(readlinkSync('/proc/self/fd/' + name)); } catch {}`,
    );
    const agent = spawn(
      '/bin/bash',
      [
        '-c',
        'exec 7</etc/passwd 23</etc/group 211</etc/hostname; exec "$0" "$@"',
        process.execPath,
        '--input-type=module',
        '-e',
        `import { planLaunch, planBare } from ${JSON.stringify(join(root, 'core/supervisor/sandbox/plan.ts'))};
         import { spawnLaunch } from ${JSON.stringify(join(root, 'core/supervisor/sandbox/spawn.ts'))};
         const needs = ${JSON.stringify({ ...listing, permission: false })};
         for (const launch of [planLaunch(${JSON.stringify(wall)}, needs), planBare(needs)]) spawnLaunch(launch).stdout.pipe(process.stdout);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const open = await text(agent.stdout);
    expect(open).toContain('anon_inode');
    expect(open).not.toMatch(/etc/);
  });
});

/** A process and all that come from it, by /proc. */
function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(descendants)];
}
