/** What the command line and the environment ask of the desktop shell. */
export interface StartOptions {
  /** What `--data-dir` said. */
  dataDir: string | undefined;
  /** Start in the tray, without a window: as at login. */
  hidden: boolean;
  /** A `hearthlend:` link that the system started us with. */
  link: string | undefined;
  /** Whether a terminal watches, which tells of a failed start by itself. */
  terminal: boolean;
}

const DATA_DIR = '--data-dir=';

/** Reads the arguments that are ours and leaves the others to Chromium, which has many. */
export function readOptions(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): StartOptions {
  return {
    dataDir: argv.find((argument) => argument.startsWith(DATA_DIR))?.slice(DATA_DIR.length) || undefined,
    hidden: argv.includes('--hidden'),
    link: linkIn(argv),
    terminal: env.HEARTHLEND_TERMINAL === '1',
  };
}

/** The link among the arguments: the system appends the one that was opened. */
export function linkIn(argv: readonly string[]): string | undefined {
  return argv.find((argument) => /^hearthlend:/i.test(argument));
}
