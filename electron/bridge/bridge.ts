import { ipcMain, type WebContents } from 'electron';
import { openCalls } from '../../core/contract/rpc-calls.ts';
import type { Deps, Feature } from '../feature.ts';
import { CHANNEL } from './channel.ts';
import { isTrusted } from './sender.ts';

const CALLS_IN_FLIGHT = 64;

/** Answers the page: what comes over the one channel from our own page, with the scope of a screen, and the events it watches. */
export function initBridge({ app: agent, handlers, window, log, announce }: Deps): Feature {
  const pages = new Map<number, ReturnType<typeof openCalls>>();
  let ready = false;

  function openPage(contents: WebContents): ReturnType<typeof openCalls> {
    const calls = openCalls({
      handlers,
      events: (listener) => agent.events(listener),
      scope: 'screen',
      callsInFlight: CALLS_IN_FLIGHT,
      send: (message) => {
        if (!contents.isDestroyed()) contents.send(CHANNEL, message);
      },
    });
    const forget = () => {
      calls.end();
      pages.delete(contents.id);
    };
    pages.set(contents.id, calls);
    contents.once('destroyed', forget);
    contents.once('render-process-gone', forget);
    // The next document in this window is another caller.
    contents.on('did-start-navigation', (details) => {
      if (details.isMainFrame && !details.isSameDocument) forget();
    });
    return calls;
  }

  return {
    onLoad() {
      ipcMain.on(CHANNEL, (event, raw: unknown) => {
        const { sender, senderFrame } = event;
        const frame = senderFrame === null ? null : { url: senderFrame.url, top: senderFrame.parent === null };
        if (!isTrusted({ pageId: sender.id, frame }, window.pageId())) {
          log('warn', 'a message of a stranger was dropped', { top: frame?.top ?? null });
          return;
        }
        const calls = pages.get(sender.id) ?? openPage(sender);
        void calls.receive(raw).then((outcome) => {
          if (outcome !== 'answered') log('warn', 'a message of the page was dropped', { outcome });
          if (!ready && outcome === 'answered' && calls.watching()) {
            ready = true;
            announce({ event: 'ready' });
          }
        });
      });
    },
    onQuit() {
      ipcMain.removeAllListeners(CHANNEL);
      for (const calls of pages.values()) calls.end();
    },
  };
}
