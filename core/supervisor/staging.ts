import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';

/** A link that a file system can't make: other device, no links at all, too many, or forbidden for files that aren't ours. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** The one folder that the worker sees, and which models lie in it: `<digest>/<path of the manifest>`. */
export class Staging {
  readonly modelsDir: string;
  readonly #staged = new Set<Sha256>();
  #number = 0;

  constructor(modelsDir: string) {
    this.modelsDir = modelsDir;
  }

  /** Makes the folder, and empties it of what an earlier agent left. @throws DISK_FULL, DATA_DIR_UNWRITABLE */
  async prepare(): Promise<void> {
    await this.#writing(async () => {
      await mkdir(this.modelsDir, { recursive: true, mode: 0o700 });
      for (const name of await readdir(this.modelsDir)) await rm(join(this.modelsDir, name), { recursive: true, force: true });
    });
    this.#staged.clear();
  }

  /**
   * Hard-links a model's files into the folder, or copies them where that can't be. Never a symbolic link: it would lead out of the sandbox.
   * The model appears whole or not at all.
   * @throws MODEL_INVALID, FILE_UNREADABLE, DISK_FULL, DATA_DIR_UNWRITABLE
   */
  async add(digest: Sha256, manifest: ModelManifest, files: ReadonlyMap<string, string>): Promise<void> {
    if (this.#staged.has(digest)) return;
    this.#number += 1;
    const folder = join(this.modelsDir, `.new-${this.#number}`);
    for (const { path, bytes } of manifest.files) {
      const source = await sourceOf(path, bytes, files);
      await this.#writing(async () => {
        const target = join(folder, path);
        await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        await link(source, target).catch(async (error: NodeJS.ErrnoException) => {
          if (!NO_LINK.has(error.code ?? '')) throw error;
          await copyFile(source, target, constants.COPYFILE_FICLONE);
        });
      });
    }
    await this.#writing(() => rename(folder, join(this.modelsDir, digest)));
    this.#staged.add(digest);
  }

  async remove(digest: Sha256): Promise<void> {
    if (!this.#staged.delete(digest)) return;
    await this.#writing(() => rm(join(this.modelsDir, digest), { recursive: true, force: true }));
  }

  async removeAll(): Promise<void> {
    for (const digest of [...this.#staged]) await this.remove(digest);
  }

  async #writing(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const full = code === 'ENOSPC' || code === 'EDQUOT';
      throw new HearthlendError(full ? 'DISK_FULL' : 'DATA_DIR_UNWRITABLE', { path: this.modelsDir, detail: message }, { cause });
    }
  }
}

/** The file itself, behind any symbolic link: linking would give a link to the link. */
async function sourceOf(path: string, bytes: number, files: ReadonlyMap<string, string>): Promise<string> {
  const given = files.get(path);
  if (given === undefined) throw new HearthlendError('MODEL_INVALID', { detail: `its file ${path} is not there` });
  try {
    const source = await realpath(given);
    const found = await stat(source);
    if (found.isFile() && found.size === bytes) return source;
    throw new HearthlendError('MODEL_INVALID', { detail: `its file ${path} has ${found.size} bytes where ${bytes} were promised` });
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw new HearthlendError('FILE_UNREADABLE', { path: given, detail: (cause as Error).message }, { cause });
  }
}
