/**
 * What a page of ours is allowed to be: a page of the web in Chromium's sandbox, with the preload's one channel. Also what Electron defaults
 * to is spelled out, so that a change of its defaults changes nothing here. `devTools`: for a checkout.
 */
export function pagePreferences({ preload, devTools }: { preload: string; devTools: boolean }): Electron.WebPreferences {
  return {
    preload,
    devTools,
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webviewTag: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    plugins: false,
    navigateOnDragDrop: false,
    spellcheck: false,
  };
}
