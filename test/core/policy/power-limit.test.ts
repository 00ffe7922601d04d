import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { messageOf } from '../../../core/contract/messages.ts';
import { openPowerLimits } from '../../../core/policy/throttle-power-limit.ts';

const [GPU, OTHER] = ['0000:01:00.0', '0000:41:00.0'] as const;
const TOOL = join(import.meta.dirname, '../../fakes/nvidia/nvidia-smi');
let folder = '';
const record = () => join(folder, 'power-limits.json');
const watts = (gpu: string = GPU) => Number(readFileSync(join(folder, gpu), 'utf8'));
const log = () => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trim().split('\n') : []);

// The stand-in is a shell script.
describe.skipIf(process.platform === 'win32')('power limits', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hearthlend-power-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    for (const gpu of [GPU, OTHER]) writeFileSync(join(folder, gpu), '320.00\n');
    vi.stubEnv('HEARTHLEND_FAKE_GPUS', folder);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
  });

  const open = () => openPowerLimits({ tool: TOOL, recordPath: record(), log: () => undefined });

  it('are set, told, and put back when they are not wanted any more', async () => {
    const limits = open();
    limits.want(new Map([[GPU, 200]]));
    await limits.settled();
    expect([watts(), watts(OTHER)]).toEqual([200, 320]);
    expect(limits.state()).toEqual([{ gpu: GPU, watts: 200, beforeWatts: 320, problem: null }]);
    expect(JSON.parse(readFileSync(record(), 'utf8'))).toEqual([{ gpu: GPU, beforeWatts: 320, setWatts: 200 }]);
    limits.want(new Map([[GPU, 150]]));
    limits.want(new Map());
    await limits.settled();
    expect(watts()).toBe(320);
    expect([limits.state(), existsSync(record())]).toEqual([[], false]);
    await limits.close();
  });

  it('stay within what the GPU can do, and never raise what somebody had lowered', async () => {
    writeFileSync(join(folder, OTHER), '120.00\n');
    const limits = open();
    limits.want(
      new Map([
        [GPU, 50],
        [OTHER, 200],
      ]),
    );
    await limits.settled();
    expect([watts(), watts(OTHER)]).toEqual([100, 120]);
    await limits.close();
    expect([watts(), watts(OTHER)]).toEqual([320, 120]);
  });

  it('that somebody else changed meanwhile are left to them', async () => {
    const limits = open();
    limits.want(new Map([[GPU, 200]]));
    await limits.settled();
    writeFileSync(join(folder, GPU), '250.00\n');
    await limits.close();
    expect([watts(), existsSync(record())]).toEqual([250, false]);
  });

  it('that may not be set say so in the words of the tool, and leave nothing to put back', async () => {
    writeFileSync(join(folder, 'refuse'), '');
    const limits = open();
    limits.want(new Map([[GPU, 200]]));
    await limits.settled();
    const [state] = limits.state();
    expect(state).toMatchObject({ gpu: GPU, watts: null });
    expect(state?.problem && messageOf(state.problem)).toContain('Insufficient Permissions');
    expect(existsSync(record())).toBe(false);
    await limits.close();
    expect(log()).toEqual([]);
  });

  async function ended(how: 'throw' | 'kill'): Promise<void> {
    const script = join(import.meta.dirname, '../../fakes/power-limit-process.ts');
    const child = spawn(process.execPath, [script, TOOL, record(), GPU, '180', how], { stdio: 'ignore' });
    await once(child, 'close');
  }

  it('are put back by a process that ends by an error', async () => {
    await ended('throw');
    expect(log()).toEqual([`${GPU} 180`, `${GPU} 320`]);
    expect(existsSync(record())).toBe(false);
  });

  it('are put back at the next start after a kill, and after several in a row to what they were at first', async () => {
    await ended('kill');
    expect(watts()).toBe(180);
    await ended('kill');
    expect(watts()).toBe(180);
    const limits = open();
    await limits.settled();
    expect([watts(), existsSync(record())]).toEqual([320, false]);
    await limits.close();
  });

  it('whose record can not be read are left as they are, and said', async () => {
    writeFileSync(record(), '{"not": "this"}');
    const said: string[] = [];
    const limits = openPowerLimits({ tool: TOOL, recordPath: record(), log: (_level, event) => said.push(event) });
    await limits.close();
    expect(said).toEqual(['what power limits were before could not be read']);
    expect(watts()).toBe(320);
  });
});
