import type { Ioctls } from './device-access.ts';

/**
 * A system call filter for the worker, as the classic BPF program that seccomp takes (Linux: Documentation/userspace-api/seccomp_filter).
 * Namespaces hide files, processes and the network; the filter takes away the kernel's interfaces that namespaces don't cover (vsock,
 * Bluetooth, keyrings, io_uring, BPF) and the calls with which a sandbox is left: new namespaces, mounts, tracing, new processes.
 * It denies by name and allows the rest, so that a newer Node or libc goes on working.
 */

/** Numbers: arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h for arm64. From 424 on both agree. */
const SINCE_424 = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_open: 434,
  pidfd_getfd: 438,
  process_madvise: 440,
  mount_setattr: 442,
  quotactl_fd: 443,
  open_tree_attr: 467,
};
const CLONE3 = 435;

interface Architecture {
  /** AUDIT_ARCH_…, from include/uapi/linux/audit.h. */
  audit: number;
  clone: number;
  ioctl: number;
  denied: Record<string, number>;
}

const ARCHITECTURES: Record<string, Architecture> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    ioctl: 16,
    denied: {
      socket: 41,
      fork: 57,
      vfork: 58,
      ptrace: 101,
      syslog: 103,
      mknod: 133,
      uselib: 134,
      vhangup: 153,
      modify_ldt: 154,
      pivot_root: 155,
      adjtimex: 159,
      chroot: 161,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      sethostname: 170,
      setdomainname: 171,
      iopl: 172,
      ioperm: 173,
      init_module: 175,
      delete_module: 176,
      quotactl: 179,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      migrate_pages: 256,
      mknodat: 259,
      unshare: 272,
      move_pages: 279,
      perf_event_open: 298,
      fanotify_init: 300,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
      clock_adjtime: 305,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      execveat: 322,
      userfaultfd: 323,
      ...SINCE_424,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    ioctl: 29,
    denied: {
      mknodat: 33,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      chroot: 51,
      vhangup: 58,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      settimeofday: 170,
      adjtimex: 171,
      socket: 198,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      swapon: 224,
      swapoff: 225,
      migrate_pages: 238,
      move_pages: 239,
      perf_event_open: 241,
      fanotify_init: 262,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
      clock_adjtime: 266,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      execveat: 281,
      userfaultfd: 282,
      kexec_file_load: 294,
      ...SINCE_424,
    },
  },
};

// include/uapi/linux/bpf_common.h, include/uapi/linux/seccomp.h
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const AND = 0x54;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const EPERM = ERRNO | 1;
const ENOSYS = ERRNO | 38;

// Offsets in struct seccomp_data; arguments are 64 bits wide, and their low half comes first on both architectures.
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENT_0 = 16;
const ARGUMENT_1 = 24;

const CLONE_THREAD = 0x00010000;
/** Numbers from here on are the x32 calls of x86-64, a second table that nobody here uses. */
const X32_BIT = 0x40000000;
/** ioctls that type into a terminal as if its user did. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** Terminals and what Node asks of any descriptor: numbers of the form 0x54…, and one that newer libcs take instead of the first of those. */
const PLAIN = { mask: 0xffffff00, value: 0x5400 };
const TCGETS2 = 0x802c542a;
/** The second byte is a request's family (Documentation/userspace-api/ioctl/ioctl-number.rst); Mesa's drivers use DRM, dma-buf, sync files. */
const FAMILY = 0xff00;
const GRAPHICS = ['d', 'b', '>'].map((letter) => letter.charCodeAt(0) << 8);

type Instruction = [code: number, ifTrue: number, ifFalse: number, value: number];

/** What is done with an ioctl, to its end. The kernel looks at the low half of a request alone. */
function ioctlRules(ioctls: Ioctls): Instruction[] {
  const rules: Instruction[] = [
    [LOAD, 0, 0, ARGUMENT_1],
    [JUMP_EQUAL, 1, 0, TIOCSTI],
    [JUMP_EQUAL, 0, 1, TIOCLINUX],
    [RETURN, 0, 0, EPERM],
  ];
  if (ioctls === 'any') return [...rules, [RETURN, 0, 0, ALLOW]];
  const passes = (value: number): Instruction[] => [
    [JUMP_EQUAL, 0, 1, value],
    [RETURN, 0, 0, ALLOW],
  ];
  rules.push(...passes(TCGETS2), [AND, 0, 0, PLAIN.mask], ...passes(PLAIN.value));
  if (ioctls === 'graphics') rules.push([LOAD, 0, 0, ARGUMENT_1], [AND, 0, 0, FAMILY], ...GRAPHICS.flatMap(passes));
  return [...rules, [RETURN, 0, 0, EPERM]];
}

/**
 * The program for `arch` (Node's name), 8 bytes an instruction; null where this architecture has none.
 * @param ioctls NVIDIA's driver numbers its requests without a family, so that its workers are let through with any
 */
export function seccompFilter(arch: string, ioctls: Ioctls = 'files'): Uint8Array | null {
  const own = ARCHITECTURES[arch];
  if (own === undefined) return null;
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, own.audit],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD, 0, 0, NUMBER],
    [JUMP_AT_LEAST, 0, 1, X32_BIT],
    [RETURN, 0, 0, ENOSYS],
    // libc falls back from clone3, whose flags a filter can't read, to clone.
    [JUMP_EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, ENOSYS],
    // Threads, but no processes; a new namespace needs a new process or unshare.
    [JUMP_EQUAL, 0, 4, own.clone],
    [LOAD, 0, 0, ARGUMENT_0],
    [JUMP_ANY_BIT, 0, 1, CLONE_THREAD],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, EPERM],
  ];
  const requests = ioctlRules(ioctls);
  program.push([JUMP_EQUAL, 0, requests.length, own.ioctl], ...requests);
  for (const number of Object.values(own.denied)) program.push([JUMP_EQUAL, 0, 1, number], [RETURN, 0, 0, EPERM]);
  program.push([RETURN, 0, 0, ALLOW]);

  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, ifTrue);
    view.setUint8(index * 8 + 3, ifFalse);
    view.setUint32(index * 8 + 4, value >>> 0, true);
  });
  return bytes;
}
