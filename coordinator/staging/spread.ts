import type { BackendName } from '../../core/contract/backends.ts';
import type { StageSize } from '../../core/contract/jobs.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import type { Machine, Needs } from '../leasing/demand.ts';

/** Of a cache's keys and values: float32, as workers keep it unless the model says otherwise. */
const CACHE_ELEMENT_BYTES = 4;

/** Memory for models of each device of the machines that take such work, in bytes; whether it is in use just now is not looked at. */
export function devicesFor(machines: readonly Machine[], { backends, category }: Pick<Needs, 'backends' | 'category'>): number[] {
  return machines
    .filter(({ refusedCategories }) => category === undefined || !refusedCategories?.includes(category))
    .flatMap(
      (machine): { name: BackendName; memoryBytes: number }[] => machine.backends ?? [{ name: 'cpu', memoryBytes: machine.memoryBytes }],
    )
    .filter(({ name }) => backends === undefined || backends.length === 0 || backends.includes(name))
    .map(({ memoryBytes }) => memoryBytes);
}

/** Those of machines that take stages of decoders, which stay where they are for as long as a generation takes. */
export function takeStages(machines: readonly Machine[]): Machine[] {
  return machines.filter(({ stages }) => stages !== undefined);
}

/** What a stage takes in memory: its weights, and of a decoder the cache of all tokens that may go through it. */
export function stageBytes({ weightBytes, layers }: StageSize, decoder: DecoderConfig | null, tokens: number): number {
  if (decoder === null) return weightBytes;
  const { keyValueHeads, headSize, maxPositions } = decoder;
  return weightBytes + layers * 2 * keyValueHeads * headSize * CACHE_ELEMENT_BYTES * Math.min(tokens, maxPositions);
}

/** Whether devices have room for all of these at the same time: the largest first, each where it leaves the least. */
export function haveRoom(devices: readonly number[], sizes: readonly number[]): boolean {
  const free = [...devices];
  for (const size of sizes.toSorted((a, b) => b - a)) {
    const [tightest] = free
      .map((bytes, at) => ({ bytes, at }))
      .filter(({ bytes }) => bytes >= size)
      .sort((a, b) => a.bytes - b.bytes);
    if (tightest === undefined) return false;
    free[tightest.at] = tightest.bytes - size;
  }
  return true;
}
