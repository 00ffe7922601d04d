import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { bits, type Der, explicit, implicit, instant, integer, octets, oid, sequence, set, text, yes } from './der.ts';

/** A certificate and its key, both PEM. */
export interface Certified {
  certificate: string;
  key: string;
}

export interface Validity {
  from: Date;
  to: Date;
}

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  keyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
};
const CRITICAL = true;
const VERSION_3 = explicit(0, integer(Uint8Array.of(2)));
const SIGNATURE = sequence(oid(OID.ecdsaWithSha256));

/** A new authority of a network: it signs servers and no other authority. */
export function newAuthority(name: string, validity: Validity): Certified {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = nameOf(name);
  const extensions = [
    extension(OID.basicConstraints, sequence(yes, integer(Uint8Array.of(0))), CRITICAL),
    // keyCertSign, cRLSign
    extension(OID.keyUsage, bits(Uint8Array.of(0b0000_0110), 1), CRITICAL),
    extension(OID.keyIdentifier, octets(keyIdentifier(key.publicKey))),
  ];
  return {
    certificate: signed({ issuer: subject, subject, of: key.publicKey, by: key.privateKey, validity, extensions }),
    key: pem(key.privateKey),
  };
}

/** A server's certificate for these host names and addresses, followed by its authority's, as a server hands it out. */
export function newServerCertificate(authority: Certified, names: readonly string[], validity: Validity): Certified {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const by = createPrivateKey(authority.key);
  const extensions = [
    extension(OID.basicConstraints, sequence(), CRITICAL),
    // digitalSignature
    extension(OID.keyUsage, bits(Uint8Array.of(0b1000_0000), 7), CRITICAL),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuthentication))),
    extension(OID.alternativeNames, sequence(...names.map(alternativeName))),
    extension(OID.authorityKeyIdentifier, sequence(implicit(0, keyIdentifier(createPublicKey(by))))),
  ];
  const issuer = nameOf(commonName(authority.certificate));
  const certificate = signed({ issuer, subject: nameOf('Hearthlend coordinator'), of: key.publicKey, by, validity, extensions });
  return { certificate: `${certificate}${authority.certificate}`, key: pem(key.privateKey) };
}

/** SHA-256 of a certificate's DER, in hex: what an invitation names. */
export function fingerprintOf(certificate: string): string {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
}

interface Signed {
  issuer: Der;
  subject: Der;
  of: KeyObject;
  by: KeyObject;
  validity: Validity;
  extensions: readonly Der[];
}

/** Source: RFC 5280, 4.1. */
function signed({ issuer, subject, of, by, validity, extensions }: Signed): string {
  const content = sequence(
    ...[VERSION_3, integer(randomBytes(16)), SIGNATURE, issuer, sequence(instant(validity.from), instant(validity.to)), subject],
    ...[of.export({ type: 'spki', format: 'der' }), explicit(3, sequence(...extensions))],
  );
  const certificate = sequence(content, SIGNATURE, bits(sign('sha256', content, by)));
  return new X509Certificate(Buffer.from(certificate)).toString();
}

function extension(id: string, value: Der, critical = false): Der {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

function nameOf(common: string): Der {
  return sequence(set(sequence(oid(OID.commonName), text(common))));
}

function commonName(certificate: string): string {
  return /^CN=(.*)$/m.exec(new X509Certificate(certificate).subject)?.[1] ?? '';
}

/** SHA-1 of the public key's bits, which is what everybody names keys by. Source: RFC 5280, 4.2.1.2. */
function keyIdentifier(key: KeyObject): Uint8Array {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return createHash('sha1').update(point).digest();
}

function alternativeName(name: string): Der {
  const address = addressBytes(name);
  return address === null ? implicit(2, new TextEncoder().encode(name)) : implicit(7, address);
}

/** The bytes of an IP address; null for what is none. */
function addressBytes(name: string): Uint8Array | null {
  if (isIPv4(name)) return Uint8Array.from(name.split('.'), Number);
  if (!isIPv6(name)) return null;
  // The URL parser writes out an embedded IPv4 address in hex.
  const [before = '', after] = new URL(`http://[${name}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(before), groups(after ?? '')];
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
