import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CPU } from '../../core/contract/backends.ts';
import { canonicalJson } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { describeError } from '../../core/contract/messages.ts';
import type { ModelManifest } from '../../core/contract/model.ts';
import { RunShard } from '../../core/contract/shard.ts';
import { createSupervisor, type ShardTask, type SupervisorOptions } from '../../core/supervisor/supervisor.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A supervisor whose clock is put forward where it would wait, and that counts what its runs end with. */
export function fuzzBench(dir: string, options: Pick<SupervisorOptions, 'start' | 'vet'>) {
  let now = 1_000_000_000;
  let starts = 0;
  const start: SupervisorOptions['start'] = (needs) => {
    starts += 1;
    return options.start(needs);
  };
  const supervisor = createSupervisor({ ...options, start, workDir: join(dir, 'work'), modelMemoryBytes: 2 ** 29, clock: () => now });
  const outside = join(dir, 'outside');
  mkdirSync(outside, { recursive: true });
  for (const name of ['keystore.json', 'ledger.db']) writeFileSync(join(outside, name), name);
  const before = contents(outside);
  const codes = new Map<string, number>();
  const wrong: string[] = [];
  return {
    /** Runs it, and once more where the worker had failed too often. Everything that it ends with must be one of our errors, in words. */
    async run(task: ShardTask, what: string): Promise<void> {
      const code = await supervisor.run(task).then(
        () => 'computed',
        (thrown: unknown) => {
          if (!(thrown instanceof HearthlendError) || thrown.code === 'INTERNAL') wrong.push(`${what}: ${String(thrown)}`);
          else if (describeError(thrown).what === '') wrong.push(`${what}: ${thrown.code} has no words`);
          else if (thrown.code === 'WORKER_BACKING_OFF') now += Number(thrown.params.seconds) * 1000;
          return thrown instanceof HearthlendError ? thrown.code : 'unknown';
        },
      );
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code === 'WORKER_BACKING_OFF') await this.run(task, what);
    },
    /** A model's files as the store would hand them over. */
    stored(files: Record<string, Uint8Array>): ShardTask['model'] {
      const folder = join(dir, 'models');
      const listed: ModelManifest['files'] = [];
      for (const [path, bytes] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), bytes);
        listed.push({ path, bytes: bytes.byteLength, digest: sha256(bytes) });
      }
      const manifest: ModelManifest = { format: 'onnx', entry: 'model.onnx', files: listed };
      return {
        digest: sha256(Buffer.from(canonicalJson(manifest))),
        manifest,
        files: new Map(Object.keys(files).map((path) => [path, join(folder, path)])),
      };
    },
    async end(): Promise<{ codes: string; starts: number; wrong: string[] }> {
      await supervisor.dispose();
      if (contents(outside) !== before) wrong.push('a file outside was changed');
      const told = [...codes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`);
      return { codes: told.join(', '), starts, wrong };
    },
  };
}

/** One pass of a stranger's, within small limits. */
export function passOver(model: ShardTask['model'], inputs: Uint8Array, wallMs: number): ShardTask {
  const shard = RunShard.parse({
    id: 's',
    jobId: 'j',
    network: 'strangers',
    model: { digest: model.digest, bytes: 1 },
    inputs: { digest: sha256(inputs), bytes: inputs.byteLength },
    limits: { wallMs, memoryBytes: 2 ** 29, outputBytes: 2 ** 20 },
    session: { intraOpThreads: 1 },
    price: { asset: 'hearth:strangers/credit:practice', unit: 'run', perUnit: '1' },
    origin: 'network',
    kind: 'onnx.run',
    outputs: [],
  });
  return { shard, model, inputs, threads: 1, provider: CPU };
}

/** All files below a folder, as one text. */
function contents(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return JSON.stringify(names.map((name) => [name, sha256(readFileSync(join(folder, name)))]));
}
