import { z } from 'zod';
import { BreakOutAttempt } from './isolation.ts';

const Path = z.string().min(1).max(4096);
const Port = z.int().min(1).max(65_535);

/**
 * Agent → break-out probe, one line of JSON at stdin: what there is to reach on this machine. All of it is bait that the agent laid out,
 * or names of what must stay closed; nothing in here is a secret itself but the canary, which lives for one run.
 */
export const BreakOutTask = z.strictObject({
  /** Files and folders that must not be readable: keystore, ledger, data folder… `label` becomes part of the attempt's name. */
  secrets: z.array(z.strictObject({ label: z.string().regex(/^[a-z0-9-]{1,40}$/), path: Path })).max(64),
  home: Path,
  agentPid: z.int().min(1),
  /** A variable in the agent's environment. */
  canary: z.strictObject({ name: z.string().max(64), value: z.string().max(64) }),
  /** Where the agent listens and answers while the probe runs. */
  listeners: z.strictObject({
    tcpPort: Port,
    udpPort: Port,
    /** Addresses of this machine under which the same ports answer, loopback and others. */
    addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(16),
    unixPath: Path.nullable(),
    abstractName: z.string().max(100).nullable(),
  }),
  /** What the worker has by design. Anything beside it is a find. */
  granted: z.strictObject({
    /** Null where the root is the machine's own, as it is by design on macOS. */
    rootEntries: z.array(z.string().max(255)).max(64).nullable(),
    environment: z.array(z.string().max(64)).max(64),
    modelsDir: Path,
    scratchDir: Path.nullable(),
    scratchBytes: z.int().min(0),
  }),
});
export type BreakOutTask = z.infer<typeof BreakOutTask>;

/** Probe → agent, one line of JSON at stdout. */
export const BreakOutResult = z.strictObject({ attempts: z.array(BreakOutAttempt).min(1).max(256) });
export type BreakOutResult = z.infer<typeof BreakOutResult>;
