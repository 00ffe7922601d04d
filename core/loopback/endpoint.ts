import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';

/** Where the running agent of a data folder is to be reached, readable by its owner only. */
const Endpoint = z.object({
  pid: z.int().min(1),
  version: z.string().min(1).max(64),
  port: z.int().min(1).max(65_535),
  token: z.string().min(1).max(256),
  startedAt: z.int(),
});
export type Endpoint = z.infer<typeof Endpoint>;

function endpointPath(dataDir: string): string {
  return join(dataDir, 'agent.json');
}

/** Puts the endpoint file in place, whole or not at all. @throws DATA_DIR_UNWRITABLE */
export async function writeEndpoint(dataDir: string, endpoint: Endpoint): Promise<void> {
  const path = endpointPath(dataDir);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(endpoint)}\n`);
    } finally {
      await file.close();
    }
    await chmod(draft, 0o600);
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    throw new HearthlendError('DATA_DIR_UNWRITABLE', { path: dataDir, detail: (cause as Error).message }, { cause });
  }
}

/** The endpoint that is noted down; undefined where there is none. One that can't be read counts as none: a kill may have left it. */
export async function readEndpoint(dataDir: string): Promise<Endpoint | undefined> {
  try {
    const parsed = Endpoint.safeParse(JSON.parse(await readFile(endpointPath(dataDir), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw new HearthlendError('FILE_UNREADABLE', { path: endpointPath(dataDir), detail: (error as Error).message }, { cause: error });
  }
}

/** Removes the endpoint file, if it still is the one of this process. */
export async function removeEndpoint(dataDir: string, pid: number): Promise<void> {
  if ((await readEndpoint(dataDir))?.pid === pid) await rm(endpointPath(dataDir), { force: true });
}

export function processAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process can't be signalled, but is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
