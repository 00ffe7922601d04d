import type { Bundle } from '../../core/loopback/bundle.ts';
import { contentSecurityPolicy } from '../../core/loopback/content-policy.ts';
import { isOurPage } from './address.ts';

export interface PageAnswer {
  status: 200 | 403 | 404 | 405;
  headers: Record<string, string>;
  body: Uint8Array | null;
}

/** The page connects to nothing: it speaks through the preload alone. */
const HEADERS = {
  'Content-Security-Policy': contentSecurityPolicy([]),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Answers a request on our scheme from the built pages, which are looked up by their exact path. */
export function answerPage(bundle: Bundle, { method, url }: { method: string; url: string }): PageAnswer {
  const refuse = (status: 403 | 404 | 405): PageAnswer => ({ status, headers: { ...HEADERS, 'Cache-Control': 'no-store' }, body: null });
  if (!isOurPage(url)) return refuse(403);
  if (method !== 'GET' && method !== 'HEAD') return refuse(405);
  const file = bundle.get(new URL(url).pathname);
  if (file === undefined) return refuse(404);
  const headers = { ...HEADERS, 'Cache-Control': file.cacheControl, 'Content-Type': file.type };
  return { status: 200, headers, body: method === 'HEAD' ? null : file.body };
}
