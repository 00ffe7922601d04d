import { HearthlendError } from '../../contract/errors.ts';

/**
 * Hosts that the hub keeps its files on. Source: lfsDomains and cdnDomains of https://huggingface.co/.well-known/meta.json, with the older names
 * that links in use still lead to. Whole names, never endings: an ending takes in names that somebody else holds.
 */
const HUB_STORES: ReadonlySet<string> = new Set([
  'huggingface.co',
  'aws.cdn.hf.co',
  'us.aws.cdn.hf.co',
  'us-east-1.aws.cdn.hf.co',
  'us-west-2.aws.cdn.hf.co',
  'eu-west-3.aws.cdn.hf.co',
  'ap-southeast-1.aws.cdn.hf.co',
  'us.gcp.cdn.hf.co',
  'us-east1.us.gcp.cdn.hf.co',
  'us-central1.us.gcp.cdn.hf.co',
  'us-west4.us.gcp.cdn.hf.co',
  'europe-west4.us.gcp.cdn.hf.co',
  'asia-southeast1.us.gcp.cdn.hf.co',
  'cdn-lfs.hf.co',
  'cdn-lfs-us-1.hf.co',
  'cdn-lfs-eu-1.hf.co',
  'cdn-lfs.huggingface.co',
  'cdn-lfs-us-1.huggingface.co',
  'transfer.xethub.hf.co',
  'transfer.xethub-eu.hf.co',
  'cas-bridge.xethub.hf.co',
]);

/** Where files of a release page lie. Source: the redirects of github.com/…/releases/download. */
const GITHUB_STORES: ReadonlySet<string> = new Set(['release-assets.githubusercontent.com', 'objects.githubusercontent.com']);

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * Whether a redirect may be followed: on the host that was asked, or to one that is known to keep its files. Always over https with the usual
 * port, but for what is on this machine and stays on it.
 * @param first the address that was asked for in the beginning; `hub`: whether it belongs to a model hub
 */
export function mayFollow(first: URL, to: URL, hub: boolean): boolean {
  if (to.username !== '' || to.password !== '') return false;
  if (isLoopback(first.hostname)) return (to.protocol === 'http:' || to.protocol === 'https:') && isLoopback(to.hostname);
  if (to.protocol !== 'https:') return false;
  if (to.origin === first.origin) return true;
  if (to.port !== '') return false;
  return (hub && HUB_STORES.has(to.hostname)) || (first.hostname === 'github.com' && GITHUB_STORES.has(to.hostname));
}

/** A hub's address as HF_ENDPOINT gives it. @throws MODEL_SOURCE_INVALID */
export function hubEndpoint(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const fine =
    url !== null &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) &&
    `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!fine) throw new HearthlendError('MODEL_SOURCE_INVALID', { source: endpoint, detail: 'HF_ENDPOINT must be an https address' });
  return url;
}
