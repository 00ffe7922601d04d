import { type Measure, measure } from './measure.ts';

export interface ProofBench {
  /** Backends that this machine may have, each with its try in a process of its own; null where there is nothing to try. */
  tries: Array<{ name: string; prove(): Promise<{ works: boolean } | null> }>;
}

/** A try of one backend may take no longer. */
const MOST = { name: 'the most that it may take', value: 10_000 };

/** How long it takes to prove each backend, from the start of its process until it is gone. */
export async function* measureProofs({ tries }: ProofBench): AsyncGenerator<Measure> {
  for (const { name, prove } of tries) {
    const from = performance.now();
    const backend = await prove();
    if (backend === null) continue;
    const ms = performance.now() - from;
    const outcome = backend.works ? 'it works' : 'it does not work';
    yield measure(`a try of one backend: ${name}, ${outcome}`, ms, 'ms', { baseline: MOST, ratio: ms / MOST.value });
  }
}
