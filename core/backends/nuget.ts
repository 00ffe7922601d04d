import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';

/** NuGet's own feed, from which onnxruntime-node's install script fetches (script/install-metadata.js). */
export const NUGET = 'https://api.nuget.org/v3/index.json';
/** The package that holds the CUDA provider for Linux, and where in it the provider's two libraries lie. */
export const CUDA_PACKAGE = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
export const CUDA_FILES = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'].map((name) => ({
  name,
  path: `runtimes/linux-x64/native/${name}`,
}));

/** One version of a package: where it is, and what its feed publishes of it. */
export interface Package {
  url: URL;
  bytes: number;
  /** Lower-case hex. */
  sha512: string;
}

/** Reads a small JSON document. */
export type ReadJson = (url: URL) => Promise<unknown>;

// https://learn.microsoft.com/en-us/nuget/api/overview: service index, registration leaf, catalog leaf.
const Address = z.url({ protocol: /^https?$/ }).max(2000);
const ServiceIndex = z.looseObject({ resources: z.array(z.looseObject({ '@id': Address, '@type': z.string().max(200) })).max(500) });
const RegistrationLeaf = z.looseObject({ packageContent: Address, catalogEntry: Address });
const CatalogLeaf = z.looseObject({
  id: z.string().max(200),
  version: z.string().max(100),
  packageHash: z.string().max(200),
  packageHashAlgorithm: z.literal('SHA512'),
  packageSize: z.int().min(1),
});

/** Finds a version of a package and its published digest. @throws BACKEND_DOWNLOAD_INVALID where the feed answers something else */
export async function findPackage(feed: URL, id: string, version: string, readJson: ReadJson): Promise<Package> {
  const invalid = (detail: string) => new HearthlendError('BACKEND_DOWNLOAD_INVALID', { host: feed.host, detail });
  const read = async <T>(url: string, schema: z.ZodType<T>, what: string): Promise<T> => {
    const address = new URL(url);
    // A feed on the network may not lead to one that everybody on the way can change.
    if (address.protocol !== feed.protocol) throw invalid(`its ${what} is at ${address.origin}`);
    const parsed = schema.safeParse(await readJson(address));
    if (parsed.success) return parsed.data;
    throw invalid(`its ${what} is none`);
  };
  const { resources } = await read(feed.href, ServiceIndex, 'index');
  // Without a version its documents come as they are; others come compressed whether that was asked for or not.
  const base = resources.find((each) => each['@type'] === 'RegistrationsBaseUrl')?.['@id'];
  if (base === undefined) throw invalid('it lists no packages');
  const leafUrl = new URL(`${id.toLowerCase()}/${version.toLowerCase()}.json`, base.endsWith('/') ? base : `${base}/`);
  const leaf = await read(leafUrl.href, RegistrationLeaf, `entry of ${id} ${version}`);
  const catalog = await read(leaf.catalogEntry, CatalogLeaf, `catalogue entry of ${id} ${version}`);
  if (catalog.id.toLowerCase() !== id.toLowerCase() || catalog.version !== version)
    throw invalid(`it gives ${catalog.id} ${catalog.version}`);
  const digest = Buffer.from(catalog.packageHash, 'base64');
  if (digest.length !== 64) throw invalid('its digest is none');
  const url = new URL(leaf.packageContent);
  if (url.protocol !== feed.protocol) throw invalid(`its package is at ${url.origin}`);
  return { url, bytes: catalog.packageSize, sha512: digest.toString('hex') };
}
