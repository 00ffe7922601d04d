import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';

/** nats-server on PATH. @throws NATS_MISSING, saying what to install on this system */
export function findNatsServer(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const name = platform === 'win32' ? 'nats-server.exe' : 'nats-server';
  // Debian puts it where only root's PATH leads.
  const folders = [...(env.PATH ?? '').split(delimiter), ...(platform === 'linux' ? ['/usr/sbin', '/usr/local/sbin'] : [])];
  for (const folder of folders) {
    const path = join(folder, name);
    if (folder !== '' && isProgram(path)) return path;
  }
  throw new HearthlendError('NATS_MISSING', { how: message(installing(platform)) });
}

function installing(platform: NodeJS.Platform) {
  if (platform === 'darwin') return 'coordinator.install-nats.brew';
  if (platform === 'win32') return 'coordinator.install-nats.winget';
  const known = /^ID(?:_LIKE)?=.*\b(debian|ubuntu|fedora|rhel|arch)\b/m.exec(release())?.[1];
  if (known === 'debian' || known === 'ubuntu') return 'coordinator.install-nats.apt';
  if (known === 'arch') return 'coordinator.install-nats.pacman';
  return 'coordinator.install-nats.elsewhere';
}

/** What a Linux distribution says of itself; nothing where it says nothing. Source: os-release(5). */
function release(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
