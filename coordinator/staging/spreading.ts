import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { HeldSplit, JobOrder, JobRequest, ModelSplitter, StageSize } from '../../core/contract/jobs.ts';
import { MAX_STAGES } from '../../core/contract/stages.ts';
import type { Context } from '../context.ts';
import { promptLength } from '../orders.ts';
import { devicesFor, haveRoom, stageBytes, takeStages } from './spread.ts';

/** Machines that asked for work this lately are counted on. */
const LATELY_MS = 900_000;
/** So many numbers of stages are cut, where what a cut comes to is larger than was reckoned. */
const MAX_CUTS = 3;

/**
 * The stages in which a job's model is computed where no machine of the network has the memory for the whole; null where one has, where nothing is known
 * of any machine yet, and where the request says itself how it is to be done.
 * @throws MODEL_NOWHERE with what would be needed, and what cutting throws
 */
export type Spread = (request: JobRequest, order: JobOrder) => Promise<HeldSplit | null>;

/** @param splitter null where nobody cuts models */
export function createSpread({ store, clock, origin, log }: Context, splitter: ModelSplitter | null): Spread {
  return async (request, order) => {
    if (splitter === null || origin === 'own' || request.split !== undefined) return null;
    const { model } = request;
    const bytes = model.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    const machines = await store.machinesSeenSince(clock() - LATELY_MS);
    const devices = devicesFor(machines, order);
    const largest = Math.max(...devices);
    if (devices.length === 0 || bytes <= largest) return null;

    const decoder = request.kind === 'onnx.generate' ? { decoder: request.decoder, stopTokens: request.stopTokens } : null;
    const tokens = request.kind === 'onnx.generate' ? promptLength(request) + request.maxNewTokens : 0;
    const places = decoder === null ? devices : devicesFor(takeStages(machines), order);
    const sizeOf = (stage: StageSize) => stageBytes(stage, decoder?.decoder ?? null, tokens);
    // Of a graph that is run once the stages follow each other: each has its machine to itself.
    const fits = (sizes: readonly number[]) =>
      sizes.every((size) => size <= splitter.mostStageBytes) &&
      (decoder === null ? sizes.every((size) => size <= largest) : haveRoom(places, sizes));
    const nowhere = (part: number) =>
      new HearthlendError('MODEL_NOWHERE', {
        ...{ machines: machines.length, needed: bytes / 1e9, largest: largest / 1e9, part: part / 1e9 },
        together: places.reduce((sum, each) => sum + each, 0) / 1e9,
      });
    // A batch of several shards has no stages.
    if (request.kind === 'onnx.run' && (request.further?.length ?? 0) > 0) throw nowhere(bytes);

    const sizes = await splitter.sizes(model);
    let [smallest, cuts] = [bytes, 0];
    for (let stages = 2; stages <= MAX_STAGES && cuts < MAX_CUTS; stages += 1) {
      const reckoned = parts(() => sizes(stages).map(sizeOf));
      // It has no more layers than that.
      if (reckoned === null) break;
      smallest = Math.min(smallest, Math.max(...reckoned));
      if (!fits(reckoned)) continue;
      cuts += 1;
      const held = await splitter.split(model, decoder, stages);
      const made = held.manifest.stages.map(({ manifest, layers }) =>
        sizeOf({ weightBytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0), layers: layers.length }),
      );
      if (fits(made)) {
        log('info', 'model-spread', { stages, bytes, machines: machines.length });
        return held;
      }
      await held.release();
    }
    throw nowhere(smallest);
  };
}

/** Null where a model has fewer places to be cut than that. @throws what else is wrong with it */
function parts(plan: () => number[]): number[] | null {
  try {
    return plan();
  } catch (thrown) {
    if (asHearthlendError(thrown).code === 'MODEL_UNCUTTABLE') return null;
    throw thrown;
  }
}
