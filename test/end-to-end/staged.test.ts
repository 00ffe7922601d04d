import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { SPLIT_FILE, SplitManifest } from '../../core/contract/stages.ts';
import type { Tensor } from '../../core/contract/tensor.ts';
import { readNpz, writeNpz } from '../../core/jobs/npz.ts';
import { descendants, hearthlend, type Line, run, runForPeople, temporaryFolder } from './program.ts';

const modelPath = join(import.meta.dirname, '../../resources/models/wordnet-lm/onnx/model.onnx');
let dataDir = '';
let inputs = '';

beforeAll(async () => {
  dataDir = temporaryFolder('staged');
  inputs = join(dataDir, 'prompt.npz');
  const ids = BigInt64Array.from([0, ...Buffer.from('light (noun): a')], BigInt);
  await writeNpz(inputs, new Map([['input_ids', { type: 'int64', shape: [1, ids.length], data: new Uint8Array(ids.buffer) }]]));
});

async function tokensIn(path: string): Promise<number[]> {
  const outputs = await readNpz(path, 1 << 20);
  expect([...outputs.keys()]).toEqual(['tokens']);
  return Array.from(new BigInt64Array(Uint8Array.from((outputs.get('tokens') as Tensor).data).buffer), Number);
}

const submission = (outputs: string, ...more: string[]) => [
  ...['job', 'submit', '--model', modelPath, '--inputs', inputs, '--outputs', outputs, '--tokens', '60'],
  ...more,
];

test('a text goes through one, two and three stages on one machine, and a stage that loses its worker, with the tokens of the whole model', async () => {
  const whole = join(dataDir, 'whole.npz');
  expect((await run(dataDir, ...submission(whole))).code).toBe(0);
  const expected = await tokensIn(whole);
  expect(expected.length).toBeGreaterThan(10);
  for (const stages of [1, 2, 3]) {
    const outputs = join(dataDir, `staged-${stages}.npz`);
    const command = hearthlend(dataDir, ...submission(outputs, '--stages', String(stages)));
    if (stages === 3) await loseOne(command.process.pid as number);
    const { code, stderr } = await command.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(command.lines.at(-1)).toMatchObject({ event: 'done', shards: stages, accepted: stages });
    expect(await tokensIn(outputs)).toEqual(expected);
  }
});

/** Kills the first worker of a stage that is seen. */
async function loseOne(program: number): Promise<void> {
  const isStage = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/workers/stages/');
    } catch {
      return false;
    }
  };
  await vi.waitFor(
    () => {
      const stage = descendants(program).find(isStage);
      if (stage === undefined) throw new Error('no stage yet');
      process.kill(stage, 'SIGKILL');
    },
    { timeout: 60_000, interval: 5 },
  );
}

test('a model is cut from the command line, told in words, and written down; what can not be cut is said by name', async () => {
  const out = join(dataDir, 'stages');
  const { code, stdout } = await runForPeople(dataDir, 'model', 'split', '--model', modelPath, '--stages', '2', '--out', out);
  expect(code).toBe(0);
  expect(stdout).toMatch(/1\s+0–2\s+6\.9 MB\s+\/layers\.2\/Add_4_output_0 float32 \[1, …, 192\]/);
  expect(stdout).toContain('every bit is the same');
  expect(stdout).toContain(`2 stages and split.json written to ${out}.`);
  const written = SplitManifest.parse(JSON.parse(readFileSync(join(out, SPLIT_FILE), 'utf8')));
  expect(written.stages.map(({ layers }) => layers)).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
  const refused = await run(dataDir, 'model', 'split', '--model', modelPath, '--stages', '7', '--out', out);
  expect(refused.code).toBe(1);
  expect(refused.last).toMatchObject({ event: 'error', code: 'MODEL_UNCUTTABLE' } satisfies Line);
  expect((await run(dataDir, 'model', 'split', '--model', modelPath, '--stages', '0')).code).toBe(2);
  const { code: wrong, last } = await run(dataDir, ...submission(join(dataDir, 'never.npz'), '--stages', '65'));
  expect([wrong, last.code]).toEqual([2, 'USAGE']);
});
