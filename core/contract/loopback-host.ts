/** The only names under which this machine is to call a server on its loopback. */
export const LOOPBACK_NAMES = ['127.0.0.1', 'localhost'];

/**
 * Whether a request's `Host` is one of ours. A page of a stranger's domain that was made to resolve to 127.0.0.1 (DNS rebinding) sends its
 * own name here; comparing `Host` with `Origin` would let it in, so it is compared with a list.
 */
export function hostAllowed(host: string | undefined, port: number): boolean {
  return host !== undefined && LOOPBACK_NAMES.some((name) => host.toLowerCase() === `${name}:${port}`);
}
