import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explainRefusal } from '../../core/supervisor/sandbox/remedy.ts';
import { temporaryFolder } from '../end-to-end/program.ts';
import { root } from './imports.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const unit = read('resources/linux/hearthlend.service');
const container = read('resources/container/Containerfile');
/** systemd's own checker of units. */
const analyzer = 'systemd-analyze';
const workflow = read('.github/workflows/ci.yml');

/** The lines of a Containerfile or a unit that say something, continued ones joined. */
function statements(text: string): string[] {
  const spoken = text.split('\n').filter((line) => !line.startsWith('#'));
  return spoken
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
}

test('systemd finds nothing wrong with the unit where the program lies as the unit says', (context) => {
  context.skip(spawnSync(analyzer, ['--version']).status !== 0, 'systemd-analyze is not installed');
  const home = temporaryFolder('unit');
  const bin = join(home, '.local/share/hearthlend-program/node_modules/node/bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'node'), '', { mode: 0o755 });
  cpSync(join(root, 'resources/linux/hearthlend.service'), join(home, 'hearthlend.service'));
  const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
  const verified = spawnSync(analyzer, ['verify', '--user', join(home, 'hearthlend.service')], { env, encoding: 'utf8' });
  expect([verified.status, verified.stderr]).toEqual([0, '']);
});

test('the unit runs what the npm package installs, comes back after a failure, and leaves bubblewrap its namespaces', () => {
  const lines = statements(unit);
  const place = '%h/.local/share/hearthlend-program/node_modules';
  expect(lines).toContain(`ExecStart=${place}/node/bin/node ${place}/hearthlend/cli/hearthlend.mjs start --headless`);
  expect(lines).toContain('Restart=on-failure');
  expect(
    lines.filter((line) => /^(Private|Protect|Restrict|SystemCall|NoNew|Lock|Capability|Root|Bind|ReadOnly|Inaccessible)/.test(line)),
  ).toEqual([]);
});

test('the container runs as an ordinary user who owns nothing but the data folder, on a Node of an exact version', () => {
  const lines = statements(container);
  expect(lines[0]).toBe(`FROM docker.io/library/node:${JSON.parse(read('package.json')).dependencies.node}-bookworm-slim`);
  const user = lines.indexOf('USER node');
  expect(user).toBeGreaterThan(lines.findLastIndex((line) => line.startsWith('RUN')));
  expect(lines.join('\n')).toMatch(/apt-get install -y --no-install-recommends bubblewrap/);
  expect(lines.join('\n')).toMatch(/install -d -o node -g node -m 0700 \/data/);
  expect(lines.slice(user)).toEqual([
    'USER node',
    'ENV HEARTHLEND_HOME=/data',
    'VOLUME /data',
    'STOPSIGNAL SIGTERM',
    'ENTRYPOINT ["hearthlend"]',
    'CMD ["start", "--headless"]',
  ]);
});

test('the flags that the container file and the workflow give are those that the program asks for inside a container', () => {
  const clues = { osRelease: null, apparmorRestricts: null, usernsClone: null, maxUserNamespaces: null };
  for (const engine of ['docker', 'podman'] as const) {
    const { remedy } = explainRefusal('/usr/bin/bwrap', 'bwrap: No permissions to create new namespace', { ...clues, container: engine });
    const flags = String(remedy.params.command);
    expect(flags).toContain('--security-opt');
    expect(container).toContain(flags);
    if (engine === 'docker') expect(workflow).toContain(flags);
  }
});

test('continuous integration may read the code and nothing more, and every action that it uses is pinned to a commit', () => {
  expect([...workflow.matchAll(/^permissions:\n((?: {2}.*\n)+)/gm)].map((match) => match[1])).toEqual(['  contents: read\n']);
  expect(workflow.match(/permissions:/g)).toHaveLength(1);
  expect(workflow).not.toMatch(/pull_request_target|secrets\.|write-all/);
  const actions = [...workflow.matchAll(/uses: (.*)/g)].map((match) => match[1]);
  expect(actions.length).toBeGreaterThan(5);
  for (const action of actions) expect(action).toMatch(/^actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  expect(workflow.match(/actions\/checkout@.*\n +with:\n +persist-credentials: false/g)).toHaveLength(3);
  // What a branch or a fork names itself must not become part of a command.
  const commands = [...workflow.matchAll(/run: ?(?:\|\n((?: {10,}.*\n)+)|(.*))/g)].map(([, block, line]) => block ?? line ?? '');
  expect(commands.filter((command) => /\$\{\{(?! *matrix\.)/.test(command))).toEqual([]);
});

test('continuous integration tests on Linux, Windows and macOS, on Linux with a display, and builds the packages on each', () => {
  const jobs = Object.fromEntries(
    workflow
      .slice(workflow.indexOf('\njobs:\n'))
      .split(/^ {2}(?=\w+:\n)/m)
      .slice(1)
      .map((job) => [job.slice(0, job.indexOf(':')), job]),
  );
  expect(Object.keys(jobs)).toEqual(['test', 'headless', 'package']);
  for (const name of ['test', 'package']) {
    for (const os of ['ubuntu', 'windows', 'macos']) expect(jobs[name]).toMatch(new RegExp(`\\b${os}-\\d`));
  }
  expect(jobs.test).toMatch(/xvfb-run --auto-servernum npm test/);
  expect(jobs.test).toMatch(/install-electron/);
  expect(jobs.package).toMatch(/npm run package -- /);
  for (const file of ['AppImage', 'deb', 'dmg', 'exe']) expect(jobs.package).toContain(`release/*.${file}`);
});
