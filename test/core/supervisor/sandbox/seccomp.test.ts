import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Ioctls } from '../../../../core/supervisor/sandbox/device-access.ts';
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
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
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
  const ioctl = (allowed: Ioctls, request: bigint) =>
    verdict(seccompFilter(arch, allowed) as Uint8Array, machine.audit, machine.ioctl, 0n, request);

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

  test('leaves the CPU worker no request to a device, Mesa those of DRM, and NVIDIA any but the two that type', () => {
    // TCGETS, FIONBIO, FIOCLEX and TCGETS2; DRM_IOCTL_VERSION, DMA_BUF_IOCTL_SYNC, SYNC_IOC_MERGE; NV_ESC_RM_CONTROL, UVM_INITIALIZE, UVM_MAP
    const files = [0x5401n, 0x5421n, 0x5451n, 0x802c542an];
    const graphics = [0xc0406400n, 0x40086200n, 0xc0303e03n];
    const nvidia = [0xc020462an, 0x30000001n, 0x21n];
    const allowed = (ioctls: Ioctls) => [...files, ...graphics, ...nvidia].filter((request) => ioctl(ioctls, request) === ALLOW);
    expect(allowed('files')).toEqual(files);
    expect(allowed('graphics')).toEqual([...files, ...graphics]);
    expect(allowed('any')).toEqual([...files, ...graphics, ...nvidia]);
    for (const ioctls of ['files', 'graphics', 'any'] as const) {
      for (const typing of [0x5412n, 0x541cn, 0xdead_0000_5412n]) expect(ioctl(ioctls, typing)).toBe(EPERM);
    }
    // SIOCSIFADDR, KVM_CREATE_VM, FICLONE, TUNSETIFF
    for (const other of [0x8916n, 0xae01n, 0x40049409n, 0x400454can]) expect(ioctl('graphics', other)).toBe(EPERM);
  });

  test('lets through what bubblewrap and Node need, and kills whoever calls by another table', () => {
    expect(ask(machine.execve)).toBe(ALLOW);
    expect(ask(machine.read)).toBe(ALLOW);
    expect(verdict(program, 0x40000003, machine.read)).toBe(KILL);
    fc.assert(fc.property(fc.integer({ min: 0x40000000, max: 0x7fffffff }), (number) => ask(number) === ENOSYS));
  });

  test('answers every call there may be', () => {
    const requests = fc.bigInt(0n, 2n ** 64n - 1n);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), requests, (number, argument) =>
        [ALLOW, EPERM, ENOSYS].includes(ask(number >>> 0, argument, argument)),
      ),
    );
    // What more is let through for a device is let through for NVIDIA's as well.
    fc.assert(
      fc.property(requests, (request) => {
        const passes = (['files', 'graphics', 'any'] as const).map((each) => ioctl(each, request) === ALLOW);
        return (!passes[0] || passes[1] === true) && (!passes[1] || passes[2] === true);
      }),
    );
  });
});

test('an architecture without a table has no filter, rather than a wrong one', () => {
  expect(seccompFilter('riscv64')).toBeNull();
});
