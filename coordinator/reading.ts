import { ModelManifest } from '../core/contract/model.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Context } from './context.ts';

/** Whether these bytes are the model's or the inputs of something that is lent to this worker now. */
export async function mayRead({ store, blobs }: Pick<Context, 'store' | 'blobs'>, worker: Address, digest: string): Promise<boolean> {
  const models = new Set<string>();
  for (const attempt of await store.openAttemptsOf(worker)) {
    const record = await store.shard(attempt.shardId);
    if (record === null) continue;
    const { model, inputs } = record.shard;
    if (digest === model.digest || digest === inputs.digest) return true;
    models.add(model.digest);
  }
  for (const model of models) {
    const { files } = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(model))));
    if (files.some((file) => file.digest === digest)) return true;
  }
  return false;
}
