import { join } from 'node:path';
import { protocol } from 'electron';
import { HearthlendError } from '../../core/contract/errors.ts';
import { readBundle } from '../../core/loopback/bundle.ts';
import type { Deps, Feature } from '../feature.ts';
import { SCHEME } from './address.ts';
import { answerPage } from './answer.ts';

/** Makes our scheme one that Chromium treats like https. To be called before Electron is ready. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([{ scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
}

/** Serves the built pages to the window. @throws PAGES_MISSING where there are none */
export function initPages({ appPath }: Deps): Feature {
  return {
    async onLoad() {
      const folder = join(appPath, 'dist', 'ui');
      const bundle = await readBundle(folder);
      if (!bundle.has('/')) throw new HearthlendError('PAGES_MISSING', { path: folder });
      protocol.handle(SCHEME, (request) => {
        const { status, headers, body } = answerPage(bundle, request);
        return new Response(body === null ? null : new Uint8Array(body), { status, headers });
      });
    },
    onQuit: () => protocol.unhandle(SCHEME),
  };
}
