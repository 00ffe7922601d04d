import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decryptKeystoreJson, encryptKeystoreJsonSync, HDNodeWallet, Wallet } from 'ethers';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectToAgent } from '../../cli/agent/connect.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import { noAnvil, startChain } from '../anvil.ts';
import { launchBrowser } from '../renderer/open-page.ts';
import { secretsInMemory } from './memory.ts';
import { allFiles, descendants, type Ended, hearthlend, NODE, PROGRAM, run, temporaryFolder } from './program.ts';

const PASSWORD = 'thistle under copper roofs';
const OTHER = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
/** Another user's memory can't be read, and Windows and macOS have no /proc. */
const memoryReadable = process.platform === 'linux' && process.getuid?.() === 0;

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

/** A command with lines for its stdin, as scripts give them. */
async function withStdin(dataDir: string, lines: string[], ...argv: string[]): Promise<Ended> {
  const child = spawn(NODE, [PROGRAM, ...argv, '--data-dir', dataDir], { stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdin.end(`${lines.join('\n')}\n`);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (...ended) => resolve(ended));
  });
  return { code, signal, stdout, stderr };
}

/** A data folder whose agent doesn't practise, which takes a core for as long as a test lasts. */
function idleFolder(): string {
  const dataDir = temporaryFolder('wallet');
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ practice: { shardsPerDay: 0, minutesPerDay: 10 } }), { mode: 0o600 });
  return dataDir;
}

async function openPage(dataDir: string): Promise<Page> {
  const { last } = await run(dataDir, 'open');
  const page = await (await browser.newContext({ reducedMotion: 'reduce' })).newPage();
  await page.goto(String(last.url));
  await page.getByRole('link', { name: /Wallet/ }).click();
  return page;
}

describe('the wallet of the running program', () => {
  it('is made, confirmed, locked and unlocked on the page, signs and sends at the terminal, and the agent never has password, words or key', async () => {
    const dataDir = temporaryFolder('wallet');
    const chain = noAnvil === null ? await startChain() : null;
    const here = { chainId: 31_337, name: 'Here', explorer: null, symbol: 'ETH', confirmations: 1, tokens: [], escrow: null, test: true };
    const chains = chain === null ? [] : [{ ...here, rpc: [chain.url] }];
    writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ chains }), { mode: 0o600 });
    const agent = hearthlend(dataDir, 'start', '--headless');
    await agent.event('started');
    const page = await openPage(dataDir);
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (line) => {
      if (/Content Security Policy/.test(line.text())) faults.push(line.text());
    });
    await page.getByRole('heading', { level: 1, name: 'No wallet yet' }).waitFor();
    await page.getByLabel('New password').fill('short');
    await page.getByRole('button', { name: 'Make the wallet' }).click();
    await page.getByRole('alert').getByText('At least 10 characters').waitFor();
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByLabel('The same again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Make the wallet' }).click();
    await page.getByRole('heading', { name: 'Write these down' }).waitFor();
    const words = await page.locator('.words li').allTextContents();
    const made = HDNodeWallet.fromPhrase(words.join(' '));
    const key = Buffer.from(made.privateKey.slice(2), 'hex');
    const secrets = {
      password: PASSWORD,
      words: words.join(' '),
      'words as JSON': words
        .slice(0, 4)
        .map((word) => `"${word}"`)
        .join(','),
      'key in hex': made.privateKey.slice(2),
      key,
      entropy: made.mnemonic?.entropy.slice(2) ?? '',
    };
    const pid = agent.process.pid ?? 0;
    // While it is unlocked too: the agent only passes ciphertext on.
    if (memoryReadable) expect(secretsInMemory(pid, { ...secrets, control: dataDir })).toEqual(['control']);

    await page.getByRole('button', { name: 'I have written them down' }).click();
    const boxes = page.getByRole('textbox', { name: /^Word \d+$/ });
    for (const box of await boxes.all()) await box.fill('zoo');
    await page.getByRole('button', { name: 'Check' }).click();
    await page.getByRole('alert').getByText('not the words').waitFor();
    for (const box of await boxes.all()) {
      const label = await box.evaluate((input: HTMLInputElement) => input.labels?.[0]?.textContent ?? '');
      await box.fill(words[Number(label.replace(/\D/g, '')) - 1] ?? '');
    }
    await page.getByRole('button', { name: 'Check' }).click();
    await page.getByRole('heading', { level: 1, name: 'You are paid here' }).waitFor();
    await page.getByText('Backed up', { exact: true }).waitFor();
    await page.getByText(made.address, { exact: true }).waitFor();
    expect(
      await page
        .getByRole('img', { name: `The address ${made.address} as a QR code` })
        .locator('path')
        .getAttribute('d'),
    ).toMatch(/^M4 4h1/);
    expect(await decryptKeystoreJson(readFileSync(join(dataDir, 'wallet/keystore.json'), 'utf8'), PASSWORD)).toMatchObject({
      privateKey: made.privateKey,
    });

    // It stands open: what is signed for the worker, a new worker key and a send go through the agent, signed elsewhere.
    const said: Ended[] = [];
    const tell = async (...argv: string[]) => {
      const ended = await run(dataDir, ...argv);
      said.push(ended);
      return ended;
    };
    const delegated = await tell('identity', 'delegate', '--yes');
    expect(delegated.last).toMatchObject({ fault: null, delegation: { delegation: { wallet: made.address } } });
    const rekeyed = await tell('identity', 'rekey', '--yes');
    expect(rekeyed.last).toMatchObject({ fault: null, revocations: [{ revocation: { worker: delegated.last.worker } }] });
    if (chain !== null) {
      await chain.rpc('anvil_setBalance', made.address, '0xde0b6b3a7640000');
      const limit = ['wallet', 'limit', '0.5', '--chain', '31337', '--password-stdin'] as const;
      expect(await withStdin(dataDir, [PASSWORD], ...limit)).toMatchObject({ code: 0 });
      const sent = await tell('wallet', 'send', '--to', OTHER, '--amount', '0.25', '--chain', '31337', '--yes', '--yes-new-address');
      expect(sent).toMatchObject({ code: 0, last: { event: 'send' } });
    }
    const before = descendants(pid);
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByRole('link', { name: 'Wallet locked' }).waitFor();
    // The signer with its bubblewrap is gone, whatever the workers do meanwhile.
    expect(before.filter((each) => !descendants(pid).includes(each)).length).toBeGreaterThan(0);
    if (memoryReadable) expect([pid, ...descendants(pid)].flatMap((each) => secretsInMemory(each, secrets))).toEqual([]);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Unlock', exact: true }).click();
    await page.getByRole('alert').getByText("not the wallet's password").waitFor();
    // The terminal and the page share one wallet.
    expect(await withStdin(dataDir, [PASSWORD], 'wallet', 'unlock', '--password-stdin')).toMatchObject({ code: 0, stdout: 'Unlocked.\n' });
    await page.getByRole('link', { name: 'Wallet unlocked' }).waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
    agent.process.kill('SIGTERM');
    expect(await agent.ended).toMatchObject({ code: 0 });
    await chain?.stop();
    const texts = [agent, ...said].map(({ stdout, stderr }) => Buffer.from(`${stdout}${stderr}`));
    expect(texts.filter((text) => Object.values(secrets).some((secret) => text.includes(secret)))).toEqual([]);
    const leaks = allFiles(dataDir).filter((path) => {
      const bytes = readFileSync(path);
      return Object.values(secrets).some((secret) => bytes.includes(secret));
    });
    expect(leaks).toEqual([]);

    // From the next start on, receipts name it.
    const again = await run(dataDir, 'start', '--headless', '--shards', '1');
    expect(again.code).toBe(0);
    expect(readFileSync(join(dataDir, 'ledger.db')).includes(`"payee":"${made.address}"`)).toBe(true);
    expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true });
  }, 180_000);

  it('shows on the page what another client made, with a reminder until it is backed up', async () => {
    const dataDir = idleFolder();
    const agent = hearthlend(dataDir, 'start', '--headless');
    await agent.event('started');
    const connection = await connectToAgent(dataDir);
    if (connection === undefined) throw new Error('it does not run');
    const { client } = connection;
    const wallet = createWalletClient(client.call);
    await wallet.create(PASSWORD);
    expect(JSON.parse((await client.call('wallet.keystore', {})).json)).toMatchObject({ version: 3 });
    client.close();
    const page = await openPage(dataDir);
    await page.getByRole('heading', { level: 1, name: 'You are paid here' }).waitFor();
    await page.getByText('Not backed up yet').waitFor();
    await page.context().close();
    agent.process.kill('SIGTERM');
    await agent.ended;
  }, 60_000);
});

describe('wallet commands', () => {
  it('bring a wallet along, replace it only for its password, and give it back', async () => {
    const dataDir = temporaryFolder('wallet');
    const phrase = 'test test test test test test test test test test test junk';
    expect(await run(dataDir, 'wallet', 'address')).toMatchObject({ code: 1, last: { code: 'WALLET_MISSING' } });
    expect(await run(dataDir, 'wallet', 'create')).toMatchObject({ code: 2, last: { code: 'USAGE' } });
    const imported = await withStdin(dataDir, [phrase, PASSWORD], 'wallet', 'import', '--words', '--password-stdin');
    expect(imported).toMatchObject({ code: 0, stdout: `Your wallet: ${OTHER}\n` });
    expect((await withStdin(dataDir, [phrase, PASSWORD], 'wallet', 'import', '--words', '--password-stdin', '--json')).stdout).toContain(
      'WALLET_EXISTS',
    );
    const words = await withStdin(dataDir, [PASSWORD], 'wallet', 'export', '--words', '--password-stdin');
    expect(words).toMatchObject({ code: 0, stdout: '' });
    const out = join(dataDir, 'kept.json');
    expect(await run(dataDir, 'wallet', 'export', '--out', out)).toMatchObject({ code: 0, last: { event: 'exported', path: out } });
    expect(await decryptKeystoreJson(readFileSync(out, 'utf8'), PASSWORD)).toMatchObject({ address: OTHER });
    const key = `0x${'5d'.repeat(32)}`;
    const replace = ['wallet', 'import', '--private-key', '--replace', '--password-stdin'] as const;
    expect((await withStdin(dataDir, [key, 'wrong password', 'new password'], ...replace)).stderr).toContain('WALLET_PASSWORD_WRONG');
    expect(await withStdin(dataDir, [key, PASSWORD, 'new password'], ...replace)).toMatchObject({ code: 0 });
    const back = await withStdin(dataDir, ['new password'], 'wallet', 'export', '--private-key', '--reveal', '--password-stdin');
    expect(back.stdout.trim()).toBe(key);
    expect((await run(dataDir, 'wallet', 'watch', OTHER)).last).toMatchObject({ code: 'WALLET_EXISTS' });
  }, 60_000);

  it('watch an address, name what is wrong with another, and take a keystore file', async () => {
    const dataDir = temporaryFolder('wallet');
    expect((await run(dataDir, 'wallet', 'watch', OTHER.replace('F6F4', 'f6F4'))).last).toMatchObject({ code: 'WALLET_ADDRESS_INVALID' });
    expect((await run(dataDir, 'wallet', 'watch', OTHER)).last).toMatchObject({ event: 'wallet', kind: 'watch', address: OTHER });
    expect((await run(dataDir, 'wallet', 'watch', '--remove')).last).toMatchObject({ kind: 'none' });
    expect(await run(dataDir, 'wallet', 'watch')).toMatchObject({ code: 2 });
    const file = join(dataDir, 'mine.json');
    writeFileSync(
      file,
      encryptKeystoreJsonSync(
        new Wallet(HDNodeWallet.fromPhrase('test test test test test test test test test test test junk').privateKey),
        'old one',
        {
          scrypt: { N: 2 },
        },
      ),
    );
    const argv = ['wallet', 'import', '--keystore', file, '--password-stdin'] as const;
    expect(await withStdin(dataDir, ['old one', PASSWORD], ...argv)).toMatchObject({ code: 0, stdout: `Your wallet: ${OTHER}\n` });
  }, 60_000);
});
