import { spawnSync } from 'node:child_process';

/** A network of its own for one process, on a cable that can be pulled. */
export interface Cable {
  /** The address under which this machine is reached from inside, and by itself. */
  readonly host: string;
  /** What starts a process inside: to be put before its command line. */
  readonly inside: readonly string[];
  pull(): void;
  plug(): void;
  remove(): void;
}

const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' });

/** A cable, or why none can be laid here. */
export function layCable(number: number): Cable | string {
  if (process.getuid?.() !== 0) return 'network namespaces are made by root';
  try {
    return lay(number);
  } catch (thrown) {
    return `network namespaces can't be made here: ${(thrown as Error).message}`;
  }
}

/** A namespace, and a pair of interfaces between it and this machine, whose own address is on the loopback, which stays up. */
function lay(number: number): Cable {
  const name = `hearthlend-${process.pid}-${number}`;
  const [near, far] = [`hlt${number}a`, `hlt${number}b`];
  const net = `10.${100 + number}`;
  const host = `${net}.0.1`;
  const must = (...args: string[]) => {
    const { status, stderr } = ip(...args);
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  const remove = () => {
    ip('netns', 'del', name);
    ip('link', 'del', near);
    ip('addr', 'del', `${host}/32`, 'dev', 'lo');
  };
  remove();
  must('addr', 'add', `${host}/32`, 'dev', 'lo');
  must('netns', 'add', name);
  must('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
  must('link', 'set', far, 'netns', name);
  must('addr', 'add', `${net}.1.1/24`, 'dev', near);
  must('link', 'set', near, 'up');
  must('-n', name, 'addr', 'add', `${net}.1.2/24`, 'dev', far);
  for (const device of ['lo', far]) must('-n', name, 'link', 'set', device, 'up');
  const route = () => must('-n', name, 'route', 'replace', host, 'via', `${net}.1.1`);
  route();
  return {
    host,
    inside: ['ip', 'netns', 'exec', name],
    pull: () => must('link', 'set', near, 'down'),
    plug() {
      must('link', 'set', near, 'up');
      route();
    },
    remove,
  };
}
