import { app } from 'electron';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { Deps, Feature } from '../feature.ts';

/** Explains the ends of Chromium's processes, and a page that doesn't answer. The agent isn't in any of them, and goes on. */
export function initCrashes({ troubles, window, log, quitting }: Deps): Feature {
  const again = { label: message('desktop.trouble.reload'), act: () => window.replace() };
  const close = { label: message('desktop.trouble.close'), act: () => undefined };
  return {
    onLoad() {
      app.on('render-process-gone', (_event, contents, { reason, exitCode }) => {
        log('error', 'the page is gone', { reason, exitCode });
        if (reason === 'clean-exit' || quitting() !== null || contents.id !== window.pageId()) return;
        troubles.tell(new HearthlendError('WINDOW_GONE', { detail: `${reason} ${exitCode}` }), [again, close]);
      });
      app.on('child-process-gone', (_event, { type, name, reason, exitCode }) => {
        log('error', 'a helper process is gone', { type, name, reason, exitCode });
        if (reason === 'clean-exit' || quitting() !== null) return;
        troubles.tell(new HearthlendError('HELPER_GONE', { name: name ?? type, detail: `${reason} ${exitCode}` }));
      });
      app.on('browser-window-created', (_event, created) => {
        created.on('unresponsive', () => {
          // A page that computes may well be busy.
          if (created.webContents.id !== window.pageId()) return;
          const wait = { label: message('desktop.trouble.wait'), act: () => undefined };
          troubles.tell(new HearthlendError('WINDOW_STUCK'), [wait, again]);
        });
      });
    },
  };
}
