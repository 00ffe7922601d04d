import { closeSync, openSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

/** A system call, as it is made from machine code: JavaScript has no such, but a worker that was taken over has. A text stands for its address. */
export interface Call {
  number: number;
  args: Array<number | string>;
}

// x86-64 alone: its encoding, and the ELF fields of the System V ABI.
const BASE = 0x180;
const ENTRY_BYTES = 64;
const RESULT_AT = 56;
const CLONE = 56;
const EXIT_GROUP = 231;
const WRITE_AT = 18;

/**
 * Makes the calls, one after another, by loading a library that was written for it into this process, and gives the first one's result. A child
 * that one of them makes ends at once.
 * @throws where the library can't be written or loaded, and with an errno as its code where the kernel said no
 */
export function callKernel(scratchDir: string, name: string, calls: readonly Call[]): number {
  const path = join(scratchDir, `probe-${process.pid}-${name}.node`);
  const resultPath = `${path}.result`;
  const result = openSync(resultPath, 'w+');
  try {
    writeFileSync(path, library(calls, result), { mode: 0o700 });
    try {
      process.dlopen({ exports: {} }, path);
    } catch (error) {
      // It is no addon, which is found out only after its code has run.
      if (!String(error).includes('did not self-register')) throw error;
    }
    const bytes = Buffer.alloc(8);
    if (readSync(result, bytes, 0, 8, 0) !== 8) throw new Error('its code did not run');
    const value = Number(bytes.readBigInt64LE());
    if (value < 0) throw Object.assign(new Error(`the kernel said ${value}`), { code: errnoName(-value) });
    return value;
  } finally {
    closeSync(result);
    for (const each of [path, resultPath]) unlinkQuietly(each);
  }
}

function library(calls: readonly Call[], resultFile: number): Uint8Array {
  const all: Call[] = [...calls, { number: WRITE_AT, args: [resultFile, 'RESULT', 8, 0] }];
  const code = codeFor(all.length);
  const table = align(BASE + code.length);
  let texts = table + all.length * ENTRY_BYTES;
  const relocations: [at: number, to: number][] = [];
  const strings: [at: number, text: string][] = [];
  const words: bigint[] = [];
  all.forEach(({ number, args }, entry) => {
    const row = [number, ...args, ...Array(6 - args.length).fill(0), 0] as Call['args'];
    row.forEach((value, column) => {
      if (typeof value === 'number') words.push(BigInt.asUintN(64, BigInt(value)));
      else {
        words.push(0n);
        const known = value === 'RESULT' ? table + RESULT_AT : texts;
        if (value !== 'RESULT') {
          strings.push([texts, value]);
          texts += align(Buffer.byteLength(value, 'latin1') + 1);
        }
        relocations.push([table + entry * ENTRY_BYTES + 8 * column, known]);
      }
    });
  });
  const rela = align(texts);
  const size = rela + 24 * relocations.length;
  const file = Buffer.alloc(size);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // ELF header: a shared object for x86-64, with three program headers.
  put16(file, 16, 3, 62);
  file.writeUInt32LE(1, 20);
  put64(file, 32, 64);
  put16(file, 52, 64, 56, 3);
  const segment = (at: number, type: number, flags: number, start: number, bytes: number) => {
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(flags, at + 4);
    put64(file, at + 8, start, start, start, bytes, bytes, type === 1 ? 4096 : 8);
  };
  const dynamic = 0xe8;
  const entries = [5, 0x170, 6, 0x170, 10, 1, 11, 24, 7, rela, 8, 24 * relocations.length, 9, 24, 12, BASE, 0, 0];
  segment(64, 1, 7, 0, size);
  segment(120, 2, 6, dynamic, 8 * entries.length);
  // PT_GNU_STACK: without it the stack would have to become executable.
  segment(176, 0x6474e551, 6, 0, 0);
  put64(file, dynamic, ...entries);
  file.set(code, BASE);
  // lea rbx, [rip + table]: counted from the end of that instruction.
  file.writeInt32LE(table - (BASE + 10), BASE + 6);
  words.forEach((word, index) => void file.writeBigUInt64LE(word, table + 8 * index));
  for (const [at, text] of strings) file.write(text, at, 'latin1');
  relocations.forEach(([at, to], index) => void put64(file, rela + 24 * index, at, 8, to));
  return file;
}

/** Steps through the table: number, six arguments, result. */
function codeFor(count: number): number[] {
  const loop = [
    ...[0x48, 0x8b, 0x03, 0x48, 0x8b, 0x7b, 0x08, 0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x53, 0x18], // mov rax, rdi, rsi, rdx
    ...[0x4c, 0x8b, 0x53, 0x20, 0x4c, 0x8b, 0x43, 0x28, 0x4c, 0x8b, 0x4b, 0x30, 0x0f, 0x05], // mov r10, r8, r9; syscall
    ...[0x48, 0x85, 0xc0, 0x75, 0x0f, 0x48, 0x83, 0x3b, CLONE, 0x75, 0x09], // test rax, rax; is it a child's clone?
    ...[0xb8, EXIT_GROUP, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05], // exit_group(0)
    ...[0x48, 0x89, 0x43, RESULT_AT, 0x48, 0x83, 0xc3, ENTRY_BYTES, 0x41, 0xff, 0xcc], // mov [rbx+56], rax; next; dec r12d
  ];
  return [
    ...[0x53, 0x41, 0x54, 0x48, 0x8d, 0x1d, 0, 0, 0, 0, 0x41, 0xbc, count, 0, 0, 0], // push rbx, r12; lea rbx, table; mov r12d, count
    ...loop,
    ...[0x75, 256 - (loop.length + 2), 0x41, 0x5c, 0x5b, 0xc3], // jnz loop; pop r12, rbx; ret
  ];
}

function errnoName(number: number): string {
  return Object.entries(constants.errno).find(([, each]) => each === number)?.[0] ?? `errno ${number}`;
}

function align(at: number): number {
  return Math.ceil(at / 8) * 8;
}

function put16(file: Buffer, at: number, ...values: number[]): void {
  values.forEach((value, index) => void file.writeUInt16LE(value, at + 2 * index));
}

function put64(file: Buffer, at: number, ...values: number[]): void {
  values.forEach((value, index) => void file.writeBigUInt64LE(BigInt(value), at + 8 * index));
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made, or lies in a scratch that goes with the sandbox.
  }
}
