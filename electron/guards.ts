import { app, session } from 'electron';
import type { Deps, Feature } from './feature.ts';
import { isOurPage } from './pages/address.ts';

/** The one thing a page of ours may do that Chromium asks about: put text on the clipboard, where the user pressed Copy. */
const COPY = 'clipboard-sanitized-write';

/**
 * Shuts what a page doesn't need, in every session and page there will be: every permission but copying, every device, every request but
 * our own pages', every download, every other window, every address but ours, every embedded page. A page that were taken over would have the
 * calls of its scope, and nothing else. Certificates, client certificates and Bluetooth have no handler at all, which is a no to each.
 */
export function initGuards({ log }: Deps): Feature {
  return {
    onLoad() {
      app.on('session-created', shut);
      shut(session.defaultSession);
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

function shut(guarded: Electron.Session): void {
  const granted = (permission: string, url: string) => permission === COPY && isOurPage(url);
  guarded.setPermissionRequestHandler((_contents, permission, callback, { requestingUrl }) => callback(granted(permission, requestingUrl)));
  guarded.setPermissionCheckHandler((_contents, permission, origin) => granted(permission, origin));
  guarded.setDevicePermissionHandler(() => false);
  guarded.setDisplayMediaRequestHandler((_request, callback) => callback(null));
  guarded.webRequest.onBeforeRequest(({ url }, callback) => callback({ cancel: !isOurPage(url) && !/^(devtools|data):/.test(url) }));
  guarded.on('will-download', (event) => event.preventDefault());
}
