import { totalmem } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { App } from './app.ts';
import { HearthlendError } from './contract/errors.ts';
import type { DescribedModel } from './contract/jobs.ts';
import type { AddedModel } from './contract/models.ts';
import type { AnyEvent } from './contract/rpc.ts';
import type { Settings } from './contract/settings.ts';
import { addModel, planModel } from './models/adding/add.ts';
import { fitCatalogue, readCatalogue } from './models/catalogue.ts';
import { describeModel, describeStored } from './models/describe.ts';
import { findAdded } from './models/find.ts';
import type { ModelStore } from './models/store.ts';

/** Those who watch are told of a download's progress this often at most. */
const TELL_EVERY_MS = 200;

interface ModelParts {
  store: ModelStore;
  clock: () => number;
  settings: { current: Settings };
  cataloguePath: string;
  emit(event: AnyEvent): void;
  freeDiskBytes(): Promise<number | null>;
}

type ModelCalls = 'model.plan' | 'model.add' | 'model.cancel' | 'model.list' | 'model.show' | 'model.remove' | 'model.catalogue';

/** The owner's models behind the RPC table, and for the jobs that run on them. */
export interface Models {
  handlers: Pick<App['handlers'], ModelCalls>;
  /** Does something with a model that a job names: a file by its path, or one that was added, which stays while it is done. */
  describeFor<T>(model: string, use: (describe: () => Promise<DescribedModel>) => Promise<T>): Promise<T>;
  /** Ends every download; what has come is kept. */
  close(): Promise<void>;
}

export function createModels({ store, clock, settings, cataloguePath, emit, freeDiskBytes }: ModelParts): Models {
  const adding = new Map<string, { abort: AbortController; done: Promise<AddedModel> }>();

  /** Tells of a file's beginning at once and of what follows now and then; the last word before a pause is told as well. */
  function progressOf(source: string) {
    let latest: { file: string; bytes: number; totalBytes: number } | undefined;
    let timer: NodeJS.Timeout | undefined;
    const tell = () => {
      clearTimeout(timer);
      timer = undefined;
      if (latest !== undefined) emit({ event: 'model.progress', data: { source, ...latest } });
    };
    return {
      onProgress(progress: { file: string; bytes: number; totalBytes: number }) {
        const begins = latest?.file !== progress.file;
        latest = progress;
        if (begins) tell();
        else timer ??= setTimeout(tell, TELL_EVERY_MS);
      },
      end() {
        if (timer !== undefined) tell();
      },
    };
  }

  return {
    handlers: {
      'model.plan': ({ source, file, hub }) => planModel({ source, file, hub }, { signal: new AbortController().signal }),
      'model.add': ({ source, file, hub, pin, acceptMissingLicence }) => {
        // Asked for twice at a time, it is one download.
        const key = JSON.stringify([source, file, pin]);
        const under = adding.get(key);
        if (under !== undefined) return under.done;
        const abort = new AbortController();
        const progress = progressOf(source);
        const ports = { store: store.owned, clock, signal: abort.signal, onProgress: progress.onProgress };
        const done = addModel({ source, file, hub, pin, acceptMissingLicence }, ports).finally(() => {
          adding.delete(key);
          progress.end();
        });
        adding.set(key, { abort, done });
        return done;
      },
      async 'model.cancel'({ source }) {
        for (const [key, { abort }] of adding) if ((JSON.parse(key) as [string])[0] === source) abort.abort();
        return {};
      },
      'model.list': async () => store.owned.added(),
      'model.show': async ({ model }) => findAdded(store.owned.added(), model),
      async 'model.remove'({ model }) {
        const found = findAdded(store.owned.added(), model);
        await store.owned.remove(found.digest);
        return found;
      },
      async 'model.catalogue'() {
        const quotaBytes = Math.max(0, settings.current.models.diskBytes - store.usedBytes());
        const freeBytes = await freeDiskBytes();
        const room = {
          diskBytes: freeBytes === null ? quotaBytes : Math.min(quotaBytes, freeBytes),
          memoryBytes: Math.min(settings.current.worker.modelMemoryBytes, totalmem()),
          // The one that the native worker uses so far.
          backends: ['cpu'] as const,
        };
        return fitCatalogue(await readCatalogue(cataloguePath), room);
      },
    },
    async describeFor(model, use) {
      if (isAbsolute(model)) return use(() => describeModel(model));
      const { digest, name } = findAdded(store.owned.added(), model);
      const missing = async () => {
        throw new HearthlendError('MODEL_DATA_MISSING', { path: name });
      };
      const stored = await store.ensure({ digest, bytes: 0 }, missing);
      try {
        return await use(() => describeStored(stored.manifest, stored.files));
      } finally {
        stored.release();
      }
    },
    async close() {
      for (const { abort } of adding.values()) abort.abort();
      await Promise.allSettled([...adding.values()].map(({ done }) => done));
    },
  };
}

/** Where the catalogue lies that is shipped beside the practice model. */
export function cataloguePathIn(practiceModel: string): string {
  return join(practiceModel, '..', 'catalogue.json');
}
