import { z } from 'zod';
import { MessageRef } from './messages.ts';

/** Named, not ranked: Chromium's sandbox, the operating system's, or nothing but a process of its own. */
export const IsolationLevel = z.enum(['chromium', 'os', 'process']);
export type IsolationLevel = z.infer<typeof IsolationLevel>;

/** One attempt to break out, made by the probe from inside the identical sandbox. */
export const BreakOutAttempt = z.strictObject({
  name: z.string().max(80),
  /** What it tried to reach. */
  kind: z.enum(['files', 'network', 'processes', 'environment', 'descriptors', 'privilege', 'memory']),
  succeeded: z.boolean(),
  detail: z.string().max(400),
});
export type BreakOutAttempt = z.infer<typeof BreakOutAttempt>;

/** What the worker runs under on this machine just now, as tested, not as configured. */
export const IsolationReport = z.strictObject({
  level: IsolationLevel,
  /** `bubblewrap`, `sandbox-exec`, or `none`. */
  wall: z.enum(['bubblewrap', 'sandbox-exec', 'none']),
  /** Why the level is not better, and the exact remedy; null where it is `os`. */
  reason: MessageRef.nullable(),
  remedy: MessageRef.nullable(),
  /** Null until the probe has run. */
  probe: z.strictObject({ at: z.int(), attempts: z.array(BreakOutAttempt) }).nullable(),
});
export type IsolationReport = z.infer<typeof IsolationReport>;
