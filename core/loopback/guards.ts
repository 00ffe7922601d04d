import { LOOPBACK_NAMES } from '../contract/loopback-host.ts';

/**
 * Who opens a WebSocket. Browsers always send `Origin` and pages can't change it: without one it is a program of this machine, with ours
 * it is our page, with any other a stranger's page.
 */
export function callerOf(origin: string | undefined, port: number): 'program' | 'page' | 'stranger' {
  if (origin === undefined) return 'program';
  return LOOPBACK_NAMES.some((name) => origin === `http://${name}:${port}`) ? 'page' : 'stranger';
}
