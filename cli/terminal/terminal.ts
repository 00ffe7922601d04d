import { styleText } from 'node:util';
import { describeError } from '../../core/contract/messages.ts';

/** A stream that text is written to: process.stdout and process.stderr, or a test's. */
export type TextStream = NodeJS.WritableStream & { isTTY?: boolean | undefined; columns?: number | undefined };

export interface TerminalOptions {
  stdout: TextStream;
  stderr: TextStream;
  /** JSON lines on stdout for programs, instead of text for people. */
  json: boolean;
  /** Whether text may be bold: a terminal, and no NO_COLOR. */
  styled: boolean;
  clock: () => number;
}

/** How a command speaks. Each way is for one reader: with `--json` people's text is left out, without it the JSON lines. */
export interface Terminal {
  readonly json: boolean;
  /** Text for people, on stdout. */
  text(line: string): void;
  /**
   * A piece of text that others made, going on where the last one ended, on stdout. What would steer a terminal is shown as replacement
   * characters there.
   */
  piece(text: string): void;
  /** One JSON object on a line, on stdout, for programs. */
  emit(object: object): void;
  /** What goes on, for people, on stderr. */
  note(line: string): void;
  /** An error: text on stderr, or an `error` line on stdout. */
  fail(thrown: unknown): void;
  bold(text: string): string;
  /** Shows what is under way once it has taken a second: on a terminal one line that is rewritten, else a line now and then. */
  progress(line: () => string): Progress;
}

interface Progress {
  /** Takes the progress away. Safe to call twice. */
  end(): void;
}

/** Control characters but for tab and line feed. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const PROGRESS_AFTER_MS = 1000;
const TTY_EVERY_MS = 200;
const LINE_EVERY_MS = 5000;

export function createTerminal({ stdout, stderr, json, styled, clock }: TerminalOptions): Terminal {
  /** What is on the line that is rewritten, to be put back below other text. */
  let shown: string | undefined;
  const clear = () => {
    if (shown !== undefined) stderr.write('\r\x1b[K');
  };
  const write = (stream: TextStream, line: string) => {
    clear();
    stream.write(`${line}\n`);
    if (shown !== undefined) stderr.write(shown);
  };

  function progressOnTerminal(line: () => string): Progress {
    const draw = () => {
      clear();
      shown = line().slice(0, Math.max(20, (stderr.columns || 80) - 1));
      stderr.write(shown);
    };
    let timer: NodeJS.Timeout | undefined = setTimeout(() => {
      draw();
      timer = setInterval(draw, TTY_EVERY_MS).unref();
    }, PROGRESS_AFTER_MS).unref();
    return {
      end: () => {
        clearTimeout(timer);
        timer = undefined;
        clear();
        shown = undefined;
      },
    };
  }

  function progressInLines(line: () => string): Progress {
    const startedAt = clock();
    let lastLine = '';
    let lastAt = startedAt + PROGRESS_AFTER_MS - LINE_EVERY_MS;
    const timer = setInterval(() => {
      const next = line();
      if (next === lastLine || clock() - lastAt < LINE_EVERY_MS) return;
      lastLine = next;
      lastAt = clock();
      stderr.write(`${next}\n`);
    }, PROGRESS_AFTER_MS).unref();
    return { end: () => clearInterval(timer) };
  }

  return {
    json,
    text: (line) => {
      if (!json) write(stdout, line);
    },
    piece: (text) => {
      if (!json) stdout.write(stdout.isTTY === true ? text.replace(STEERING, '\ufffd') : text);
    },
    emit: (object) => {
      if (json) stdout.write(`${JSON.stringify(object)}\n`);
    },
    note: (line) => {
      if (!json) write(stderr, line);
    },
    fail: (thrown) => {
      const { code, what, next } = describeError(thrown);
      if (json) stdout.write(`${JSON.stringify({ event: 'error', code, message: what, next })}\n`);
      else write(stderr, `${what}\n${next} (${code})`);
    },
    bold: (text) => (styled ? styleText('bold', text, { validateStream: false }) : text),
    progress: (line) => {
      if (json) return { end: () => undefined };
      return stderr.isTTY === true ? progressOnTerminal(line) : progressInLines(line);
    },
  };
}

/** Runs something with its progress shown. */
export async function withProgress<T>(terminal: Terminal, line: () => string, work: Promise<T>): Promise<T> {
  const progress = terminal.progress(line);
  try {
    return await work;
  } finally {
    progress.end();
  }
}
