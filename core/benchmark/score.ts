import type { BackendScore, Figure, FigureName, Noise, ShardClass, ShardClassFit } from '../contract/benchmark.ts';

/**
 * The scale's machine, whose score is 100: one core of an AMD EPYC in a virtual machine with 32 MiB of last-level cache, ONNX Runtime 1.30, as this
 * benchmark found it on 2026-11-21 with nothing else at work.
 */
const REFERENCE: Partial<Record<FigureName, number>> = { matrixFp32: 110, memoryBandwidth: 20.6, tokens: 1080 };

/** A figure of these that varies more than that is not to be relied on. */
const STEADY: readonly FigureName[] = ['matrixFp32', 'memoryBandwidth', 'tokens'];
const MOST_SPREAD = 0.15;
const MOST_OTHERS_LOAD = 0.25;

export function figure(figures: readonly Figure[], name: FigureName): number | null {
  return figures.find((each) => each.name === name)?.median ?? null;
}

/** How a backend compares with the scale's machine: the geometric mean over what it was measured by, × 100. Null where one of these is missing. */
export function scoreOf(figures: readonly Figure[]): number | null {
  const ratios = Object.entries(REFERENCE).map(([name, reference]) => (figure(figures, name as FigureName) ?? 0) / reference);
  if (ratios.some((ratio) => !(ratio > 0))) return null;
  return 100 * Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}

/** Why measuring now would say little of the machine; null where nothing speaks against it. An unknown load does not. */
export function busy(othersLoad: number | null): Noise | null {
  return othersLoad !== null && othersLoad > MOST_OTHERS_LOAD ? { reason: 'busy', share: othersLoad } : null;
}

/** The worst figure, where one varied too much to be relied on. */
export function unsteady(backends: readonly Pick<BackendScore, 'backend' | 'gpu' | 'figures'>[]): Noise | null {
  const all = backends.flatMap(({ backend, gpu, figures }) =>
    figures.filter(({ name }) => STEADY.includes(name)).map(({ name, spread }) => ({ backend, gpu, figure: name, share: spread })),
  );
  const worst = all.reduce<(typeof all)[number] | null>((most, each) => (most === null || each.share > most.share ? each : most), null);
  return worst !== null && worst.share > MOST_SPREAD ? { reason: 'spread', ...worst } : null;
}

/** The backend to work on: the one with the best score. Null where none has one. */
export function recommended<B extends Pick<BackendScore, 'score'>>(backends: readonly B[]): B | null {
  return backends.reduce<B | null>((best, each) => (each.score !== null && each.score > (best?.score ?? 0) ? each : best), null);
}

/** What a class needs: bytes of weights in memory (parameters × bytes each), and whether it is a token at a time. */
const CLASSES: Record<ShardClass, { weightBytes: number; decodes: boolean }> = {
  'run-small': { weightBytes: 0.4e9, decodes: false },
  'run-large': { weightBytes: 4e9, decodes: false },
  'decoder-300m': { weightBytes: 1.2e9, decodes: true },
  'decoder-1b': { weightBytes: 2.2e9, decodes: true },
  'decoder-8b-4bit': { weightBytes: 5e9, decodes: true },
  'decoder-8b': { weightBytes: 16e9, decodes: true },
  'decoder-70b-4bit': { weightBytes: 40e9, decodes: true },
};
/** Activations, the keys and values of a context, and ONNX Runtime itself, over the weights. */
const ROOM = 1.25;
/** Slower than this nobody waits for. */
const LEAST_TOKENS_PER_SECOND = 3;

/**
 * Which shards a device can serve. Each token takes all weights through its memory once, so the bandwidth bounds the tokens per second from above.
 * @param memoryBytes what models may take of the device's memory
 * @param bytesPerSecond its bandwidth; null: not known, and then decoders aren't promised
 */
export function shardClasses(memoryBytes: number, bytesPerSecond: number | null): ShardClassFit[] {
  return Object.entries(CLASSES).map(([name, { weightBytes, decodes }]) => {
    const fits = memoryBytes >= weightBytes * ROOM;
    const tokensPerSecond = decodes && bytesPerSecond !== null ? bytesPerSecond / weightBytes : null;
    const quick = !decodes || (tokensPerSecond !== null && tokensPerSecond >= LEAST_TOKENS_PER_SECOND);
    return { name: name as ShardClass, serves: fits && quick, tokensPerSecond };
  });
}
