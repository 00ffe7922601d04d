import { app } from 'electron';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Deps, Feature } from '../feature.ts';
import { linkIn } from '../options.ts';
import { parseLink } from './parse.ts';

/** Takes links and second starts: the system hands both to the one that runs. */
export function initLinks({ options, window, troubles }: Deps): Feature {
  function follow(link: string): void {
    const asked = parseLink(link);
    if (asked.action === 'open') window.show();
    else if (asked.action === 'join') window.show(`#/networks?link=${encodeURIComponent(asked.invitation)}`);
    else troubles.tell(new HearthlendError('LINK_REFUSED'));
  }
  return {
    onLoad() {
      // In a checkout the system would remember Electron itself, with no program.
      if (app.isPackaged) app.setAsDefaultProtocolClient('hearthlend');
      app.on('open-url', (event, url) => {
        event.preventDefault();
        follow(url);
      });
      app.on('second-instance', (_event, argv) => {
        const link = linkIn(argv);
        if (link === undefined) window.show();
        else follow(link);
      });
      // The window opens at a start anyway.
      if (options.link !== undefined && parseLink(options.link).action !== 'open') follow(options.link);
    },
  };
}
