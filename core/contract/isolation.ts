import { z } from 'zod';
import { MessageRef } from './messages.ts';

/** Named, not ranked: Chromium's sandbox, the operating system's, or nothing but a process of its own. */
export const IsolationLevel = z.enum(['chromium', 'os', 'process']);
export type IsolationLevel = z.infer<typeof IsolationLevel>;

/**
 * What stopped an attempt. Of ours: `mounts` (only what was allowed is there, read-only), `namespaces` (its own processes, network, users and
 * inter-process communication), `system-calls` (the seccomp filter), `privileges` (no capabilities, none to be gained), `environment`
 * (emptied), `descriptors` (none handed on) and `bounds` (of scratch space). And `kernel`: the bare kernel denies it to an ordinary user too.
 * Around a page, of ours: `content-policy`, `page-sandbox` (its origin is nobody's, it may open nothing), `permissions-policy`, `requests` (each is
 * refused outside of the page), `addresses` (none leads anywhere), `nobody` (there is no user to press or allow anything). And `browser`: it has
 * no such thing, or denies it.
 */
export const BreakOutWall = z.enum([
  'mounts',
  'namespaces',
  'system-calls',
  'privileges',
  'environment',
  'descriptors',
  'bounds',
  'kernel',
  'content-policy',
  'page-sandbox',
  'permissions-policy',
  'requests',
  'addresses',
  'nobody',
  'browser',
]);
export type BreakOutWall = z.infer<typeof BreakOutWall>;

/** One attempt to break out, made by the probe from inside the identical sandbox. */
export const BreakOutAttempt = z.strictObject({
  name: z.string().max(80),
  /** What it tried to reach. */
  kind: z.enum(['files', 'network', 'processes', 'environment', 'descriptors', 'privilege', 'memory', 'storage', 'windows', 'devices']),
  succeeded: z.boolean(),
  /** The first wall in the attempt's way. Left out for one that succeeded, and where `detail` names it. */
  wall: BreakOutWall.optional(),
  detail: z.string().max(400),
});
export type BreakOutAttempt = z.infer<typeof BreakOutAttempt>;

/** What the worker runs under on this machine just now, as tested, not as configured. */
export const IsolationReport = z.strictObject({
  level: IsolationLevel,
  /** `chromium` is the wall of a GPU window, the others are those of a native worker. */
  wall: z.enum(['bubblewrap', 'sandbox-exec', 'chromium', 'none']),
  /** Why the level is not better, and the exact remedy; null where it is `os`. */
  reason: MessageRef.nullable(),
  remedy: MessageRef.nullable(),
  /** Null until the probe has run. */
  probe: z.strictObject({ at: z.int(), attempts: z.array(BreakOutAttempt) }).nullable(),
});
export type IsolationReport = z.infer<typeof IsolationReport>;
