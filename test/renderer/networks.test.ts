import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import { formatJoinLink, type NetworkTerms } from '../../core/contract/joining.ts';
import { NetworkChoices, type NetworkRow } from '../../core/contract/networks.ts';
import { practising } from '../fakes/snapshots.ts';
import { closePage, launchBrowser, type Opened, openPage, type View } from './open-page.ts';

const LINK = formatJoinLink({ at: '192.0.2.7:7422', secret: 's'.repeat(43), fingerprint: 'ab'.repeat(32) });
const ASSET = 'eip155:1612/slip44:60';
const TERMS: NetworkTerms = {
  id: 'studio',
  operator: 'Night Studio',
  contact: 'night@example.org',
  rules: 'Be kind.',
  coordinator: `0x${'1'.repeat(40)}`,
  asset: ASSET,
  symbol: 'OPEN',
  decimals: 18,
  prices: [{ unit: 'token', perUnit: '2500000000000000', note: 'on any model' }],
  categories: [
    { id: 'images', title: 'Pictures' },
    { id: 'code', title: 'Program code' },
  ],
  isolation: ['os'],
  holdBackMs: 86_400_000,
  settlement: { chainId: 1612, contract: `0x${'2'.repeat(40)}`, payer: `0x${'3'.repeat(40)}`, epochMs: 60_000 },
};
const row = (change: Partial<NetworkRow> = {}): NetworkRow => ({
  id: 'studio',
  terms: TERMS,
  choices: NetworkChoices.parse({}),
  joinedAt: 1,
  connection: { state: 'connected', reason: null },
  noWork: null,
  took: null,
  asset: ASSET,
  symbol: 'OPEN',
  decimals: 18,
  earnings: { expected: '1000000000000000000', accepted: '2500000000000000000', promised: '0', paid: '0', acceptedShards: 12 },
  ...change,
});

let browser: Browser;
let opened: Opened;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  expect(await closePage(opened)).toEqual([]);
});

async function openNetworks(networks: NetworkRow[], view: View = {}): Promise<void> {
  opened = await openPage(browser, practising(), view);
  opened.agent.networks = networks;
  await opened.page.getByRole('link', { name: 'Networks' }).click();
  await opened.page.locator('.networks').waitFor();
}

test('an invitation leads to the terms, and joining says what the user refuses', async () => {
  await openNetworks([]);
  const { page, agent } = opened;
  agent.overrides['network.preview'] = async () => ({
    at: '192.0.2.7:7422',
    fingerprint: 'ab'.repeat(32),
    terms: TERMS,
    joined: false,
    owedUnpromised: '5000000000000000000',
  });
  agent.overrides['network.join'] = async () => {
    agent.networks = [row({ choices: NetworkChoices.parse({ refusedCategories: ['code'] }) })];
    return agent.networks[0] as NetworkRow;
  };
  await page.getByRole('heading', { name: 'You work for no network yet' }).waitFor();
  await page.getByRole('button', { name: 'Show its terms' }).click();
  await page.getByRole('alert').getByText('Paste an invitation first').waitFor();
  await page.getByLabel('Invitation').fill(LINK);
  await page.keyboard.press('Enter');
  await page.getByText('0.0025 OPEN a token · on any model').waitFor();
  await page.getByText('On chain 1612').waitFor();
  await page.getByText(/24 h.* after a task is accepted/).waitFor();
  await page.getByLabel('Program code').uncheck();
  await page.getByText('It comes to owe this PC about 5 OPEN').waitFor();
  await page.getByLabel('Owed and unpaid at most (OPEN)').fill('7.5');
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.getByRole('heading', { name: 'You are in one network' }).waitFor();
  expect(agent.calls.filter(({ name }) => name === 'network.join').map(({ input }) => input)).toEqual([
    { link: LINK, coordinator: TERMS.coordinator, choices: { refusedCategories: ['code'], creditLimit: '7500000000000000000' } },
  ]);
});

test('what is wrong with an invitation is said where it was pasted', async () => {
  await openNetworks([]);
  const { page, agent } = opened;
  agent.overrides['network.preview'] = () => Promise.reject(new HearthlendError('INVITE_FINGERPRINT_WRONG', { at: '192.0.2.7:7422' }));
  await page.getByLabel('Invitation').fill(LINK);
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('not who the invitation is from').waitFor();
  expect(await page.getByRole('button', { name: 'Join', exact: true }).count()).toBe(0);
});

test('an invitation that was followed stands in its field, is gone from the address, and nobody was asked yet', async () => {
  await openNetworks([row()]);
  const { page, agent } = opened;
  await page.evaluate((link) => {
    location.hash = `#/networks?link=${encodeURIComponent(link)}`;
  }, LINK);
  await page.waitForFunction(() => location.hash === '#/networks');
  await expect.poll(() => page.getByLabel('Invitation').inputValue()).toBe(LINK);
  expect(agent.calls.some(({ name }) => name === 'network.preview')).toBe(false);
});

test('each network tells its four numbers, why it has no work and why it was taken, and follows what the agent tells', async () => {
  await openNetworks([
    row({
      noWork: { key: 'no-work.queue-empty', params: {} },
      took: { key: 'network.took.net', params: { net: '0.4', currency: 'EUR', others: 1 } },
    }),
  ]);
  const { page, agent } = opened;
  const card = page.getByRole('region', { name: 'Night Studio' });
  await card.getByText('No task just now: No job is waiting.').waitFor();
  await card.getByText('It brings about 0.4 EUR an hour after electricity, more than the others.').waitFor();
  expect(await card.locator('.four .value').allTextContents()).toEqual(['≈ 1.00', '2.50', '0.00', '0.00']);
  const reason = { key: 'NETWORK_REVOKED' as const, params: {} };
  agent.send({ event: 'network.changed', data: [row({ connection: { state: 'refused', reason } })] });
  await card.getByText('Lets this PC in no more').waitFor();
  await page.getByText('Something is wrong with studio').waitFor();
});

test('choices are kept as exact amounts; what is no amount is refused; leaving is asked about once more', async () => {
  await openNetworks([row()], { width: 420 });
  const { page, agent } = opened;
  agent.overrides['network.set'] = async () => row();
  agent.overrides['network.leave'] = async () => {
    agent.networks = [];
    return {};
  };
  await page.getByText('What you decided').click();
  await page.getByLabel('Least for a token (OPEN)').fill('0.0000000000000000001');
  await page.getByRole('button', { name: 'Keep these' }).click();
  await page.getByRole('alert').getByText('at most 18 decimals').waitFor();
  await page.getByLabel('Least for a token (OPEN)').fill('0.0025');
  await page.getByLabel('What one OPEN is worth to you').fill('0.35');
  await page.getByLabel('Pictures').uncheck();
  await page.getByLabel('I trust this network').check();
  await page.getByRole('button', { name: 'Keep these' }).click();
  await expect
    .poll(() => agent.calls.find(({ name }) => name === 'network.set')?.input)
    .toEqual({
      network: 'studio',
      choices: {
        ...{ refusedCategories: ['images'], isolation: ['os', 'chromium'], trusted: true, worth: 0.35 },
        ...{ floorPerToken: '2500000000000000', floorPerRun: null, creditLimit: null },
      },
    });
  await page.getByRole('button', { name: 'Leave …' }).click();
  await page.getByRole('button', { name: 'Stay' }).click();
  expect(agent.calls.some(({ name }) => name === 'network.leave')).toBe(false);
  await page.getByRole('button', { name: 'Leave …' }).click();
  await page.getByRole('button', { name: 'Leave it' }).click();
  await page.getByRole('heading', { name: 'You work for no network yet' }).waitFor();
});

test('what is nearby is looked for when somebody asks, and is no invitation', async () => {
  await openNetworks([]);
  const { page, agent } = opened;
  agent.overrides['network.nearby'] = async () => [
    { id: 'studio', operator: 'Night Studio', at: '192.0.2.7:7422', fingerprint: 'ab'.repeat(32) },
  ];
  await page.getByRole('button', { name: 'Look around' }).click();
  await page.getByText('studio · 192.0.2.7:7422').waitFor();
});
