import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { redactLine } from './redact.ts';

const MAX_BYTES = 512 * 1024;

/** The last lines of a log's files (newest file first), oldest line first, redacted; what is no line of ours is counted and left out. */
export function lastLines(files: readonly string[]): string {
  const lines: string[] = [];
  let left = MAX_BYTES;
  for (const path of files) {
    if (left <= 0) break;
    const tail = tailOf(path, left);
    left -= tail.length;
    lines.unshift(...tail.split('\n').filter((line) => line !== ''));
  }
  const redacted = lines.map(redactLine);
  const foreign = redacted.filter((line) => line === null).length;
  const kept = redacted.filter((line) => line !== null);
  return [...(foreign === 0 ? [] : [JSON.stringify({ leftOut: foreign })]), ...kept, ''].join('\n');
}

/** At most the last `bytes` of a file, from a line's start on; nothing where there is no file. */
function tailOf(path: string, bytes: number): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, bytes);
    const buffer = Buffer.alloc(length);
    const read = readSync(file, buffer, 0, length, size - length);
    const text = buffer.toString('utf8', 0, read);
    return length < size ? text.slice(text.indexOf('\n') + 1) : text;
  } finally {
    closeSync(file);
  }
}
