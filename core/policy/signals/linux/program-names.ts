const WRAPPERS = /^(wine|proton|reaper$|pressure-vessel|pv-adverb|umu-run|steam-launch-wrapper|python)/i;
const WINDOWS_PROGRAM = /\.exe$/i;
const MAX_ARGUMENTS = 64;

/** What the kernel tells of a process. */
export interface ProcessFacts {
  /** Its name, cut off after 15 characters. */
  comm: string;
  /** Its program's file; null for somebody else's process. */
  exe: string | null;
  /** Its arguments, with zeros between. */
  cmdline: string;
}

/**
 * The file names by which a process may be on a list, the likeliest first; none for threads of the kernel and for what has ended. A program of
 * Wine's or Proton's has its Windows path for first argument, and is among the arguments of those that are about to start it.
 */
export function programNames({ comm, exe, cmdline }: ProcessFacts): string[] {
  const args = cmdline.split('\0', MAX_ARGUMENTS);
  const first = fileName(args[0] ?? '');
  if (first === '') return [];
  const names = new Set([first]);
  if (exe !== null) names.add(fileName(exe.replace(/ \(deleted\)$/, '')));
  if (comm !== '') names.add(comm);
  if ([...names].some((name) => WRAPPERS.test(name))) {
    for (const arg of args) if (WINDOWS_PROGRAM.test(arg)) names.add(fileName(arg));
  }
  return [...names];
}

/** What a command line's first word is without folder; a program that calls itself `nginx: worker process` is nginx. */
function fileName(path: string): string {
  const whole = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  return WINDOWS_PROGRAM.test(whole) ? whole : (/^-?([^\s:]*)/.exec(whole)?.[1] ?? whole);
}
