import { type ChildProcess, spawn } from 'node:child_process';
import { lineCutter } from './lines.ts';

/** A tool that tells line after line until it is ended. */
export interface StreamedTool {
  /** Starts it, where it isn't running; what was given up is tried again. */
  start(): void;
  /** Kills it and starts it no more. */
  stop(): void;
  /** Its process while it runs. */
  readonly pid: number | undefined;
}

interface StreamOptions {
  program: string;
  /** Asked anew for each start. */
  args(): readonly string[];
  /**
   * Takes a line, and says what it was: `good` is what was asked for; `bad` is anything else; `again` is a refusal after which it is to be
   * started at once with other arguments.
   */
  onLine(line: string): 'good' | 'bad' | 'again';
  /** Silence for so long means that it hangs. 0: it may be silent. */
  silenceMs: number;
  /** The first wait before a start after a failure; doubled each time. */
  firstBackOffMs: number;
}

/** Failures in a row, without a good line between them, after which it is given up until the next `start`. */
const MAX_FAILURES = 6;
const LONGEST_BACK_OFF_MS = 60_000;
/** Tools translate numbers and words; these are what our parsers know. */
const PLAIN_LOCALE = { LC_ALL: 'C', LANG: 'C' };

/**
 * Keeps a tool running while it is wanted: one child, its lines taken as they come and never gathered. One that dies or falls silent is started
 * again after a wait that grows; one that isn't there is not looked for again.
 */
export function streamTool({ program, args, onLine, silenceMs, firstBackOffMs }: StreamOptions): StreamedTool {
  let wanted = false;
  let missing = false;
  let failures = 0;
  let child: ChildProcess | undefined;
  let waiting: NodeJS.Timeout | undefined;

  function launch(): void {
    waiting = undefined;
    // Of an agent that is killed it ends by itself: nobody reads its lines any more.
    const started = spawn(program, [...args()], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...PLAIN_LOCALE },
      windowsHide: true,
    });
    child = started;
    let again = false;
    let silence: NodeJS.Timeout | undefined;
    const listen = () => {
      clearTimeout(silence);
      if (silenceMs > 0) silence = setTimeout(() => started.kill('SIGKILL'), silenceMs);
    };
    const take = (line: string) => {
      if (child !== started || line.trim() === '') return;
      const was = onLine(line);
      if (was === 'good') {
        failures = 0;
        listen();
      }
      if (was === 'again') again = true;
    };
    listen();
    for (const stream of [started.stdout, started.stderr]) {
      const cut = lineCutter(take);
      stream?.setEncoding('utf8').on('data', cut);
    }
    started.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') missing = true;
      ended();
    });
    started.once('close', ended);

    function ended(): void {
      clearTimeout(silence);
      if (child !== started) return;
      child = undefined;
      if (!wanted || missing) return;
      failures += 1;
      if (failures >= MAX_FAILURES) return;
      const wait = again ? 0 : Math.min(LONGEST_BACK_OFF_MS, firstBackOffMs * 2 ** (failures - 1));
      waiting = setTimeout(launch, wait);
      waiting.unref();
    }
  }

  return {
    start() {
      if (wanted && (child !== undefined || waiting !== undefined)) return;
      wanted = true;
      if (missing || child !== undefined || waiting !== undefined) return;
      failures = 0;
      launch();
    },
    stop() {
      wanted = false;
      clearTimeout(waiting);
      waiting = undefined;
      const running = child;
      child = undefined;
      running?.kill('SIGKILL');
    },
    get pid() {
      return child?.pid;
    },
  };
}
