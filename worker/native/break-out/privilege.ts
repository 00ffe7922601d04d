import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { firstThatWorks, type WayOut } from './attempt.ts';

/** Programs with which a machine's own tools make namespaces and mounts. A sandbox has none of them; what counts is what they get done. */
const TOOLS: Record<string, string[]> = {
  'make-user-namespace': ['/usr/bin/unshare', '-U', 'true'],
  'make-mount': ['/usr/bin/unshare', '-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
};

export const privilegeWays: WayOut[] = [
  { name: 'become-root', kind: 'privilege', wall: 'kernel', reach: () => become(() => process.setuid?.(0)) },
  { name: 'become-root-group', kind: 'privilege', wall: 'kernel', reach: () => become(() => process.setgid?.(0)) },
  { name: 'join-groups', kind: 'privilege', wall: 'kernel', reach: () => become(() => process.setgroups?.([0, 4, 27])) },
  {
    name: 'keep-root-identity',
    kind: 'privilege',
    wall: 'kernel',
    reach: () => (process.getuid?.() === 0 || process.getgid?.() === 0 ? 'runs as root' : null),
  },
  {
    name: 'hold-capabilities',
    kind: 'privilege',
    wall: 'privileges',
    reach: () =>
      firstThatWorks(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'], (set) =>
        /^0+$/.test(status(set)) ? null : `${set} ${status(set)}`,
      ),
  },
  {
    name: 'gain-privileges-by-program',
    kind: 'privilege',
    wall: 'privileges',
    reach: () => (status('NoNewPrivs') === '1' ? null : 'setuid programs keep their power'),
  },
  {
    name: 'call-kernel-unfiltered',
    kind: 'privilege',
    wall: 'system-calls',
    reach: () => (status('Seccomp') === '2' ? null : 'no filter on system calls'),
  },
  {
    name: 'map-other-users',
    kind: 'privilege',
    wall: 'namespaces',
    reach: () => {
      const mapped = readFileSync('/proc/self/uid_map', 'utf8')
        .trim()
        .split('\n')
        .reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2]), 0);
      return mapped <= 1 ? null : `${mapped} user ids exist here`;
    },
  },
  ...Object.entries(TOOLS).map(
    ([name, [tool = '', ...args]]): WayOut => ({
      name,
      kind: 'privilege',
      wall: 'mounts',
      reach: () => {
        if (!existsSync(tool)) return null;
        const { error, status: code } = spawnSync(tool, args, { timeout: 1000, env: {} });
        if (error) throw error;
        return code === 0 ? `${tool} ${args.join(' ')} worked` : null;
      },
    }),
  ),
];

/** Only once everything else has been tried: success changes who the probe is. */
function become(change: () => void): string {
  change();
  return `is now ${process.getuid?.()}:${process.getgid?.()}`;
}

function status(field: string): string {
  const value = new RegExp(`^${field}:\\s*(\\S+)$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (value === undefined) throw new Error(`this system says nothing of ${field}`);
  return value;
}
