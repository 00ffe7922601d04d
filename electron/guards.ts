import { app, session } from 'electron';
import type { Deps, Feature } from './feature.ts';
import { isOurPage } from './pages/address.ts';

/** The one thing a page of ours may do that Chromium asks about: put text on the clipboard, where the user pressed Copy. */
const COPY = 'clipboard-sanitized-write';

/**
 * Shuts what a page doesn't need: every permission but copying, every request but our own pages', every other window, every address but
 * ours, every embedded page. A page that were taken over would have the calls of its scope, and nothing else.
 */
export function initGuards({ log }: Deps): Feature {
  return {
    onLoad() {
      const { defaultSession } = session;
      const granted = (permission: string, url: string) => permission === COPY && isOurPage(url);
      defaultSession.setPermissionRequestHandler((_contents, permission, callback, details) =>
        callback(granted(permission, details.requestingUrl)),
      );
      defaultSession.setPermissionCheckHandler((_contents, permission, origin) => granted(permission, origin));
      defaultSession.setDevicePermissionHandler(() => false);
      defaultSession.webRequest.onBeforeRequest((details, callback) => callback({ cancel: !/^(app|devtools|data):/.test(details.url) }));
      defaultSession.on('will-download', (event) => event.preventDefault());
      app.on('web-contents-created', (_event, contents) => {
        const stay = (event: Electron.Event, url: string) => {
          if (isOurPage(url)) return;
          event.preventDefault();
          log('warn', 'a page wanted to leave', { origin: URL.parse(url)?.origin ?? 'unreadable' });
        };
        contents.on('will-navigate', (event) => stay(event, event.url));
        contents.on('will-redirect', (event) => stay(event, event.url));
        contents.on('will-frame-navigate', (event) => stay(event, event.url));
        contents.on('will-attach-webview', (event) => event.preventDefault());
        contents.setWindowOpenHandler(() => ({ action: 'deny' }));
      });
    },
  };
}
