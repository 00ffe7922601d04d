import { HearthlendError } from '../../contract/errors.ts';
import type { ModelOrigin } from '../../contract/models.ts';

/** What a file must be, as far as its source says it. */
export interface ListedFile {
  path: string;
  bytes: number | null;
  /** SHA-256 of the bytes, or git's SHA-1 of them as a blob. */
  digest: { type: 'sha256' | 'git-sha1'; hex: string } | null;
}

/** A file that was brought, every byte of it hashed. */
export interface BroughtFile {
  path: string;
  bytes: number;
  digest: string;
}

/** A source of a model, looked at. */
export interface Listing {
  origin: ModelOrigin;
  /** How people name the source, without a file. */
  name: string;
  licence: string | null;
  /** Whether it comes from others, whose licence has to be known. */
  needsLicence: boolean;
  files: ListedFile[];
  find(path: string): ListedFile | undefined;
  /**
   * Brings a file to `to.part`, going on from what is there already, and no more than `to.limitBytes` of it.
   * @param onBytes told how many bytes of it are here so far
   */
  bring(file: ListedFile, to: { part: string; limitBytes: number }, onBytes: (bytes: number) => void): Promise<BroughtFile>;
}

/** Files that say how a graph is to be used, by the names that transformers and ONNX Runtime GenAI give them, and what may be done with it. */
const COMPANIONS = [
  'config.json',
  'generation_config.json',
  'genai_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'modules.json',
  '1_Pooling/config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'quantize_config.json',
  'LICENSE',
  'LICENSE.txt',
  'LICENSE.md',
  'NOTICE',
];

/** The one graph meant. @throws MODEL_FILE_UNCLEAR with those there are */
export function chooseGraph(listing: Pick<Listing, 'name' | 'files'>, wanted: string | null): ListedFile {
  const graphs = listing.files.filter(({ path }) => path.toLowerCase().endsWith('.onnx'));
  const unclear = (found: 'none' | 'unknown' | 'several') => {
    const files =
      found === 'none'
        ? ''
        : `: ${graphs
            .slice(0, 40)
            .map(({ path }) => path)
            .join(', ')}`;
    return new HearthlendError('MODEL_FILE_UNCLEAR', {
      model: listing.name,
      found: graphs.length === 0 ? 'none' : found,
      file: wanted ?? '',
      files,
    });
  };
  const [first] = graphs;
  if (first === undefined) throw unclear('none');
  if (wanted === null) {
    if (graphs.length > 1) throw unclear('several');
    return first;
  }
  const chosen = graphs.find(({ path }) => path === wanted);
  if (chosen === undefined) throw unclear('unknown');
  return chosen;
}

/** What goes with a graph: each companion beside it, else at the top. */
export function companionsOf(listing: Pick<Listing, 'files'>, entry: string): ListedFile[] {
  const byPath = new Map(listing.files.map((file) => [file.path, file]));
  return COMPANIONS.flatMap((name) => byPath.get(beside(entry, name)) ?? byPath.get(name) ?? []);
}

/** Files that by their names are a graph's external data: `model.onnx_data`, `model.onnx.data`, `model.onnx_data_1`… The graph itself knows. */
export function likelyData(listing: Pick<Listing, 'files'>, entry: string): ListedFile[] {
  return listing.files.filter(({ path }) => path.startsWith(entry) && /^[._]data([._-]?\d+)?$/.test(path.slice(entry.length)));
}

/** A name in the folder of `entry`. */
export function beside(entry: string, name: string): string {
  return entry.slice(0, entry.lastIndexOf('/') + 1) + name;
}
