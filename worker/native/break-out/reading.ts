import { closeSync, constants, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BreakOutTask } from '../../../core/contract/break-out.ts';
import { firstThatWorks, type WayOut } from './attempt.ts';

/** Files of the machine that a worker has no business with. Each is one attempt, since a sandbox may leak one of them alone. */
const MACHINE_FILES: Record<string, string[]> = {
  'read-passwd': ['/etc/passwd'],
  'read-shadow': ['/etc/shadow', '/etc/master.passwd'],
  'read-network-settings': ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'],
  'read-machine-id': ['/etc/machine-id', '/var/lib/dbus/machine-id'],
  'read-installed-programs': ['/usr/bin', '/bin', '/Applications'],
  'read-temporary-files': ['/tmp', '/private/tmp', '/var/tmp'],
  'read-logs': ['/var/log', '/var/lib'],
  'read-mounted-disks': ['/mnt', '/media', '/Volumes', '/run/media'],
  'read-sysfs': ['/sys/class/net', '/sys/class/dmi/id', '/sys/devices'],
};

/** What the kernel tells of the machine and its users: keys, addresses of its code, pages, interrupts (keystrokes show in those), disks. */
const KERNEL_TABLES: Record<string, string[]> = {
  'read-kernel-keys': ['/proc/keys', '/proc/key-users'],
  'read-kernel-symbols': ['/proc/kallsyms', '/proc/modules'],
  'read-kernel-memory': ['/proc/kcore', '/dev/mem'],
  'read-physical-pages': ['/proc/kpageflags', '/proc/kpagecount', '/proc/iomem'],
  'read-interrupts': ['/proc/interrupts', '/proc/softirqs', '/proc/timer_list'],
  'read-partitions': ['/proc/partitions', '/proc/diskstats', '/proc/swaps'],
  'read-kernel-command-line': ['/proc/cmdline', '/proc/config.gz'],
};

/** Kernel log, terminals, virtual machines, what a person sits at, and anything that reaches around the file system. */
const DEVICES: Record<string, string[]> = {
  'open-kernel-log': ['/dev/kmsg', '/proc/kmsg'],
  'open-terminal': ['/dev/tty', '/dev/tty0', '/dev/tty1', '/dev/console', '/dev/ptmx', '/dev/pts/ptmx', '/dev/pts/0'],
  'open-virtual-machine-device': ['/dev/kvm', '/dev/vsock', '/dev/vhost-net', '/dev/vhost-vsock'],
  'open-user-device': ['/dev/fuse', '/dev/net/tun', '/dev/uinput', '/dev/input/event0', '/dev/snd/timer', '/dev/video0', '/dev/rtc0'],
};

/** Of these the bare kernel denies an ordinary user each one. */
const DENIED = new Set([...['read-shadow', 'read-kernel-memory', 'open-kernel-log', 'open-virtual-machine-device', 'open-user-device']]);
const wallOf = (name: string): WayOut['wall'] => (DENIED.has(name) ? 'kernel' : 'mounts');

const HOME_ENTRIES = ['.ssh', '.gnupg', '.aws', '.config', '.local', '.mozilla', '.bash_history', '.profile', '.bashrc', 'Library'];
const DISK = /^(sd[a-z]|vd[a-z]|xvd[a-z]|nvme\d+n\d+|mmcblk\d+|dm-\d+|loop\d+|r?disk\d+)$/;
const UP = '../'.repeat(40);

export const readingWays: WayOut[] = [
  { name: 'read-home', kind: 'files', wall: 'mounts', reach: ({ home }) => readAny([home]) },
  { name: 'read-home-keys', kind: 'files', wall: 'mounts', reach: ({ home }) => readAny(HOME_ENTRIES.map((name) => join(home, name))) },
  {
    name: 'list-root',
    kind: 'files',
    wall: 'mounts',
    reach: ({ granted }) => {
      if (granted.rootEntries === null) return null;
      const extra = readdirSync('/').filter((name) => !granted.rootEntries?.includes(name));
      return extra.length === 0 ? null : `also there: ${extra.join(', ')}`;
    },
  },
  {
    name: 'leave-by-dot-dot',
    kind: 'files',
    wall: 'mounts',
    reach: ({ granted }) => readAny([`${granted.modelsDir}/${UP}etc/passwd`, `${process.cwd()}/${UP}etc/passwd`]),
  },
  {
    name: 'leave-by-process-root',
    kind: 'files',
    wall: 'namespaces',
    reach: ({ agentPid }) => readAny([agentPid, process.ppid, 1, 'self'].map((pid) => `/proc/${pid}/root/etc/passwd`)),
  },
  ...[MACHINE_FILES, KERNEL_TABLES].flatMap((table) =>
    Object.entries(table).map(([name, paths]): WayOut => ({ name, kind: 'files', wall: wallOf(name), reach: () => readAny(paths) })),
  ),
  ...Object.entries(DEVICES).map(([name, paths]): WayOut => ({ name, kind: 'files', wall: wallOf(name), reach: () => readAny(paths) })),
  {
    name: 'open-disk',
    kind: 'files',
    wall: 'kernel',
    reach: () => readAny(readdirSync('/dev').flatMap((name) => (DISK.test(name) ? [join('/dev', name)] : []))),
  },
];

/** The secrets of this task, each an attempt of its own. */
export function secretWays({ secrets }: BreakOutTask): WayOut[] {
  return secrets.map(({ label, path }) => ({ name: `read-secret-${label}`, kind: 'files', wall: 'mounts', reach: () => readAny([path]) }));
}

/** The first of these that gives away a byte, or as a folder a name. Never what it says. */
function readAny(paths: string[]): string | null {
  return firstThatWorks(
    paths.filter((path) => existsSync(path)),
    (path) => {
      if (statSync(path).isDirectory()) {
        const { length } = readdirSync(path);
        return length === 0 ? null : `listed ${path}: ${length} entries`;
      }
      const bytes = readFirst(path);
      return bytes === 0 ? null : `read ${bytes} bytes of ${path}`;
    },
  );
}

function readFirst(path: string): number {
  // A terminal or a log may have nothing to say yet: that it opened is what counts there.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return readSync(file, new Uint8Array(64), 0, 64, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 1;
    throw error;
  } finally {
    closeSync(file);
  }
}
