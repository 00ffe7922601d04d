import { join } from 'node:path';
import { Menu, type MenuItemConstructorOptions, nativeImage, Tray } from 'electron';
import type { Deps, Feature } from '../feature.ts';
import { type TrayAction, type TrayEntry, type TrayView, trayMenu, trayTip } from './menu.ts';

const PRACTICE_SHARDS = 200;

/** The icon beside the clock: state, today's number, and what one wants without opening a window. */
export function initTray(deps: Deps): Feature {
  const { app: agent, window, troubles, quit, quitting, appPath } = deps;
  let tray: Tray | undefined;
  let unsubscribe: () => void = () => undefined;
  let view: Omit<TrayView, 'quitting'>;

  function act(action: TrayAction): void {
    switch (action.do) {
      case 'open':
        window.show();
        break;
      case 'resume':
        agent.handlers['work.resume']({}).catch(troubles.tell);
        break;
      case 'start':
        agent.handlers['work.start']({ forMs: action.forMs }).catch(troubles.tell);
        break;
      case 'practise':
        agent.handlers['practice.extend']({ shards: PRACTICE_SHARDS }).catch(troubles.tell);
        break;
      case 'pause':
        agent.handlers['work.pause']({ forMs: action.forMs }).catch(troubles.tell);
        break;
      case 'quit':
        quit({ now: action.now });
        break;
    }
  }

  function itemOf(entry: TrayEntry): MenuItemConstructorOptions {
    if (entry === 'line') return { type: 'separator' };
    const { label, action, entries } = entry;
    if (entries !== undefined) return { label, submenu: entries.map(itemOf) };
    return action === undefined ? { label, enabled: false } : { label, click: () => act(action) };
  }

  function draw(): void {
    const shown = { ...view, quitting: quitting() !== null };
    tray?.setToolTip(trayTip(shown));
    tray?.setContextMenu(Menu.buildFromTemplate(trayMenu(shown, new Date()).map(itemOf)));
  }

  return {
    async onLoad() {
      const { state, earnings } = await agent.handlers['app.watch']({});
      view = { state, earnings };
      tray = new Tray(nativeImage.createFromPath(join(appPath, 'resources', 'icons', 'tray.png')));
      tray.on('click', () => window.show());
      unsubscribe = agent.events((event) => {
        if (event.event !== 'changed' || (event.data.state === undefined && event.data.earnings === undefined)) return;
        view = { state: event.data.state ?? view.state, earnings: event.data.earnings ?? view.earnings };
        draw();
      });
      draw();
    },
    onQuitting: draw,
    onQuit() {
      unsubscribe();
      tray?.destroy();
    },
  };
}
