import { BrowserWindow, session } from 'electron';
import type { PageFile } from '../../core/gpu-window/page-files.ts';
import { PAGE_ORIGIN } from '../../core/gpu-window/policy.ts';
import { pagePreferences } from '../window/preferences.ts';

export interface HiddenPageParts {
  files: ReadonlyMap<string, PageFile>;
  preload: string;
  /** The page asked for an address, a window or another place that it isn't given. */
  refused(what: string): void;
}

let opened = 0;

/**
 * A window that nobody sees, with a page that may load its own two files and nothing else, in a session of its own that lives in memory. What
 * guards.ts shuts in every session and page is shut here too; the rules for requests are stricter.
 */
export function openHiddenPage({ files, preload, refused }: HiddenPageParts): BrowserWindow {
  opened += 1;
  // Without "persist:" it is never written anywhere.
  const own = session.fromPartition(`gpu-window-${opened}`, { cache: false });
  own.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  own.setPermissionCheckHandler(() => false);
  own.enableNetworkEmulation({ offline: true });
  own.webRequest.onBeforeRequest(({ url }, answer) => {
    const cancel = !files.has(url);
    answer({ cancel });
    if (cancel) refused(url.slice(0, 200));
  });
  own.protocol.handle('https', ({ url }) => {
    const file = files.get(url);
    return file === undefined ? new Response(null, { status: 403 }) : new Response(new Uint8Array(file.body), { headers: file.headers });
  });
  const window = new BrowserWindow({
    show: false,
    webPreferences: {
      ...pagePreferences({ preload, devTools: false }),
      session: own,
      backgroundThrottling: false,
      disableDialogs: true,
    },
  });
  const { webContents } = window;
  webContents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
  webContents.on('will-navigate', ({ url }) => refused(url.slice(0, 200)));
  webContents.on('will-redirect', ({ url }) => refused(url.slice(0, 200)));
  webContents.setWindowOpenHandler(({ url }) => {
    refused(`another window: ${url.slice(0, 150)}`);
    return { action: 'deny' };
  });
  return window;
}

/** Loads the page. @throws where it can't be loaded */
export async function loadHiddenPage(window: BrowserWindow): Promise<void> {
  await window.loadURL(`${PAGE_ORIGIN}/`);
}
