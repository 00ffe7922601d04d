import { X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { readSecret, writeSecret } from '../files.ts';
import { type Certified, fingerprintOf, newAuthority, newServerCertificate } from './certificate.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_MS = 3650 * DAY_MS;
const SERVER_MS = 90 * DAY_MS;
/** A server's certificate is made anew when it has less than this left. */
const RENEW_MS = 30 * DAY_MS;
/** Clocks that are behind by less than this find a new certificate valid. */
const BEFORE_MS = 2 * DAY_MS;

const CertifiedFile = z.strictObject({ certificate: z.string().max(16_384), key: z.string().max(4096) });

/** The certificates of one coordinator, in files that only it may read. */
export interface Authority {
  /** PEM. */
  readonly ca: string;
  readonly fingerprint: string;
  /** With its key: for another coordinator of the same network. */
  readonly secret: Certified;
  /** The server's certificate, with its authority's behind it, and its key. */
  server(): Certified;
  /** The files of those two. */
  readonly paths: { certificate: string; key: string };
  /** Makes the server's certificate anew where it has not long to go or doesn't cover these names. True where it did. */
  renew(names: readonly string[], now: number): boolean;
}

/**
 * Reads the authority in `folder`, or makes one the first time.
 * @param given another coordinator's, to be kept here
 * @throws COORDINATOR_FILE_INVALID, DISK_FULL, DATA_DIR_UNWRITABLE
 */
export function openAuthority(folder: string, network: string, names: readonly string[], now: number, given?: Certified): Authority {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authorityPath = join(folder, 'authority.json');
  const paths = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') };
  const kept = readSecret(authorityPath, CertifiedFile);
  const authority =
    given ?? kept ?? newAuthority(`Hearthlend network ${network}`, { from: new Date(now - BEFORE_MS), to: new Date(now + AUTHORITY_MS) });
  if (authority !== kept) writeSecret(authorityPath, `${JSON.stringify(authority)}\n`);
  let server: Certified | undefined;

  function renew(names: readonly string[], now: number): boolean {
    if (server !== undefined && stillGood(server.certificate, names, now)) return false;
    const authorityEnds = new X509Certificate(authority.certificate).validToDate.getTime();
    server = newServerCertificate(authority, names, {
      from: new Date(now - BEFORE_MS),
      to: new Date(Math.min(now + SERVER_MS, authorityEnds)),
    });
    writeSecret(paths.key, server.key);
    writeSecret(paths.certificate, server.certificate);
    return true;
  }

  renew(names, now);
  return {
    ca: authority.certificate,
    fingerprint: fingerprintOf(authority.certificate),
    secret: authority,
    server: () => server as Certified,
    paths,
    renew,
  };
}

function stillGood(certificate: string, names: readonly string[], now: number): boolean {
  const parsed = new X509Certificate(certificate);
  if (parsed.validToDate.getTime() - now < RENEW_MS || parsed.validFromDate.getTime() > now) return false;
  return names.every((name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined);
}
