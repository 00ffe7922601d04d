import { accessSync, closeSync, constants, openSync, readSync, realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { Launcher } from 'chrome-launcher';

/** Chromium-family browsers that chrome-launcher doesn't look for, by the name of their program or its place under Program Files. */
const MORE_ON_LINUX = ['microsoft-edge', 'microsoft-edge-stable', 'brave-browser', 'vivaldi-stable'];
const MORE_ON_WINDOWS = ['Microsoft\\Edge\\Application\\msedge.exe', 'BraveSoftware\\Brave-Browser\\Application\\brave.exe'];
const MORE_ON_MAC = [
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  '/Applications/Brave Browser.app/Contents/MacOS/Brave Browser',
];

/** Installed browsers that know app windows, best first. Takes up to a second: it asks the system. */
export function findBrowsers(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string[] {
  const found = new Set<string>();
  try {
    for (const path of Launcher.getInstallations()) found.add(path);
  } catch {
    // It throws where it finds none.
  }
  for (const path of moreCandidates(platform, env)) if (executable(path)) found.add(path);
  return [...found];
}

function moreCandidates(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string[] {
  if (platform === 'darwin') return MORE_ON_MAC;
  if (platform === 'win32') {
    const folders = [env['ProgramFiles(x86)'], env.ProgramFiles, env.LOCALAPPDATA].filter((folder) => folder !== undefined);
    return folders.flatMap((folder) => MORE_ON_WINDOWS.map((path) => join(folder, path)));
  }
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  return MORE_ON_LINUX.flatMap((name) => folders.map((folder) => join(folder, name)));
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A browser from a snap may not read hidden folders, such as ours: it could open neither the page nor the profile. */
export function isConfined(path: string): boolean {
  if (path.startsWith('/snap/')) return true;
  try {
    const real = realpathSync(path);
    if (basename(real) === 'snap') return true;
    // Ubuntu's chromium-browser is a script that starts the snap.
    const head = headOf(real);
    return head.startsWith('#!') && head.includes('/snap/bin/');
  } catch {
    return false;
  }
}

function headOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(4096);
    return head.toString('latin1', 0, readSync(file, head));
  } finally {
    closeSync(file);
  }
}
