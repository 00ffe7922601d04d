// Regenerates package-lock.json, complete for every platform: `node scripts/lock.mjs`.
// A resolver that cannot see another platform's optional binary package leaves it out of the lockfile, and `npm ci` then refuses the
// lockfile everywhere. The names and exact versions stand in their parents' optionalDependencies, so they are filled in from there.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const OS = ['android', 'darwin', 'linux', 'win32', 'freebsd', 'netbsd', 'openbsd', 'sunos', 'aix', 'openharmony'];
const CPU = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];

rmSync('node_modules', { recursive: true, force: true });
rmSync('package-lock.json', { force: true });
execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts'], { stdio: 'inherit', shell: process.platform === 'win32' });

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined || !/^\d/.test(version)) continue;
    const words = name.split(/[-/]/);
    const os = OS.filter((word) => words.includes(word));
    const cpu = words.includes('wasm32')
      ? ['wasm32']
      : CPU.filter((word) => words.includes(word) || words.some((w) => w === 'gnueabihf' && word === 'arm'));
    lock.packages[key] = {
      version,
      ...(cpu.length > 0 && { cpu }),
      ...(parent.dev === true && { dev: true }),
      ...(os.includes('linux') &&
        words.some((w) => /^(gnu|musl)/.test(w)) && { libc: [words.some((w) => w.startsWith('musl')) ? 'musl' : 'glibc'] }),
      optional: true,
      ...(os.length > 0 && { os }),
    };
  }
}
const { '': root, ...rest } = lock.packages;
lock.packages = { '': root, ...Object.fromEntries(Object.entries(rest).sort(([a], [b]) => a.localeCompare(b, 'en'))) };
const text = `${JSON.stringify(lock, null, 2)}\n`;
if (/"resolved": "http/.test(text)) throw new Error('package-lock.json names a registry; set omit-lockfile-registry-resolved=true');
writeFileSync('package-lock.json', text);
