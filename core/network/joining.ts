import { createHash, X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { hashMessage } from 'ethers';
import { z } from 'zod';
import type { SignedDelegation } from '../contract/delegation.ts';
import { errorOf, HearthlendError } from '../contract/errors.ts';
import { JOIN_PATHS, type JoinLink, JoinReply, type JoinRequest, joinText, NetworkTerms, parseJoinLink } from '../contract/joining.ts';
import type { NetworkPreview } from '../contract/networks.ts';
import type { Address, Signature } from '../contract/receipt.ts';
import { askJson } from './https.ts';
import { makeWorkerKey } from './keys.ts';
import type { JoinedNetwork } from './records.ts';

const CONNECT_MS = 10_000;
const MAX_CHAIN = 8;
const Refusal = z.object({
  error: z.object({
    code: z.string().max(64),
    params: z.record(z.string().max(64), z.union([z.string().max(2000), z.number()])).default({}),
  }),
});

/** @throws INVITE_INVALID */
export function readLink(text: string): JoinLink {
  const link = parseJoinLink(text);
  if (link === null) throw new HearthlendError('INVITE_INVALID');
  return link;
}

/**
 * What a network says of itself, from whoever answers under the certificate authority that the link names.
 * @throws INVITE_FINGERPRINT_WRONG, NETWORK_UNREACHABLE, NETWORK_CERTIFICATE_WRONG, NETWORK_ANSWER_INVALID
 */
export async function readTerms(link: JoinLink): Promise<Pick<NetworkPreview, 'at' | 'fingerprint' | 'terms'>> {
  const ca = await pinnedAuthority(link);
  return { at: link.at, fingerprint: link.fingerprint, terms: await askTerms(link, ca) };
}

async function askTerms(link: JoinLink, ca: string): Promise<NetworkTerms> {
  const { status, body } = await askJson({ network: link.at, url: `https://${link.at}${JOIN_PATHS.terms}`, ca });
  if (status !== 200) throw refusalOf(link.at, status, body);
  return checked(NetworkTerms, link.at, body);
}

/** Who joins: the worker's identity signs that the new key is its own. */
export interface Joiner {
  worker: Address;
  payee: Address;
  version: string;
  signDigest(digest: string): Signature;
  clock(): number;
  /** The wallet's word for this worker, where it gave one. */
  delegation?: SignedDelegation | null;
}

/**
 * Registers this machine with a key made for it. The link's secret goes to nobody but who answers under the link's authority, and is used up.
 * @throws INVITE_* and NETWORK_* as the network refuses, NETWORK_ANSWER_INVALID where it answers with something else than it offered
 */
export async function joinNetwork(link: JoinLink, agreed: NetworkTerms, joiner: Joiner): Promise<Omit<JoinedNetwork, 'choices'>> {
  const ca = await pinnedAuthority(link);
  const { nkey, seed } = makeWorkerKey();
  const { worker, payee, version } = joiner;
  const signature = joiner.signDigest(hashMessage(joinText(agreed.id, nkey, payee)));
  const request: JoinRequest = { secret: link.secret, nkey, worker, payee, signature, version };
  if (joiner.delegation) request.delegation = joiner.delegation;
  const { status, body } = await askJson({
    network: link.at,
    url: `https://${link.at}${JOIN_PATHS.join}`,
    ca,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  if (status !== 200) throw refusalOf(link.at, status, body);
  const { now, ...access } = checked(JoinReply, link.at, body);
  const wrong = (detail: string) => new HearthlendError('NETWORK_ANSWER_INVALID', { network: agreed.id, detail });
  if (JSON.stringify(access.terms) !== JSON.stringify(agreed)) throw wrong('its terms are not those that were agreed to');
  if (access.network.id !== agreed.id || access.network.coordinator.toLowerCase() !== agreed.coordinator.toLowerCase()) {
    throw wrong('it is another network than it said');
  }
  if (access.network.asset !== agreed.asset) throw wrong('it pays in another asset than it said');
  if (fingerprintOf(access.ca) !== link.fingerprint) throw wrong('its certificate authority is not the link’s');
  return {
    ...{ type: 'hearthlend network', version: 1, id: agreed.id, nkey, seed, worker, payee, fingerprint: link.fingerprint },
    ...{ joinedAt: joiner.clock(), aheadMs: now - joiner.clock(), access },
  };
}

/**
 * The certificate authority that answers at a link's address, in PEM. Nothing is said to whoever it is before it is compared with the link's
 * fingerprint; from then on it alone is trusted. @throws INVITE_FINGERPRINT_WRONG, NETWORK_UNREACHABLE
 */
export async function pinnedAuthority({ at, fingerprint }: Pick<JoinLink, 'at' | 'fingerprint'>): Promise<string> {
  const chain = await certificatesAt(at);
  const authority = chain.find((raw) => createHash('sha256').update(raw).digest('hex') === fingerprint);
  if (authority === undefined) throw new HearthlendError('INVITE_FINGERPRINT_WRONG', { at });
  const certificate = new X509Certificate(authority);
  if (!certificate.ca) throw new HearthlendError('INVITE_FINGERPRINT_WRONG', { at });
  return certificate.toString();
}

function certificatesAt(at: string): Promise<Buffer[]> {
  const { hostname, port } = new URL(`https://${at}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const failed = (detail: string) => reject(new HearthlendError('NETWORK_UNREACHABLE', { network: at, detail }));
    // Whoever answers is trusted in nothing yet: it is only asked who it is.
    const socket = connect({
      host,
      port: Number(port || 443),
      rejectUnauthorized: false,
      ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
    });
    socket.setTimeout(CONNECT_MS, () => {
      failed(`no answer within ${CONNECT_MS / 1000} s`);
      socket.destroy();
    });
    socket.on('error', (error) => failed((error as NodeJS.ErrnoException).code ?? error.message));
    socket.on('secureConnect', () => {
      resolve(rawChain(socket.getPeerCertificate(true)));
      socket.destroy();
    });
  });
}

function rawChain(leaf: DetailedPeerCertificate): Buffer[] {
  const raw: Buffer[] = [];
  for (
    let each: DetailedPeerCertificate | undefined = leaf;
    each?.raw !== undefined && raw.length < MAX_CHAIN;
    each = each.issuerCertificate
  ) {
    if (raw.some((known) => known.equals(each?.raw as Buffer))) break;
    raw.push(each.raw);
  }
  return raw;
}

function fingerprintOf(pem: string): string | null {
  try {
    return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
  } catch {
    return null;
  }
}

function checked<T>(schema: z.ZodType<T>, network: string, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0] ?? { path: [], message: '' };
  throw new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail: `${path.join('.')}: ${message}` });
}

/** Codes of the joining itself are told as they are; whatever else it says is only quoted. */
export function refusalOf(network: string, status: number, body: unknown): HearthlendError {
  const refusal = Refusal.safeParse(body);
  if (!refusal.success) return new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail: `HTTP ${status}` });
  const { code, params } = refusal.data.error;
  if (/^(INVITE|NETWORK)_/.test(code)) {
    const known = errorOf(code, { at: network, network, detail: '', ...params });
    if (known.code === code) return known;
  }
  return new HearthlendError('NETWORK_REFUSED', { network, detail: code });
}
