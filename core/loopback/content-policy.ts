import { LOOPBACK_NAMES } from '../contract/loopback-host.ts';

/**
 * What a page of ours may load and reach: its own files, and what `connections` names. No inline script or style, no frame, no form. The same
 * for every shell, so that a page which works in one works in all.
 */
export function contentSecurityPolicy(connections: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:",
    "worker-src 'none'",
    `connect-src ${connections.length === 0 ? "'none'" : connections.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // Text never becomes markup or code: the places where it could take nothing but what a policy made, and no policy may be made.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

/** What a page of the loopback server connects to. 'self' covers ws: in browsers of today; older ones want it spelled out. */
export function loopbackConnections(port: number): string[] {
  return ["'self'", ...LOOPBACK_NAMES.map((name) => `ws://${name}:${port}`)];
}
