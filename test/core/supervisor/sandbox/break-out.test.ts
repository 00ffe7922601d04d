import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BreakOutAttempt } from '../../../../core/contract/isolation.ts';
import { detectWall } from '../../../../core/supervisor/sandbox/detect.ts';
import { type Launch, planBare, planBubblewrap, planLaunch, type Wall } from '../../../../core/supervisor/sandbox/plan.ts';
import { probeIsolation, runProbe, taskFor } from '../../../../core/supervisor/sandbox/probe.ts';
import { findSwiftShader } from './gpu/software.ts';
import { type Outside, openOutside } from './outside.ts';

const onLinux = process.platform === 'linux';
let outside: Outside;
let wall: Wall;

beforeAll(async () => {
  outside = await openOutside();
  wall = await detectWall(outside.needs);
});
afterAll(() => outside.close());

const broken = (attempts: BreakOutAttempt[]): string[] => attempts.filter((each) => each.succeeded).map((each) => each.name);
const program = (): string => wall.program ?? 'bwrap';
const sealed = (): Launch => planLaunch(wall, { ...outside.needs, permission: false });
const replaced = (launch: Launch, option: string, by: string[], count = 1): Launch => {
  const at = launch.args.indexOf(option);
  expect(at).toBeGreaterThanOrEqual(0);
  return { ...launch, args: launch.args.toSpliced(at, count, ...by) };
};
/** More mounts or options, before the root is made read-only. */
const added = (...args: string[]): Launch => {
  const launch = sealed();
  return { ...launch, args: launch.args.toSpliced(launch.args.lastIndexOf('--remount-ro'), 0, ...args) };
};
const rootWritable = (): Launch => {
  const launch = sealed();
  return { ...launch, args: launch.args.toSpliced(launch.args.lastIndexOf('--remount-ro'), 2) };
};
const unfiltered = (launch: Launch): Launch => ({ ...replaced(launch, '--seccomp', [], 2), inputs: [] });

describe.runIf(onLinux)('from inside bubblewrap', () => {
  test('the wall stands on this machine', () => {
    expect(wall).toMatchObject({ level: 'os', wall: 'bubblewrap', reason: null, remedy: null });
  });

  test.each([
    ['the newest', { disableUserNamespaces: true, boundedScratch: true }],
    ['a setuid or old', { disableUserNamespaces: false, boundedScratch: false }],
  ])('every way out is closed to an ordinary user behind %s bubblewrap', async (_name, features) => {
    const attempts = await outside.probe(planBubblewrap(program(), { ...outside.needs, permission: false }, features));
    expect(broken(attempts)).toEqual([]);
    expect(new Set(attempts.map((each) => each.name)).size).toBe(attempts.length);
    expect(attempts.length).toBeGreaterThan(60);
    expect([...new Set(attempts.map((each) => each.kind))].sort()).toEqual([
      'descriptors',
      'environment',
      'files',
      'memory',
      'network',
      'privilege',
      'processes',
    ]);
  });

  test('every way out is closed to whoever runs this, root included, and the report says os', async () => {
    const report = await probeIsolation(wall, outside.needs, [{ label: 'passwd', path: '/etc/passwd' }]);
    expect(broken(report.probe?.attempts ?? [])).toEqual([]);
    expect(report).toMatchObject({ level: 'os', wall: 'bubblewrap', reason: null, remedy: null });
    expect(report.probe?.attempts[0]).toMatchObject({ name: 'read-secret-passwd', succeeded: false });
    // Nothing that the probe was given to try stays behind.
    expect(readdirSync(outside.needs.modelsDir)).toEqual(['model.onnx']);
    expect(Object.keys(process.env).filter((name) => name.startsWith('HEARTHLEND_CANARY'))).toEqual([]);
  });

  test("every way out is closed as well with a GPU's driver inside", async (ctx) => {
    const plan = await findSwiftShader();
    if (!plan.ok) ctx.skip('there is no Vulkan driver here');
    else {
      const device = { ...plan.access, ioctls: 'any' as const };
      expect(broken(await outside.probe(planLaunch(wall, { ...outside.needs, permission: false, device })))).toEqual([]);
    }
  });

  test('namespaces hold without the system call filter: only what it alone forbids is found', async () => {
    const open = broken(await outside.probe(unfiltered(sealed())));
    expect(open).toEqual(expect.arrayContaining(['start-program', 'start-program-from-scratch', 'call-kernel-unfiltered']));
    const filtersOwn = ['open-netlink-socket', 'open-unix-socket', 'add-kernel-key', 'open-user-keyring', 'start-process-by-call'];
    const alone = [...filtersOwn, 'open-submission-ring', 'take-page-faults', 'name-file-by-handle'];
    expect(open.filter((name) => !alone.includes(name))).toEqual(['start-program', 'start-program-from-scratch', 'call-kernel-unfiltered']);
  });
});

/** What nothing is laid out for here: a name server, a service's socket, a terminal or file as standard stream. And the runner is somebody else's. */
const NOTHING_TO_REACH = ['look-up-name', 'connect-service-socket', 'signal-parent', 'use-inherited-descriptor', 'reopen-standard-streams'];
/** What another machine may not have, or its kernel be set up to deny: disks, a line to the internet, tracing, rings, namespaces. */
const NOT_EVERYWHERE = [
  ...['read-mounted-disks', 'read-machine-id', 'read-kernel-keys', 'connect-tcp-own-address', 'connect-tcp-internet'],
  ...['read-agent-memory', 'trace-agent', 'compare-with-agent', 'move-agent-memory', 'open-submission-ring', 'take-page-faults'],
  ...['add-kernel-key', 'open-user-keyring', 'make-user-namespace', 'make-mount', 'make-user-namespace-by-call'],
  ...['make-network-namespace-by-call', 'name-file-by-handle', 'write-run'],
];

test.runIf(onLinux)(
  'with every wall of ours removed the same ways are open to the same ordinary user, but for those that name the kernel',
  async () => {
    const bare = planBare({ ...outside.needs, permission: false });
    const open = broken(await outside.probe({ ...bare, env: { ...bare.env, HEARTHLEND_CANARY: 'sings' } }));
    const stopped = new Map((await outside.probe(sealed())).map((attempt) => [attempt.name, attempt.wall]));
    expect([...stopped.values()]).not.toContain(undefined);
    const ours = [...stopped].flatMap(([name, by]) => (by === 'kernel' ? [] : [name]));
    const shut = ours.filter((name) => !open.includes(name));
    expect(shut.filter((name) => !NOTHING_TO_REACH.includes(name) && !NOT_EVERYWHERE.includes(name))).toEqual([]);
    expect(open.filter((name) => stopped.get(name) === 'kernel')).toEqual([]);
    expect(open.length).toBeGreaterThanOrEqual(60);
  },
);

describe.runIf(onLinux)('the probe notices', () => {
  test.each<[string, () => Launch, string[]]>([
    [
      'a network that is shared',
      () => unfiltered(added('--share-net')),
      ['connect-tcp-loopback', 'send-udp', 'ask-name-server', 'connect-abstract-socket'],
    ],
    ['a shared network even behind the filter', () => added('--share-net'), ['see-connections']],
    ['a folder of sockets', () => unfiltered(added('--bind', '/tmp', '/tmp')), ['connect-unix-socket', 'write-tmp', 'list-root']],
    [
      'processes that are shared',
      () => replaced(sealed(), '--unshare-all', ['--unshare-net', '--unshare-ipc', '--unshare-uts']),
      ['see-other-processes', 'read-command-lines', 'signal-agent'],
    ],
    [
      'a home',
      () => added('--ro-bind', join(outside.needs.modelsDir, '../home'), join(outside.needs.modelsDir, '../home')),
      ['read-home', 'read-secret-keystore', 'list-root'],
    ],
    ['the programs of the machine', () => added('--ro-bind', '/usr', '/usr'), ['read-installed-programs', 'list-root']],
    ['settings of the machine', () => added('--ro-bind', '/etc', '/etc'), ['read-passwd', 'leave-by-dot-dot']],
    [
      'models that are writable',
      () => added('--bind', outside.needs.modelsDir, '/models'),
      ['write-models-folder', 'open-model-for-writing', 'change-model-attributes'],
    ],
    ['a root that stays writable', rootWritable, ['write-root']],
    ['a second place to fill', () => added('--dev', '/dev'), ['write-shared-memory']],
    ['terminals', () => added('--dev', '/dev'), ['open-terminal']],
    ['a scratch without its bound', () => replaced(sealed(), '--size', [], 2), ['fill-scratch-past-its-bound']],
    ['an open /proc', () => added('--proc', '/proc'), ['read-kernel-symbols', 'read-kernel-command-line', 'open-own-limits-for-writing']],
    ['more environment than granted', () => added('--setenv', 'HEARTHLEND_CANARY', 'sings'), ['find-canary', 'find-other-variables']],
    [
      'an environment that bubblewrap itself keeps',
      () => ({ ...sealed(), env: { SECRET: 'sings' } }),
      ['read-other-environments', 'find-other-variables'],
    ],
    [
      'an identity of root',
      () => replaced(replaced(sealed(), '--uid', ['--uid', '0'], 2), '--gid', ['--gid', '0'], 2),
      ['keep-root-identity'],
    ],
    ['capabilities', () => replaced(sealed(), '--cap-drop', ['--cap-add'], 1), ['hold-capabilities']],
  ])('%s', async (_name, weakened, found) => {
    expect(broken(await outside.probe(weakened()))).toEqual(expect.arrayContaining(found));
  });

  test('a descriptor that is left open', async () => {
    const launch = planBare({ ...outside.needs, permission: false });
    const task = taskFor(
      launch,
      outside.needs,
      [],
      { listeners: { tcpPort: 9, udpPort: 9, addresses: [], unixPath: null, abstractName: null } },
      { name: 'NONE', value: '' },
    );
    // A shell leaves one open on purpose; run through spawnLaunch alone nothing is.
    const leaking: Launch = {
      ...launch,
      command: '/bin/sh',
      args: ['-c', 'exec 9</etc/passwd; exec "$0" "$@"', launch.command, ...launch.args],
    };
    expect(broken(await runProbe(leaking, task))).toContain('use-inherited-descriptor');
    expect(broken(await runProbe(launch, task))).not.toContain('use-inherited-descriptor');
  });
});

describe.runIf(onLinux)('the report on a wall that does not hold', () => {
  const withProgram = (name: string, script: string): Wall => {
    const path = join(outside.needs.modelsDir, '..', name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return { ...wall, program: path };
  };

  test('is of level process, and names the way out', async () => {
    const leaky = withProgram('leaky', `shift; exec ${program()} --unshare-all --share-net "$@"`);
    const report = await probeIsolation(leaky, outside.needs, []);
    expect(report).toMatchObject({ level: 'process', reason: { key: 'isolation.probe-broken' } });
    expect(report.reason?.params.attempts).toContain('see-connections');
    expect(report.probe?.attempts.length).toBeGreaterThan(60);
  });

  test.each([
    ['ends', 'echo gone >&2; exit 3', 'gone'],
    ['says nonsense', 'echo nonsense', 'makes sense'],
    ['claims that nothing was tried', `echo '{"attempts":[]}'`, 'makes sense'],
  ])('is of level process too where the probe %s', async (_name, script, detail) => {
    const report = await probeIsolation(withProgram('fake', script), outside.needs, []);
    expect(report).toMatchObject({ level: 'process', probe: null, reason: { key: 'isolation.probe-failed' } });
    expect(report.reason?.params.detail).toContain(detail);
  });

  test('is what detection found where there is no wall at all', async () => {
    const none = await detectWall(outside.needs, {
      platform: 'win32',
      find: () => null,
      read: () => null,
      run: async () => ({ code: 1, stderr: '' }),
    });
    expect(await probeIsolation(none, outside.needs, [])).toMatchObject({ level: 'process', wall: 'none', probe: null });
  });
});
