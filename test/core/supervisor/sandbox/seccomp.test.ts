import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seccompFilter } from '../../../../core/supervisor/sandbox/seccomp.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const KILL = 0x80000000;
const machines = {
  x64: { audit: 0xc000003e, clone: 56, socket: 41, ioctl: 16, read: 0, execve: 59, unshare: 272, ptrace: 101 },
  arm64: { audit: 0xc00000b7, clone: 220, socket: 198, ioctl: 29, read: 63, execve: 221, unshare: 97, ptrace: 117 },
};

/** What the kernel would answer: the part of classic BPF that seccomp takes, by the rules of net/core/filter.c. */
function verdict(program: Uint8Array, audit: number, number: number, ...args: bigint[]): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, audit, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, value, true);
  });
  const view = new DataView(program.buffer);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at += 1) {
    const [code, value] = [view.getUint16(at * 8, true), view.getUint32(at * 8 + 4, true)];
    const [ifTrue, ifFalse] = [view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3)];
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data.getUint32(value, true);
    else if (code === 0x15) at += accumulator === value ? ifTrue : ifFalse;
    else if (code === 0x35) at += accumulator >= value ? ifTrue : ifFalse;
    else if (code === 0x45) at += (accumulator & value) !== 0 ? ifTrue : ifFalse;
    else throw new Error(`no such instruction: ${code}`);
  }
  throw new Error('the program has no end');
}

describe.each(Object.entries(machines))('the system call filter for %s', (arch, machine) => {
  const program = seccompFilter(arch) as Uint8Array;
  const ask = (number: number, ...args: bigint[]) => verdict(program, machine.audit, number, ...args);

  test('lets threads start, but no process and no namespace', () => {
    // glibc's pthread_create, fork, and clone with CLONE_NEWUSER
    expect(ask(machine.clone, 0x3d0f00n)).toBe(ALLOW);
    expect(ask(machine.clone, 0x1200011n)).toBe(EPERM);
    expect(ask(machine.clone, 0x10000011n)).toBe(EPERM);
    expect(ask(435)).toBe(ENOSYS);
    expect(ask(machine.unshare, 0x10000000n)).toBe(EPERM);
  });

  test('refuses sockets of every family, tracing, io_uring, and typing into a terminal', () => {
    fc.assert(fc.property(fc.bigInt(0n, 64n), (family) => ask(machine.socket, family, 1n) === EPERM));
    expect(ask(machine.ptrace)).toBe(EPERM);
    expect(ask(425)).toBe(EPERM);
    expect(ask(machine.ioctl, 0n, 0x5412n)).toBe(EPERM);
    // The kernel looks at the low half of a request alone, so the high half must not hide it.
    expect(ask(machine.ioctl, 0n, 0xdead_0000_5412n)).toBe(EPERM);
    expect(ask(machine.ioctl, 0n, 0x5401n)).toBe(ALLOW);
  });

  test('lets through what bubblewrap and Node need, and kills whoever calls by another table', () => {
    expect(ask(machine.execve)).toBe(ALLOW);
    expect(ask(machine.read)).toBe(ALLOW);
    expect(verdict(program, 0x40000003, machine.read)).toBe(KILL);
    fc.assert(fc.property(fc.integer({ min: 0x40000000, max: 0x7fffffff }), (number) => ask(number) === ENOSYS));
  });

  test('answers every call there may be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.bigInt(0n, 2n ** 64n - 1n), (number, argument) =>
        [ALLOW, EPERM, ENOSYS].includes(ask(number >>> 0, argument, argument)),
      ),
    );
  });
});

test('an architecture without a table has no filter, rather than a wrong one', () => {
  expect(seccompFilter('riscv64')).toBeNull();
});
