import { basename, join } from 'node:path';
import { HearthlendError } from './contract/errors.ts';
import type { DescribedModel } from './contract/jobs.ts';
import type { AddedModel } from './contract/models.ts';
import type { Embedding, Generating, OpenedModel, ServedModels } from './contract/serving.ts';
import { readDecoder } from './models/decoder.ts';
import { findDecoder } from './models/decoder-folder.ts';
import { describeModel, describeStored } from './models/describe.ts';
import { modelDigest } from './models/digest.ts';
import { embeddingOf } from './models/embedding.ts';
import { findAdded } from './models/find.ts';
import type { ModelStore } from './models/store.ts';
import { ownLimits } from './prompt-model.ts';
import { stagesBeside } from './stages-beside.ts';
import { loadChatTemplate } from './text/chat-template.ts';
import { loadEncoder } from './text/encoder.ts';
import { type ModelFolder, readJson } from './text/files.ts';
import { createTextStream } from './text/stream.ts';
import { loadTokenizer } from './text/tokenizer.ts';

/** Models of which the words stay in memory: a large vocabulary takes half a second to be read. */
const KEPT_MODELS = 4;

interface ServingParts {
  store: ModelStore;
  /** Folder of the practice model. */
  practiceModel: string;
  /** ms since 1970: when the practice model came, as far as anybody asks. */
  startedAt: number;
}

interface ReadModel {
  generating(): Promise<Generating>;
  embedding(): Promise<Embedding>;
}

/** The practice model, and every model that the owner added, as requests over HTTP may name them. */
export function createServedModels({ store, practiceModel, startedAt }: ServingParts): ServedModels {
  const practiceId = basename(practiceModel);
  const read = new Map<string, ReadModel>();
  let practice: Promise<DescribedModel> | undefined;

  /** What was read of a model with this digest stays for the next request. */
  function readOnce(digest: string, folder: ModelFolder, described: DescribedModel): ReadModel {
    const known = read.get(digest) ?? readModel(folder, described);
    read.delete(digest);
    read.set(digest, known);
    for (const oldest of [...read.keys()].slice(0, -KEPT_MODELS)) read.delete(oldest);
    return known;
  }

  async function openPractice(): Promise<OpenedModel> {
    practice ??= describeModel(join(practiceModel, 'onnx/model.onnx'));
    practice.catch(() => {
      practice = undefined;
    });
    const described = await practice;
    const { generating, embedding } = readOnce(modelDigest(described.manifest), practiceModel, described);
    return { ...described, limits: ownLimits(), generating, embedding, release: () => undefined };
  }

  return {
    list() {
      const added = store.owned.added();
      return [
        { id: practiceId, addedAt: startedAt },
        ...added.map((model) => ({ id: servedId(model, added, practiceId), addedAt: model.addedAt })),
      ];
    },
    async open(id) {
      if (id === practiceId) return openPractice();
      const added = store.owned.added();
      const { digest, name } = added.find((model) => servedId(model, added, practiceId) === id) ?? findAdded(added, id);
      const stored = await store.ensure({ digest, bytes: 0 }, async () => {
        throw new HearthlendError('MODEL_DATA_MISSING', { path: name });
      });
      try {
        const described = await describeStored(stored.manifest, stored.files);
        const { generating, embedding } = readOnce(digest, companions(stored.manifest.entry, stored.files), described);
        return { ...described, limits: ownLimits(), generating, embedding, release: () => stored.release() };
      } catch (thrown) {
        stored.release();
        throw thrown;
      }
    },
  };
}

/** Models that lie on this machine as files, each called as its folder is, and served in stages where those lie beside it. */
export function createFolderModels(paths: readonly string[], startedAt: number): ServedModels {
  const byId = new Map(paths.map((path) => [basename(path).replace(/\.onnx$/, ''), path]));
  const opened = new Map<string, Promise<Omit<OpenedModel, 'release'>>>();

  async function openFolder(path: string): Promise<Omit<OpenedModel, 'release'>> {
    const { modelPath, folder } = await findDecoder(path);
    const described = await describeModel(modelPath);
    const split = await stagesBeside(folder, described);
    return { ...described, limits: ownLimits(), ...(split === null ? {} : { split }), ...readModel(folder, described) };
  }

  return {
    list: () => [...byId.keys()].map((id) => ({ id, addedAt: startedAt })),
    async open(id) {
      const path = byId.get(id);
      if (path === undefined) throw new HearthlendError('MODEL_UNKNOWN', { model: id });
      const known = opened.get(id) ?? openFolder(path);
      opened.set(id, known);
      known.catch(() => opened.delete(id));
      return { ...(await known), release: () => undefined };
    },
  };
}

function readModel(folder: ModelFolder, described: DescribedModel): ReadModel {
  const once = <T>(make: () => Promise<T>) => {
    let made: Promise<T> | undefined;
    return () => {
      made ??= make();
      // A file that could not be read may be there the next time.
      made.catch(() => {
        made = undefined;
      });
      return made;
    };
  };
  return {
    generating: once(async () => {
      const { decoder, stopTokens } = await readDecoder(folder);
      const tokenizer = await loadTokenizer(folder);
      const template = await loadChatTemplate(folder);
      return {
        decoder,
        stopTokens,
        encode: (text) => tokenizer.encode(text),
        encodeChat(messages) {
          if (template === null) throw new HearthlendError('CHAT_TEMPLATE_MISSING');
          return tokenizer.encodeRendered(template(messages));
        },
        knows: (id) => tokenizer.knows(id),
        stream() {
          const stream = createTextStream(tokenizer);
          return (id) => stream.push(id);
        },
      };
    }),
    embedding: once(async () => {
      const pooling = await readJson(folder, '1_Pooling/config.json');
      const facts = embeddingOf(described.outputs, pooling, await readJson(folder, 'modules.json'));
      return { ...facts, ...(await loadEncoder(folder)) };
    }),
  };
}

/** A model's files under the names that go with its graph: what lies beside it counts before what lies above. */
function companions(entry: string, files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const folder = entry.slice(0, entry.lastIndexOf('/') + 1);
  const beside = [...files].flatMap(([path, at]) => (path.startsWith(folder) ? [[path.slice(folder.length), at] as const] : []));
  return new Map([...files, ...beside]);
}

/** What a request calls a model: its repository, its folder or its file; with the first digits of its digest where another has the same. */
function servedId(model: AddedModel, all: readonly AddedModel[], taken: string): string {
  const id = plainId(model);
  const alone = id !== taken && all.every((other) => other.digest === model.digest || plainId(other) !== id);
  return alone ? id : `${id}@${model.digest.slice(0, 8)}`;
}

function plainId({ origin, digest }: AddedModel): string {
  if (origin.type === 'hub') return origin.repository;
  const path = origin.type === 'url' ? (URL.parse(origin.url)?.pathname ?? '') : origin.path;
  return basename(path).replace(/\.onnx$/, '') || digest.slice(0, 8);
}
