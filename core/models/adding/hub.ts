import { z } from 'zod';
import { HearthlendError } from '../../contract/errors.ts';
import { ModelPath } from '../../contract/model.ts';
import type { HubAccess } from '../../contract/models.ts';
import { isPage, refusal } from './answer.ts';
import { download } from './download.ts';
import { hubEndpoint } from './hosts.ts';
import type { ListedFile, Listing } from './listing.ts';
import { ask, type Net, type Pace, paced, unreachable } from './request.ts';
import type { Source } from './source.ts';

const MAX_LISTING_BYTES = 16 << 20;
const MAX_FILES = 100_000;
const Hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const Size = z.int().min(0);

/**
 * What we read of a model's description. Source: GET /api/models/{repository}/revision/{revision}?blobs=true as ModelInfo and RepoSibling in
 * huggingface/huggingface_hub read it. `blobId` is git's SHA-1: of the file, or of the pointer that stands for an LFS file.
 */
const Description = z.object({
  sha: Hex(40),
  cardData: z.object({ license: z.union([z.string(), z.array(z.string())]).nullish(), license_name: z.string().nullish() }).nullish(),
  tags: z.array(z.string()).nullish(),
  siblings: z
    .array(
      z.object({
        rfilename: z.string().min(1).max(4096),
        size: Size.nullish(),
        blobId: Hex(40).nullish(),
        lfs: z.object({ sha256: Hex(64), size: Size }).nullish(),
      }),
    )
    .max(MAX_FILES),
});
type Description = z.infer<typeof Description>;

/**
 * Looks a model up on the hub, at a revision that may be another than the one asked for: the commit that it was at. Its revision is resolved to a commit once, and every file comes from that commit.
 * @throws MODEL_SOURCE_INVALID, MODEL_PATH_UNSAFE, HUB_*, DOWNLOAD_STALLED, CANCELLED
 */
export async function listHub(
  source: Extract<Source, { type: 'hub' }>,
  revision: string | null,
  access: HubAccess,
  reach: { pace: Pace; signal: AbortSignal },
): Promise<Listing> {
  const endpoint = hubEndpoint(access.endpoint);
  const { repository } = source;
  const { host, origin } = endpoint;
  const base = endpoint.href.replace(/\/+$/, '');
  const net: Net = { ...reach, proxy: access.proxy, token: access.token === null ? null : { origin, value: access.token }, hub: true };
  const name = `hf:${repository}`;

  const what = revision === null ? `model ${repository}` : `model ${repository} at ${revision}`;
  const address = new URL(`${base}/api/models/${repository}/revision/${encodeURIComponent(revision ?? 'main')}?blobs=true`);
  const answer = await ask(address, { accept: 'application/json' }, net);
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw refusal(answer, { host, model: repository, what });
  }
  const invalid = (detail: string) => new HearthlendError('HUB_ANSWER_INVALID', { host, detail });
  if (isPage(answer)) {
    answer.destroy();
    throw invalid('in place of the list of files came a web page');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of paced(answer, 'the list of files', host, { ...net.pace, leastBytes: 1 })) {
      bytes += chunk.byteLength;
      if (bytes > MAX_LISTING_BYTES) throw invalid('its list of files is longer than 16 MiB');
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof HearthlendError ? cause : unreachable(address, cause as Error, net);
  }
  const description = readDescription(Buffer.concat(chunks), invalid);
  const commit = description.sha;
  if (revision !== null && /^[0-9a-f]{40}$/.test(revision) && revision !== commit)
    throw invalid(`it was asked for ${revision} and gave ${commit}`);

  const files = listedFiles(description, invalid);
  const byPath = new Map(files.map((file) => [file.path, file]));
  return {
    origin: { type: 'hub', endpoint: base, repository, requested: source.revision, revision: commit },
    name,
    licence: licenceOf(description),
    needsLicence: true,
    files,
    find: (path) => byPath.get(path),
    bring(file, to, onBytes) {
      const path = file.path.split('/').map(encodeURIComponent).join('/');
      const from = new URL(`${base}/${repository}/resolve/${commit}/${path}`);
      return download(file, from, to, net, { host, model: repository, what: file.path }, onBytes);
    },
  };
}

function readDescription(bytes: Buffer, invalid: (detail: string) => HearthlendError): Description {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('its list of files is not JSON');
  }
  const parsed = Description.safeParse(json);
  if (!parsed.success) throw invalid(`its list of files has a malformed ${parsed.error.issues[0]?.path.join('.')}`);
  return parsed.data;
}

/** @throws MODEL_PATH_UNSAFE for a file outside the model's folder. Names that merely can't travel are left out: such a file can't be chosen. */
function listedFiles({ siblings }: Description, invalid: (detail: string) => HearthlendError): ListedFile[] {
  return siblings.flatMap(({ rfilename: path, size, blobId, lfs }): ListedFile[] => {
    if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.?([/\\]|$)/.test(path)) throw new HearthlendError('MODEL_PATH_UNSAFE', { path });
    if (!ModelPath.safeParse(path).success) return [];
    if (lfs != null) {
      if (size != null && size !== lfs.size) throw invalid(`it gives ${path} two sizes, ${size} and ${lfs.size} bytes`);
      return [{ path, bytes: lfs.size, digest: { type: 'sha256', hex: lfs.sha256 } }];
    }
    if (size == null || blobId == null) throw invalid(`it gives ${path} no size or no digest`);
    return [{ path, bytes: size, digest: { type: 'git-sha1', hex: blobId } }];
  });
}

/** The licence that the model's card states, else the one that its tags do. */
function licenceOf({ cardData, tags }: Description): string | null {
  const stated = [cardData?.license ?? []].flat();
  const named = stated.map((licence) => (licence === 'other' && cardData?.license_name ? cardData.license_name : licence));
  const tagged = (tags ?? []).flatMap((tag) => (tag.startsWith('license:') ? tag.slice('license:'.length) : []));
  const licence = (named.length > 0 ? named : tagged).filter((each) => each !== '' && each !== 'unknown').join(', ');
  return licence === '' ? null : licence.slice(0, 200);
}
