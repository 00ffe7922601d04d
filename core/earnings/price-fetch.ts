import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import type { PriceSource } from '../contract/prices.ts';

const MAX_BYTES = 256 * 1024;
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;
/** Digits of a price that are kept behind the point. */
const DIGITS = 18;

type UrlSource = Extract<PriceSource, { kind: 'url' }>;

/**
 * Asks a source for its price: HTTPS alone, without cookies, to the host that the user named and no other, with bounds on time and size.
 * @throws PRICE_SOURCE_FAILED
 */
export async function fetchPrice({ url, path }: UrlSource, fetcher: typeof fetch): Promise<string> {
  const failed = (detail: string, cause?: unknown) =>
    new HearthlendError('PRICE_SOURCE_FAILED', { host: new URL(url).host, detail }, { cause });
  try {
    const response = await request(new URL(url), fetcher, failed);
    return priceIn(JSON.parse(await textOf(response, failed)), path, failed);
  } catch (thrown) {
    if (thrown instanceof HearthlendError) throw thrown;
    const error = asHearthlendError(thrown);
    throw failed(String(error.params.detail ?? error.code), thrown);
  }
}

type Failed = (detail: string, cause?: unknown) => HearthlendError;

async function request(first: URL, fetcher: typeof fetch, failed: Failed): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let url = first;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await fetcher(url.href, { redirect: 'manual', credentials: 'omit', signal, headers: { accept: 'application/json' } });
    if (response.ok) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) throw failed(`it answers ${response.status}`);
    const next = URL.parse(location, url.href);
    if (next === null || next.protocol !== 'https:' || next.host !== first.host) throw failed('it leads to another host');
    url = next;
  }
  throw failed('it leads from address to address');
}

async function textOf(response: Response, failed: Failed): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw failed(`its answer is over ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The number at a path of keys and positions, as decimal text. */
function priceIn(document: unknown, path: string, failed: Failed): string {
  let found = document;
  for (const step of path.split('.')) {
    const own = typeof found === 'object' && found !== null && Object.hasOwn(found, step);
    if (!own) throw failed(`there is nothing at ${path}`);
    found = (found as Record<string, unknown>)[step];
  }
  const price = typeof found === 'number' ? decimalOf(found) : typeof found === 'string' ? found.trim() : '';
  if (!/^(0|[1-9][0-9]{0,17})(\.[0-9]+)?$/.test(price) || Number(price) <= 0) throw failed(`at ${path} is no price`);
  const [whole = '0', fraction = ''] = price.split('.');
  const kept = fraction.slice(0, DIGITS).replace(/0+$/, '');
  return kept === '' ? whole : `${whole}.${kept}`;
}

/** As JSON has it, where it would be written with an exponent: small ones to the last digit that is kept. */
function decimalOf(number: number): string {
  const text = String(number);
  return text.includes('e-') ? number.toFixed(DIGITS) : text;
}
