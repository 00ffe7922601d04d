import { appendFileSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PriceSettings } from '../../../core/contract/prices.ts';
import { openPrices } from '../../../core/earnings/prices.ts';

const ASSET = 'eip155:1612/slip44:60';
const HOUR_MS = 3_600_000;
const NOW = 20_000 * 24 * HOUR_MS;

/** A price source that answers what it is told, and what it was asked. */
function scene(answer: (url: URL) => Response | Promise<Response>, source: Record<string, unknown> = {}) {
  const path = join(mkdtempSync(join(tmpdir(), 'prices-')), 'prices.jsonl');
  const asked: Array<{ url: string; redirect: string | undefined; credentials: string | undefined }> = [];
  const state = {
    now: NOW,
    settings: PriceSettings.parse([
      { asset: ASSET, currency: 'EUR', source: { kind: 'url', url: 'https://prices.example/v1?x=1', path: 'data.0.price', ...source } },
    ]),
  };
  const errors: string[] = [];
  const fetcher = (async (url: string, init?: RequestInit) => {
    asked.push({ url, redirect: init?.redirect, credentials: init?.credentials });
    return answer(new URL(url));
  }) as typeof fetch;
  const open = () =>
    openPrices({
      path,
      settings: () => state.settings,
      clock: () => state.now,
      fetcher,
      onError: (_, code, detail) => errors.push(`${code} ${detail}`),
    });
  return { path, asked, state, errors, open };
}
const json = (document: unknown) => new Response(JSON.stringify(document));

test('a price is had from where the user said, with its date and its source, and survives a restart; asked again only when it is due', async () => {
  let price: unknown = 1.25;
  const { path, asked, state, open } = scene(() => json({ data: [{ price }] }));
  const prices = open();
  expect(prices.latest(ASSET)).toBeNull();
  await Promise.all([prices.refresh(false), prices.refresh(false)]);
  expect(asked).toEqual([{ url: 'https://prices.example/v1?x=1', redirect: 'manual', credentials: 'omit' }]);
  expect(prices.latest(ASSET)).toEqual({ price: '1.25', currency: 'EUR', at: NOW, source: 'prices.example' });
  price = '0.000000125';
  state.now += HOUR_MS;
  await prices.refresh(false);
  expect(prices.latest(ASSET)?.price).toBe('0.000000125');
  price = 1.5e-7;
  await prices.refresh(true);
  expect(prices.latest(ASSET)?.price).toBe('0.00000015');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  // A power cut left half a line.
  appendFileSync(path, '{"asset":');
  const again = open();
  expect(again.latest(ASSET)?.price).toBe('0.00000015');
  await again.refresh(false);
  expect(asked).toHaveLength(3);
  // What held at a time is the last one before it, as long as it is near.
  expect(again.at(ASSET, NOW + 1)?.price).toBe('1.25');
  expect(again.at(ASSET, NOW - 1)).toBeNull();
  expect(again.at(ASSET, NOW + 40 * HOUR_MS)).toBeNull();
});

test('who fails keeps the last price with its date; other hosts, other schemes, long answers and what is no price are refused', async () => {
  let answer: () => Response = () => json({ data: [{ price: 2 }] });
  const { path, asked, errors, open, state } = scene(() => answer());
  const prices = open();
  await prices.refresh(true);
  const redirect = (location: string) => () => new Response(null, { status: 302, headers: { location } });
  const bad: [() => Response, RegExp][] = [
    [() => new Response('', { status: 503 }), /503/],
    [redirect('https://elsewhere.example/'), /another host/],
    [redirect('http://prices.example/'), /another host/],
    [redirect('https://prices.example/again'), /address to address/],
    [() => new Response('x'.repeat(300_000)), /over 262144 bytes/],
    [() => new Response('{'), /JSON/],
    [() => json({ data: [] }), /nothing at data.0.price/],
    [() => json({ data: [{ price: -1 }] }), /no price/],
    [() => json({ data: [{ price: 0 }] }), /no price/],
    [() => json({ data: [{ price: 'NaN' }] }), /no price/],
    [
      () => {
        throw new TypeError('fetch failed');
      },
      /fetch failed/,
    ],
  ];
  for (const [each, expected] of bad) {
    answer = each;
    state.now += HOUR_MS;
    await prices.refresh(true);
    expect(errors.at(-1)).toMatch(expected);
    expect(prices.status()[0]).toMatchObject({ latest: { price: '2', at: NOW }, problem: { key: 'PRICE_SOURCE_FAILED' } });
  }
  expect(errors).toHaveLength(bad.length);
  expect(asked.every(({ url }) => url.startsWith('https://prices.example/'))).toBe(true);
  expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(1);
  answer = () => json({ data: [{ price: 3 }] });
  await prices.refresh(true);
  expect(prices.status()[0]).toMatchObject({ latest: { price: '3' }, problem: null });
});

test("without a source nobody is asked; the user's own word holds with its date; a source that was changed has no price yet", async () => {
  const { asked, state, open } = scene(() => json({ data: [{ price: 2 }] }));
  const { settings } = state;
  state.settings = [];
  const prices = open();
  await prices.refresh(true);
  expect([asked, prices.latest(ASSET), prices.status()]).toEqual([[], null, []]);
  state.settings = [{ asset: ASSET, currency: 'USD', source: { kind: 'manual', price: '0.5', at: 7 } }];
  await prices.refresh(true);
  expect(asked).toEqual([]);
  expect(prices.latest(ASSET)).toEqual({ price: '0.5', currency: 'USD', at: 7, source: 'manual' });
  expect(prices.at(ASSET, 99)).toEqual(prices.latest(ASSET));
  state.settings = settings;
  await prices.refresh(true);
  expect(prices.latest(ASSET)?.price).toBe('2');
  state.settings = settings.map((set) => ({ ...set, currency: 'USD' }));
  expect(prices.latest(ASSET)).toBeNull();
});

test('sources are https alone, and each asset has one', () => {
  const set = (source: unknown) => ({ asset: ASSET, currency: 'EUR', source });
  const manual = set({ kind: 'manual', price: '1', at: 0 });
  expect(PriceSettings.safeParse([manual]).success).toBe(true);
  expect(PriceSettings.safeParse([manual, manual]).success).toBe(false);
  for (const url of ['http://prices.example/', 'file:///etc/passwd', 'data:application/json,1']) {
    expect(PriceSettings.safeParse([set({ kind: 'url', url, path: 'a' })]).success).toBe(false);
  }
  for (const price of ['-1', '1e5', '', '1.', 'NaN'])
    expect(PriceSettings.safeParse([set({ kind: 'manual', price, at: 0 })]).success).toBe(false);
});
