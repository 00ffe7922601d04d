import type { BreakOutTask } from '../../../core/contract/break-out.ts';
import type { WayOut } from './attempt.ts';
import { type Call, callKernel } from './machine-code.ts';
import { isOwn } from './process.ts';

/** Numbers: arch/x86/entry/syscalls/syscall_64.tbl; constants: include/uapi/linux. */
const CALLS: Record<string, { kind: WayOut['kind']; of?: 'agent'; calls: (agentPid: number) => Call[] }> = {
  // socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
  'open-netlink-socket': { kind: 'network', calls: () => [{ number: 41, args: [16, 3, 0] }] },
  // socket(AF_UNIX, SOCK_STREAM): the way to every service of the machine
  'open-unix-socket': { kind: 'network', calls: () => [{ number: 41, args: [1, 1, 0] }] },
  // add_key("user", …, KEY_SPEC_PROCESS_KEYRING)
  'add-kernel-key': { kind: 'privilege', calls: () => [{ number: 248, args: ['user', 'hearthlend-probe', 'x', 1, -2] }] },
  // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, create): keys of the user, whichever process asks
  'open-user-keyring': { kind: 'privilege', calls: () => [{ number: 250, args: [0, -4, 1] }] },
  // ptrace(PTRACE_SEIZE), and PTRACE_DETACH
  'trace-agent': {
    kind: 'processes',
    of: 'agent',
    calls: (pid) => [
      { number: 101, args: [0x4206, pid, 0, 0] },
      { number: 101, args: [17, pid, 0, 0] },
    ],
  },
  // pidfd_open
  'open-agent-handle': { kind: 'descriptors', of: 'agent', calls: (pid) => [{ number: 434, args: [pid, 0] }] },
  // kcmp(agent, own, KCMP_VM)
  'compare-with-agent': { kind: 'memory', of: 'agent', calls: (pid) => [{ number: 312, args: [pid, process.pid, 1, 0, 0] }] },
  // move_pages(agent, none)
  'move-agent-memory': { kind: 'memory', of: 'agent', calls: (pid) => [{ number: 279, args: [pid, 0, 0, 0, 0, 0] }] },
  // clone(SIGCHLD)
  'start-process-by-call': { kind: 'processes', calls: () => [{ number: 56, args: [17, 0, 0, 0, 0] }] },
  // clone(CLONE_NEWUSER | SIGCHLD)
  'make-user-namespace-by-call': { kind: 'privilege', calls: () => [{ number: 56, args: [0x1000_0011, 0, 0, 0, 0] }] },
  // clone(CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD)
  'make-network-namespace-by-call': { kind: 'privilege', calls: () => [{ number: 56, args: [0x5000_0011, 0, 0, 0, 0] }] },
  // io_uring_setup(4, params): 120 zero bytes
  'open-submission-ring': { kind: 'privilege', calls: () => [{ number: 425, args: [4, '\0'.repeat(120)] }] },
  // userfaultfd(UFFD_USER_MODE_ONLY)
  'take-page-faults': { kind: 'memory', calls: () => [{ number: 323, args: [1] }] },
  // name_to_handle_at(AT_FDCWD, "/", handle with room, mount id, 0): the first half of opening files around every mount
  'name-file-by-handle': { kind: 'files', calls: () => [{ number: 303, args: [-100, '/', `\x80${'\0'.repeat(160)}`, '\0'.repeat(8), 0] }] },
};

/** What code that took the worker over asks of the kernel itself. The machine code is x86-64's. */
export const callWays: WayOut[] =
  process.platform === 'linux' && process.arch === 'x64'
    ? Object.entries(CALLS).map(([name, { kind, of, calls }]) => ({
        name,
        kind,
        wall: 'system-calls',
        reach: ({ agentPid, granted }: BreakOutTask) => {
          if (granted.scratchDir === null || (of === 'agent' && isOwn(agentPid))) return null;
          return `the kernel answered ${callKernel(granted.scratchDir, name, calls(agentPid))}`;
        },
      }))
    : [];
