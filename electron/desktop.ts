import { join } from 'node:path';
import { app as electron } from 'electron';
import { type App, createApp } from '../core/app.ts';
import type { Settings } from '../core/contract/settings.ts';
import type { Log } from '../core/log/log.ts';
import { serveAgent } from '../core/loopback/serve.ts';
import type { Announce } from './announce.ts';
import { initBridge } from './bridge/bridge.ts';
import type { Deps, Feature, InitFeature } from './feature.ts';
import { initGuards } from './guards.ts';
import { initLinks } from './links/links.ts';
import { initLogin } from './login/login.ts';
import type { StartOptions } from './options.ts';
import { initPages } from './pages/pages.ts';
import { appPorts } from './ports/app-ports.ts';
import { partsOf } from './ports/parts.ts';
import { initPower } from './power.ts';
import { createQuit } from './quit.ts';
import { initTray } from './tray/tray.ts';
import { initCrashes } from './trouble/crashes.ts';
import type { Troubles } from './trouble/troubles.ts';
import { createWindow, initWindow } from './window/window.ts';

/** In the order in which they load. Guards come first, the window last, when everything behind it stands. */
const FEATURES: readonly InitFeature[] = [
  initGuards,
  initCrashes,
  initPages,
  initBridge,
  initPower,
  initLinks,
  initLogin,
  initTray,
  initWindow,
];

interface DesktopParts {
  options: StartOptions;
  dataDir: string;
  log: Log;
  announce: Announce;
  troubles: Troubles;
}

/** Runs the agent with its desktop features until somebody quits. @throws what createApp and serveAgent throw, PAGES_MISSING */
export async function runDesktop({ options, dataDir, log, announce, troubles }: DesktopParts): Promise<void> {
  const version = electron.getVersion();
  const appPath = electron.getAppPath();
  const parts = partsOf({ packaged: electron.isPackaged, appPath, resourcesPath: process.resourcesPath, platform: process.platform });
  const { app, onSettings } = watchSettings(await createApp(appPorts({ dataDir, appPath, version, log, parts })));
  const loaded: Feature[] = [];
  const quit = createQuit(app, () => {
    window.close();
    for (const feature of loaded) feature.onQuitting?.();
  });
  const window = createWindow({ dataDir, appPath, log, troubles, quitting: quit.state });
  // A menu's Quit, the Dock's, ⌘Q. Who asks twice means it.
  electron.on('before-quit', (event) => {
    event.preventDefault();
    quit.request({ now: quit.state() !== null });
  });
  try {
    const served = await serveAgent({ app, dataDir, version, uiFolder: join(appPath, 'dist', 'ui'), port: null, onStop: quit.request });
    loaded.push({ onQuit: served.close });
    const { handlers } = served;
    const deps: Deps = {
      ...{ options, dataDir, appPath, log, announce, troubles, app, handlers, onSettings, window },
      quit: quit.request,
      quitting: quit.state,
    };
    announce({ event: 'started', pid: process.pid, version, address: served.address });
    for (const init of FEATURES) {
      const feature = init(deps);
      loaded.push(feature);
      await feature.onLoad?.();
    }
    await app.start({ shards: null, networks: null });
    await Promise.race([app.finished, quit.left]);
  } catch (error) {
    await app.stop({ now: true }).catch(() => undefined); // the error at hand came first and says more
    throw error;
  } finally {
    for (const feature of loaded.reverse()) await feature.onQuit?.();
  }
}

/** The agent, and word of its settings: once at the beginning and at every change, wherever it comes from. */
function watchSettings(app: App): { app: App; onSettings: Deps['onSettings'] } {
  const listeners = new Set<(settings: Settings) => void>();
  const handlers: App['handlers'] = {
    ...app.handlers,
    async 'settings.set'(change) {
      const settings = await app.handlers['settings.set'](change);
      for (const listener of listeners) listener(settings);
      return settings;
    },
  };
  return {
    app: { ...app, handlers },
    onSettings(listener) {
      listeners.add(listener);
      void handlers['settings.get']({}).then(listener);
    },
  };
}
