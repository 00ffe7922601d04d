import { rmSync } from 'node:fs';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build } from 'vite';
import { createAccess } from '../../core/loopback/access.ts';
import { readBundle } from '../../core/loopback/bundle.ts';
import { launchFilePath } from '../../core/loopback/launch-file.ts';
import { LOOPBACK_LIMITS } from '../../core/loopback/limits.ts';
import { openLoopback } from '../../core/loopback/server.ts';
import type { Story } from './story.ts';

/** As often as anybody can read it. */
const EVERY_MS = 100;

export interface PageServer {
  /** An address that lets one page in, once, within 30 s. */
  newCode(): { url: string; code: string };
  /** Pages that look on now. */
  readonly watching: number;
  /** Resolves when nobody looks on any more. */
  left(): Promise<void>;
  /** Shows what is newest, now. */
  show(): void;
  close(): Promise<void>;
}

/** Builds the demonstration's page into a folder, and serves it on the loopback by the rules of the program's own page: it only watches. */
export async function openPage(folder: string, story: () => Story): Promise<PageServer> {
  const built = join(folder, 'page');
  await build({
    ...{ configFile: false, root: join(import.meta.dirname, 'page'), base: '/', plugins: [react()], logLevel: 'error' },
    build: {
      ...{ outDir: built, emptyOutDir: true, target: 'es2024', assetsInlineLimit: 0, reportCompressedSize: false },
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 2_000,
    },
  });
  const access = createAccess(LOOPBACK_LIMITS.codeMs);
  const pages = new Set<(message: unknown) => void>();
  let left = Promise.withResolvers<void>();
  let shown: Story | null = null;
  const show = () => {
    const now = story();
    if (now === shown) return;
    shown = now;
    for (const send of pages) send(now);
  };
  const showing = setInterval(show, EVERY_MS);
  const open = (_scope: string, send: (message: unknown) => void) => {
    pages.add(send);
    send(story());
    return {
      // Nothing can be asked of it.
      receive: async () => 'malformed' as const,
      end() {
        pages.delete(send);
        if (pages.size > 0) return;
        left.resolve();
        left = Promise.withResolvers();
      },
    };
  };
  const loopback = await openLoopback(null, await readBundle(built), { access, open }, LOOPBACK_LIMITS);
  return {
    newCode() {
      const code = access.issueCode(() => rmSync(launchFilePath(folder, code), { force: true }));
      return { url: `http://127.0.0.1:${loopback.port}/#code=${code}`, code };
    },
    get watching() {
      return pages.size;
    },
    left: () => (pages.size === 0 ? Promise.resolve() : left.promise),
    show,
    async close() {
      clearInterval(showing);
      access.close();
      await loopback.close();
    },
  };
}
