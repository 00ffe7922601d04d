import { isAbsolute } from 'node:path';
import { HearthlendError } from '../../contract/errors.ts';
import { isLoopback } from './hosts.ts';

/** What somebody wrote to name a model's source, or a model that came from there. */
export type Source =
  | { type: 'hub'; repository: string; revision: string | null; file: string | null }
  | { type: 'url'; url: URL; sha256: string | null }
  | { type: 'path'; path: string };

/** Names of owners and models on the hub. Source: validate_repo_id in huggingface/huggingface_hub. */
const HUB = /^hf:([A-Za-z0-9][\w.-]{0,95}\/[\w.-]{1,96})(?:@([^@#\s]{1,200}))?(?:#([^#]{1,512}))?$/;

/**
 * Reads `hf:OWNER/NAME[@REV][#FILE]`, `https://…[#sha256=HEX]`, or an absolute path.
 * @throws MODEL_SOURCE_INVALID
 */
export function parseSource(source: string): Source {
  const invalid = (detail: string) => new HearthlendError('MODEL_SOURCE_INVALID', { source, detail });
  if (source.startsWith('hf:')) {
    const match = HUB.exec(source);
    if (match === null || /\.\.|--|\.git$/.test(match[1] ?? ''))
      throw invalid('after hf: comes OWNER/NAME, and @REVISION where one is wanted');
    return { type: 'hub', repository: match[1] as string, revision: match[2] ?? null, file: match[3] ?? null };
  }
  if (/^https?:\/\//i.test(source)) return urlSource(source, invalid);
  if (isAbsolute(source)) return { type: 'path', path: source };
  throw invalid('it is neither hf:OWNER/NAME, nor an https address, nor a path');
}

function urlSource(source: string, invalid: (detail: string) => HearthlendError): Source {
  const url = URL.parse(source);
  if (url === null) throw invalid('it is no address');
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) throw invalid('only https is fetched from other machines');
  if (url.username !== '' || url.password !== '') throw invalid('an address must hold no password');
  const pinned = /^#sha256=([0-9a-f]{64})$/.exec(url.hash);
  if (url.hash !== '' && pinned === null) throw invalid('after # only sha256=… may come');
  url.hash = '';
  return { type: 'url', url, sha256: pinned?.[1] ?? null };
}
