// `npm run package:list [-- FOLDER] [-- --json] [-- --into=EMPTY_FOLDER]`: what the desktop app consists of, file by file, and how large it is.
// With FOLDER, the resources folder of an app that was built: what lies there. Without, electron-builder itself packs the app as
// electron-builder.yml says, around a stand-in for Electron's runtime (a few files, empty but for the fuses, since the runtime isn't what is
// asked about): the app's own files are exact, the runtime and the installer around it are not shown. That way is for Linux. `--into`
// keeps what was packed.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { build as buildProgram } from './build.mjs';
import { fail, root, SetupError } from './setup.mjs';

/** Not the app's: electron-builder's description of the update channel, and what Electron's runtime brings itself. */
const foreign = /^(app-update\.yml|default_app\.asar|.*\.lproj\/.*|electron\.icns|icon\.icns)$/;

/**
 * The files of an asar archive. Format: two Chromium pickles, the second a string: a u32 at 12 with the length of a JSON tree at 16, whose
 * files are `{ size, offset }`, or `{ size, unpacked: true }` where they lie beside the archive.
 */
function listArchive(file) {
  const bytes = readFileSync(file);
  const tree = JSON.parse(bytes.toString('utf8', 16, 16 + bytes.readUInt32LE(12)));
  const found = [];
  const walk = (folder, path) => {
    for (const [name, entry] of Object.entries(folder.files)) {
      if (entry.files !== undefined) walk(entry, `${path}${name}/`);
      else found.push({ place: entry.unpacked ? 'unpacked' : 'archive', path: `${path}${name}`, bytes: entry.size });
    }
  };
  walk(tree, '');
  return found;
}

/**
 * Everything below an app's resources folder.
 * @returns {{ place: 'archive' | 'unpacked' | 'beside', path: string, bytes: number }[]} paths within the app, or beside its archive
 */
function listResources(folder) {
  const inApp = listArchive(join(folder, 'app.asar'));
  const beside = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(folder, file).split(sep).join('/'), bytes: statSync(file).size }))
    .filter(({ path }) => path !== 'app.asar' && !path.startsWith('app.asar.unpacked/') && !foreign.test(path))
    .map((file) => ({ place: 'beside', ...file }));
  return [...inApp, ...beside].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A binary's eight fuses, all on, as Electron carries them: after this mark the version, how many there are, and a digit for each. */
const fuses = `dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX\u0001\u0008${'1'.repeat(8)}`;

/** Packs the app into `folder` around a stand-in for Electron's runtime. @returns {Promise<string>} its resources folder */
async function packAroundStandIn(folder) {
  if (process.platform !== 'linux') {
    throw new SetupError('The stand-in is for Linux. Build the app (`npm run package -- --dir`) and give its resources folder.');
  }
  const runtime = join(folder, 'runtime');
  mkdirSync(join(runtime, 'resources'), { recursive: true });
  mkdirSync(join(runtime, 'locales'));
  writeFileSync(join(runtime, 'electron'), fuses, { mode: 0o755 });
  writeFileSync(join(runtime, 'locales/en-US.pak'), '');
  const { build, Platform } = await import('electron-builder');
  await build({
    projectDir: root,
    targets: Platform.LINUX.createTarget('dir'),
    publish: 'never',
    // An app that lacks its own entry is shown as it is.
    config: { directories: { output: join(folder, 'app') }, electronDist: runtime, disableSanityCheckAsar: true },
  });
  const [name] = readdirSync(join(folder, 'app')).filter((entry) => entry.endsWith('unpacked'));
  return join(folder, 'app', name, 'resources');
}

function megabytes(files) {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return `${(bytes / 1e6).toFixed(1)} MB in ${files.length} files`;
}

/** A package's folder, or the first folders of what is ours. */
function group(path) {
  const parts = path.split('/');
  if (parts[0] === 'node_modules') return parts.slice(0, parts[1].startsWith('@') ? 3 : 2).join('/');
  return parts.length === 1 ? path : parts.slice(0, 2).join('/');
}

function printForPeople(files) {
  const titles = { archive: 'In app.asar', unpacked: 'Unpacked beside it', beside: 'Extra resources' };
  for (const [place, title] of Object.entries(titles)) {
    const here = files.filter((file) => file.place === place);
    console.log(`\n${title}: ${megabytes(here)}`);
    const groups = Map.groupBy(here, (file) => group(file.path));
    for (const [name, members] of groups) console.log(`  ${name.padEnd(48)} ${megabytes(members)}`);
  }
  console.log(`\nThe app, without Electron's runtime: ${megabytes(files)}. File by file: --json.`);
}

async function list(args) {
  const given = args.find((arg) => !arg.startsWith('--'));
  if (given !== undefined) return listResources(given);
  await buildProgram();
  const into = args.find((arg) => arg.startsWith('--into='))?.slice('--into='.length);
  if (into !== undefined) return listResources(await packAroundStandIn(into));
  const scratch = mkdtempSync(join(tmpdir(), 'hearthlend-package-'));
  try {
    return listResources(await packAroundStandIn(scratch));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  const args = process.argv.slice(2);
  const files = await list(args);
  if (args.includes('--json')) console.log(JSON.stringify(files));
  else printForPeople(files);
} catch (error) {
  fail(error);
}
