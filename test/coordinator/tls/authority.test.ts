import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuthority } from '../../../coordinator/tls/authority.ts';
import { newServerCertificate } from '../../../coordinator/tls/certificate.ts';
import { reachableNames } from '../../../coordinator/tls/names.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearthlend-tls-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (names: string[], at = NOW) => openAuthority(folder, 'studio', names, at);
const leaf = (pem: string) => new X509Certificate(pem);

test('a network keeps its authority, and so its fingerprint; only its owner may read the keys', () => {
  const first = open(['localhost']);
  const second = open(['localhost']);
  expect(second.ca).toBe(first.ca);
  expect(second.fingerprint).toBe(leaf(first.ca).fingerprint256.replaceAll(':', '').toLowerCase());
  if (process.platform !== 'win32') {
    for (const path of [join(folder, 'authority.json'), first.paths.key]) expect(statSync(path).mode & 0o777).toBe(0o600);
  }
});

test('the authority signs its own servers, and those no others', () => {
  const { ca, server } = open(['render.example', '10.1.2.3', 'fe00::1:2', '::ffff:1.2.3.4']);
  const certificate = leaf(server().certificate);
  expect(leaf(ca).ca).toBe(true);
  expect(certificate.ca).toBe(false);
  expect(certificate.checkIssued(leaf(ca))).toBe(true);
  expect(certificate.verify(leaf(ca).publicKey)).toBe(true);
  for (const address of ['10.1.2.3', 'fe00:0:0::1:2']) expect(certificate.checkIP(address)).toBe(address);
  expect(certificate.checkIP('10.1.2.4')).toBeUndefined();
  expect(certificate.checkHost('render.example')).toBe('render.example');
  expect(certificate.checkHost('other.example')).toBeUndefined();
});

test('a server is trusted by who knows the authority, under the names that it has and no other', async () => {
  const { ca, server } = open(['localhost', '127.0.0.1']);
  const { certificate: cert, key } = server();
  const listening = createServer({ cert, key });
  await new Promise<void>((resolve) => void listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as { port: number };
  const outcome = (servername: string, trusted: string[]) =>
    new Promise<string>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, servername, ca: trusted });
      socket.once('secureConnect', () => resolve('trusted'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once('secureConnect', () => socket.destroy());
    });
  expect(await outcome('localhost', [ca])).toBe('trusted');
  expect(await outcome('other.example', [ca])).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  rmSync(folder, { recursive: true });
  expect(await outcome('localhost', [open(['localhost']).ca])).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY|SIGNATURE/);
  listening.close();
});

test('the server’s certificate is made anew before it ends, where it lacks a name, and never lasts longer than its authority', () => {
  const authority = open(['localhost']);
  const { server, renew } = authority;
  const before = server().certificate;
  expect(leaf(before).validFromDate.getTime()).toBeLessThan(NOW - DAY_MS);
  expect(renew(['localhost'], NOW + 59 * DAY_MS)).toBe(false);
  expect(renew(['localhost'], NOW + 61 * DAY_MS)).toBe(true);
  expect(renew(['localhost', '10.0.0.1'], NOW + 61 * DAY_MS)).toBe(true);
  expect(leaf(server().certificate).checkIP('10.0.0.1')).toBe('10.0.0.1');
  renew(['localhost'], NOW + 3600 * DAY_MS);
  expect(leaf(server().certificate).validToDate).toEqual(leaf(authority.ca).validToDate);
});

test('a year from 2050 on is written with four digits', () => {
  const { secret } = open(['localhost']);
  const far = newServerCertificate(secret, ['localhost'], { from: new Date('2049-12-31T23:59:59Z'), to: new Date('2050-01-01T00:00:00Z') });
  expect(leaf(far.certificate).validFromDate).toEqual(new Date('2049-12-31T23:59:59Z'));
  expect(leaf(far.certificate).validToDate).toEqual(new Date('2050-01-01T00:00:00Z'));
});

test('a file of keys that is damaged, or that others may read, is refused and never made anew', () => {
  open(['localhost']);
  const path = join(folder, 'authority.json');
  writeFileSync(path, '{"certificate":"x"}');
  expect(() => open(['localhost'])).toThrow(
    expect.objectContaining({ code: 'COORDINATOR_FILE_INVALID', params: expect.objectContaining({ path }) }),
  );
  writeFileSync(path, 'secret-bytes');
  expect(() => open(['localhost'])).toThrow(expect.not.stringContaining('secret-bytes'));
});

test('a machine is reachable under what its operator says first, and under itself', () => {
  const names = reachableNames(['studio.example']);
  expect(names[0]).toBe('studio.example');
  expect(names).toEqual(expect.arrayContaining(['localhost', '127.0.0.1']));
  expect(new Set(names).size).toBe(names.length);
});
